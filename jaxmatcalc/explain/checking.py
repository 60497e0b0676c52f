"""Whether a formula gives what automatic differentiation gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.numeric import Values, evaluate

# Entries of a Jacobian or Hessian that is formed twice to compare the two
LARGEST = 2_000_000


@dataclass(frozen=True)
class Check:
    """The comparison of a formula with automatic differentiation.

    Attributes:
        right: whether they agree; None where there was nothing to compare.
        error: largest difference, over the largest entry.
        reason: why there was nothing to compare, or what was compared instead.
    """

    right: bool | None
    error: float = 0.0
    reason: str = ""


def compare(
    expression: Node,
    values: Values,
    reference: Any,
    tolerance: float,
    along: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Check:
    """Compare an expression with the array that it should be, both `along` some directions."""
    truth = np.asarray(reference, float)
    if not np.isfinite(truth).all():
        return Check(None, reason="automatic differentiation is not finite at these arguments")
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(evaluate(expression, values), float)
    except np.linalg.LinAlgError:
        return Check(None, reason="a matrix that is inverted is singular at these arguments")
    if found.size != truth.size:
        return Check(False, math.inf)
    found, truth = along(found.reshape(truth.shape)), along(truth)
    if not np.isfinite(found).all():
        return Check(None, reason="the formula is not finite at these arguments")
    scale = max(1.0, float(np.max(np.abs(truth), initial=0)))
    error = float(np.max(np.abs(found - truth), initial=0)) / scale
    return Check(error <= tolerance, error)


def tolerance(dtype: Any) -> float:
    """What rounding may make of a difference."""
    return float(jnp.finfo(dtype).eps) ** 0.5


def vectorised(array: Any, first: int) -> np.ndarray:
    """A derivative as the matrix ∂vec F / ∂(vec X)ᵀ, both stacked by columns.

    Args:
        array: the derivative, with the axes of F before those of X.
        first: the number of axes of F.
    """
    array = np.asarray(array, float)
    rows = math.prod(array.shape[:first])
    order = (*range(first)[::-1], *range(first, array.ndim)[::-1])
    return array.transpose(order).reshape(rows, array.size // max(rows, 1))


def jacobian(f: Callable[..., Any], args: Sequence[Any], position: int) -> np.ndarray:
    """∂f / ∂x, the axes of f before those of x, one compiled product a column."""
    x = args[position]

    @jax.jit
    def along(v: Any) -> Any:
        def moved(x: Any) -> Any:
            return f(*args[:position], x, *args[position + 1 :])

        return jax.jvp(moved, (x,), (v,))[1]

    basis = jnp.eye(x.size, dtype=x.dtype).reshape((x.size, *x.shape))
    columns = [np.asarray(along(v)) for v in basis]
    if not columns:
        return np.zeros((*jax.eval_shape(f, *args).shape, *x.shape))
    return np.stack(columns, axis=-1).reshape((*columns[0].shape, *x.shape))


def drawn(
    shapes: Sequence[jax.ShapeDtypeStruct], symmetric: Sequence[bool], seed: int
) -> list[jax.Array]:
    """Arguments at which most functions are smooth: positive from the second seed on."""
    rng = np.random.default_rng(seed)
    made = []
    for shape, mirrored in zip(shapes, symmetric, strict=True):
        value = rng.standard_normal(shape.shape)
        if seed:
            value = rng.uniform(0.4, 1.6, shape.shape)
        if len(shape.shape) == 2 and shape.shape[0] == shape.shape[1]:
            n = shape.shape[0]
            value = 0.5 * value / math.sqrt(max(n, 1)) + (1 + seed) * np.eye(n)
        if mirrored:
            value = (value + value.T) / 2
        made.append(jnp.asarray(value, shape.dtype))
    return made


def symmetrised(array: np.ndarray, axis: int, n: int) -> np.ndarray:
    """A derivative along symmetric changes of the matrix of order n that an axis is the vec of."""
    parts = np.moveaxis(array, axis, -1).reshape(-1, n, n)
    mean = (parts + parts.transpose(0, 2, 1)) / 2
    rest = [size for k, size in enumerate(array.shape) if k != axis]
    return np.moveaxis(mean.reshape(*rest, n * n), -1, axis)


def sentence(checks: Sequence[tuple[str, Check]]) -> str:
    """What was compared, and what was not, in words."""
    right = list(dict.fromkeys(kind for kind, c in checks if c.right))
    text = ""
    if right:
        worst = max(c.error for _, c in checks if c.right)
        listed = right[0] if len(right) == 1 else f"{', '.join(right[:-1])} and {right[-1]}"
        text = f"checked: {listed} against automatic differentiation, to {worst:.0e}"
        text += "".join(
            f", {why}" for why in dict.fromkeys(c.reason for _, c in checks if c.right and c.reason)
        )
    for kind, c in checks:
        if c.right is None:
            text += ("; " if text else "") + f"{kind} not checked, since {c.reason}"
    return text
