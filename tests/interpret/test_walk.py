"""How the walk goes: control flow, rules of the user's own, closures, direction, odd sizes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmatcalc import hessian, hessian_operator, jacobian, jacobian_operator
from jaxmatcalc.interpret import derive, program

rng = np.random.default_rng(2)
A = jnp.asarray(rng.normal(size=(3, 3)), float)
x = jnp.asarray(rng.normal(size=3), float)


def test_structure_outside_of_a_fallback_is_kept():
    """Only what goes through the loop is dense."""

    def f(X, y):
        looped = lax.scan(lambda h, _: (jnp.sin(A @ h), None), y, length=40)[0]
        return jnp.sum((A @ X) ** 2) + jnp.sum(looped)

    H = hessian_operator(f, (0, 1))(A, x)
    kinds = [[block.structure.kind for block in row] for row in H]
    assert kinds == [["kronecker", "zero"], ["zero", "dense"]]
    assert H[0][0].fallbacks == H[1][1].fallbacks != ()
    np.testing.assert_allclose(H[1][1].to_dense(), jax.hessian(f, 1)(A, x), rtol=1e-5, atol=1e-5)


def test_a_fallback_pushes_the_fewest_columns():
    """Of an outer product one: the loop is never run on the other vector's columns."""
    wide = jnp.ones(50)

    def f(y):  # rank one in y, and then a loop that no rule enters
        return lax.while_loop(lambda h: jnp.sum(h) < 100, lambda h: 2 * h, jnp.sum(y) * x**2)

    function = lambda y: ([f(y)], [])  # noqa: E731
    _, _, ((J,),) = derive.forward(function, [wide])
    assert J.structure.kind == "low-rank"
    assert [lost.split(" ")[0] for lost in J.fallbacks] == ["while"]
    np.testing.assert_allclose(J.to_dense(), jax.jacfwd(f)(wide), rtol=1e-5)
    lines = str(jax.make_jaxpr(lambda y: derive.forward(function, [y])[2][0][0].to_dense())(wide))
    loops = [line for line in lines.splitlines() if " = while[" in line]
    assert loops and not any("50" in line for line in loops)


def test_a_custom_vjp_is_refused_in_the_words_of_jax():
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, t: (t * jnp.cos(x),))
    inner = jax.grad(lambda x: jnp.sum(sine(x)))
    np.testing.assert_allclose(jacobian(inner)(x), jax.jacfwd(inner)(x), rtol=1e-5)

    @jax.custom_vjp
    def twice(x):  # its own derivative can be taken in reverse only
        return x * 2

    twice.defvjp(lambda x: (x * 2, x), lambda x, t: (t * 2 * sine(x) / jnp.sin(x),))
    with pytest.raises(TypeError) as theirs:
        jax.hessian(lambda x: jnp.sum(twice(x) ** 2))(x)
    with pytest.raises(TypeError) as ours:
        hessian(lambda x: jnp.sum(twice(x) ** 2))(x)
    assert str(ours.value) == str(theirs.value)


def test_rules_of_the_users_own(second_order, close):
    @jax.custom_jvp
    def softplus(x):
        return jnp.log1p(jnp.exp(x))

    softplus.defjvp(lambda p, t: (softplus(p[0]), jax.nn.sigmoid(p[0]) * t[0]))
    H = second_order(lambda x: jnp.sum(softplus(A @ x)), x)
    assert H.fallbacks == ()
    assert second_order(lambda x: jnp.sum(softplus(x)), x).structure.kind == "diagonal"

    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, t: (t * jnp.cos(x),))
    second_order(lambda x: jnp.sum(sine(A @ x) ** 2), x)
    # jax.jacobian is jacrev, which a custom_vjp admits whatever the shapes
    tall = lambda x: jnp.concatenate([sine(x), sine(2 * x)])  # noqa: E731
    close(jacobian(tall)(x), jax.jacobian(tall)(x))

    @jax.custom_jvp
    def pretended(x):  # the rule is taken at its word
        return x

    pretended.defjvp(lambda p, t: (p[0], 3.0 * t[0]))
    close(jacobian(pretended)(x), 3 * jnp.eye(3))


def test_remat_and_nested_calls(second_order):
    f = jax.checkpoint(lambda x: jnp.sum(jax.jit(jnp.sin)(A @ x) ** 2))
    assert second_order(f, x).fallbacks == ()
    g = jax.jit(lambda X: jax.jit(lambda X: jnp.linalg.slogdet(A @ X)[1])(X))
    assert second_order(g, A + 3 * jnp.eye(3)).structure.kind == "kronecker+commutation"


def test_closures_over_tracers(close):
    """Derivatives of a Hessian in what its function closes over."""
    S = A @ A.T + jnp.eye(3)

    def total(derive):
        def f(rho):
            H = derive(lambda X: -jnp.linalg.slogdet(X)[1] + rho**2 * jnp.sum(X**2))(S)
            return jnp.sum(H**2)

        return f

    close(jax.grad(total(hessian))(1.3), jax.grad(total(jax.hessian))(jnp.asarray(1.3)))

    def log_volume(X):
        H = hessian_operator(lambda X: -jnp.linalg.slogdet(X)[1] + 0.2 * jnp.sum(X**2))(X)
        return H.logdet()

    def reference(X):
        H = jax.hessian(lambda X: -jnp.linalg.slogdet(X)[1] + 0.2 * jnp.sum(X**2))(X)
        return jnp.linalg.slogdet(H.reshape(9, 9))[1]

    close(jax.jit(jax.grad(log_volume))(S), jax.grad(reference)(S), 4)


def test_derivatives_in_a_closure_through_a_kernel(close):
    """What is computed by kernels, and differentiated only through its rule, keeps that rule."""
    X = jnp.asarray(np.random.default_rng(0).normal(size=(300, 3, 3))) + 4 * jnp.eye(3)

    def loss(X):
        return -jnp.sum(jnp.linalg.slogdet(X)[1])

    def moved(X):
        return jnp.sum(hessian_operator(loss)(X) @ X**2)

    def reference(X):
        return jnp.sum(jax.jvp(jax.grad(loss), (X,), (X**2,))[1])

    close(jax.jit(jax.grad(moved))(X), jax.grad(reference)(X), 1)


def test_direction(monkeypatch):
    """Fewer outputs than inputs: the transposed program is interpreted."""
    taken = []
    for name in ("forward", "reverse"):
        original = getattr(derive, name)

        def recorded(*args, original=original, name=name):
            taken.append(name)
            return original(*args)

        monkeypatch.setattr(program, name, recorded)
    jacobian(lambda x: jnp.sum(A @ x))(x)
    jacobian(lambda x: (A @ x)[:2])(x)
    jacobian(lambda x: A @ x)(x)
    jacobian(lambda x: jnp.outer(x, x))(x)
    assert taken == ["reverse", "reverse", "forward", "forward"]


def test_both_directions_agree(close):
    function = lambda x: ([jnp.sin(A @ x), jnp.sum(x) * x], [])  # noqa: E731
    for differentiate in (derive.forward, derive.reverse):
        values, _, blocks = differentiate(function, [x])
        for k, value in enumerate(values):
            close(value, function(x)[0][k])
            close(blocks[k][0].to_dense(), jax.jacfwd(lambda x, k=k: function(x)[0][k])(x))


def test_scalars_and_empty_arrays(second_order, first_order, close):
    second_order(lambda x: jnp.sin(x) * x**2, jnp.asarray(0.7))
    H = hessian_operator(lambda x: jnp.sum(x**2))(jnp.zeros((0, 3)))
    assert H.to_dense().shape == (0, 3, 0, 3)
    J = jacobian_operator(lambda x: jnp.concatenate([x, jnp.zeros(0)]) * 2)(x)
    close(J.to_dense(), 2 * jnp.eye(3))
    close(jacobian(lambda x: x[:0])(x), jax.jacobian(lambda x: x[:0])(x))
    H = hessian_operator(lambda X: jnp.linalg.slogdet(X)[1])(jnp.zeros((0, 0)))
    assert H.to_dense().shape == (0, 0, 0, 0)
    first_order(lambda x: x.reshape(3, 1, 1) * jnp.ones((1, 2, 1)), x)


def test_reshapes_that_split_axes_at_odds(first_order, second_order):
    """(2, 3) and (3, 2) have no common split: their entries move, those of other axes stay."""
    X, T = jnp.arange(6.0).reshape(2, 3), jnp.arange(30.0).reshape(5, 2, 3) / 10
    assert first_order(lambda X: X.T.reshape(2, 3), X).fallbacks == ()
    first_order(lambda X: jnp.sin(X).reshape(3, 1, 2)[..., 0], X)
    J = first_order(lambda T: T.reshape(1, 5, 3, 2), T)
    assert J.structure.kind == "kronecker"  # an identity of order 5 beside a permutation of order 6
    H = second_order(lambda X: jnp.sum(jnp.sin(X.reshape(3, 2)) ** 2), X)
    assert H.structure.kind == "diagonal"
    second_order(lambda X: jnp.linalg.slogdet(X.reshape(3, 2).T @ A[:2].T)[1], X[::-1] + A[:2])


def test_axes_of_size_one(second_order):
    X = A[:1]
    second_order(lambda X: jnp.sum((X @ A) ** 2) + jnp.sum(X) ** 2, X)
    second_order(lambda X: jnp.sum(jnp.sin(X * X.T)), X)
    second_order(lambda x: jnp.linalg.slogdet(x[None, None] + 2)[1], jnp.asarray(0.3))


def test_integers_beside_what_is_differentiated(close):
    def f(x, k, mask):
        return jnp.sum(jnp.where(mask, x, 0.0) ** 3) * k

    args = x, jnp.arange(3), jnp.array([True, False, True])
    g = lambda x, k, mask: jnp.sum(f(x, k, mask))  # noqa: E731
    close(hessian(g)(*args), jax.hessian(g)(*args))
    close(
        hessian(lambda x: jnp.sum(x ** jnp.arange(3)))(x),
        jax.hessian(lambda x: jnp.sum(x ** jnp.arange(3)))(x),
    )


def test_a_mask_keeps_poles_out(close):
    """The entries that a `where` leaves out may be infinite: 0 · inf is not NaN here."""
    f = lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0))  # noqa: E731
    point = jnp.array([4.0, -1.0, 0.0])
    close(hessian(f)(point), jnp.diag(jnp.array([-1 / 32, 0.0, 0.0])))
    close(jacobian(f)(point), jnp.array([0.25, 0.0, 0.0]))


@pytest.mark.parametrize("seed", [0, 1])
def test_complex_values_in_between(seed, second_order):
    """A real function through complex arithmetic."""
    z = jnp.asarray(np.random.default_rng(seed).normal(size=(3, 3)), float) * (1 + 2j)
    H = second_order(lambda x: jnp.sum(jnp.abs(z @ x) ** 2), x)
    np.testing.assert_allclose(
        H.to_dense(), 2 * np.real(np.conj(np.asarray(z)).T @ np.asarray(z)), rtol=1e-4, atol=1e-4
    )
    second_order(lambda x: jnp.real(jnp.sum((z @ x) ** 2)) + jnp.imag(jnp.sum(z @ jnp.exp(x))), x)


@pytest.mark.parametrize("part", [jnp.real, jnp.imag])
def test_parts_of_a_constant_multiple(part, first_order):
    assert first_order(lambda x: part(x * (1 + 2j)), x).structure.kind == "identity"
    first_order(lambda x: part(jnp.exp(1j * x) * 2j), x)


@pytest.mark.parametrize("f", [jnp.diag, lambda X: jnp.sum(jnp.diag(X) ** 3)])
def test_both_halves_of_a_choice_by_platform_go_the_same_way(f):
    """`jnp.diag` holds one; its transpose takes what the first half left for its branch."""
    X = jnp.arange(9.0).reshape(3, 3) + 1
    J = jacobian_operator(f)(X)
    np.testing.assert_allclose(J.to_dense(), jax.jacobian(f)(X), rtol=1e-6)
    assert J.structure.fallbacks == ()
