"""`rewrite`: the same function, whatever it takes and returns and wherever it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from jaxmatcalc import expm, hessian_operator, rewrite, value_grad_hessian_operator
from jaxmatcalc.interpret import Program
from jaxmatcalc.interpret.library import LIBRARY
from jaxmatcalc.interpret.partners import PARTNERS

linalg = jnp.linalg
scipy = jax.scipy.linalg
rng = np.random.default_rng(3)
X = jnp.asarray(rng.normal(size=(3, 3)) + 3 * np.eye(3), float)
Y = jnp.asarray(rng.normal(size=(3, 3)), float)
v, W, S = Y[0], Y[:2], X @ X.T
zero = jnp.zeros((2, 2))


def test_its_page_lists_what_the_table_holds():
    entries = [*LIBRARY.values(), *PARTNERS.values()]
    table = {name for entry in entries for name in entry.public} - {"jnp.diagonal", "jnp.diag"}
    listed = set(re.findall(r"`((?:jnp|jax\.scipy)\.[\w.]+)`", rewrite.__doc__ or ""))
    assert listed - {"jnp.linalg.vector_norm", "jnp.linalg.multi_dot"} == table


def test_what_is_not_an_array_is_passed_on():
    seen = []

    @rewrite
    def f(X, mode, *, power, table, nothing=None, weights):
        seen.append((mode, power, type(weights), nothing))
        total = linalg.norm(X.reshape(power + 1, -1)) ** power * weights.sum()
        return {"norm": total, "table": table["k"] + 1, "mode": mode, "none": nothing, "n": [3]}

    result = f(X, "squared", power=2, table={"k": 1}, weights=np.ones(2))
    assert seen == [("squared", 2, np.ndarray, None)]
    np.testing.assert_allclose(result.pop("norm"), 2 * np.sum(np.square(X)), rtol=1e-5)
    assert result == {"table": 2, "mode": "squared", "none": None, "n": [3]}
    assert type(result["table"]) is int


def test_python_numbers_and_integer_results():
    value = rewrite(lambda x: linalg.norm(x))(-2.0)
    assert (value.item(), value.weak_type) == (2.0, linalg.norm(-2.0).weak_type)
    order, size, trace = rewrite(lambda X: (jnp.argsort(X[0]), X.size, jnp.trace(X)))(
        jnp.arange(9).reshape(3, 3)
    )
    assert order.dtype == jnp.argsort(X[0]).dtype
    assert (size, trace.item(), trace.dtype) == (9, 12, jnp.arange(9).dtype)


@dataclass
class Pair:
    """No pytree."""

    value: jax.Array


def test_a_function_that_cannot_be_traced_is_called_as_it_is():
    branches = rewrite(lambda x: linalg.norm(x) if x[0] > 0 else x[0])
    np.testing.assert_allclose(branches(jnp.array([3.0, 4.0])), 5.0, rtol=1e-6)
    np.testing.assert_allclose(branches(jnp.array([-3.0, 4.0])), -3.0)
    picks = rewrite(lambda x: linalg.norm(x[x > 0]))
    np.testing.assert_allclose(picks(jnp.array([3.0, -1.0, 4.0])), 5.0, rtol=1e-6)
    through_numpy = rewrite(lambda x: np.linalg.norm(x) + linalg.norm(x))
    np.testing.assert_allclose(through_numpy(jnp.array([3.0, 4.0])), 10.0, rtol=1e-6)
    pair = rewrite(lambda x: Pair(linalg.norm(x)))(jnp.array([3.0, 4.0]))
    np.testing.assert_allclose(pair.value, 5.0, rtol=1e-6)


def test_mistakes_are_those_of_the_function():
    with pytest.raises(TypeError, match="my own"):
        rewrite(lambda X: linalg.norm(X) + (_ for _ in ()).throw(TypeError("my own")))(X)
    with pytest.raises(ValueError):
        rewrite(linalg.inv)(jnp.ones((2, 3)))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint])
def test_effects_happen_once(wrap):
    seen = []

    def f(X):
        io_callback(lambda t: seen.append(float(t)), None, jnp.trace(X), ordered=False)
        jax.debug.callback(lambda t: seen.append(float(t)), linalg.norm(X))
        return linalg.inv(X)

    np.testing.assert_allclose(rewrite(wrap(f))(X), np.linalg.inv(X), rtol=1e-4, atol=1e-5)
    jax.effects_barrier()
    expected = [np.trace(X), np.linalg.norm(X)]
    np.testing.assert_allclose(sorted(seen), sorted(expected), rtol=1e-5)


def test_under_the_transformations_of_jax(close):
    """Compiled, mapped and differentiated, inside out and outside in."""
    f = rewrite(lambda X: linalg.slogdet(X)[1])
    inner = rewrite(jax.jit(lambda X: linalg.slogdet(X)[1]))
    batch = jnp.stack([X, 2 * X])
    inverses = np.linalg.inv(np.asarray(batch)).swapaxes(1, 2)
    close(jax.jit(jax.vmap(jax.grad(f)))(batch), inverses.astype(batch.dtype))
    close(jax.vmap(jax.grad(inner), in_axes=2)(jnp.moveaxis(batch, 0, 2)), inverses)
    M = np.linalg.inv(X)
    hessian = -np.einsum("li,jk->ijkl", M, M)
    close(jax.jit(jax.hessian(f))(X), hessian)
    close(jax.jit(jax.jacfwd(jax.grad(inner)))(X), hessian)
    _, tangent = jax.jvp(f, (X,), (jnp.ones_like(X),))
    np.testing.assert_allclose(tangent, M.sum(), rtol=1e-4)

    def outer(t):  # the tangent is in what the function closes over
        return rewrite(lambda: linalg.det(t * X))()

    np.testing.assert_allclose(jax.grad(outer)(1.0), 3 * np.linalg.det(X), rtol=1e-4)


def test_a_compiled_function_stays_compiled():
    """It is one call, and the same one each time: a second run does not compile again."""
    traced = []

    @jax.jit
    def f(X):
        traced.append(X.shape)
        return linalg.det(X) + linalg.norm(X)

    g = rewrite(f)
    first, second = g(X), g(X)
    assert (first, len(traced)) == (second, 1)
    (eqn,) = jax.make_jaxpr(g)(X).jaxpr.eqns
    assert eqn.params["name"] == "f"
    inside = jax.make_jaxpr(g)(X).jaxpr.eqns[0].params["jaxpr"]
    assert "name=det" not in str(inside)
    np.testing.assert_allclose(first, f(X), rtol=1e-5)


def test_recognition_costs_nothing_where_there_is_no_call():
    """The program is returned as f wrote it; names outside the table are not compared."""

    def f(X):
        for _ in range(20):
            X = jnp.where(X > 0, jnp.tanh(X), jax.nn.relu(X))
        return X

    assert str(jax.make_jaxpr(rewrite(f))(X)) == str(jax.make_jaxpr(f)(X))


def test_derivatives_that_jax_does_not_have():
    D = jnp.diag(jnp.array([1.0, 0.0, 2.0]))
    gradient = jax.jit(jax.grad(rewrite(linalg.det)))(D)
    np.testing.assert_allclose(gradient, np.diag([0.0, 2.0, 0.0]), atol=1e-6)
    rows = rewrite(lambda X: jnp.sum(linalg.norm(X, axis=1)))
    expected = [[0.0, 0.0], [0.6, 0.8]]
    found = jax.grad(rows)(jnp.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(jax.grad(rewrite(linalg.norm))(zero), zero)
    nuclear = rewrite(lambda X: linalg.norm(X, "nuc"))
    np.testing.assert_allclose(jax.grad(nuclear)(jnp.diag(jnp.array([2.0, 0.0])))[1, 1], 0)
    root = jax.jit(jax.grad(rewrite(lambda X: jnp.trace(scipy.sqrtm(X)).real)))
    np.testing.assert_allclose(root(4 * jnp.eye(2)), np.eye(2) / 4, rtol=1e-5)
    loop = rewrite(lambda X: jax.lax.scan(lambda c, A: (c + linalg.norm(A), 0), 0.0, X)[0])
    np.testing.assert_array_equal(jax.grad(loop)(zero), zero)
    choice = rewrite(lambda X: jax.lax.cond(X[0, 0] >= 0, linalg.norm, jnp.sum, X))
    np.testing.assert_array_equal(jax.grad(choice)(zero), zero)


def scanned(X):
    def step(carry, A):
        carry = carry + linalg.norm(A) * linalg.inv(X)
        return carry, linalg.slogdet(carry)[1]

    return jax.lax.scan(step, X, jnp.stack([X, X + Y]))


def looped(X):
    def step(state):
        k, A = state
        return k + 1, linalg.inv(A) + A / linalg.norm(A)

    return jax.lax.while_loop(lambda state: linalg.det(state[1]) + state[0] < 20, step, (0, X))


BODIES = {
    "scan": scanned,
    "while_loop": looped,
    "fori_loop": lambda X: jax.lax.fori_loop(0, 2, lambda k, A: k * linalg.inv(A) + A, X),
    "cond": lambda X: jax.lax.cond(X[0, 0] > 0, linalg.det, lambda X: jnp.trace(X), X),
    "switch": lambda X: jax.lax.switch(X[0, 0].astype(int) % 3, [linalg.inv, jnp.sin, jnp.cos], X),
    "checkpoint": jax.checkpoint(lambda X: linalg.det(jnp.sin(X)), prevent_cse=False),
    "in one another": jax.jit(lambda X: jax.lax.map(jax.checkpoint(scanned), X[None])),
}


@pytest.mark.parametrize("name", BODIES)
def test_calls_inside_loops_and_choices_are_replaced(name):
    """Names of the calls that are left are those that stand outside the operations."""
    f = BODIES[name]
    assert Program(f, (X,)).has_calls
    found, expected = rewrite(f)(X), f(X)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert x.dtype == y.dtype
        assert x.weak_type == y.weak_type
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
    jaxpr = jax.make_jaxpr(rewrite(f))(X).jaxpr
    kinds = {"checkpoint": "remat2", "fori_loop": "scan", "switch": "cond", "while_loop": "while"}
    inside = [eqn.primitive.name for eqn in jaxpr.eqns]
    assert kinds.get(name, name) in inside or name == "in one another"
    assert not Program(rewrite(f), (X,)).has_calls


def test_hessians_of_loops_and_choices(close):
    """Also on JAX 0.10, whose scans forget in reverse which operations have a rule."""

    def f(X):
        step = lambda c, a: (c + linalg.slogdet(X + a * jnp.eye(3))[1], a)  # noqa: E731
        total, _ = jax.lax.scan(step, 0.0, jnp.arange(2.0))
        return total + jax.lax.cond(X[0, 0] > 0, lambda X: linalg.norm(X) ** 2, linalg.det, X)

    expected = 2 * np.einsum("ik,jl->ijkl", np.eye(3), np.eye(3))
    for a in range(2):
        M = np.linalg.inv(X + a * np.eye(3))
        expected -= np.einsum("li,jk->ijkl", M, M)
    close(jax.jit(lambda X: hessian_operator(f)(X).to_dense())(X), expected.astype(X.dtype))


def test_what_belongs_to_a_cholesky_factor_is_taken_as_one():
    """A Gaussian process as it is written with a Cholesky factor, which is not differentiated.

    The function is one of all entries of K, for `jnp.linalg.cholesky` symmetrises.
    """

    def f(K):
        L = linalg.cholesky(K)
        return v @ scipy.cho_solve((L, True), v) / 2 + jnp.sum(jnp.log(jnp.diagonal(L)))

    K = S + W[0] / 9
    value, gradient, H = jax.jit(value_grad_hessian_operator(f))(K)
    assert H.structure.fallbacks == ()
    M = np.linalg.inv((K + K.T) / 2)
    u = M @ v
    np.testing.assert_allclose(value, f(K), rtol=1e-5)
    np.testing.assert_allclose(gradient, (M - np.outer(u, u)) / 2, rtol=1e-4, atol=1e-5)
    expected = np.einsum("i,jk,l->ijkl", u, M, u) - np.einsum("li,jk->ijkl", M, M) / 2
    for axes in ((1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1)):
        expected = (expected + expected.transpose(axes)) / 2
    np.testing.assert_allclose(H.to_dense(), expected, rtol=1e-4, atol=1e-5)


def test_the_logarithm_of_a_factor_is_taken_as_one_under_vmap():
    logs = jax.vmap(lambda K: jnp.sum(jnp.log(jnp.diag(linalg.cholesky(K)))))
    program = jax.make_jaxpr(rewrite(logs))(jnp.stack([S, 2 * S]))
    assert "jit[name=_diag" not in str(program)
    found = jax.jit(jax.grad(lambda K: rewrite(logs)(K) @ jnp.array([1.0, 3.0])))
    expected = [np.linalg.inv(S) / 2, 3 * np.linalg.inv(2 * S) / 2]
    np.testing.assert_allclose(found(jnp.stack([S, 2 * S])), expected, rtol=1e-4, atol=1e-5)


FACTORED = [
    lambda K: scipy.cho_solve(scipy.cho_factor(K), v) @ v,
    lambda K: scipy.cho_solve((linalg.cholesky(K, upper=True), False), v) @ v,
    lambda K: scipy.solve(K, v, assume_a="pos") @ v,
    lambda K: 2 * jnp.sum(jnp.log(jnp.diag(scipy.cholesky(K)))),
    lambda K: jnp.sum(jnp.log(jnp.diag(linalg.cholesky(K))) ** 2),
]


@pytest.mark.parametrize("f", FACTORED)
def test_hessians_through_factors_are_those_of_the_matrix(f, close):
    def along(t):
        return f(S + t * t * jnp.eye(3) + t * (Y + Y.T) / 9)

    both = jax.jit(lambda t: (hessian_operator(along)(t).to_dense(), jax.grad(jax.grad(along))(t)))
    close(*both(jnp.asarray(0.5, float)))


def test_a_program_of_operations_is_not_rewritten_twice():
    once = rewrite(lambda X: linalg.inv(X) @ expm(X))
    assert str(jax.make_jaxpr(rewrite(once))(X)) == str(jax.make_jaxpr(once)(X))


def test_what_the_function_differentiates_itself_keeps_its_value():
    """JAX has differentiated it before it can be recognised; the value is the same."""
    f = lambda X: jnp.sum(jax.grad(lambda X: linalg.slogdet(X)[1])(X) ** 2)  # noqa: E731
    np.testing.assert_allclose(rewrite(f)(X), np.sum(np.linalg.inv(X) ** 2), rtol=1e-4)
    inside = lambda X: jnp.sum(jax.grad(rewrite(linalg.norm))(X))  # noqa: E731
    np.testing.assert_array_equal(rewrite(inside)(zero), 0)
    H = hessian_operator(lambda v: v @ linalg.inv(X) @ v)(X[0])
    np.testing.assert_allclose(H.to_dense(), np.linalg.inv(X) + np.linalg.inv(X).T, rtol=1e-4)
