"""The methods of an operator as functions of pytrees, for `jit`, `vmap` and derivative rules."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc._precision import matmul, vdot
from jaxmatcalc.linear import contraction, iterative, packing, preconditioning, solving, woodbury
from jaxmatcalc.linear.structure import LARGE
from jaxmatcalc.linear.term import Array, Misaligned, Term, relabelled

if TYPE_CHECKING:
    from jaxmatcalc.linear.operator import LinearOperator


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """One compiled call for a method, mapped over the leading axes of a batch of operators.

    Arrays that come more than once go in once: like terms are told by the identity of their arrays.
    """

    @functools.partial(jax.jit, static_argnums=(0, 1, 2))
    def compiled(options: Any, tree: Any, places: tuple[int, ...], arrays: list[Array]) -> Any:
        args = jax.tree.unflatten(tree, [arrays[k] for k in places])

        def mapped(*args: Any) -> Any:
            return function(*args, *options)

        # an operator without batch axes goes with each one of a batch
        batches = [a.batch_shape for a in args if hasattr(a, "batch_shape")]
        axes = [0 if getattr(a, "batch_shape", True) else None for a in args]
        for _ in max(batches, key=len):
            mapped = jax.vmap(mapped, axes)
        return mapped(*args)

    def call(options: tuple[Any, ...], *args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        unique = {id(leaf): leaf for leaf in leaves}
        order = {key: k for k, key in enumerate(unique)}
        places = tuple(order[id(leaf)] for leaf in leaves)
        return compiled(options, tree, places, list(unique.values()))

    return call


def transpose(op: LinearOperator) -> LinearOperator:
    """Exchange ``out`` and ``in``; arrays stay the same objects, so that Aᵀ @ A is known as AᵀA."""
    static = (packing.transposed(op.spec), op.in_shape, op.out_shape, op.fallbacks, op.dtype)
    return type(op).tree_unflatten(static, op.arrays)


def adjoint(op: LinearOperator) -> LinearOperator:
    """Transpose and conjugate."""
    op = transpose(op)
    return op.rebuilt([t.map_arrays(jnp.conj) for t in op.terms])


def add(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """All terms together; like ones merge."""
    dtype = jnp.promote_types(left.dtype, right.dtype)
    return left.rebuilt(left.terms + right.terms, right, dtype=dtype)


def times(op: LinearOperator, scalar: Array) -> LinearOperator:
    """One more scalar factor in each term."""
    terms = [contraction.close(t.times(scalar)) for t in op.terms]
    return op.rebuilt(terms, dtype=jnp.result_type(op.dtype, scalar))


def compose(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """Each term after each; those whose axes are split at odds are formed first."""
    dtype = jnp.promote_types(left.dtype, right.dtype)
    terms = []
    for a in left.terms:
        for b in map(relabelled, right.terms):
            try:
                terms.append(contraction.compose(a, b))
            except Misaligned:
                formed = (contraction.densified(t, dtype) for t in (a, b))
                terms.append(contraction.compose(*formed))
    return left.rebuilt(terms, right, in_shape=right.in_shape, dtype=dtype)


def apply(op: LinearOperator, x: Array) -> Array:
    """The product with an array of ``in_shape``, or a flat one."""
    dtype = jnp.result_type(op.dtype, x)
    images = [contraction.apply(t, x, dtype) for t in op.terms]
    result = functools.reduce(jnp.add, images) if images else jnp.zeros(op.out_shape, dtype)
    return result if x.shape == op.in_shape else result.reshape(-1)


def to_dense(op: LinearOperator) -> Array:
    """The sum of the terms, formed."""
    return contraction.dense_sum(op.terms, op.dtype) if op.terms else jnp.zeros(op.shape, op.dtype)


def _reduced(op: LinearOperator, reduce: Callable[[Term], Term], shape: tuple[int, ...]) -> Array:
    """The sum over terms of what `reduce` leaves of each."""
    result = jnp.zeros(shape, op.dtype)
    for term in op.terms:
        try:
            reduced = reduce(term)
        except Misaligned:
            reduced = reduce(contraction.densified(term, op.dtype))
        result = result + contraction.dense(reduced, op.dtype)
    return result


def diagonal(op: LinearOperator) -> Array:
    """Identify ``out`` with ``in``."""
    return _reduced(op, contraction.diagonal, op.in_shape)


def trace(op: LinearOperator) -> Array:
    """Identify ``out`` with ``in`` and sum."""
    return _reduced(op, contraction.trace, ())


def inv(op: LinearOperator, method: str | None, assume_a: str = "gen") -> LinearOperator:
    """The inverse as terms."""
    _checks.nonzero_operator("inv", op.terms)
    name = solving.choose(op.terms, op.structure, method, assume_a, "inv")
    if name in iterative.METHODS:
        raise _checks.iterated_inverse(math.prod(op.out_shape))
    if name == "schur":
        if method is not None or math.prod(op.out_shape) > LARGE:
            raise _checks.structured_inverse(op.structure.kind)
        name = "dense"
    if name == "woodbury":
        base, U, V = _parts(op)
        Y, C = _capacitance(base, U, V, assume_a)
        Z, _ = _capacitance(transpose(base), V, U, assume_a)
        left = -jnp.linalg.solve(C.T, Y.T).T
        inverse = inv(base, None, assume_a)
        update = woodbury.term(left, Z, inverse.out_shape, inverse.in_shape)
        return inverse.rebuilt([*inverse.terms, update])
    terms = solving.inverse(op.terms, op.dtype, name)
    inverse = op.rebuilt(terms, out_shape=op.in_shape, in_shape=op.out_shape)
    return _constant(inverse) if name == "eigen" else inverse


@jax.custom_jvp
def _constant(inverse: LinearOperator) -> LinearOperator:
    """An inverse in eigenvectors, which are not to be differentiated."""
    return inverse


@_constant.defjvp
def _constant_rule(primals: Any, tangents: Any) -> Any:
    raise _checks.eigenvector_derivative()


def solve(
    op: LinearOperator, b: Array, method: str | None, symmetric: bool, assume_a: str
) -> Array:
    """The solution, shaped as b; among symmetric matrices if asked for."""
    if symmetric:
        op = op.rebuilt(solving.on_symmetric(op.terms))
    dtype = jnp.result_type(op.dtype, b)
    x = _solution(op, b.reshape(op.out_shape).astype(dtype), method, assume_a)
    if symmetric:
        x = (x + x.T) / 2
    return x.reshape(b.shape)


def _solution(op: LinearOperator, b: Array, method: str | None, assume_a: str) -> Array:
    """x with A x = b, for b of ``out_shape``.

    dx = A⁻¹ (db - dA x): JAX's linear solve takes dA from the product with A, and differentiates no
    factorisation, to any order.
    """
    _checks.nonzero_operator("solve", op.terms)
    name = solving.choose(op.terms, op.structure, method, assume_a)
    return lax.custom_linear_solve(
        functools.partial(apply, op),
        b,
        lambda _, b: _solved(op, b, name, assume_a),
        lambda _, b: _solved(transpose(op), b, name, assume_a),
    )


def _solved(op: LinearOperator, b: Array, name: str, assume_a: str) -> Array:
    if name in iterative.METHODS:
        preconditioner, fallback = _preconditioners(op, assume_a)
        return iterative.solve(functools.partial(apply, op), b, name, preconditioner, fallback)
    if name != "woodbury":
        return solving.solve(op.terms, op.dtype, b, name)
    base, U, V = _parts(op)
    Y, C = _capacitance(base, U, V, assume_a)
    z = _solution(base, b, None, assume_a)
    inner = jnp.linalg.solve(C.astype(b.dtype), matmul(V.T, z.reshape(-1)))
    return z - matmul(Y, inner).reshape(z.shape)


def _preconditioners(op: LinearOperator, assume_a: str) -> tuple[iterative.Map, iterative.Map]:
    """The inverse of the part that structure solves, and division by the diagonal."""
    plain = iterative.jacobi(diagonal(op))
    found = preconditioning.exact_part(op.terms, op.dtype, assume_a)
    if found is None:
        return plain, plain
    part, name = found
    if name == "schur":
        return solving.schur_solver(part, op.dtype), plain
    return functools.partial(apply, inv(op.rebuilt(part), name, assume_a)), plain


def _parts(op: LinearOperator) -> tuple[LinearOperator, Array, Array]:
    """B, U and V of B + U Vᵀ."""
    found = woodbury.split(op.terms)
    assert found is not None
    full, low = found
    return op.rebuilt(full), *woodbury.factors(low, op.dtype)


def _capacitance(base: LinearOperator, U: Array, V: Array, assume_a: str) -> tuple[Array, Array]:
    """B⁻¹ U and I + Vᵀ B⁻¹ U."""

    def solved(column: Array) -> Array:
        return _solution(base, column.reshape(base.out_shape), None, assume_a).reshape(-1)

    Y = jax.vmap(solved, 1, 1)(U)
    return Y, jnp.eye(U.shape[1], dtype=Y.dtype) + matmul(V.T, Y)


def logabsdet(
    op: LinearOperator, method: str | None, assume_a: str, vectors: bool = False
) -> Array:
    """log |det|, differentiable in every factor."""
    if not op.terms:
        return jnp.asarray(-jnp.inf, jnp.finfo(op.dtype).dtype)
    name = solving.direct(op.terms, op.structure, method, assume_a)
    if name == "woodbury":
        base, U, V = _parts(op)
        _, C = _capacitance(base, U, V, assume_a)
        return logabsdet(base, None, assume_a) + jnp.linalg.slogdet(C)[1]
    if name == "eigen" and solving.differentiable(op.terms):
        return solving.logdet(op.terms, op.dtype, name, vectors)
    # where "schur" was not asked for by name, the derivative may form the matrix
    return _logabsdet(op, name, method if name == "schur" else name)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _logabsdet(op: LinearOperator, name: str, inverse: str | None) -> Array:
    return solving.logdet(op.terms, op.dtype, name)


@_logabsdet.defjvp
def _logabsdet_rule(name: str, inverse: str | None, primals: Any, tangents: Any) -> Any:
    # d log|det A| = Re tr(A⁻¹ dA), the trace taken from the terms
    (op,), (op_dot,) = primals, tangents
    left = inv(op, inverse)
    _, moved = jax.jvp(lambda a: trace(compose(left, a)), (op,), (op_dot,))
    return _logabsdet(op, name, inverse), jnp.real(moved)


def inv_quad(op: LinearOperator, y: Array, assume_a: str) -> Array:
    """yᴴ A⁻¹ y."""
    return vdot(y, solve(op, y, None, False, assume_a))


def inv_quad_logdet(op: LinearOperator, y: Array, assume_a: str) -> tuple[Array, Array]:
    """yᴴ A⁻¹ y and log |det A|, from one decomposition."""
    _checks.nonzero_operator("inv_quad_logdet", op.terms)
    name = solving.direct(op.terms, op.structure, None, assume_a)  # the determinant's serves both
    return vdot(y, solve(op, y, name, False, assume_a)), logabsdet(op, None, assume_a, True)
