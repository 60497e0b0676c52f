"""The block operator: a linear map between pytrees, a linear operator for each pair of leaves."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks
from jaxmatcalc.linear import blockdense, blockfactor, blockwise, interchange
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.blockfactor import BlockFactored
from jaxmatcalc.linear.blockspectrum import BlockSpectrum
from jaxmatcalc.linear.constructors import identity
from jaxmatcalc.linear.operator import LinearOperator


@jax.tree_util.register_pytree_node_class
class BlockOperator(BlockSpectrum):
    """A linear map between pytrees of arrays: a `LinearOperator` for each pair of leaves.

    (A x)ᵢ = Σⱼ Aᵢⱼ xⱼ. It is what `hessian_operator` and `jacobian_operator` return for pytree
    arguments. ``A @ x`` takes a pytree like the argument; a flat array is read in the order of
    `jax.flatten_util.ravel_pytree`, so that ``A.as_matrix() @ ravel_pytree(x)[0]`` is the same.

    Indexing, unpacking and `blocks` give what `jax.hessian` has in the same place, with operators
    for arrays: ``H["w"]["b"]``, ``(Haa, Hab), (Hba, Hbb) = H``. Like a `LinearOperator` it is a
    pytree, and carries batch axes where a `vmap` returned it.

    Solves go by blocks. A block that is coupled to no other is solved alone, by its own structure;
    of those that are coupled, the ones with structure are eliminated, as far as they are not
    coupled to each other, and their Schur complement is formed:

        E x + U y = b, V x + R y = c:  (R - V E⁻¹ U) y = c - V E⁻¹ b,  x = E⁻¹ (b - U y)

    log|det| is log|det E| + log|det(R - V E⁻¹ U)|. In at most 256 unknowns, and where there is no
    structure to eliminate, the matrix is formed, and iterated on in more than 4,096.

    Attributes:
        rows: the blocks, a tuple of rows, one for each leaf of the result.
        out_tree: the structure of the result's pytree.
        in_tree: the structure of the argument's pytree.

    Example:
        >>> import jax, jax.numpy as jnp, jaxmatcalc as jmc
        >>> D, u, one = jmc.diagonal(jnp.array([1.0, 2.0])), jnp.ones((2, 1)), jnp.ones((1, 1))
        >>> rows = [[D, jmc.low_rank(u, one)], [jmc.low_rank(one, u), 5 * jmc.identity(1)]]
        >>> tree = jax.tree.structure({"a": 0, "b": 0})
        >>> H = jmc.BlockOperator(rows, tree, tree)
        >>> H
        BlockOperator(2 × 2 blocks, float32: [s·diag(d2), s·u2; s·u2, s·1])
        >>> x = H.solve({"a": jnp.array([2.0, 3.0]), "b": jnp.array([7.0])}, "eliminate")
        >>> [round(float(v), 4) for v in (*x["a"], *x["b"])]
        [1.0, 1.0, 1.0]
    """

    __array_priority__ = 1000  # NumPy arrays leave `array * operator` to us
    __slots__ = ()

    # Arithmetic

    def identity(self) -> BlockOperator:
        """The identity between the same pytrees: ``H + rho * H.identity()``."""
        _checks.square_blocks("identity", self._is_square)
        rows = [
            [identity(op.in_shape, op.dtype) if i == j else _zero(op) for j, op in enumerate(row)]
            for i, row in enumerate(self.rows)
        ]
        return self.rebuilt(rows)

    @property
    def T(self) -> BlockOperator:
        """The transpose, without conjugation."""
        return blockwise.transpose(self)

    def adjoint(self) -> BlockOperator:
        """The conjugate transpose, ⟨y, A x⟩ = ⟨Aᴴ y, x⟩."""
        return self.rebuilt([[op.adjoint() for op in column] for column in self.columns], swap=True)

    def __add__(self, other: BlockOperator) -> BlockOperator:
        if not isinstance(other, BlockOperator):
            return NotImplemented
        same = self.out_shapes == other.out_shapes and self.in_shapes == other.in_shapes
        _checks.same_block_trees("+", same and self._trees == other._trees)
        pairs = zip(self.rows, other.rows, strict=True)
        return self.rebuilt([[a + b for a, b in zip(*pair, strict=True)] for pair in pairs])

    def __neg__(self) -> BlockOperator:
        return self * -1

    def __sub__(self, other: BlockOperator) -> BlockOperator:
        if not isinstance(other, BlockOperator):
            return NotImplemented
        return self + (-other)

    def __mul__(self, scalar: Any) -> BlockOperator:
        if isinstance(scalar, BlockOperator | LinearOperator):
            return NotImplemented
        _checks.scalar_factor(scalar)
        return self.rebuilt([[op * scalar for op in row] for row in self.rows])

    __rmul__ = __mul__

    def __truediv__(self, scalar: Any) -> BlockOperator:
        _checks.scalar_factor(scalar)
        return self * (1 / scalar)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, BlockOperator):
            same = self.in_tree == other.out_tree and self.in_shapes == other.out_shapes
            _checks.same_block_trees("@", same)
            rows = compiled(blockwise.compose)((), self, other)
            return BlockOperator(rows, self.out_tree, other.in_tree)
        xs, is_flat = self._operand("BlockOperator @", other, self.in_tree, self.in_shapes)
        return self._result(compiled(blockwise.apply)((), self, xs), self.out_tree, is_flat)

    @property
    def _trees(self) -> tuple[Any, Any]:
        return self.out_tree, self.in_tree

    def _operand(self, operation: str, x: Any, tree: Any, shapes: Any) -> tuple[list[Any], bool]:
        """The leaves of a pytree, or the parts of a flat array; and whether it was one."""
        return _checks.tree_operand(operation, x, tree, shapes, self.batch_shape)

    def _result(self, xs: list[Any], tree: Any, is_flat: bool) -> Any:
        """The leaves as a pytree, or one flat array."""
        if not is_flat:
            return jax.tree.unflatten(tree, xs)
        depth = len(self.batch_shape)
        dtype = functools.reduce(jnp.promote_types, (x.dtype for x in xs))
        flat = [x.reshape(*x.shape[:depth], -1).astype(dtype) for x in xs]
        return jnp.concatenate(flat, axis=-1)

    # Evaluation

    def to_dense(self) -> Any:
        """The arrays of the blocks in the pytrees of `blocks`, as `jax.hessian` returns them."""
        return self._nested(lambda op: op.to_dense())

    def as_matrix(self) -> jax.Array:
        """The 2-D array on flat vectors in the order of `ravel_pytree`."""
        return compiled(blockdense.matrix)((), self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.as_matrix(), dtype)

    def to_lineax(self, assume_a: str = "gen") -> Any:
        """The operator for lineax, on pytrees like the argument.

        Blocks that are diagonal, with none beside them, become a `lineax.DiagonalLinearOperator`,
        and any others a `lineax.FunctionLinearOperator` of products, with nothing formed.

        Args:
            assume_a: as in `LinearOperator.to_lineax`.

        Returns:
            A `lineax.AbstractLinearOperator`.

        Raises:
            ImportError: lineax is not installed; the extra `lineax` brings it.
            ValueError: the operator has batch axes, or `assume_a` is not known.
        """
        _checks.assumption("to_lineax", assume_a)
        return interchange.blocks_to_lineax(self, assume_a)

    def diagonal(self) -> Any:
        """The diagonal of the matrix, as a pytree like the argument."""
        _checks.square_blocks("diagonal", self._is_square)
        found = [row[k].diagonal() for k, row in enumerate(self.rows)]
        return jax.tree.unflatten(self.in_tree, found)

    def trace(self) -> jax.Array:
        """The sum of the diagonal."""
        _checks.square_blocks("trace", self._is_square)
        traces = [row[k].trace().astype(self.dtype) for k, row in enumerate(self.rows)]
        return sum(traces, jnp.zeros((), self.dtype))

    def solve(
        self, b: Any, method: str | None = None, symmetric: Any = False, assume_a: str = "gen"
    ) -> Any:
        """The x with ``A @ x = b``.

        Args:
            b: a pytree like the result, or a flat array.
            method: None chooses by structure; `structure.method` says which. "blocks" and
                "eliminate" go by blocks, "dense" forms the matrix, "cg" (for a positive definite
                operator), "gmres" and "bicgstab" iterate.
            symmetric: which leaves of b and x are symmetric matrices: True, False, or a pytree of
                these like the argument. A maps such to such there; commutations drop out of the
                blocks on the diagonal, and A need not be invertible on other matrices.
            assume_a: "gen", or "sym" or "pos" where A is symmetric (Hermitian), or positive
                definite too.

        Returns:
            A pytree like b, in the dtype of operator and b together. Elimination fails where a
            block that is taken out is singular, and none is in a positive definite operator: where
            it leaves a relative residual above √ε the matrix is formed, unless it has more than
            4,096 unknowns or `assume_a` is "pos". The result is then NaN, as it is where an
            iteration ends with such a residual.

        Raises:
            ValueError: the operator is not square, b does not fit, the blocks do not admit the
                method, or a leaf has a zero block and is coupled to no other.
        """
        _checks.square_blocks("solve", self._is_square)
        _checks.assumption("solve", assume_a)
        bs, is_flat = self._operand("solve", b, self.out_tree, self.out_shapes)
        which = _checks.symmetric_leaves("solve", symmetric, self.in_tree, self.in_shapes)
        xs = compiled(blockwise.solve)((method, assume_a, which), self, bs)
        return self._result(xs, self.in_tree, is_flat)

    def factor(self, method: str | None = None, assume_a: str = "gen") -> BlockFactored:
        """The operator with its factorisations done, for many solves.

        Args:
            method: as in `solve`.
            assume_a: as in `solve`.

        Returns:
            A `BlockFactored`, a pytree with the methods `solve`, `logdet` and `inv_quad`, none of
            which factors again.

        Raises:
            ValueError: as for `solve`.
        """
        _checks.square_blocks("factor", self._is_square)
        _checks.assumption("factor", assume_a)
        return compiled(blockfactor.factored)((method, assume_a), self)

    def inv(self, method: str | None = None, assume_a: str = "gen") -> BlockOperator:
        """The inverse: structured where a block stands alone, formed where blocks are coupled."""
        _checks.square_blocks("inv", self._is_square)
        _checks.assumption("inv", assume_a)
        return self.rebuilt(compiled(blockwise.inverse)((method, assume_a), self))

    def logdet(self, method: str | None = None, assume_a: str = "gen") -> jax.Array:
        """log |det A|; -inf for a singular operator."""
        _checks.square_blocks("logdet", self._is_square)
        _checks.assumption("logdet", assume_a)
        return compiled(blockwise.logabsdet)((method, assume_a), self)

    def inv_quad(self, y: Any, assume_a: str = "gen") -> jax.Array:
        """The quadratic form yᴴ A⁻¹ y, for y as in `solve`."""
        _checks.square_blocks("inv_quad", self._is_square)
        _checks.assumption("inv_quad", assume_a)
        ys, _ = self._operand("inv_quad", y, self.out_tree, self.out_shapes)
        return compiled(blockwise.inv_quad)((assume_a,), self, ys)

    def inv_quad_logdet(self, y: Any, assume_a: str = "gen") -> tuple[jax.Array, jax.Array]:
        """yᴴ A⁻¹ y and log |det A|."""
        _checks.square_blocks("inv_quad_logdet", self._is_square)
        _checks.assumption("inv_quad_logdet", assume_a)
        ys, _ = self._operand("inv_quad_logdet", y, self.out_tree, self.out_shapes)
        return compiled(blockwise.inv_quad_logdet)((assume_a,), self, ys)


def _zero(op: LinearOperator) -> LinearOperator:
    return LinearOperator((), op.out_shape, op.in_shape, op.dtype)
