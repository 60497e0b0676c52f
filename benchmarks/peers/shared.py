"""The cases' functions in the words that NumPy and PyTorch share; which of them is `np`."""

from __future__ import annotations

from typing import Any

Array = Any


def logdet(np: Any, X: Array) -> Array:
    return np.linalg.slogdet(X)[1]


def positive_logdet(np: Any, X: Array) -> Array:
    return np.linalg.slogdet(X)[1]


def quadratic_form(np: Any, x: Array, A: Array) -> Array:
    return x @ A @ x


def factorisation(np: Any, U: Array, T: Array, V: Array) -> Array:
    return np.sum((T - U @ V.T) ** 2)


def masked_factorisation(np: Any, U: Array, T: Array, V: Array, M: Array) -> Array:
    return np.sum(M * (T - U @ V.T) ** 2)


def two_sided(np: Any, X: Array, A: Array, B: Array, C: Array) -> Array:
    return np.sum((A @ X @ B - C) ** 2)


def precision(np: Any, theta: Array, S: Array) -> Array:
    penalty = 0.05 * np.sum(theta**2)
    return -np.linalg.slogdet(theta)[1] + np.trace(S @ theta) + penalty


def graphical_lasso(np: Any, theta: Array, S: Array) -> Array:
    return -np.linalg.slogdet(theta)[1] + np.trace(S @ theta)


def trace_inverse(np: Any, X: Array, A: Array) -> Array:
    return np.trace(np.linalg.inv(X) @ A)


def logdet_product(np: Any, X: Array, A: Array) -> Array:
    return np.linalg.slogdet(A @ X @ A.T)[1]


def trace_quadratic(np: Any, X: Array, A: Array, B: Array) -> Array:
    return np.trace(X.T @ A @ X @ B)


def trace_of_product(np: Any, A: Array, B: Array) -> Array:
    return np.trace(A @ B)


def inverse_quadratic_form(np: Any, A: Array, y: Array) -> Array:
    return y @ np.linalg.solve(A, y) + np.linalg.slogdet(A)[1]


def network(np: Any, x: Array, layers: Array) -> Array:
    for W in layers:
        x = np.tanh(W @ x)
    return np.sum(x**2)


def network_loss(np: Any, W: Array, X: Array, Y: Array, layers: Array) -> Array:
    H = np.tanh(X @ W)
    for layer in layers:
        H = np.tanh(H @ layer)
    return np.mean((H - Y) ** 2)


def matrix_normal(np: Any, X: Array, U: Array, V: Array) -> Array:
    n, p = X.shape
    quadratic = np.trace(np.linalg.solve(U, X) @ np.linalg.solve(V, X.T))
    return (quadratic + p * np.linalg.slogdet(U)[1] + n * np.linalg.slogdet(V)[1]) / 2


def kronecker_product(np: Any, A: Array, B: Array, x: Array) -> Array:
    return np.sum((np.kron(A, B) @ x) ** 2)


def kronecker_solve(np: Any, A: Array, B: Array, x: Array) -> Array:
    return np.sum(np.linalg.solve(np.kron(A, B), x) ** 2)


def kronecker_logdet(np: Any, A: Array, B: Array) -> Array:
    return np.linalg.slogdet(np.kron(A, B))[1]
