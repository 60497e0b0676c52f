"""The cheaper of two forms: the walk, or the tangent program once a column."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from jaxmatcalc import _jax, hessian, hessian_operator, jacobian, jacobian_operator
from jaxmatcalc.interpret import derive
from jaxmatcalc.interpret.cost import cost

FACTORED, COLUMNS = 0.0, float("inf")


def traced(f, *args):
    return _jax.trace(f, *args)[0]


def test_cost_counts_what_is_needed_and_what_moves():
    A, x = jnp.ones((30, 40)), jnp.ones((40,))
    product = traced(lambda A, x: A @ x, A, x)
    assert cost(product) == 2 * 30 * 40
    assert cost(product, [False, True], 7) == 7 * 2 * 30 * 40
    assert cost(traced(lambda A, x: (A @ A.T, A @ x)[1], A, x)) == 2 * 30 * 40  # unused: free
    both = traced(lambda A, x: (A @ A.T) @ (A @ x), A, x)
    fixed = 2 * 30 * 30 * 40
    assert cost(both, [False, True], 5) - cost(both) == 4 * (2 * 30 * 40 + 2 * 30 * 30)
    assert cost(both) > fixed
    inside = traced(jax.jit(lambda A, x: jax.jit(lambda y: A @ y)(x)), A, x)
    assert cost(inside, [False, True], 7) == cost(product, [False, True], 7)
    looped = traced(lambda A, x: jax.lax.scan(lambda c, _: (A.T @ (A @ c), None), x, None, 3), A, x)
    assert cost(looped) == 3 * cost(traced(lambda A, x: A.T @ (A @ x), A, x))


def test_a_loop_of_several_elementwise_operations_writes_once():
    x = jnp.ones(40)
    assert cost(traced(lambda x: jnp.sin(x) * x + x, x)) == (16 + 2) * 40
    assert cost(traced(lambda x: jnp.square(jnp.sin(x) * x), x)) == (16 + 2) * 40
    assert cost(traced(lambda x: (y := jnp.sin(x), jnp.cos(y)), x)) == 2 * 16 * 40
    assert cost(traced(lambda x: jnp.flip(jnp.sin(x)) * x, x)) == 3 * 16 * 40


@pytest.mark.parametrize("kind", ["cholesky", "lu", "triangular_solve", "conv"])
def test_library_calls_and_convolutions_cost_more_than_their_entries(kind):
    A, image = jnp.eye(40), jnp.ones((1, 1, 40, 40))
    program = {
        "cholesky": lambda: jax.lax.linalg.cholesky(A),
        "lu": lambda: jax.lax.linalg.lu(A)[0],
        "triangular_solve": lambda: jax.lax.linalg.triangular_solve(A, A, left_side=True),
        "conv": lambda: jax.lax.conv(image, jnp.ones((8, 1, 5, 5)), (1, 1), "SAME"),
    }[kind]
    entries = cost(traced(lambda: jnp.sin(program())))
    assert entries - cost(traced(program)) == 16 * program().size
    assert cost(traced(program)) > 16 * 40 * 40


@pytest.fixture
def likelihood(normal):
    """Minus the log-likelihood of a Gaussian process in few parameters, and a point."""
    points, y = normal(60, 4), normal(60)

    def f(theta):
        squared = jnp.sum(((points[:, None] - points) * jnp.exp(theta[:4])) ** 2, -1)
        L = jnp.linalg.cholesky(jnp.exp(-squared / 2) + jnp.exp(theta[4]) * jnp.eye(60))
        z = jax.scipy.linalg.solve_triangular(L, y, lower=True)
        return z @ z / 2 + jnp.sum(jnp.log(jnp.diagonal(L)))

    return f, normal(5) / 4


def test_wide_values_and_few_parameters_go_in_columns(likelihood):
    f, theta = likelihood
    ours = cost(traced(hessian(f), theta))
    product = traced(lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1], theta, theta)
    assert ours <= 1.1 * cost(product, [False, True], 5)


def test_structure_is_kept_where_it_is_cheaper(normal):
    A = normal(200, 20)
    f = lambda w: jnp.sum(jnp.logaddexp(0.0, A @ w))  # noqa: E731
    product = traced(lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1], normal(20), normal(20))
    assert cost(traced(hessian(f), normal(20))) < 0.7 * cost(product, [False, True], 20)


def test_the_first_layer_of_a_network_of_rectifiers_keeps_its_factors(normal):
    x, weights = normal(32), [normal(32, 32) / 4 for _ in range(9)]

    def f(W):
        y = jax.nn.relu(W @ x)
        for V in weights:
            y = jax.nn.relu(V @ y)
        return jax.nn.logsumexp(y)

    W = normal(32, 32)
    formed = cost(traced(lambda W: hessian_operator(f)(W).to_dense(), W))
    assert cost(traced(hessian(f), W)) == formed


def results(f, point):
    operators = hessian_operator(f)(point)
    is_operator = lambda leaf: hasattr(leaf, "to_dense")  # noqa: E731
    formed = jax.tree.map(lambda op: op.to_dense(), operators, is_leaf=is_operator)
    return hessian(f)(point), formed


@pytest.mark.parametrize("form", [FACTORED, COLUMNS])
def test_both_forms_are_right(form, normal, close, monkeypatch):
    """Blocks of pytrees, in forward and in reverse, as arrays and as operators."""
    monkeypatch.setattr(derive, "CLEARLY", form)
    A = normal(3, 4)

    def f(p):
        return jnp.sum(jnp.tanh(A @ p["x"]) * p["y"][1]) + jnp.sum(jnp.exp(p["y"])) * p["z"] ** 2

    point = {"x": normal(4), "y": normal(2, 3), "z": jnp.asarray(0.5)}
    expected = jax.hessian(f)(point)
    for found in results(f, point):
        jax.tree.map(close, found, expected)

    def wide(p):
        return jnp.outer(jnp.sin(p["x"]), p["x"] * p["z"]), p["z"] ** 3

    def tall(p):
        return jnp.sum(jnp.sin(p["x"]) * p["z"]) * jnp.sum(p["y"]), p["y"][0, :2] ** 2

    for g in (wide, tall):
        jax.tree.map(close, jacobian(g)(point), jax.jacrev(g)(point))
        J = jacobian_operator(g)(point)
        close(J[0]["x"].to_dense(), jax.jacrev(g)(point)[0]["x"])


@pytest.mark.parametrize("form", [FACTORED, COLUMNS])
def test_third_derivatives_and_aux(form, likelihood, normal, close, monkeypatch):
    monkeypatch.setattr(derive, "CLEARLY", form)
    f = lambda x: (jnp.sum(jnp.sin(x) ** 3) * x[0], {"y": x + 1})  # noqa: E731
    x = normal(4)
    entries, aux = hessian(f, has_aux=True)(x)
    close(entries, jax.hessian(lambda x: f(x)[0])(x))
    close(aux["y"], x + 1)
    third = jax.jacfwd(hessian(f, has_aux=True), has_aux=True)(x)[0]
    close(third, jax.jacfwd(jax.hessian(lambda x: f(x)[0]))(x))


def test_what_was_lost_is_said_in_either_form(normal, monkeypatch):
    f = lambda x: jnp.sum(jnp.sort(jnp.sin(x)) ** 3)  # noqa: E731
    said = []
    for form in (FACTORED, COLUMNS):
        monkeypatch.setattr(derive, "CLEARLY", form)
        said.append(hessian_operator(f)(normal(4)).fallbacks)
    assert said[0] == said[1]
