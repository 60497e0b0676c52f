"""The linear operator: a sum of einsum terms, as a pytree with the arithmetic of linear maps."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks
from jaxmatcalc.linear import solve as solving
from jaxmatcalc.linear import term as terms_
from jaxmatcalc.linear.merge import merge
from jaxmatcalc.linear.structure import Structure, structure
from jaxmatcalc.linear.term import Array, Factor, Label, Misaligned, Term

Spec = Any  # hashable: the terms with arrays and labels replaced by numbers


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """One compiled call for a method, mapped over the leading axes of a batch of operators.

    Arrays that come more than once go in once: like terms are told by the identity of their arrays.
    """

    @functools.partial(jax.jit, static_argnums=(0, 1, 2))
    def compiled(options: Any, tree: Any, places: tuple[int, ...], arrays: list[Array]) -> Any:
        args = jax.tree.unflatten(tree, [arrays[k] for k in places])

        def mapped(*args: Any) -> Any:
            return function(*args, *options)

        for _ in args[0].batch_shape:
            mapped = jax.vmap(mapped)
        return mapped(*args)

    def call(options: tuple[Any, ...], *args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        unique = {id(leaf): leaf for leaf in leaves}
        order = {key: k for k, key in enumerate(unique)}
        places = tuple(order[id(leaf)] for leaf in leaves)
        return compiled(options, tree, places, list(unique.values()))

    return call


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
        self.arrays, self.spec = _pack(merge(terms), dtype)
        self.out_shape, self.in_shape = tuple(out_shape), tuple(in_shape)
        self.fallbacks = tuple(dict.fromkeys(fallbacks))
        self._dtype = np.dtype(dtype)

    def tree_flatten(self) -> tuple[tuple[Array, ...], Any]:
        return self.arrays, (
            self.spec,
            self.out_shape,
            self.in_shape,
            self.fallbacks,
            self._dtype,
        )

    @classmethod
    def tree_unflatten(cls, aux: Any, arrays: Iterable[Array]) -> LinearOperator:
        self = object.__new__(cls)
        self.arrays = tuple(arrays)
        self.spec, self.out_shape, self.in_shape, self.fallbacks, self._dtype = aux
        return self

    # What it is

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the sum, with labels of their own."""
        return _unpack(self.arrays, self.spec)

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
    def structure(self) -> Structure:
        """What the operator is made of, and how `solve` and `logdet` go about it."""
        return structure(self._unbatched_terms(), self.out_shape, self.in_shape, self.fallbacks)

    def _unbatched_terms(self) -> tuple[Term, ...]:
        if not self.batch_shape:
            return self.terms
        drop = len(self.batch_shape)
        shapes = [jax.ShapeDtypeStruct(jnp.shape(a)[drop:], a.dtype) for a in self.arrays]
        return _unpack(tuple(shapes), self.spec)

    def __repr__(self) -> str:
        if not all(hasattr(a, "shape") for a in self.arrays):  # a tree of placeholders
            return f"LinearOperator({self.in_shape} → {self.out_shape})"
        batch = f", batch {self.batch_shape}" if self.batch_shape else ""
        return (
            f"LinearOperator({self.in_shape} → {self.out_shape}, {self.dtype.name}{batch}: "
            f"{self.structure.formula})"
        )

    # Arithmetic

    def _like(
        self, terms: Iterable[Term], *others: LinearOperator, dtype: Any = None
    ) -> LinearOperator:
        """An operator of the same shapes that remembers every fallback on the way to it."""
        fallbacks = sum((o.fallbacks for o in others), self.fallbacks)
        return LinearOperator(
            terms, self.out_shape, self.in_shape, dtype or self.dtype, fallbacks
        )

    @property
    def T(self) -> LinearOperator:
        """The transpose, without conjugation."""
        return _compiled(_transpose)((), self)

    def adjoint(self) -> LinearOperator:
        """The conjugate transpose, ⟨y, A x⟩ = ⟨Aᴴ y, x⟩."""
        return _compiled(_adjoint)((), self)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        _checks.same_operator_shapes("+", self.shape_pair, other.shape_pair)
        return _compiled(_add)((), self, other)

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
        return _scale(self, scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Any) -> LinearOperator:
        _checks.scalar_factor(scalar)
        return _scale(self, 1 / scalar)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, LinearOperator):
            _checks.composable(self.in_shape, other.out_shape)
            return _compiled(_compose)((), self, other)
        x = _checks.operand("LinearOperator @", other, self.in_shape, self.batch_shape)
        return _compiled(_apply)((), self, x)

    @property
    def shape_pair(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.out_shape, self.in_shape

    # Evaluation

    def to_dense(self) -> jax.Array:
        """The array of shape ``out_shape + in_shape``."""
        return _compiled(_to_dense)((), self)

    def as_matrix(self) -> jax.Array:
        """The 2-D array of shape (prod(out_shape), prod(in_shape)), both sides row-major."""
        rows, columns = math.prod(self.out_shape), math.prod(self.in_shape)
        return self.to_dense().reshape(*self.batch_shape, rows, columns)

    def __jax_array__(self) -> jax.Array:
        return self.to_dense()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.to_dense(), dtype)

    def diagonal(self) -> jax.Array:
        """The diagonal of the matrix, as an array of `in_shape`."""
        _checks.square_operator("diagonal", *self.shape_pair)
        return _compiled(_diagonal)((), self)

    def trace(self) -> jax.Array:
        """The sum of the diagonal."""
        _checks.square_operator("trace", *self.shape_pair)
        return _compiled(_trace)((), self)

    def solve(self, b: Any, method: str | None = None, symmetric: bool = False) -> jax.Array:
        """The x with ``A @ x = b``.

        Args:
            b: array of `out_shape`, or flat.
            method: None chooses by structure; `structure.method` says which. "dense" forms the
                matrix; "kronecker", "eigen" and "schur" force that way, "eigen" taking the
                Kronecker factors to be symmetric (Hermitian).
            symmetric: whether b and x are symmetric matrices, and A maps such to such. Commutations
                then drop out, and A need not be invertible on other matrices.

        Returns:
            An array shaped as b. A singular operator gives inf or NaN, as `jnp.linalg.solve` does.

        Raises:
            ValueError: the operator is not square, b does not fit, or the structure does not
                admit the method.
        """
        _checks.square_operator("solve", *self.shape_pair)
        b = _checks.operand("solve", b, self.out_shape, self.batch_shape)
        if symmetric:
            _checks.symmetric_matrices("solve", self.in_shape)
        return _compiled(_solve)((method, symmetric), self, b)

    def inv(self, method: str | None = None) -> LinearOperator:
        """The inverse, in structured form where there is one."""
        _checks.square_operator("inv", *self.shape_pair)
        return _compiled(_inv)((method,), self)

    def logdet(self, method: str | None = None) -> jax.Array:
        """log |det A|; -inf for a singular operator."""
        _checks.square_operator("logdet", *self.shape_pair)
        return _compiled(_logabsdet)((method,), self)


def _pack(terms: Iterable[Term], dtype: Any) -> tuple[tuple[Array, ...], Spec]:
    """Arrays, each once, and what is static; labels are numbered in canonical order.

    Every term gets a scalar, so that its dtype and a batch axis always have a leaf to live in.
    """
    arrays: list[Array] = []
    index: dict[int, int] = {}
    spec = []
    for term in terms:
        if all(f.labels for f in term.factors):
            term = term.times(np.ones((), dtype))
        number: dict[Label, int] = {k: i for i, k in enumerate(terms_.walk_labels(term))}
        factors = []
        for f in term.factors:
            if id(f.array) not in index:
                index[id(f.array)] = len(arrays)
                arrays.append(f.array)
            labels = tuple(number[k] for k in f.labels)
            factors.append((index[id(f.array)], labels, f.symmetric))
        spec.append(
            (
                tuple(factors),
                tuple(tuple(number[k] for k in g) for g in term.out),
                tuple(tuple(number[k] for k in g) for g in term.in_),
                tuple(k.size for k in number),
            )
        )
    return tuple(jnp.asarray(a, _leaf_dtype(a, dtype)) for a in arrays), tuple(spec)


def _leaf_dtype(array: Array, dtype: Any) -> Any:
    return dtype if terms_.is_static(array) else array.dtype


def _unpack(arrays: tuple[Array, ...], spec: Spec) -> tuple[Term, ...]:
    terms = []
    for factors, out, in_, sizes in spec:
        labels = [Label(n) for n in sizes]

        def group(numbers: tuple[int, ...], labels: list[Label] = labels) -> tuple[Label, ...]:
            return tuple(labels[k] for k in numbers)

        terms.append(
            Term(
                tuple(Factor(arrays[i], group(ks), sym) for i, ks, sym in factors),
                tuple(map(group, out)),
                tuple(map(group, in_)),
            )
        )
    return tuple(terms)


# The methods as functions of pytrees, for `jit` and `vmap`


def _transpose(op: LinearOperator) -> LinearOperator:
    return LinearOperator(
        [t.transpose() for t in op.terms], op.in_shape, op.out_shape, op.dtype, op.fallbacks
    )


def _adjoint(op: LinearOperator) -> LinearOperator:
    if not np.issubdtype(op.dtype, np.complexfloating):
        return _transpose(op)
    terms = [t.transpose().map_arrays(jnp.conj) for t in op.terms]
    return LinearOperator(terms, op.in_shape, op.out_shape, op.dtype, op.fallbacks)


def _add(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    dtype = jnp.promote_types(left.dtype, right.dtype)
    return left._like(left.terms + right.terms, right, dtype=dtype)


def _scale(op: LinearOperator, scalar: Any) -> LinearOperator:
    scalar = jnp.asarray(scalar, jnp.result_type(op.dtype, scalar))
    return _compiled(_times)((), op, jnp.broadcast_to(scalar, op.batch_shape))


def _times(op: LinearOperator, scalar: Array) -> LinearOperator:
    dtype = jnp.result_type(op.dtype, scalar)
    return op._like([terms_.close(t.times(scalar)) for t in op.terms], dtype=dtype)


def _compose(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    dtype = jnp.promote_types(left.dtype, right.dtype)
    terms = []
    for a in left.terms:
        for b in right.terms:
            b = terms_.relabelled(b)
            try:
                terms.append(terms_.compose(a, b))
            except Misaligned:
                a_, b_ = terms_.densified(a, dtype), terms_.densified(b, dtype)
                terms.append(terms_.compose(a_, b_))
    fallbacks = left.fallbacks + right.fallbacks
    return LinearOperator(terms, left.out_shape, right.in_shape, dtype, fallbacks)


def _apply(op: LinearOperator, x: Array) -> Array:
    dtype = jnp.result_type(op.dtype, x)
    result = jnp.zeros(op.out_shape, dtype)
    for k, term in enumerate(op.terms):
        image = terms_.apply(term, x, dtype)
        result = image if k == 0 else result + image
    return result if x.shape == op.in_shape else result.reshape(-1)


def _to_dense(op: LinearOperator) -> Array:
    pieces = [terms_.dense(t, op.dtype) for t in op.terms]
    return functools.reduce(jnp.add, pieces) if pieces else jnp.zeros(op.shape, op.dtype)


def _reduced(op: LinearOperator, reduce: Callable[[Term], Term], shape: tuple[int, ...]) -> Array:
    result = jnp.zeros(shape, op.dtype)
    for term in op.terms:
        try:
            reduced = reduce(term)
        except Misaligned:
            reduced = reduce(terms_.densified(term, op.dtype))
        result = result + terms_.dense(reduced, op.dtype)
    return result


def _diagonal(op: LinearOperator) -> Array:
    return _reduced(op, terms_.diagonal, op.in_shape)


def _trace(op: LinearOperator) -> Array:
    return _reduced(op, terms_.trace, ())


def _inv(op: LinearOperator, method: str | None) -> LinearOperator:
    terms = solving.inverse(op.terms, op.structure, op.dtype, method)
    return LinearOperator(terms, op.in_shape, op.out_shape, op.dtype, op.fallbacks)


def _solve(op: LinearOperator, b: Array, method: str | None, symmetric: bool) -> Array:
    if symmetric:
        op = op._like(solving.on_symmetric(op.terms))
    dtype = jnp.result_type(op.dtype, b)
    x = _solution(op, b.reshape(op.out_shape).astype(dtype), method)
    if symmetric:
        x = (x + x.T) / 2
    return x.reshape(b.shape)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _solution(op: LinearOperator, b: Array, method: str | None) -> Array:
    return solving.solve(op.terms, op.structure, op.dtype, b, method)


@_solution.defjvp
def _solution_rule(method: str | None, primals: Any, tangents: Any) -> Any:
    # A x = b gives dx = A⁻¹ (db - dA x): no factorisation is differentiated
    (op, b), (op_dot, b_dot) = primals, tangents
    x = _solution(op, b, method)
    _, moved = jax.jvp(lambda a: _apply(a, x), (op,), (op_dot,))
    return x, _solution(op, b_dot - moved, method)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _logabsdet(op: LinearOperator, method: str | None) -> Array:
    return solving.logdet(op.terms, op.structure, op.dtype, method)


@_logabsdet.defjvp
def _logabsdet_rule(method: str | None, primals: Any, tangents: Any) -> Any:
    # d log|det A| = tr(A⁻¹ dA), the trace taken from the terms
    (op,), (op_dot,) = primals, tangents
    inverse = _inv(op, method)
    _, moved = jax.jvp(lambda a: _trace(_compose(inverse, a)), (op,), (op_dot,))
    return _logabsdet(op, method), jnp.real(moved)
