"""A block operator with its factorisations done, for many right-hand sides."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc.linear import blockwise, elimination, factor, iterative, solving
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.blockdense import Arrays
from jaxmatcalc.linear.elimination import Piece
from jaxmatcalc.linear.term import Array

if TYPE_CHECKING:
    from jaxmatcalc.linear.block import BlockOperator
    from jaxmatcalc.linear.operator import LinearOperator

Map = Callable[[Arrays], Arrays]


@jax.tree_util.register_pytree_node_class
class BlockFactored:
    """A square block operator A and what solves it, done once. From `BlockOperator.factor`.

    What hangs together is factored together, as in `BlockOperator.solve`: a block alone by its own
    structure, coupled ones by elimination or as one matrix. It is a pytree: it goes through `jit`,
    `vmap` and `scan`, and its methods factor nothing again. Their derivatives in the right-hand
    side and in everything inside the operator are right, to every order, where operator and factors
    come from one call of `factor`.

    Attributes:
        operator: A.
        method: how it is solved, as in `BlockOperator.solve`. The iterative methods keep their
            preconditioner.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> f = lambda p: jnp.sum(p["x"] ** 2) + jnp.exp(p["y"])
        >>> H = jmc.hessian_operator(f)({"x": jnp.ones(2), "y": jnp.zeros(())})
        >>> factored = H.factor()
        >>> factored.method, factored.solve({"x": jnp.ones(2), "y": jnp.ones(())})["x"].tolist()
        ('blocks', [0.5, 0.5])
    """

    __slots__ = ("operator", "method", "_given", "_assume_a", "_pieces", "_kept", "_logdet")

    operator: BlockOperator
    method: str

    def __init__(self, operator: Any, kept: Any, logdet: Any, method: str, plan: Any):
        self.operator, self.method = operator, method
        self._kept, self._logdet = kept, logdet
        self._given, self._assume_a, self._pieces = plan

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """The operator, its factors and its log-determinant; the plan is static."""
        plan = self._given, self._assume_a, self._pieces
        return (self.operator, self._kept, self._logdet), (self.method, plan)

    @classmethod
    def tree_unflatten(cls, aux: Any, children: Any) -> BlockFactored:
        """The object with these leaves, whatever they are."""
        return cls(*children, *aux)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes of the operator, where it is the result of a `vmap`."""
        return self.operator.batch_shape

    def __repr__(self) -> str:
        return f"BlockFactored({self.operator!r}, method {self.method!r})"

    def solve(self, b: Any) -> Any:
        """The x with ``A @ x = b``, for one right-hand side or many.

        Args:
            b: a pytree like the operator's result, with leaves of shape (..., *leaf's shape), or
                flat right-hand sides (..., n); the leading axes, the same for every leaf, count
                right-hand sides and come after those of a batch of operators.

        Returns:
            A pytree like b, or flat, in the dtype of operator and b together. A singular operator
            gives inf or NaN. Where elimination fails, as it does if a block that is taken out is
            singular, the matrix is formed and factored anew, under the conditions of
            `BlockOperator.solve`.

        Raises:
            ValueError: b does not fit.
        """
        op = self.operator
        shapes = op.out_shapes
        bs, is_flat = _checks.tree_right_hand_sides("solve", b, op.out_tree, shapes, op.batch_shape)
        xs = compiled(_solve)((), self, bs)
        if not is_flat:
            return jax.tree.unflatten(op.in_tree, xs)
        lead = bs[0].ndim - len(shapes[0])
        return jnp.concatenate([x.reshape(*x.shape[:lead], -1) for x in xs], axis=-1)

    def inv_quad(self, y: Any) -> jax.Array:
        """The quadratic form yᴴ A⁻¹ y, for each y as in `solve`."""
        op = self.operator
        ys, _ = _checks.tree_right_hand_sides(
            "inv_quad", y, op.out_tree, op.out_shapes, op.batch_shape
        )
        return compiled(_inv_quad)((), self, ys)

    def logdet(self) -> jax.Array:
        """log |det A|."""
        return compiled(_logdet)((), self)


def factored(H: BlockOperator, method: str | None, assume_a: str) -> BlockFactored:
    """The operator with what its solves have in common."""
    pieces = tuple(blockwise.planned(H, method, assume_a, "solve"))
    blockwise.nonzero(H, pieces)
    fixed = lax.stop_gradient(H)
    kept = tuple(_kept(fixed.part(piece.indices), piece, assume_a) for piece in pieces)
    names = [_name(H.part(piece.indices), piece, assume_a) for piece in pieces]
    logdet = None
    if not any(name in iterative.METHODS for name in names):
        logdet = blockwise.logabsdet(fixed, method, assume_a, True)
    word = elimination.method(pieces) if method is None else method
    return BlockFactored(H, kept, logdet, word, (method, assume_a, pieces))


def _name(H: BlockOperator, piece: Piece, assume_a: str) -> str:
    """How a piece is solved; that of a block alone is its own."""
    return _of_block(H.rows[0][0], assume_a) if piece.method == "single" else piece.method


def _of_block(op: LinearOperator, assume_a: str) -> str:
    return solving.choose(op.terms, op.structure, None, assume_a)


def _kept(H: BlockOperator, piece: Piece, assume_a: str) -> Any:
    """Maps of right-hand sides, as pytrees of what they compute without them.

    One that solves, with whether it does; or two preconditioners.
    """
    zeros = [jnp.zeros(shape, H.dtype) for shape in H.out_shapes]

    def apart(function: Map) -> Map:
        return jax.linearize(function, zeros)[1]

    if _name(H, piece, assume_a) in iterative.METHODS:
        return tuple(map(apart, blockwise.preconditioners(H, assume_a)))

    def solver(op: LinearOperator) -> Callable[[Array], Array]:
        return factor.solver(op, _of_block(op, assume_a), assume_a)

    if piece.method == "single":
        return apart(lambda bs: [solver(H.rows[0][0])(bs[0])]), None
    if piece.method == "dense":
        return apart(lambda bs: blockwise.dense_solution(H, bs)), None
    solve = apart(blockwise.substitution(H, piece.places, solver))
    keys = jax.random.split(jax.random.key(0), len(zeros))
    probe = [jax.random.normal(k, z.shape, z.dtype) for k, z in zip(keys, zeros, strict=True)]
    return solve, blockwise.is_solution(H, solve(probe), probe)


def _solve(self: BlockFactored, bs: Arrays) -> Arrays:
    """The solutions for right-hand sides that have axes before those of the operator."""
    H = self.operator
    if not bs:
        return bs
    if any(map(jnp.iscomplexobj, bs)) and not jnp.issubdtype(H.dtype, jnp.complexfloating):
        parts = [_solve(self, [part(b) for b in bs]) for part in (jnp.real, jnp.imag)]
        return list(map(lax.complex, *parts))
    shapes = H.out_shapes
    lead = bs[0].shape[: bs[0].ndim - len(shapes[0])]
    count = math.prod(lead)
    many = [b.astype(H.dtype).reshape(count, *s) for b, s in zip(bs, shapes, strict=True)]
    if count == 1:
        xs = _solution(self, [b[0] for b in many])
    else:
        xs = jax.vmap(functools.partial(_solution, self))(many)
    return [x.reshape(b.shape) for x, b in zip(xs, bs, strict=True)]


def _solution(self: BlockFactored, bs: Arrays) -> Arrays:
    xs = list(bs)
    for piece, kept in zip(self._pieces, self._kept, strict=True):
        part = self.operator.part(piece.indices)
        found = _of_piece(
            part,
            kept,
            _name(part, piece, self._assume_a),
            self._assume_a,
            [bs[i] for i in piece.indices],
        )
        for i, x in zip(piece.indices, found, strict=True):
            xs[i] = x
    return xs


def _of_piece(H: BlockOperator, kept: Any, name: str, assume_a: str, bs: Arrays) -> Arrays:
    """The solution for what hangs together; its derivative takes dA from the product with A."""
    dtype = bs[0].dtype

    def product(H: BlockOperator) -> Map:
        return lambda xs: [y.astype(dtype) for y in blockwise.apply(H, xs)]

    if name in iterative.METHODS:
        transposes = [functools.partial(_transposed, f) for f in kept]
        return lax.custom_linear_solve(
            product(H),
            bs,
            lambda _, bs: iterative.solve(product(H), bs, name, *kept),
            lambda _, bs: iterative.solve(product(blockwise.transpose(H)), bs, name, *transposes),
        )
    solve, holds = kept

    def guarded(solve: Map, H: BlockOperator, bs: Arrays) -> Arrays:
        if holds is None:
            return solve(bs)
        if blockwise.may_form(H, assume_a):
            return lax.cond(holds, solve, lambda bs: blockwise.dense_solution(H, bs), bs)
        return [jnp.where(holds, x, jnp.nan) for x in solve(bs)]

    return lax.custom_linear_solve(
        product(H),
        bs,
        lambda _, bs: guarded(solve, H, bs),
        lambda _, bs: guarded(functools.partial(_transposed, solve), blockwise.transpose(H), bs),
    )


def _transposed(function: Map, bs: Arrays) -> Arrays:
    return jax.linear_transpose(function, bs)(bs)[0]


def _inv_quad(self: BlockFactored, ys: Arrays) -> Array:
    total: Any = 0
    for y, x, shape in zip(ys, _solve(self, ys), self.operator.out_shapes, strict=True):
        axes = tuple(range(x.ndim - len(shape), x.ndim))
        total = total + jnp.sum(y.astype(x.dtype).conj() * x, axes)
    return jnp.asarray(total)


def _logdet(self: BlockFactored) -> Array:
    if self._logdet is None:
        return blockwise.logabsdet(self.operator, None, self._assume_a)
    options = (blockwise.logabsdet, self._given, self._assume_a)
    return factor.at_hand(options, self.operator, self._logdet)
