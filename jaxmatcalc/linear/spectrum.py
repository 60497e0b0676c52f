"""The spectrum of an operator: its methods for eigenvalues, eigenvectors and their signs."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.linear import definite, eigen, extreme
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.decomposition import constant
from jaxmatcalc.linear.definite import Inertia
from jaxmatcalc.linear.term import Term, fresh
from jaxmatcalc.linear.termsum import TermSum


class EighResult(NamedTuple):
    """Eigenvalues λ and eigenvectors V of a symmetric (Hermitian) operator, A = V diag(λ) Vᴴ.

    It is what `LinearOperator.eigh` and `BlockOperator.eigh` return.

    Attributes:
        eigenvalues: real array of the operator's `in_shape`; for a block operator a pytree of them.
        eigenvectors: orthogonal (unitary) `LinearOperator` from `in_shape` to `in_shape`, or
            `BlockOperator`.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> found = jmc.diagonal(jnp.array([3.0, 1.0])).eigh()
        >>> isinstance(found, jmc.EighResult), found.eigenvalues.tolist()
        (True, [3.0, 1.0])
    """

    eigenvalues: jax.Array
    eigenvectors: Any


class Spectrum(TermSum):
    """The methods of a symmetric (Hermitian) operator for its eigenvalues."""

    __slots__ = ()

    def eigvalsh(self) -> jax.Array:
        """The eigenvalues of a symmetric (Hermitian) operator, in ascending order.

        They are read off the structure: products of the factors' eigenvalues for A ⊗ B, sums of
        them for A ⊗ I + I ⊗ B, A ⊗ B + ρI and such sums of one matrix an axis, one block after the
        other for blocks, ± products of singular values for V ↦ s M Vᵀ M + ρV, and a small matrix
        for low rank + ρI above order 256. Any other operator is formed, up to order 4,096.

        The operator is taken to be symmetric, and so are its Kronecker factors; of a matrix only
        the Hermitian part is used, as in `jnp.linalg.eigvalsh`.

        The first derivative is right where eigenvalues are simple, and for functions that do not
        depend on the order of equal ones. The second is right where the eigenvalues of every
        factor (singular values of M) are simple, and NaN elsewhere; for low rank + ρI it is
        refused.

        Returns:
            Real array of shape (n,), for an operator of order n.

        Raises:
            ValueError: the operator is not square, or a matrix to be decomposed is of an order
                above 4,096.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> A, B = jnp.diag(jnp.array([3.0, 1.0])), jnp.diag(jnp.array([2.0, -1.0]))
            >>> jmc.kronecker(A, B).eigvalsh().tolist()
            [-3.0, -1.0, 2.0, 6.0]
        """
        _checks.square_operator("eigvalsh", *self._shapes)
        return compiled(_eigvalsh)((), self)

    def eigh(self) -> EighResult:
        """Eigenvalues and eigenvectors of a symmetric (Hermitian) operator, A = V diag(λ) Vᴴ.

        V is an operator with the structure of A, as Q₁ ⊗ Q₂ for a Kronecker product or sum; so λ
        keeps the shape `in_shape` and the order of the factors, and is not sorted as a whole:
        ``A == V @ diagonal(λ) @ V.adjoint()``. Where A is formed, λ ascends row-major.

        The operator is read as by `eigvalsh`. There is no derivative: eigenvectors have none where
        eigenvalues repeat, as those of A ⊗ A do.

        Returns:
            A named tuple (eigenvalues, eigenvectors): a real array of `in_shape`, and a
            `LinearOperator` from `in_shape` to `in_shape`.

        Raises:
            ValueError: as for `eigvalsh`, or a derivative is taken.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> A = jnp.array([[2.0, 1.0], [1.0, 2.0]])
            >>> H = jmc.kronecker_sum(A, A, assume_a="sym")
            >>> w, V = H.eigh()
            >>> print(V.structure)
            kronecker
            >>> X = jnp.arange(4.0).reshape(2, 2)
            >>> bool(jnp.allclose(V @ (w * (V.T @ X)), H @ X, atol=1e-5))
            True
        """
        _checks.square_operator("eigh", *self._shapes)
        return compiled(_eigh)((), self)

    def extreme_eigenvalues(
        self, k: int = 1, which: str = "largest", rtol: float | None = None, iterations: int = 1000
    ) -> jax.Array:
        """The k largest or smallest eigenvalues of a symmetric (Hermitian) operator.

        Where `eigvalsh` has a structure to read, or the order is at most 512, they are exact.
        Otherwise LOBPCG (`jax.experimental.sparse.linalg.lobpcg_standard`) works on products alone,
        from a fixed start: an iteration costs 4 k products and keeps arrays of 3 k vectors; it
        needs a real operator, and 5 k less than its order.

        The derivative of first order is vᵀ dA v, right for simple eigenvalues; by iteration there
        is no second.

        Args:
            k: how many.
            which: "largest" or "smallest", in the order of numbers, not of absolute values.
            rtol: an eigenvalue λ with its vector v is accepted where |A v - λ v| is at most about
                rtol times the norm of A. An eigenvalue of A is then no further from λ than that,
                and where it stands apart, by a gap g, no further than the square of that over g.
                √eps of the dtype where not given: 3.5e-4 in float32, 1.5e-8 in float64.
            iterations: at most so many of them; an eigenvalue not accepted by then is NaN. They
                grow as the root of the width of the spectrum over the gap to the next eigenvalue.

        Returns:
            Real array of shape (k,), in ascending order.

        Raises:
            ValueError: the operator is not square, k or `which` is out of range, or LOBPCG does
                not admit the operator.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> H = jmc.diagonal(jnp.arange(5.0)) + 2 * jmc.identity(5)
            >>> H.extreme_eigenvalues(2).tolist(), H.extreme_eigenvalues(which="smallest").tolist()
            ([5.0, 6.0], [2.0])

        Source: Knyazev (2001), "Toward the optimal preconditioned eigensolver".
        """
        _checks.square_operator("extreme_eigenvalues", *self._shapes)
        k = _checks.eigenvalue_count(k, math.prod(self.in_shape))
        _checks.option("extreme_eigenvalues", "which", which, ("largest", "smallest"))
        return compiled(extreme.extreme_eigenvalues)((k, which, rtol, iterations), self)

    def is_positive_definite(self) -> jax.Array:
        """Whether the operator is symmetric (Hermitian) and positive definite, within rounding.

        A Kronecker product is positive definite if its factors are, or are negative definite in
        pairs; sums are told by their eigenvalues, other operators by a Cholesky factorisation of
        the matrix, up to order 4,096. A singular matrix may pass or fail by rounding.

        An operator that is not symmetric gives False. Symmetric means that no entry of a matrix
        (each factor, for a Kronecker product) differs from its mirror image by more than 8 n eps
        times the largest.

        Returns:
            Boolean array without axes, or of `batch_shape`.

        Raises:
            ValueError: as for `eigvalsh`.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> A = jnp.array([[-2.0, 1.0], [1.0, -2.0]])
            >>> bool(jmc.kronecker(A, A).is_positive_definite())
            True
            >>> bool(jmc.kronecker(A, jnp.eye(2)).is_positive_definite())
            False
        """
        _checks.square_operator("is_positive_definite", *self._shapes)
        return compiled(definite.is_positive_definite)((), self)

    def inertia(self, rtol: float | None = None) -> Inertia:
        """How many eigenvalues of a symmetric (Hermitian) operator are positive, negative and zero.

        The operator is read as by `eigvalsh`.

        Args:
            rtol: an eigenvalue counts as zero up to rtol times the largest absolute value of one;
                10 √n eps of the dtype where not given, for an operator of order n.

        Returns:
            A named tuple (positive, negative, zero) of integers.

        Raises:
            ValueError: as for `eigvalsh`.

        Example:
            >>> import jaxmatcalc as jmc
            >>> [int(count) for count in jmc.commutation(3, 3).inertia()]
            [6, 3, 0]
        """
        _checks.square_operator("inertia", *self._shapes)
        return compiled(definite.inertia)((rtol,), self)


def _eigvalsh(op: TermSum) -> jax.Array:
    order, real = math.prod(op.in_shape), jnp.finfo(op.dtype).dtype
    if not op.terms or order == 0:
        return jnp.zeros(order, real)
    return jnp.sort(eigen.eigenvalues(op.terms, op.dtype)).astype(real)


def _eigh(op: TermSum) -> EighResult:
    real = jnp.finfo(op.dtype).dtype
    if not op.terms or math.prod(op.in_shape) == 0:
        groups = fresh(op.in_shape)
        return EighResult(jnp.zeros(op.in_shape, real), op.rebuilt([Term((), groups, groups)]))
    values, vectors = eigen.decompose(op.terms, op.dtype)
    return constant(EighResult(values.astype(real), op.rebuilt(vectors)))
