"""An operator with its factorisations done, for many right-hand sides.

A solve is linear in the right-hand side, so `jax.linearize` takes it apart: what depends on the
operator alone, as LU factors and eigenvectors, is computed once and kept as arrays, whatever the
method; what is left of the solve is products and substitutions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc._precision import matmul
from jaxmatcalc.linear import arithmetic, iterative, solving
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.term import Array

if TYPE_CHECKING:
    from jaxmatcalc.linear.operator import LinearOperator

Map = Callable[[Array], Array]


@jax.tree_util.register_pytree_node_class
class Factored:
    """A square operator A and what solves it, done once. From `LinearOperator.factor`.

    A x = b, for arrays b of `operator.out_shape`, after any axes that count right-hand sides.

    It is a pytree: it goes through `jit`, `vmap` and `scan`, and its methods factor nothing again.
    Their derivatives in the right-hand side and in everything inside the operator are right, to
    every order, where operator and factors come from one call of `factor`.

    Attributes:
        operator: A.
        method: how it is solved, as in `LinearOperator.solve`. The iterative methods keep their
            preconditioner.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> factored = jmc.diagonal(jnp.array([1.0, 2.0, 4.0])).factor()
        >>> isinstance(factored, jmc.Factored), factored.method
        (True, 'divide')
        >>> factored.solve(jnp.ones((5, 3))).shape
        (5, 3)
    """

    __slots__ = ("operator", "method", "_assume_a", "_kept", "_logdet")

    operator: LinearOperator
    method: str

    def __init__(self, operator: Any, kept: Any, logdet: Any, method: str, assume_a: str):
        self.operator, self.method = operator, method
        self._kept, self._logdet, self._assume_a = kept, logdet, assume_a

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """The operator, its factors and its log-determinant; the method is static."""
        return (self.operator, self._kept, self._logdet), (self.method, self._assume_a)

    @classmethod
    def tree_unflatten(cls, aux: Any, children: Any) -> Factored:
        """The object with these leaves, whatever they are."""
        return cls(*children, *aux)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes of the operator, where it is the result of a `vmap`."""
        return self.operator.batch_shape

    def __repr__(self) -> str:
        return f"Factored({self.operator!r}, method {self.method!r})"

    def solve(self, b: Any) -> jax.Array:
        """The x with ``A @ x = b``, for one right-hand side or many.

        Args:
            b: array of shape (..., *out_shape), or (..., n) with flat right-hand sides; the leading
                axes, after those of a batch of operators, count right-hand sides.

        Returns:
            An array shaped as b, in the dtype of the operator (complex where b is). A singular
            operator gives inf or NaN.

        Raises:
            ValueError: b does not fit.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> A = jnp.array([[2.0, 1.0], [0.0, 1.0]])
            >>> factored = jmc.kronecker(A, A).factor()
            >>> B = jnp.arange(12.0).reshape(3, 2, 2)
            >>> X = factored.solve(B)
            >>> bool(jnp.allclose(A @ X @ A.T, B))
            True
        """
        op = self.operator
        b = _checks.right_hand_sides("solve", b, op.out_shape, op.batch_shape)
        return compiled(_solve)((), self, b)

    def inv_quad(self, y: Any) -> jax.Array:
        """The quadratic form yᴴ A⁻¹ y, for each y as in `solve`."""
        op = self.operator
        y = _checks.right_hand_sides("inv_quad", y, op.out_shape, op.batch_shape)
        return compiled(_inv_quad)((), self, y)

    def logdet(self) -> jax.Array:
        """log |det A|."""
        return compiled(_logdet)((), self)


def factor(op: LinearOperator, method: str | None, assume_a: str) -> Factored:
    """The operator with what its solves have in common."""
    _checks.nonzero_operator("factor", op.terms)
    name = solving.choose(op.terms, op.structure, method, assume_a)
    fixed = lax.stop_gradient(op)
    if name in iterative.METHODS:
        maps = arithmetic._preconditioners(fixed, assume_a)
        return Factored(op, tuple(_kept(f, fixed) for f in maps), None, name, assume_a)
    value = arithmetic.logabsdet(fixed, name, assume_a, True)
    return Factored(op, _kept(solver(fixed, name, assume_a), fixed), value, name, assume_a)


def _kept(function: Map, op: LinearOperator) -> Map:
    """A linear function of right-hand sides, as a pytree of what it computes without them."""
    return jax.linearize(function, jnp.zeros(op.out_shape, op.dtype))[1]


def solver(op: LinearOperator, name: str, assume_a: str) -> Map:
    """b ↦ A⁻¹ b, as a program that `jax.linearize` takes apart."""
    if name != "woodbury":
        return lambda b: arithmetic._solved(op, b, name, assume_a)
    base, U, V = arithmetic._parts(op)
    Y, C = arithmetic._capacitance(base, U, V, assume_a)
    plain = solver(base, solving.choose(base.terms, base.structure, None, assume_a), assume_a)

    def solved(b: Array) -> Array:
        z = plain(b)
        return z - matmul(Y, jnp.linalg.solve(C, matmul(V.T, z.reshape(-1)))).reshape(z.shape)

    return solved


def _solve(factored: Factored, b: Array) -> Array:
    op = factored.operator
    if jnp.iscomplexobj(b) and not jnp.issubdtype(op.dtype, jnp.complexfloating):
        return lax.complex(_solve(factored, b.real), _solve(factored, b.imag))
    if not b.size:
        return b.astype(op.dtype)
    many = b.astype(op.dtype).reshape(-1, *op.out_shape)
    if many.shape[0] == 1:
        return _solution(factored, many[0]).reshape(b.shape)
    return jax.vmap(functools.partial(_solution, factored))(many).reshape(b.shape)


def _solution(factored: Factored, b: Array) -> Array:
    """x with A x = b; its derivative takes dA from the product with A, as that of `solve`."""
    op, kept, name = factored.operator, factored._kept, factored.method
    if name not in iterative.METHODS:
        return lax.custom_linear_solve(
            functools.partial(arithmetic.apply, op),
            b,
            lambda _, b: kept(b),
            lambda _, b: _transposed(kept, b),
        )

    def iterated(op: LinearOperator, b: Array, *maps: Map) -> Array:
        product = functools.partial(arithmetic.apply, op)
        return iterative.solve(product, b, name, *maps)

    transposes = [functools.partial(_transposed, f) for f in kept]
    return lax.custom_linear_solve(
        functools.partial(arithmetic.apply, op),
        b,
        lambda _, b: iterated(op, b, *kept),
        lambda _, b: iterated(arithmetic.transpose(op), b, *transposes),
    )


def _transposed(function: Map, b: Array) -> Array:
    return jax.linear_transpose(function, b)(b)[0]


def _inv_quad(factored: Factored, y: Array) -> Array:
    order = math.prod(factored.operator.out_shape)
    x = _solve(factored, y)
    lead = y.shape[: y.ndim - len(factored.operator.out_shape)]
    if math.prod(lead) * order != y.size:
        lead = y.shape[:-1]
    products = y.astype(x.dtype).conj() * x
    return jnp.sum(products.reshape(math.prod(lead), order), axis=1).reshape(lead)


def _logdet(factored: Factored) -> Array:
    if factored._logdet is None:
        return arithmetic.logabsdet(factored.operator, None, factored._assume_a)
    options = (arithmetic.logabsdet, factored.method, factored._assume_a)
    return at_hand(options, factored.operator, factored._logdet)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def at_hand(options: tuple[Any, ...], op: Any, value: Array) -> Array:
    """log |det A|, whose value is at hand; the function that finds it and its options say how."""
    return value


@at_hand.defjvp
def _at_hand_rule(options: tuple[Any, ...], primals: Any, tangents: Any) -> Any:
    (op, value), (dop, _) = primals, tangents
    logabsdet, *rest = options
    _, moved = jax.jvp(lambda op: logabsdet(op, *rest), (op,), (dop,))
    return at_hand(options, op, value), moved
