"""The linear operator: a sum of einsum terms, as a pytree with the arithmetic of linear maps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks
from jaxmatcalc.linear import arithmetic
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.merge import merge
from jaxmatcalc.linear.packing import Spec, pack, unpack
from jaxmatcalc.linear.structure import Structure, structure
from jaxmatcalc.linear.term import Array, Term


@jax.tree_util.register_pytree_node_class
class LinearOperator:
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
    __slots__ = ("arrays", "fallbacks", "in_shape", "out_shape", "spec", "_dtype")

    arrays: tuple[Array, ...]
    spec: Spec
    out_shape: tuple[int, ...]
    in_shape: tuple[int, ...]
    fallbacks: tuple[str, ...]

    def __init__(
        self,
        terms: Iterable[Term],
        out_shape: tuple[int, ...],
        in_shape: tuple[int, ...],
        dtype: Any,
        fallbacks: tuple[str, ...] = (),
    ):
        self.arrays, self.spec = pack(merge(terms), dtype)
        self.out_shape, self.in_shape = tuple(out_shape), tuple(in_shape)
        self.fallbacks = tuple(dict.fromkeys(fallbacks))
        self._dtype = np.dtype(dtype)

    def tree_flatten(self) -> tuple[tuple[Array, ...], Any]:
        """The factors, and everything static."""
        return self.arrays, (
            self.spec,
            self.out_shape,
            self.in_shape,
            self.fallbacks,
            self._dtype,
        )

    @classmethod
    def tree_unflatten(cls, aux: Any, arrays: Iterable[Array]) -> LinearOperator:
        """The operator with these leaves, whatever they are."""
        self = object.__new__(cls)
        self.arrays = tuple(arrays)
        self.spec, self.out_shape, self.in_shape, self.fallbacks, self._dtype = aux
        return self

    # What it is

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the sum, with labels of their own."""
        return unpack(self.arrays, self.spec)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the dense array."""
        return self._dtype

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes of the factors, where the operator is the result of a `vmap`."""
        if not self.arrays:
            return ()
        rank = next(
            len(labels) for factors, *_ in self.spec for index, labels, _ in factors if index == 0
        )
        full = jnp.shape(self.arrays[0])
        return full[: len(full) - rank]

    @property
    def shape(self) -> tuple[int, ...]:
        """``out_shape + in_shape``: the shape of `to_dense`, after the batch axes."""
        return self.out_shape + self.in_shape

    @property
    def _shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.out_shape, self.in_shape

    @property
    def structure(self) -> Structure:
        """What the operator is made of, and how `solve` and `logdet` go about it."""
        return structure(self._unbatched_terms(), self.out_shape, self.in_shape, self.fallbacks)

    def _unbatched_terms(self) -> tuple[Term, ...]:
        if not self.batch_shape:
            return self.terms
        drop = len(self.batch_shape)
        shapes = [jax.ShapeDtypeStruct(jnp.shape(a)[drop:], a.dtype) for a in self.arrays]
        return unpack(tuple(shapes), self.spec)

    def __repr__(self) -> str:
        if not all(hasattr(a, "shape") for a in self.arrays):  # a tree of placeholders
            return f"LinearOperator({self.in_shape} → {self.out_shape})"
        batch = f", batch {self.batch_shape}" if self.batch_shape else ""
        return (
            f"LinearOperator({self.in_shape} → {self.out_shape}, {self.dtype.name}{batch}: "
            f"{self.structure.formula})"
        )

    # Arithmetic

    def rebuilt(
        self,
        terms: Iterable[Term],
        *others: LinearOperator,
        out_shape: tuple[int, ...] | None = None,
        in_shape: tuple[int, ...] | None = None,
        dtype: Any = None,
    ) -> LinearOperator:
        """An operator made from this one and others, which remembers every fallback on the way."""
        return LinearOperator(
            terms,
            self.out_shape if out_shape is None else out_shape,
            self.in_shape if in_shape is None else in_shape,
            self.dtype if dtype is None else dtype,
            sum((other.fallbacks for other in others), self.fallbacks),
        )

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
            return NotImplemented
        _checks.same_operator_shapes("+", self._shapes, other._shapes)
        return compiled(arithmetic.add)((), self, other)

    def __neg__(self) -> LinearOperator:
        return self * -1

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        return self + (-other)

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

    def diagonal(self) -> jax.Array:
        """The diagonal of the matrix, as an array of `in_shape`."""
        _checks.square_operator("diagonal", *self._shapes)
        return compiled(arithmetic.diagonal)((), self)

    def trace(self) -> jax.Array:
        """The sum of the diagonal."""
        _checks.square_operator("trace", *self._shapes)
        return compiled(arithmetic.trace)((), self)

    def solve(
        self, b: Any, method: str | None = None, symmetric: bool = False, assume_a: str = "gen"
    ) -> jax.Array:
        """The x with ``A @ x = b``.

        Args:
            b: array of `out_shape`, or flat.
            method: None chooses by structure; `structure.method` says which. "dense" forms the
                matrix; "kronecker", "eigen" and "schur" force that way, "eigen" taking the
                Kronecker factors to be symmetric (Hermitian).
            symmetric: whether b and x are symmetric matrices, and A maps such to such. Commutations
                then drop out, and A need not be invertible on other matrices.
            assume_a: "gen", or "sym" or "pos" where A is symmetric (Hermitian), or positive
                definite too. The Kronecker factors of sums are then taken to be symmetric.

        Returns:
            An array shaped as b. A singular operator gives inf or NaN, as `jnp.linalg.solve` does.

        Raises:
            ValueError: the operator is not square, b does not fit, or the structure does not
                admit the method.
        """
        _checks.square_operator("solve", *self._shapes)
        _checks.assumption("solve", assume_a)
        b = _checks.operand("solve", b, self.out_shape, self.batch_shape)
        if symmetric:
            _checks.symmetric_matrices("solve", self.in_shape)
        return compiled(arithmetic.solve)((method, symmetric, assume_a), self, b)

    def inv(self, method: str | None = None, assume_a: str = "gen") -> LinearOperator:
        """The inverse, in structured form where there is one."""
        _checks.square_operator("inv", *self._shapes)
        _checks.assumption("inv", assume_a)
        return compiled(arithmetic.inv)((method, assume_a), self)

    def logdet(self, method: str | None = None, assume_a: str = "gen") -> jax.Array:
        """log |det A|; -inf for a singular operator."""
        _checks.square_operator("logdet", *self._shapes)
        _checks.assumption("logdet", assume_a)
        return compiled(arithmetic.logabsdet)((method, assume_a), self)

    def inv_quad(self, y: Any, assume_a: str = "gen") -> jax.Array:
        """The quadratic form yᴴ A⁻¹ y, for y as in `solve`."""
        _checks.square_operator("inv_quad", *self._shapes)
        _checks.assumption("inv_quad", assume_a)
        y = _checks.operand("inv_quad", y, self.out_shape, self.batch_shape)
        return compiled(arithmetic.inv_quad)((assume_a,), self, y)

    def inv_quad_logdet(self, y: Any, assume_a: str = "gen") -> tuple[jax.Array, jax.Array]:
        """yᴴ A⁻¹ y and log |det A|, from one decomposition of the factors."""
        _checks.square_operator("inv_quad_logdet", *self._shapes)
        _checks.assumption("inv_quad_logdet", assume_a)
        y = _checks.operand("inv_quad_logdet", y, self.out_shape, self.batch_shape)
        return compiled(arithmetic.inv_quad_logdet)((assume_a,), self, y)
