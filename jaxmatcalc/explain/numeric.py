"""The value of a matrix expression, in NumPy, entry by entry as it is printed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from jaxmatcalc import ops
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.matrices import constant_value

Values = Mapping[str, np.ndarray]

MATRIX_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "expm": ops.expm,
    "logm": ops.logm,
    "sqrtm": ops.sqrtm,
    "pinv": ops.pinv,
    "adj": ops.adjugate,
    "cholesky": ops.cholesky,
}

_ENTRIES: dict[str, Callable[[Any], Any]] = {
    "exp": jnp.exp, "log": jnp.log, "sin": jnp.sin, "cos": jnp.cos, "tan": jnp.tan,
    "asin": jnp.arcsin, "acos": jnp.arccos, "atan": jnp.arctan, "sinh": jnp.sinh,
    "cosh": jnp.cosh, "tanh": jnp.tanh, "asinh": jnp.arcsinh, "acosh": jnp.arccosh,
    "atanh": jnp.arctanh, "sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus, "abs": jnp.abs,
    "sign": jnp.sign, "relu": jax.nn.relu, "step": lambda x: jnp.heaviside(x, 0.0),
    "floor": jnp.floor, "ceil": jnp.ceil, "round": jnp.round, "cbrt": jnp.cbrt,
    "erf": jax.scipy.special.erf, "erfc": jax.scipy.special.erfc,
    "erf_inv": jax.scipy.special.erfinv, "lgamma": jax.scipy.special.gammaln,
    "digamma": jax.scipy.special.digamma,
}  # fmt: skip


def entry_function(name: str) -> Callable[[Any], Any] | None:
    """The function of every entry with this name; a prime is a derivative."""
    if name.endswith("'"):
        inner = entry_function(name[:-1])
        return None if inner is None else jnp.vectorize(jax.grad(inner))
    return _ENTRIES.get(name)


def evaluate(node: Node, values: Values) -> np.ndarray:
    """The value of an expression: an array of its shape."""
    memo: dict[Node, np.ndarray] = {}

    def value(x: Node) -> np.ndarray:
        if x not in memo:
            memo[x] = np.asarray(_value(x, [value(a) for a in x.args], values))
        return memo[x]

    return value(node)


def _value(x: Node, args: list[np.ndarray], values: Values) -> Any:
    n = x.data
    match x.kind:
        case "symbol":
            return np.reshape(values[x.data], x.shape)
        case "constant":
            return np.reshape(constant_value(x), x.shape)
        case "zero":
            return np.zeros(x.shape)
        case "number":
            return float(n)
        case "identity":
            return np.eye(n)
        case "ones":
            return np.ones((n, 1))
        case "sum":
            return functools.reduce(np.add, args)
        case "product":
            return np.reshape(functools.reduce(_times, args), x.shape)
        case "hadamard":
            return functools.reduce(np.multiply, args)
        case "transpose":
            return args[0].T
        case "inverse":
            return _inverse(args[0])
        case "power":
            return args[0] ** float(n)
        case "entries" if n == "power":
            return args[0] ** args[1]
        case "entries" if n == "softmax":
            return np.exp(args[0]) / np.exp(args[0]).sum()
        case "entries":
            found = entry_function(n)
            assert found is not None
            return found(args[0])
        case "diag":
            return np.diag(args[0][:, 0])
        case "diagonal":
            return np.diagonal(args[0])[:, None]
        case "kron":
            return functools.reduce(np.kron, args)
        case "khatri-rao":
            return np.einsum("ir,jr->ijr", *args).reshape(x.shape)
        case "commutation":
            rows, columns = n
            places = np.arange(rows * columns).reshape(columns, rows).T.ravel()
            return np.eye(rows * columns)[places]
        case "vec":
            return args[0].T.reshape(-1, 1)
        case "trace":
            return np.trace(args[0])
        case "det":
            return np.reshape(np.linalg.det(args[0]), x.shape)
        case "logdet":
            return np.reshape(np.linalg.slogdet(args[0])[1], x.shape)
        case "norm":
            return np.sqrt(np.sum(args[0] ** 2))
        case "function":
            return MATRIX_FUNCTIONS[n](args[0])
        case "frechet":
            moved = [jnp.asarray(a) for a in args]
            return jax.jvp(MATRIX_FUNCTIONS[n], (moved[0],), (moved[1],))[1]
        case "frechet-matrix":
            found = np.asarray(jax.jacfwd(MATRIX_FUNCTIONS[n])(jnp.asarray(args[0])))
            return found.transpose(1, 0, 3, 2).reshape(x.shape)
        case "call":
            shapes = x.data.operand_shapes
            moved = [jnp.asarray(a.reshape(s)) for a, s in zip(args, shapes, strict=True)]
            return np.reshape(x.data.function(*moved), x.shape)
        case "einsum":
            return _einsum(x, args)
    raise AssertionError(x.kind)


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.shape == (1, 1):
        a = a.reshape(())
    return a * b if a.ndim == 0 or b.ndim == 0 else a @ b


def _einsum(x: Node, args: list[np.ndarray]) -> np.ndarray:
    shaped = [a.reshape(s) for a, s in zip(args, x.data.shapes, strict=True)]
    return np.einsum(x.data.subscripts, *shaped, optimize=True).reshape(x.shape)


def _inverse(X: np.ndarray) -> np.ndarray:
    """The inverse of a matrix that has one to rounding."""
    found = np.linalg.inv(X)
    if X.size and np.linalg.norm(X) * np.linalg.norm(found) * np.finfo(float).eps > 1e-4:
        raise np.linalg.LinAlgError("singular to rounding")
    return found
