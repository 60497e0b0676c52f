"""The functions that are measured, in plain `jax.numpy`, as a user would write them.

Nothing here is from jaxmatcalc. A function is differentiated in its first argument; the others are
data, passed to the compiled program as arguments so that nothing is folded into it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def logdet(X: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(X)[1]


def quadratic_form(x: jax.Array, A: jax.Array) -> jax.Array:
    return x @ A @ x


def factorisation(U: jax.Array, T: jax.Array, V: jax.Array) -> jax.Array:
    return jnp.sum((T - U @ V.T) ** 2)


def two_sided(X: jax.Array, A: jax.Array, B: jax.Array, C: jax.Array) -> jax.Array:
    return jnp.sum((A @ X @ B - C) ** 2)


def precision(theta: jax.Array, S: jax.Array) -> jax.Array:
    penalty = 0.05 * jnp.sum(theta**2)
    return -jnp.linalg.slogdet(theta)[1] + jnp.trace(S @ theta) + penalty


def logistic(w: jax.Array, A: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum(jnp.logaddexp(0, -y * (A @ w)))


def network(x: jax.Array, layers: jax.Array) -> jax.Array:
    for W in layers:
        x = jnp.tanh(W @ x)
    return jnp.sum(x**2)


def network_loss(W: jax.Array, X: jax.Array, Y: jax.Array, layers: jax.Array) -> jax.Array:
    H = jnp.tanh(X @ W)
    for layer in layers:
        H = jnp.tanh(H @ layer)
    return jnp.mean((H - Y) ** 2)


def graphical_lasso(theta: jax.Array, S: jax.Array) -> jax.Array:
    """Its smooth part; the norm that makes it sparse has no Hessian."""
    return -jnp.linalg.slogdet(theta)[1] + jnp.trace(S @ theta)


def matrix_normal(X: jax.Array, U: jax.Array, V: jax.Array) -> jax.Array:
    """Minus the log-likelihood of X; U: covariance of its rows, V: that of its columns."""
    n, p = X.shape
    quadratic = jnp.trace(jnp.linalg.solve(U, X) @ jnp.linalg.solve(V, X.T))
    return (quadratic + p * jnp.linalg.slogdet(U)[1] + n * jnp.linalg.slogdet(V)[1]) / 2


def kalman(
    mean: jax.Array, P: jax.Array, A: jax.Array, Q: jax.Array, H: jax.Array, R: jax.Array,
    Y: jax.Array,
) -> jax.Array:  # fmt: skip
    """Minus the log-likelihood of the rows of Y, each by one step: predict, compare, update."""

    def step(state: tuple[jax.Array, jax.Array], y: jax.Array) -> tuple[Any, jax.Array]:
        mean, P = A @ state[0], A @ state[1] @ A.T + Q
        S, residual = H @ P @ H.T + R, y - H @ mean
        gain = jnp.linalg.solve(S, H @ P).T
        cost = residual @ jnp.linalg.solve(S, residual) + jnp.linalg.slogdet(S)[1]
        return (mean + gain @ residual, P - gain @ H @ P), cost / 2

    return jnp.sum(jax.lax.scan(step, (mean, P), Y)[1])


def grid_process(theta: jax.Array, x: jax.Array, Y: jax.Array) -> jax.Array:
    """Minus the log-likelihood on the grid x × x; theta: logarithms of length scale and noise."""
    K = jnp.exp(-((x[:, None] - x) ** 2) / (2 * jnp.exp(2 * theta[0])))
    noise = (jnp.exp(theta[1]) + 0.1) * jnp.eye(Y.size, dtype=x.dtype)
    L = jnp.linalg.cholesky(jnp.kron(K, K) + noise)
    z = jax.scipy.linalg.solve_triangular(L, Y.ravel(), lower=True)
    return z @ z / 2 + jnp.sum(jnp.log(jnp.diagonal(L)))


# The operations, as they are written without jaxmatcalc


def inverse_quadratic_form(A: jax.Array, y: jax.Array) -> jax.Array:
    return y @ jnp.linalg.solve(A, y) + jnp.linalg.slogdet(A)[1]


def trace_of_product(A: jax.Array, B: jax.Array) -> jax.Array:
    return jnp.trace(A @ B)


def kronecker_product(A: jax.Array, B: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum((jnp.kron(A, B) @ x) ** 2)


def kronecker_solve(A: jax.Array, B: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.solve(jnp.kron(A, B), x) ** 2)


def kronecker_logdet(A: jax.Array, B: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(jnp.kron(A, B))[1]


def _kronecker_sum(A: jax.Array, B: jax.Array, s: jax.Array) -> jax.Array:
    eye = jnp.eye(len(A), dtype=A.dtype)
    return jnp.kron(A, eye) + jnp.kron(eye, B) + s * jnp.eye(A.size, dtype=A.dtype)


def kronecker_sum_logdet(A: jax.Array, B: jax.Array, s: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(_kronecker_sum(A, B, s))[1]


def kronecker_sum_solve(A: jax.Array, B: jax.Array, s: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.solve(_kronecker_sum(A, B, s), x) ** 2)


def positive_logdet(X: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(X)[1]


def logdets(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.slogdet(X)[1])


def positive_logdets(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.slogdet(X)[1])


def determinants(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.det(X / 2))


def inverses(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.inv(X) ** 2)


def solutions(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.solve(X, jnp.swapaxes(X, -1, -2)) ** 2)


def pseudo_inverses(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.pinv(X) ** 2)


def traces(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.trace(X, axis1=-2, axis2=-1) ** 2)


def frobenius_norms(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.norm(X, axis=(-2, -1)))


def nuclear_norms(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.norm(X, "nuc", axis=(-2, -1)))


def spectral_norms(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.norm(X, 2, axis=(-2, -1)))


def cubes(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.matrix_power(X, 3) ** 2)


def exponentials(X: jax.Array) -> jax.Array:
    return jnp.sum(jax.scipy.linalg.expm(X) ** 2)


def eigenvalues(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.eigvalsh(X) ** 3)


def cholesky_factors(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.cholesky(X) ** 3)


def trace_inverse(X: jax.Array, A: jax.Array) -> jax.Array:
    return jnp.trace(jnp.linalg.inv(X) @ A)


def logdet_product(X: jax.Array, A: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(A @ X @ A.T)[1]


def trace_quadratic(X: jax.Array, A: jax.Array, B: jax.Array) -> jax.Array:
    return jnp.trace(X.T @ A @ X @ B)


def masked_factorisation(U: jax.Array, T: jax.Array, V: jax.Array, M: jax.Array) -> jax.Array:
    return jnp.sum(M * (T - U @ V.T) ** 2)


def softmax_regression(W: jax.Array, A: jax.Array, Y: jax.Array) -> jax.Array:
    return -jnp.sum(Y * jax.nn.log_softmax(A @ W))


def relu_network(W: jax.Array, x: jax.Array, layers: jax.Array) -> jax.Array:
    h = jax.nn.relu(W @ x)
    for layer in layers:
        h = jax.nn.relu(layer @ h)
    return jax.nn.logsumexp(h)


def attention(X: jax.Array, Q: jax.Array, K: jax.Array, V: jax.Array) -> jax.Array:
    scores = jax.nn.softmax((X @ Q) @ (X @ K).T / jnp.sqrt(Q.shape[1]), axis=-1)
    return jnp.sum((scores @ (X @ V)) ** 2)


def gaussian_process(theta: jax.Array, X: jax.Array, y: jax.Array) -> jax.Array:
    """Minus the log-likelihood; theta: logarithms of the length scales, amplitude and noise."""
    Z = X * jnp.exp(-theta[:-2])
    squared = jnp.sum((Z[:, None] - Z[None]) ** 2, axis=-1)
    noise = (jnp.exp(theta[-1]) + 0.1) * jnp.eye(len(X), dtype=X.dtype)
    K = jnp.exp(theta[-2] - squared / 2) + noise
    L = jnp.linalg.cholesky(K)
    z = jax.scipy.linalg.solve_triangular(L, y, lower=True)
    return z @ z / 2 + jnp.sum(jnp.log(jnp.diagonal(L)))


# Functions whose Laplacian is taken


def perceptron(x: jax.Array, first: jax.Array, layers: jax.Array, last: jax.Array) -> jax.Array:
    h = jnp.tanh(x @ first)
    for W in layers:
        h = jnp.tanh(h @ W)
    return h @ last


def set_network(x: jax.Array, first: jax.Array, layers: jax.Array, last: jax.Array) -> jax.Array:
    """The network of folx's README: the same layers on each element, and a sum."""
    h = jax.nn.silu(x @ first)
    for W in layers:
        h = jax.nn.silu(h @ W)
    return jnp.sum(h @ last)


def determinant_ansatz(
    R: jax.Array, first: jax.Array, second: jax.Array, orbitals: jax.Array, widths: jax.Array
) -> jax.Array:
    """log|ψ|: for each electron a stream with the mean of all; orbitals in envelopes."""
    distance = jnp.sqrt(jnp.sum(R**2, -1, keepdims=True) + 1e-6)
    h = jnp.concatenate([R, distance], -1)
    for W in (first, second):
        mean = jnp.broadcast_to(h.mean(0), h.shape)
        h = jnp.tanh(jnp.concatenate([h, mean], -1) @ W)
    envelopes = jnp.exp(-distance * jnp.abs(widths))
    return jnp.linalg.slogdet((h @ orbitals) * envelopes)[1]
