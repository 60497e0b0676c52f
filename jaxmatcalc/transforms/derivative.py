"""The derivative as the 2-D array that the tables of matrix calculus print."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.transforms.arguments import Argnums
from jaxmatcalc.transforms.jacobian import jacobian


def derivative(
    f: Callable[..., Any], argnums: Argnums = 0, layout: str = "numerator"
) -> Callable[..., Any]:
    """The derivative as the 2-D array of the matrix-calculus tables, in either layout.

    Each of result and argument is a scalar, a column vector or a matrix; that makes nine cells. For
    y scalar, y (m,) or Y (m, n), by x scalar, x (p,) or X (p, q), the shapes are

    ========= ===================== ======================= =========================
    numerator by scalar x           by vector x (p,)        by matrix X (p, q)
    ========= ===================== ======================= =========================
    y scalar  (1, 1)  ∂y/∂x         (1, p)  ∂y/∂xᵀ          (q, p)  ∂y/∂X
    y (m,)    (m, 1)  ∂y/∂x         (m, p)  ∂y/∂xᵀ          (m, pq) ∂y/∂(vec X)ᵀ
    Y (m, n)  (m, n)  ∂Y/∂x         (mn, p) ∂(vec Y)/∂xᵀ    (mn, pq) ∂(vec Y)/∂(vec X)ᵀ
    ========= ===================== ======================= =========================

    =========== ===================== ======================= =========================
    denominator by scalar x           by vector x (p,)        by matrix X (p, q)
    =========== ===================== ======================= =========================
    y scalar    (1, 1)  ∂y/∂x         (p, 1)  ∂y/∂x           (p, q)  ∂y/∂X
    y (m,)      (1, m)  ∂yᵀ/∂x        (p, m)  ∂yᵀ/∂x          (pq, m) ∂yᵀ/∂(vec X)
    Y (m, n)    (n, m)  ∂Yᵀ/∂x        (p, mn) ∂(vec Y)ᵀ/∂x    (pq, mn) ∂(vec Y)ᵀ/∂(vec X)
    =========== ===================== ======================= =========================

    The layouts are transposes of each other in every cell. vec stacks columns, as `vec` does. The
    three cells that have no other 2-D form (vector by matrix, matrix by vector, matrix by matrix)
    use it, so entry [i + jm, k + lp] of the last one is ∂Yᵢⱼ/∂Xₖₗ in numerator layout. Scalar by
    matrix keeps the matrix: [l, k] is ∂y/∂Xₖₗ in numerator layout and [k, l] in denominator
    layout, where it is the gradient that `jax.grad` returns.

    Who writes what: "numerator" and "denominator" are Wikipedia's words (also "Jacobian" and
    "Hessian formulation"). Minka's rule, dY/dX with the result's index along rows, is the numerator
    layout. Magnus and Neudecker take ∂(vec Y)/∂(vec X)ᵀ in every cell: the numerator layout but for
    scalar by matrix and matrix by scalar, where theirs are the row and the column of all entries.
    Texts on statistics and optimisation mostly use the denominator layout for gradients. Tables
    mix layouts; in this function one word decides all cells.

    Args:
        f: function of scalars, vectors and matrices (arrays of at most two axes; an array of one
            axis is a column vector) that returns one.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        layout: "numerator" or "denominator".

    Returns:
        A function of f's arguments that returns an array of two axes, or a tuple of them if
        `argnums` is one. Of the argument's dtype, as `jacobian` has it.

    Raises:
        TypeError: an argument or the result is not an array of a real floating-point dtype.
        ValueError: an argument or the result has more than two axes, `layout` is another word, or
            `argnums` names an argument that is not there.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        >>> jmc.derivative(lambda x: A @ x)(jnp.ones(3)).tolist()
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
        >>> jmc.derivative(lambda x: A @ x, layout="denominator")(jnp.ones(3)).tolist()
        [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
        >>> jmc.derivative(lambda X: A @ X)(jnp.ones((3, 4))).shape
        (8, 12)

    Source: Wikipedia, "Matrix calculus", Layout conventions; Magnus and Neudecker (2019), ch. 9;
    Minka (2000), "Old and new matrix algebra useful for statistics".
    """
    _checks.option("derivative", "layout", layout, ("numerator", "denominator"))

    @functools.wraps(f)
    def derivative_f(*args: Any, **kwargs: Any) -> Any:
        positions = _checks.argnums("derivative", argnums, len(args))
        shapes = [_checks.cell("derivative", args[i], "every argument").shape for i in positions]
        out_shape: tuple[int, ...] = ()

        def checked(*args: Any, **kwargs: Any) -> jax.Array:
            nonlocal out_shape
            y = _checks.cell("derivative", f(*args, **kwargs), "the function's result")
            out_shape = y.shape
            return y

        found = jacobian(checked, positions)(*args, **kwargs)
        tables = [_table(J, out_shape, shape) for J, shape in zip(found, shapes, strict=True)]
        if layout == "denominator":
            tables = [table.T for table in tables]
        return tuple(tables) if isinstance(argnums, Sequence) else tables[0]

    return derivative_f


def _table(J: jax.Array, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> jax.Array:
    """The Jacobian array of shape out + in as the table's cell in numerator layout."""
    if len(out_shape) == 2 and not in_shape:
        return J
    if len(in_shape) == 2 and not out_shape:
        return J.T
    n = len(out_shape)
    columns_first = jnp.transpose(J, (*reversed(range(n)), *reversed(range(n, J.ndim))))
    return columns_first.reshape(math.prod(out_shape), math.prod(in_shape))
