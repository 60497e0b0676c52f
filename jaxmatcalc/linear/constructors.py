"""Linear operators from their pieces."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.linear.term import Factor, Label, Term, flat, fresh


def identity(shape: int | tuple[int, ...], dtype: Any = None) -> LinearOperator:
    """The identity on arrays of a shape, X ↦ X.

    Args:
        shape: shape of the arrays, or an integer n for vectors.
        dtype: dtype of the operator; the default float where not given.

    Returns:
        A `LinearOperator` from `shape` to `shape` that holds one scalar.

    Raises:
        TypeError: `shape` is not made of integers.

    Example:
        >>> import jaxmatcalc as jmc
        >>> jmc.identity((3, 2)).trace().item()
        6.0
    """
    sizes = _checks.shape("identity", shape)
    groups = fresh(sizes)
    return LinearOperator([Term((), groups, groups)], sizes, sizes, dtype or jnp.zeros(()).dtype)


def diagonal(d: Any) -> LinearOperator:
    """The diagonal operator X ↦ d ∘ X, the Hadamard product with an array of weights.

    Args:
        d: array of any shape.

    Returns:
        A `LinearOperator` from ``d.shape`` to ``d.shape``.

    Raises:
        TypeError: `d` is not an array of numbers.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> (jmc.diagonal(jnp.array([1.0, 2.0])) @ jnp.ones(2)).tolist()
        [1.0, 2.0]
    """
    d = _inexact(_checks.array("diagonal", d, "d"))
    groups = fresh(d.shape)
    labels = flat(groups)
    factor = Factor(d.reshape([k.size for k in labels]), labels)
    return LinearOperator([Term((factor,), groups, groups)], d.shape, d.shape, d.dtype)


def kronecker(*factors: Any) -> LinearOperator:
    """The Kronecker product A ⊗ B ⊗ …, never formed.

    With two factors ``kronecker(A, B) @ X`` is A X Bᵀ for X of shape (columns of A, columns of B);
    as a matrix on row-major vectors it is ``jnp.kron(A, B)``. With k factors the operator acts on
    arrays of k axes, factor i on axis i.

    Args:
        factors: one or more matrices, (mᵢ, nᵢ).

    Returns:
        A `LinearOperator` from (n₁, n₂, …) to (m₁, m₂, …).

    Raises:
        ValueError: a factor is not a matrix.
        TypeError: there is no factor, or one is not an array.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A, B = jnp.arange(4.0).reshape(2, 2), jnp.arange(6.0).reshape(2, 3)
        >>> bool((jmc.kronecker(A, B).as_matrix() == jnp.kron(A, B)).all())
        True

    Source: Magnus and Neudecker (2019), ch. 2; Van Loan (2000), "The ubiquitous Kronecker product".
    """
    matrices = [
        _inexact(_checks.one_matrix("kronecker", F, i))
        for i, F in enumerate(_checks.some("kronecker", factors), 1)
    ]
    out_shape = tuple(F.shape[0] for F in matrices)
    in_shape = tuple(F.shape[1] for F in matrices)
    out, in_ = fresh(out_shape), fresh(in_shape)
    parts = []
    for F, rows, columns in zip(matrices, out, in_, strict=True):
        labels = rows + columns
        parts.append(Factor(F.reshape([k.size for k in labels]), labels))
    dtype = jnp.result_type(*matrices)
    return LinearOperator([Term(tuple(parts), out, in_)], out_shape, in_shape, dtype)


def commutation(m: int, n: int, dtype: Any = None) -> LinearOperator:
    """The commutation operator K, X ↦ Xᵀ for X of shape (m, n).

    As a matrix on row-major vectors it is K_{n,m} of the column-major literature, K_{m,n}ᵀ.

    Args:
        m, n: shape of X.
        dtype: dtype of the operator; the default float where not given.

    Returns:
        A `LinearOperator` from (m, n) to (n, m).

    Raises:
        TypeError: m or n is not an integer.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> X = jnp.arange(6.0).reshape(2, 3)
        >>> bool((jmc.commutation(2, 3) @ X == X.T).all())
        True

    Source: Magnus and Neudecker (1979), "The commutation matrix".
    """
    sizes = _checks.shape("commutation", (m, n))
    rows, columns = fresh(sizes)
    term = Term((), (columns, rows), (rows, columns))
    return LinearOperator([term], sizes[::-1], sizes, dtype or jnp.zeros(()).dtype)


def from_dense(array: Any, in_ndim: int) -> LinearOperator:
    """An array as an operator whose last `in_ndim` axes are the input."""
    array = jnp.asarray(array)
    split = array.ndim - in_ndim
    groups = fresh(array.shape)
    labels: tuple[Label, ...] = flat(groups)
    term = Term(
        (Factor(array.reshape([k.size for k in labels]), labels),), groups[:split], groups[split:]
    )
    return LinearOperator([term], array.shape[:split], array.shape[split:], array.dtype)


def _inexact(array: Any) -> Any:
    return (
        array.astype(jnp.promote_types(array.dtype, jnp.zeros(()).dtype))
        if not jnp.issubdtype(array.dtype, jnp.inexact)
        else array
    )
