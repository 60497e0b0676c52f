"""Hessians of small random programs, made out of the primitives that have rules."""

from __future__ import annotations

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax

from jaxmatcalc import hessian_operator, jacobian_operator

rng = np.random.default_rng(3)
CONSTANTS = {(m, n): rng.normal(size=(m, n)) for m in range(1, 13) for n in range(1, 13)}


def constant(*shape):
    return jnp.asarray(CONSTANTS[shape], float)


def window(X, start, operation):
    return lax.reduce_window(X, start, operation, (1, min(2, X.shape[1])), (1, 1), "VALID")


# Each takes a matrix X, and a number k that chooses among variants, to a matrix
STEPS = {
    "left product": lambda X, k: constant(2 + k % 2, X.shape[0]) @ X,
    "right product": lambda X, k: X @ constant(X.shape[1], 1 + k % 2),
    "gram": lambda X, k: X @ X.T if X.shape[0] <= 3 else X.T @ X,
    "transpose": lambda X, k: X.T,
    "reshape": lambda X, k: X.reshape([(-1, 1), (1, -1), X.shape[::-1]][k % 3]),
    "shift": lambda X, k: X + constant(*X.shape),
    "weights": lambda X, k: X * constant(*X.shape),
    "row weights": lambda X, k: X * constant(X.shape[0], 1),
    "scale": lambda X, k: X / (k + 1) - X,
    "entrywise": lambda X, k: [jnp.sin, jnp.tanh, jnp.square, lambda X: X**3][k % 4](X),
    "choice": lambda X, k: jnp.where(constant(*X.shape) > 0, X, [0.0, X**2, -X.sum()][k % 3]),
    "slice": lambda X, k: [X[:1], X[::2], X[:, ::-1], X[:, -1:]][k % 4],
    "concatenate": lambda X, k: jnp.concatenate([X[:2, :3], 2 * X[:2, :3]], k % 2),
    "pad": lambda X, k: jnp.pad(X[:2, :2], ((k % 2, 0), (0, 1))),
    "running sum": lambda X, k: jnp.cumsum(X, k % 2),
    "sum": lambda X, k: X - jnp.sum(X, k % 2, keepdims=True),
    "mean of all": lambda X, k: X * jnp.mean(X),
    "outer": lambda X, k: jnp.outer(X[:3, 0], X[0, :4]),
    "diagonal matrix": lambda X, k: jnp.diag(X[:3, 0]) @ constant(min(X.shape[0], 3), 2),
    "trace": lambda X, k: X + jnp.trace(X[:, : X.shape[0]][: X.shape[1]]),
    "kron": lambda X, k: jnp.kron(X[:2, :2], constant(1 + k % 2, 1)),
    "batched": lambda X, k: jax.vmap(lambda row: jnp.sum(row) * row)(X),
    "einsum": lambda X, k: jnp.einsum("ij,ik,il->jl", X, constant(len(X), 2), constant(len(X), 2)),
    "new axis": lambda X, k: jnp.sum(X[:2, :2, None] * constant(1, 2)[0], 1),
    "gather": lambda X, k: [
        X[jnp.array([0, -1, 0])],
        X[:, jnp.array([0, 0])],
        X[jnp.array([0, 0]), jnp.array([0, -1])][None],
        X[X[:, 0].argmax()][None],
    ][k % 4],
    "scatter": lambda X, k: (
        X.at[jnp.array([0, 0])].add(2 * X[-1]) if k % 2 else X.at[-1].set(X[0] ** 2)
    ),
    "sort": lambda X, k: jnp.sort(X, k % 2),
    "window": lambda X, k: window(X, *[(0.0, lax.add), (-jnp.inf, lax.max)][k % 2]),
    "filter": lambda X, k: lax.conv(X[None, None], constant(2, 3)[None, None], (1, 1), "SAME")[
        0, 0
    ],
    "loop": lambda X, k: lax.scan(lambda h, r: (jnp.sin(h + r), h * r), X[0], X)[k % 2].reshape(
        -1, X.shape[1]
    ),
    "cond": lambda X, k: lax.cond(X[0, 0] > 0, lambda X: X**2, lambda X: X * X.sum(), X),
    "spectrum": lambda X, k: [jnp.real, jnp.imag][k % 2](jnp.fft.fft(X[:, :3])),
    "inverse": lambda X, k: jnp.linalg.inv(X[:2, :2] @ X[:2, :2].T + 2 * jnp.eye(min(len(X), 2))),
}


def fits(X):
    return X.ndim == 2 and 0 < X.size <= 12


@st.composite
def programs(draw):
    shape = draw(st.sampled_from([(2, 2), (2, 3), (3, 1), (1, 3)]))
    steps = draw(
        st.lists(
            st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 3)), min_size=1, max_size=4
        )
    )
    return shape, steps


def run(steps, X):
    for name, k in steps:
        Y = STEPS[name](X, k)
        X = bounded(Y) if fits(Y) else X  # a step that would grow too far is left out
    return X


def bounded(X):
    """X scaled to entries of at most 4: the cosine of a large number has no digits left."""
    return X / lax.stop_gradient(jnp.maximum(1, jnp.max(jnp.abs(X)) / 4))


@hypothesis.settings(max_examples=12)
@hypothesis.given(program=programs())
def test_derivatives(program, close):
    shape, steps = program
    X = constant(*shape)

    def values(X):
        return run(steps, X)

    def total(X):
        return jnp.sum(jnp.cos(values(X))) + jnp.sum(values(X)) ** 2 / 3

    @jax.jit
    def ours(X):
        J, H = jacobian_operator(values)(X), hessian_operator(total)(X)
        return J, J.to_dense(), H.to_dense()

    @jax.jit
    def column(dX):  # of the Jacobian and of the Hessian, by a program without `vmap`
        return jax.jvp(lambda X: (values(X), jax.grad(total)(X)), (X,), (dX,))[1]

    basis = np.eye(X.size).reshape(X.size, *X.shape)
    theirs = zip(*(column(jnp.asarray(dX, X.dtype)) for dX in basis), strict=True)
    J, *arrays = ours(X)
    assert J.fallbacks == ()
    for array, columns in zip(arrays, theirs, strict=True):
        expected = jnp.stack(columns, -1)
        close(array, expected.reshape(*expected.shape[:-1], *X.shape), 5)
