"""Linear operators from their pieces."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.linear.term import Factor, Group, Label, Term, flat, fresh


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


def kronecker(*factors: Any, assume_a: str = "gen") -> LinearOperator:
    """The Kronecker product A ⊗ B ⊗ …, never formed.

    With two factors ``kronecker(A, B) @ X`` is A X Bᵀ for X of shape (columns of A, columns of B);
    as a matrix on row-major vectors it is ``jnp.kron(A, B)``. With k factors the operator acts on
    arrays of k axes, factor i on axis i.

    Args:
        factors: one or more matrices, (mᵢ, nᵢ).
        assume_a: "sym" or "pos" where every factor is symmetric, or positive definite too. Sums
            such as A ⊗ B + ρI are then solved in eigenvectors, and have derivatives of every order.

    Returns:
        A `LinearOperator` from (n₁, n₂, …) to (m₁, m₂, …).

    Raises:
        ValueError: a factor is not a matrix, or `assume_a` is not known.
        TypeError: there is no factor, or one is not an array.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A, B = jnp.arange(4.0).reshape(2, 2), jnp.arange(6.0).reshape(2, 3)
        >>> bool((jmc.kronecker(A, B).as_matrix() == jnp.kron(A, B)).all())
        True

    Source: Magnus and Neudecker (2019), ch. 2; Van Loan (2000), "The ubiquitous Kronecker product".
    """
    matrices = _matrices("kronecker", factors, assume_a)
    out, in_ = fresh(F.shape[0] for F in matrices), fresh(F.shape[1] for F in matrices)
    parts = tuple(map(functools.partial(_factor, assume_a), matrices, out, in_))
    return LinearOperator(
        [Term(parts, out, in_)],
        tuple(F.shape[0] for F in matrices),
        tuple(F.shape[1] for F in matrices),
        jnp.result_type(*matrices),
    )


def kronecker_sum(*factors: Any, assume_a: str = "gen") -> LinearOperator:
    """The Kronecker sum A ⊕ B ⊕ … = A ⊗ I ⊗ … + I ⊗ B ⊗ … + …, never formed.

    With two factors ``kronecker_sum(A, B) @ X`` is A X + X Bᵀ, the map of Sylvester's equation;
    with k factors the operator acts on arrays of k axes and adds up factor i on axis i.

    Args:
        factors: one or more square matrices, (nᵢ, nᵢ).
        assume_a: as in `kronecker`. Factors that are not symmetric are solved by Schur forms.

    Returns:
        A `LinearOperator` from (n₁, n₂, …) to (n₁, n₂, …).

    Raises:
        ValueError: a factor is not a square matrix, or `assume_a` is not known.
        TypeError: there is no factor, or one is not an array.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A, B = jnp.array([[1.0, 2.0], [0.0, 3.0]]), jnp.array([[4.0]])
        >>> (jmc.kronecker_sum(A, B) @ jnp.ones((2, 1))).tolist()
        [[7.0], [7.0]]

    Source: Horn and Johnson, Topics in Matrix Analysis (1991), section 4.4.
    """
    matrices = _matrices("kronecker_sum", factors, assume_a)
    for k, F in enumerate(matrices, 1):
        _checks.square("kronecker_sum", F, f"factor {k}")
    sizes = tuple(len(F) for F in matrices)
    terms = []
    for k, F in enumerate(matrices):
        out, row = fresh(sizes), fresh(sizes[k : k + 1])[0]
        in_ = (*out[:k], row, *out[k + 1 :])
        terms.append(Term((_factor(assume_a, F, out[k], row),), out, in_))
    return LinearOperator(terms, sizes, sizes, jnp.result_type(*matrices))


def low_rank(U: Any, V: Any = None) -> LinearOperator:
    """The operator U Vᵀ of low rank; U Uᵀ where only U is given (U Uᴴ if complex).

    Added to a diagonal, or to anything else that is solved by its structure, it is solved by the
    Woodbury identity, and its determinant is that of the matrix determinant lemma.

    Args:
        U: array of shape (m, r), or (m₁, m₂, …, r) for arrays of several axes.
        V: the same for the input, with as many columns r; U conjugated where not given.

    Returns:
        A `LinearOperator` from (n,) to (m,), or from (n₁, n₂, …) to (m₁, m₂, …).

    Raises:
        ValueError: U or V has fewer than two axes, or their columns differ in number.
        TypeError: U or V is not an array.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A = jmc.diagonal(jnp.ones(4)) + jmc.low_rank(jnp.ones((4, 1)))
        >>> A.structure.method, round(float(jnp.exp(A.logdet())), 4)
        ('woodbury', 5.0)

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (156).
    """
    U = _inexact(_checks.columns("low_rank", U, "U"))
    if V is None:  # the same array where U is real, so that U Uᵀ is known to be symmetric
        V = U.conj() if jnp.iscomplexobj(U) else U
    V = _inexact(_checks.columns("low_rank", V, "V"))
    _checks.same_columns("low_rank", U, V)
    *out, bond = fresh(U.shape)
    in_ = fresh(V.shape[:-1])
    parts = (_factor("gen", U, *out, bond), _factor("gen", V, *in_, bond))
    term = Term(parts, tuple(out), in_)
    return LinearOperator([term], U.shape[:-1], V.shape[:-1], jnp.result_type(U, V))


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


def duplication(n: int, dtype: Any = None) -> LinearOperator:
    """The duplication operator D, vech X ↦ X for symmetric X of shape (n, n).

    vech stacks the columns of the lower triangle. The Hessian of f on symmetric matrices, in their
    independent entries, is Dᵀ H D.

    Args:
        n: order of X.
        dtype: dtype of the operator; the default float where not given.

    Returns:
        A `LinearOperator` from (n(n+1)/2,) to (n, n).

    Raises:
        TypeError: n is not an integer.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> (jmc.duplication(2) @ jnp.array([1.0, 2.0, 3.0])).tolist()
        [[1.0, 2.0], [2.0, 3.0]]

    Source: Magnus and Neudecker (1980), "The elimination matrix: some lemmas and applications".
    """
    rows, columns, sizes, dtype = _triangle("duplication", n, dtype)
    below = rows * (1 - np.sum(rows * columns, axis=0, dtype=dtype))
    terms = []
    for first, second in ((rows, columns), (columns, below)):
        i, j, k = fresh(sizes)
        parts = (_factor("gen", first, i, k), _factor("gen", second, j, k))
        terms.append(Term(parts, (i, j), (k,)))
    return LinearOperator(terms, sizes[:2], sizes[2:], dtype)


def elimination(n: int, dtype: Any = None) -> LinearOperator:
    """The elimination operator L, X ↦ vech X for X of shape (n, n).

    vech stacks the columns of the lower triangle.

    Args:
        n: order of X.
        dtype: dtype of the operator; the default float where not given.

    Returns:
        A `LinearOperator` from (n, n) to (n(n+1)/2,).

    Raises:
        TypeError: n is not an integer.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> (jmc.elimination(2) @ jnp.array([[1.0, 9.0], [2.0, 3.0]])).tolist()
        [1.0, 2.0, 3.0]

    Source: Magnus and Neudecker (1980), "The elimination matrix: some lemmas and applications".
    """
    rows, columns, sizes, dtype = _triangle("elimination", n, dtype)
    i, j, k = fresh(sizes)
    parts = (_factor("gen", rows, i, k), _factor("gen", columns, j, k))
    return LinearOperator([Term(parts, (k,), (i, j))], sizes[2:], sizes[:2], dtype)


def _triangle(operation: str, n: int, dtype: Any) -> tuple[Any, Any, tuple[int, int, int], Any]:
    """Which row and which column each entry of vech comes from, one-hot, (n, n(n+1)/2)."""
    (n,) = _checks.shape(operation, n)
    dtype = np.dtype(dtype or jnp.zeros(()).dtype)
    columns, rows = np.triu_indices(n)
    eye = np.eye(n, dtype=dtype)
    return eye[:, rows], eye[:, columns], (n, n, len(rows)), dtype


def _matrices(operation: str, factors: Any, assume_a: str) -> list[Any]:
    _checks.assumption(operation, assume_a)
    return [
        _inexact(_checks.one_matrix(operation, F, f"factor {i}"))
        for i, F in enumerate(_checks.some(operation, factors), 1)
    ]


def _factor(assume_a: str, array: Any, *groups: Group) -> Factor:
    labels = flat(groups)
    return Factor(array.reshape([k.size for k in labels]), labels, assume_a != "gen")


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
