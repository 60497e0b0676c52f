"""autograd, on NumPy: the functions in its words, and what it does for each task."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as np
from autograd.scipy.linalg import solve_triangular

from benchmarks.apart import Frame

Function = Callable[..., Any]
WORDS = np
Array = Any


class Framework(Frame):
    """NumPy's arrays."""

    def __init__(self, platform: str) -> None:
        if platform != "cpu":
            raise RuntimeError("NumPy computes on the CPU only")


def _values(f: Function) -> Function:
    return f


def _gradient(f: Function) -> Function:
    """Value and gradient in every argument."""
    return lambda *args: autograd.value_and_grad(lambda args: f(*args))(args)


def _newton(f: Function) -> Function:
    def direction(x: Array, *data: Array) -> Array:
        matrix = autograd.hessian(f)(x, *data).reshape(x.size, x.size)
        return -np.linalg.solve(matrix, autograd.grad(f)(x, *data).ravel()).reshape(x.shape)

    return direction


@functools.cache
def _directions(shape: tuple[int, ...], dtype: Any) -> Array:
    """Those of `ways`: the input of a timed call, made by the first, which is not timed."""
    return np.sin(np.arange(1, math.prod(shape) + 1, dtype=dtype)).reshape(shape)


def _along(x: Array, count: int) -> Array:
    return _directions((count, *x.shape), x.dtype)


def _product(f: Function) -> Function:
    """Hessian times a direction, reverse over reverse."""
    return lambda x, *data: autograd.hessian_vector_product(f)(x, *data, _along(x, 1)[0])


def _products(f: Function) -> Function:
    """The same along 64 directions, one after the other, from one gradient."""

    def products(x: Array, *data: Array) -> Array:
        push, _ = autograd.make_vjp(lambda x: autograd.grad(f)(x, *data))(x)
        return np.stack([push(v) for v in _along(x, 64)])

    return products


def _diagonal(f: Function) -> Function:
    def diagonal(x: Array, *data: Array) -> Array:
        return np.diag(autograd.hessian(f)(x, *data).reshape(x.size, x.size)).reshape(x.shape)

    return diagonal


TASKS: dict[str, Callable[[Function], Function]] = {
    "hessian": autograd.hessian,
    "newton": _newton,
    "hvp": _product,
    "hvps": _products,
    "diagonal": _diagonal,
    "value": _values,
    "gradient": _gradient,
}


def logistic(w: Array, A: Array, y: Array) -> Array:
    return np.sum(np.logaddexp(0, -y * (A @ w)))


def softmax_regression(W: Array, A: Array, Y: Array) -> Array:
    Z = A @ W
    return -np.sum(Y * (Z - _logsumexp(Z)))


def _logsumexp(Z: Array) -> Array:
    largest = np.max(Z, axis=-1, keepdims=True)
    return largest + np.log(np.sum(np.exp(Z - largest), axis=-1, keepdims=True))


def relu_network(W: Array, x: Array, layers: Array) -> Array:
    h = np.maximum(0, W @ x)
    for layer in layers:
        h = np.maximum(0, layer @ h)
    return _logsumexp(h)[0]


def attention(X: Array, Q: Array, K: Array, V: Array) -> Array:
    Z = (X @ Q) @ (X @ K).T / Q.shape[1] ** 0.5
    return np.sum((np.exp(Z - _logsumexp(Z)) @ (X @ V)) ** 2)


def gaussian_process(theta: Array, X: Array, y: Array) -> Array:
    Z = X * np.exp(-theta[:-2])
    squared = np.sum((Z[:, None] - Z[None]) ** 2, axis=-1)
    noise = (np.exp(theta[-1]) + 0.1) * np.eye(len(X), dtype=X.dtype)
    L = np.linalg.cholesky(np.exp(theta[-2] - squared / 2) + noise)
    z = solve_triangular(L, y, lower=True)
    return z @ z / 2 + np.sum(np.log(np.diag(L)))
