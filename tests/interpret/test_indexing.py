"""Gathers and scatters: selections, by whatever index, and the diagonals they leave behind."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmatcalc import hessian_operator, jacobian_operator

rng = np.random.default_rng(4)
X = jnp.asarray(rng.normal(size=(4, 6)), float)
Y = jnp.asarray(rng.normal(size=(3, 4, 5)), float)
x = X[0]
i, j = jnp.array([0, 2, 5, 2]), jnp.array([3, 0, 1])
beyond = jnp.array([1, 7, -9, 2])

# name: (function, point, kind of the Jacobian)
CASES = {
    "entries": (lambda x: x[i], x, "dense"),
    "entries, filled": (lambda x: x.at[beyond].get(mode="fill", fill_value=2.0), x, "dense"),
    "entries, clipped": (lambda x: x.at[beyond].get(mode="clip"), x, "dense"),
    "rows": (lambda X: X[j], X, "kronecker"),
    "columns": (lambda X: X[:, i], X, "kronecker"),
    "a row": (lambda X: X[1], X, "kronecker"),
    "rows by columns": (lambda X: X[jnp.ix_(j, i)], X, "kronecker"),
    "pairs": (lambda X: X[j, j], X, "dense"),
    "pairs apart": (lambda Y: Y[j[1:], :, j[1:]], Y, None),
    "a window": (lambda X: X[j, 1:3], X, "kronecker"),
    "a table": (lambda E: E[jnp.array([[0, 3], [1, 1], [2, 0]])], X, "kronecker"),
    "the largest row": (lambda X: X[jnp.argmax(X[:, 0])], X, "kronecker"),
    "the diagonal": (jnp.diagonal, X, None),
    "diagonals": (lambda Y: jnp.diagonal(Y, axis1=1, axis2=2), Y, None),
    "a triangle": (lambda X: X[jnp.tril_indices(4)], X, None),
    "along an axis": (lambda X: jnp.take_along_axis(X, X.argsort(1)[:, :2], 1), X, "sparse"),
    "one in each row": (lambda X: jax.vmap(lambda r, k: r[k])(X, i), X, "sparse"),
    "sorted": (lambda X: jnp.sort(X, 1), X, "block diagonal"),
    "added to": (lambda x: x.at[i].add(x[:4] ** 2), x, None),
    "added, beyond": (lambda x: jnp.zeros(5).at[beyond].add(x[:4]), x, None),
    "added, clipped": (lambda x: jnp.zeros(5).at[beyond].add(x[:4], mode="clip"), x, None),
    "replaced by a constant": (lambda x: x.at[j].set(2.0), x, "diagonal"),
    "replaced": (lambda x: (x**2).at[j].set(x[:3]), x, None),
    "rows replaced": (lambda X: X.at[j].set(X[1:], unique_indices=True), X, "diagonal + kronecker"),
    "multiplied": (lambda X: X.at[j].multiply(X[:3], unique_indices=True), X, None),
    "the larger": (lambda X: X.at[j].max(X[:3] * 2, mode="promise_in_bounds"), X, None),
    "a block replaced": (lambda X: X.at[1:3, 2:4].set(X[:2, :2]), X, "diagonal + kronecker"),
    "onto a diagonal": (lambda x: jnp.zeros((6, 6)).at[i + 0, i].add(x[:4]), x, None),
    "a dynamic slice": (lambda x: lax.dynamic_slice(x, (-10,), (2,)), x, "dense"),
    "a dynamic block": (lambda X: lax.dynamic_slice(X, (X.argmax(), 3), (2, 2)), X, "kronecker"),
    "a dynamic update": (
        lambda X: lax.dynamic_update_slice(X**2, X[:2, :2], (3, X.argmin())),
        X,
        "diagonal + kronecker",
    ),
    "padding cut off": (lambda X: lax.pad(X, 0.0, ((-1, 2, 1), (2, -1, 0))), X, "kronecker"),
    "tiles": (lambda X: jnp.tile(X, (2, 3)), X, "kronecker"),
    "nothing": (lambda x: x[jnp.zeros(0, int)], x, None),
}


@pytest.mark.parametrize("name", CASES)
def test_jacobians(name, close, columns, operators):
    f, point, kind = CASES[name]
    reference = columns(f, point)
    for J, array in operators(f, point):
        close(array, reference)
        assert J.fallbacks == ()
        assert kind is None or sorted(J.structure.kind.split(" + ")) == sorted(kind.split(" + "))


def test_an_index_out_of_bounds_is_what_it_is_in_each_direction(close, operators):
    """Promised to be inside, JAX takes the nearest entry forwards, and none backwards."""
    f = lambda x: x[beyond]  # noqa: E731
    (_, forwards), (_, backwards) = operators(f, x)
    close(forwards, jax.jacfwd(f)(x))
    close(backwards, jax.jacrev(f)(x))


@pytest.mark.parametrize(
    ("f", "point", "kind"),
    [
        # what is taken and put back entry by entry touches no other
        (lambda x: x[i], x, "diagonal"),
        (lambda X: X[j, 1:3], X, "diagonal"),
        (lambda X: X[j][:, i], X, "diagonal"),
        (lambda E: E[jnp.array([[0, 3], [1, 1]])], X, "diagonal"),
        (lambda X: jnp.take_along_axis(X, X.argsort(1)[:, :2], 1), X, "diagonal"),
        (lambda x: x[::2], x, "diagonal"),
        (lambda x: x[1:-1], x, "diagonal"),
        (lambda E: E[i[:3]] @ X, X[:, :4], "block diagonal"),
    ],
)
def test_a_selection_that_meets_its_transpose_is_diagonal(f, point, kind, close, columns):
    g = lambda x: jnp.sum(jnp.tanh(f(x)) ** 2)  # noqa: E731
    H, array = jax.jit(lambda x: (H := hessian_operator(g)(x), H.to_dense()))(point)
    close(array, columns(jax.grad(g), point))
    assert H.structure.kind == kind
    assert H.fallbacks == ()


def test_indices_that_are_traced(close, columns):
    """The structure does not depend on what the indices are."""

    def kinds(k):
        f = lambda x: jnp.sum(jnp.tanh(X[:, :3] @ x[k]) ** 2)  # noqa: E731
        H = hessian_operator(f)(x)
        return H.to_dense()

    reference = columns(jax.grad(lambda x: jnp.sum(jnp.tanh(X[:, :3] @ x[j]) ** 2)), x)
    close(jax.jit(kinds)(j), reference)
    close(jax.vmap(kinds)(jnp.stack([j, j]))[1], reference)


def test_large_tables_are_not_formed():
    """A lookup in a table of 20,000 rows: no array of rows by rows is made."""
    rows = jnp.array([5, 19_000, 5])

    def diagonal(E):
        H = hessian_operator(lambda E: jnp.sum(E[rows] ** 3))(E)
        return H.diagonal()

    jaxpr = jax.make_jaxpr(diagonal)(jax.ShapeDtypeStruct((20_000, 4), X.dtype))
    largest = max(v.aval.size for eqn in jaxpr.jaxpr.eqns for v in eqn.outvars)
    assert largest <= 20_000 * 4


def test_known_values_that_are_identities():
    """Products with an identity, or with ones, keep their form."""
    f = lambda X: jnp.sum((jnp.eye(4) @ X @ jnp.eye(6)) ** 2)  # noqa: E731
    assert hessian_operator(f)(X).structure.kind == "identity"
    J = jacobian_operator(lambda X: jnp.ones((1, 4)) @ X)(X)
    assert J.structure.kind == "kronecker"
    np.testing.assert_array_equal(J.to_dense()[0, :, 2, :], np.eye(6))
