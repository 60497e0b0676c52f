"""The spectrum of a block operator: of each block that stands alone, and of what is coupled."""

from __future__ import annotations

import math
from typing import Any, Self

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.linear import blockwise, decomposition, definite, eigen, extreme
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.blockdense import cut, formed, joined, matrix, split
from jaxmatcalc.linear.blockgrid import BlockGrid
from jaxmatcalc.linear.constructors import identity
from jaxmatcalc.linear.definite import Inertia
from jaxmatcalc.linear.elimination import connected
from jaxmatcalc.linear.spectrum import EighResult
from jaxmatcalc.linear.term import Array


class BlockSpectrum(BlockGrid):
    """The methods of a symmetric (Hermitian) block operator for its eigenvalues."""

    __slots__ = ()

    def eigvalsh(self) -> jax.Array:
        """The eigenvalues of a symmetric (Hermitian) operator, in ascending order.

        The spectrum is the union of the spectra of what is not coupled: of a block that stands
        alone it is read off its structure, as by `LinearOperator.eigvalsh`; coupled blocks are
        formed together, up to order 4,096. Derivatives are those described there.

        Returns:
            Real array of shape (n,), for an operator of order n.

        Raises:
            ValueError: the operator is not square, or a matrix to be decomposed is of an order
                above 4,096.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> f = lambda p: jnp.sum(p["x"] ** 2) - p["y"] ** 2
            >>> H = jmc.hessian_operator(f)({"x": jnp.ones(2), "y": jnp.ones(())})
            >>> H.eigvalsh().tolist()
            [-2.0, 2.0, 2.0]

        Source: Horn and Johnson, Matrix Analysis (2013), section 0.9.2.
        """
        _checks.square_blocks("eigvalsh", self._is_square)
        return compiled(_eigvalsh)((), self)

    def eigh(self) -> EighResult:
        """Eigenvalues and eigenvectors of a symmetric (Hermitian) operator, A = V diag(λ) Vᴴ.

        V is a block operator: a block that stands alone has its own eigenvectors, with their
        structure, in its place; those of coupled blocks are formed. λ is a pytree like the
        argument, not sorted as a whole: ``A @ x == V @ (λ * (V.adjoint() @ x))``, leaf by leaf.
        There is no derivative.

        Returns:
            A named tuple (eigenvalues, eigenvectors): a pytree of real arrays, and a
            `BlockOperator`.

        Raises:
            ValueError: as for `eigvalsh`, or a derivative is taken.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> f = lambda p: jnp.sum(p["x"] ** 2) - p["y"] ** 2
            >>> H = jmc.hessian_operator(f)({"x": jnp.ones(2), "y": jnp.ones(())})
            >>> w, V = H.eigh()
            >>> w["x"].tolist(), V["x"]["x"].structure.kind
            ([2.0, 2.0], 'identity')
        """
        _checks.square_blocks("eigh", self._is_square)
        values, rows = compiled(_eigh)((), self)
        return EighResult(jax.tree.unflatten(self.in_tree, values), self.rebuilt(rows))

    def extreme_eigenvalues(
        self, k: int = 1, which: str = "largest", rtol: float | None = None, iterations: int = 1000
    ) -> jax.Array:
        """The k largest or smallest eigenvalues of a symmetric (Hermitian) operator.

        Those of each part that is not coupled to another, put together: by structure or
        decomposition up to order 512, else by LOBPCG on products, all as in
        `LinearOperator.extreme_eigenvalues`. If the iteration fails for one part, all are NaN.

        Args:
            k: how many.
            which: "largest" or "smallest", in the order of numbers, not of absolute values.
            rtol: as there.
            iterations: as there.

        Returns:
            Real array of shape (k,), in ascending order.

        Raises:
            ValueError: the operator is not square, k or `which` is out of range, or LOBPCG does
                not admit the operator.
        """
        _checks.square_blocks("extreme_eigenvalues", self._is_square)
        k = _checks.eigenvalue_count(k, sum(map(math.prod, self.in_shapes)))
        _checks.option("extreme_eigenvalues", "which", which, ("largest", "smallest"))
        return compiled(_extreme)((k, which, rtol, iterations), self)

    def is_positive_definite(self) -> jax.Array:
        """Whether the operator is symmetric (Hermitian) and positive definite, within rounding.

        Every block that stands alone must be, as `LinearOperator.is_positive_definite` tells; of
        coupled blocks the matrix, by a Cholesky factorisation, up to order 4,096.

        Returns:
            Boolean array without axes, or of `batch_shape`.

        Raises:
            ValueError: as for `eigvalsh`.
        """
        _checks.square_blocks("is_positive_definite", self._is_square)
        return compiled(_is_positive_definite)((), self)

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
        """
        _checks.square_blocks("inertia", self._is_square)
        return compiled(_inertia)((rtol,), self)

    def parts(self) -> list[tuple[tuple[int, ...], Self]]:
        """The operators that are not coupled to each other, with the places of their leaves."""
        return [(indices, self.part(indices)) for indices in connected(self.rows)]


def _matrix(H: BlockGrid) -> Array:
    _checks.decomposable_order(_order(H), decomposition.LARGEST)
    return matrix(H)


def _order(H: BlockGrid) -> int:
    return sum(map(math.prod, H.out_shapes))


def _eigenvalues(H: BlockSpectrum) -> Array:
    real = jnp.finfo(H.dtype).dtype
    found = [jnp.zeros(0, real)]
    for indices, part in H.parts():
        op = part.rows[0][0]
        if len(indices) > 1:
            found.append(decomposition.eigenvalues(_matrix(part)).astype(real))
        elif op.terms:
            found.append(eigen.eigenvalues(op.terms, op.dtype).astype(real))
        else:
            found.append(jnp.zeros(_order(part), real))
    return jnp.concatenate(found)


def _eigvalsh(H: BlockSpectrum) -> Array:
    return jnp.sort(_eigenvalues(H))


def _eigh(H: BlockSpectrum) -> Any:
    real = jnp.finfo(H.dtype).dtype
    values = [jnp.zeros(shape, real) for shape in H.in_shapes]
    rows = [[op.rebuilt(()) for op in row] for row in H.rows]
    for indices, part in H.parts():
        (k, *others), op = indices, part.rows[0][0]
        if not others and not op.terms:
            rows[k][k] = identity(op.in_shape, op.dtype)
        elif not others:
            found, vectors = eigen.decompose(op.terms, op.dtype)
            values[k], rows[k][k] = found.astype(real), op.rebuilt(vectors)
        else:
            w, Q = decomposition.eigenpairs(_matrix(part))
            like = [values[i] for i in indices]
            blocks = split(Q, part.out_shapes, part.in_shapes)
            for i, w_i, strip in zip(indices, cut(w, like), blocks, strict=True):
                values[i] = w_i.astype(real)
                for j, block in zip(indices, strip, strict=True):
                    rows[i][j] = formed(block, H.rows[i][j])
    return decomposition.constant((values, rows))


def _flat_product(H: Any, x: Array) -> Array:
    xs = cut(x, [jax.ShapeDtypeStruct(shape, x.dtype) for shape in H.in_shapes])
    return joined(blockwise.apply(H, xs)).astype(x.dtype)


def _extreme(H: BlockSpectrum, k: int, which: str, rtol: float | None, iterations: int) -> Array:
    real = jnp.finfo(H.dtype).dtype
    found = []
    for indices, part in H.parts():
        order = _order(part)
        some, options = min(k, order), (which, rtol, iterations)
        if len(indices) == 1:
            values = extreme.extreme_eigenvalues(part.rows[0][0], some, *options)
        elif extreme.is_decomposed(order, some):
            values = extreme.ends(decomposition.eigenvalues(matrix(part)), some, which)
        else:
            values = extreme.by_products(_flat_product, part, order, some, *options)
        found.append(values.astype(real))
    return extreme.ends(jnp.concatenate(found), k, which)


def _is_positive_definite(H: BlockSpectrum) -> Array:
    result = jnp.asarray(True)
    for indices, part in H.parts():
        if len(indices) == 1:
            result &= definite.is_positive_definite(part.rows[0][0])
        else:
            M = _matrix(part)
            result &= (definite.sign(M) > 0) & definite.is_symmetric(M)
    return result


def _inertia(H: BlockSpectrum, rtol: float | None) -> Inertia:
    return definite.counted(_eigenvalues(H), definite.rounding(_order(H), H.dtype, rtol))
