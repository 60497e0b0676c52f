"""The linear operator: a sum of einsum terms, as a pytree with the arithmetic of linear maps."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks
from jaxmatcalc.linear import arithmetic, interchange
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.equations import Equations
from jaxmatcalc.linear.spectrum import Spectrum


@jax.tree_util.register_pytree_node_class
class LinearOperator(Equations, Spectrum):
    """A linear map between arrays, kept as a sum of structured terms and never formed.

    A ∈ L(R^in_shape, R^out_shape). ``A @ x`` takes an array of `in_shape` to one of `out_shape`; a
    flat vector is read row-major, so that ``A.as_matrix() @ x.ravel()`` is the same. Operators come
    from `hessian_operator` and `jacobian_operator`, and from the constructors `identity`,
    `diagonal`, `kronecker` and `commutation`.

    It is a pytree whose leaves are the factors: it goes through `jit`, `vmap` and `scan`, and can
    be returned from them. What a `vmap` returns carries leading batch axes (`batch_shape`); its
    methods map over them.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A, B = jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.eye(2)
        >>> H = jmc.kronecker(A, B) + 3 * jmc.identity((2, 2))
        >>> print(H.structure)
        kronecker + identity
        >>> bool(jnp.allclose(H @ jnp.eye(2), A + 3 * jnp.eye(2)))
        True
    """

    __array_priority__ = 1000  # NumPy arrays leave `array * operator` to us
    __slots__ = ()

    # Arithmetic

    def _scaled(self, scalar: Any) -> LinearOperator:
        scalar = jnp.asarray(scalar, jnp.result_type(self.dtype, scalar))
        scalars = jnp.broadcast_to(scalar, self.batch_shape)
        return compiled(arithmetic.times)((), self, scalars)

    @property
    def T(self) -> LinearOperator:
        """The transpose, without conjugation."""
        return arithmetic.transpose(self)

    def adjoint(self) -> LinearOperator:
        """The conjugate transpose, ⟨y, A x⟩ = ⟨Aᴴ y, x⟩."""
        is_complex = np.issubdtype(self.dtype, np.complexfloating)
        return compiled(arithmetic.adjoint)((), self) if is_complex else self.T

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            _checks.not_an_array("+", other)
            return NotImplemented
        _checks.same_operator_shapes("+", self._shapes, other._shapes)
        return compiled(arithmetic.add)((), self, other)

    __radd__ = __add__

    def __neg__(self) -> LinearOperator:
        return self * -1

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            _checks.not_an_array("+", other)
            return NotImplemented
        return self + (-other)

    __rsub__ = __sub__

    def __mul__(self, scalar: Any) -> LinearOperator:
        if isinstance(scalar, LinearOperator):
            return NotImplemented
        _checks.scalar_factor(scalar)
        return self._scaled(scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Any) -> LinearOperator:
        _checks.scalar_factor(scalar)
        return self._scaled(1 / scalar)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, LinearOperator):
            _checks.composable(self.in_shape, other.out_shape)
            return compiled(arithmetic.compose)((), self, other)
        x = _checks.operand("LinearOperator @", other, self.in_shape, self.batch_shape)
        return compiled(arithmetic.apply)((), self, x)

    def __rmatmul__(self, other: Any) -> Any:
        _checks.not_an_array("@", other)
        return NotImplemented

    # Evaluation

    def to_dense(self) -> jax.Array:
        """The array of shape ``out_shape + in_shape``."""
        return compiled(arithmetic.to_dense)((), self)

    def as_matrix(self) -> jax.Array:
        """The 2-D array of shape (prod(out_shape), prod(in_shape)), both sides row-major."""
        rows, columns = math.prod(self.out_shape), math.prod(self.in_shape)
        return self.to_dense().reshape(*self.batch_shape, rows, columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.to_dense(), dtype)

    def __jax_array__(self) -> Any:
        return interchange.Formed(self)

    def to_lineax(self, assume_a: str = "gen") -> Any:
        """The operator for lineax, on arrays of `in_shape`.

        A diagonal operator becomes a `lineax.DiagonalLinearOperator`, a multiple of the identity
        that multiple of a `lineax.IdentityLinearOperator`, and any other a
        `lineax.FunctionLinearOperator` of products, with nothing formed.

        Args:
            assume_a: "sym" for the tag `lineax.symmetric_tag`, "pos" also for
                `lineax.positive_semidefinite_tag`, which `lineax.CG` asks for.

        Returns:
            A `lineax.AbstractLinearOperator`.

        Raises:
            ImportError: lineax is not installed; the extra `lineax` brings it.
            ValueError: the operator has batch axes, or `assume_a` is not known.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> H = jmc.kronecker(jnp.eye(2), 2 * jnp.eye(3)) + jmc.identity((2, 3))
            >>> A = H.to_lineax(assume_a="pos")
            >>> A.mv(jnp.ones((2, 3))).shape
            (2, 3)
        """
        _checks.assumption("to_lineax", assume_a)
        return interchange.to_lineax(self, assume_a)

    def diagonal(self) -> jax.Array:
        """The diagonal of the matrix, as an array of `in_shape`."""
        _checks.square_operator("diagonal", *self._shapes)
        return compiled(arithmetic.diagonal)((), self)

    def trace(self) -> jax.Array:
        """The sum of the diagonal."""
        _checks.square_operator("trace", *self._shapes)
        return compiled(arithmetic.trace)((), self)
