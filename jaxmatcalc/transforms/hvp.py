"""The product of a Hessian and a vector."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.interpret import Program, cheapest
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.transforms.arguments import Argnums, Call


def hvp(f: Callable[..., Any], argnums: Argnums = 0, many: bool = False) -> Callable[..., Any]:
    """The product of the Hessian and a vector, or many vectors at once, without the Hessian.

    H(X) V = d/dt ∇f(X + tV) at t = 0: forward over reverse, through the operations' own rules. For
    many vectors the gradient is linearised once, with one forward and one reverse pass and one
    factorisation; each product is then the linear pass alone, or that of `hessian_operator`, if its
    program costs less. For vectors that come one after
    another at one point take ``hessian_operator(f)(X) @ V``.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        many: whether V holds many vectors, along one more leading axis of each of its arrays.

    Returns:
        A function of f's arguments followed by V, which has the pytree and the shapes of the
        differentiated argument (a tuple if `argnums` is one), with `many` after one more leading
        axis of the same size k in each; the product is like V.

    Raises:
        TypeError: f does not return a real scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there, or V does not fit it.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> product = jmc.hvp(lambda X: jnp.linalg.slogdet(X)[1])
        >>> product(2 * jnp.eye(2), jnp.eye(2)).diagonal().tolist()
        [-0.25, -0.25]
        >>> products = jmc.hvp(lambda x: jnp.sum(x**3), many=True)
        >>> products(jnp.array([1.0, 2.0]), jnp.eye(2)).tolist()
        [[6.0, 0.0], [0.0, 12.0]]

    Source: Pearlmutter (1994), "Fast exact multiplication by the Hessian".
    """

    @functools.wraps(f)
    def hvp_f(*args: Any, **kwargs: Any) -> Any:
        _checks.has_vector("hvp", args)
        *args_, vector = args
        call = Call("hvp", f, argnums, tuple(args_), kwargs)
        tangents = _checks.like_argument("hvp", vector, call.tree, call.leaves, stacked=many)
        program = Program(call, call.leaves)
        _checks.scalar_result("hvp", program.tree, program.out_avals)
        scalar = (lambda *xs: program.run(*xs)[0][0]) if program.has_calls else _plain(call)
        gradient = jax.grad(scalar, tuple(range(len(call.leaves))))
        if not many:
            _, products = jax.jvp(gradient, tuple(call.leaves), tuple(tangents))
            return call.collect(products)
        if not tangents:
            return call.collect(())

        def linearised(leaves: list[Any], tangents: list[Any]) -> list[Any]:
            _, product = jax.linearize(gradient, *leaves)
            return list(jax.vmap(product)(*tangents))

        def structured(leaves: list[Any], tangents: list[Any]) -> list[Any]:
            _, _, _, rows = Program(call, leaves).hessian()
            return [functools.reduce(jnp.add, map(_images, row, tangents)) for row in rows]

        return call.collect(cheapest(linearised, structured)(call.leaves, list(tangents)))

    return hvp_f


def _images(op: LinearOperator, vectors: jax.Array) -> jax.Array:
    """The products of an operator with each of the vectors."""
    return jax.vmap(op.__matmul__)(vectors)


def _plain(call: Call) -> Callable[..., Any]:
    return lambda *xs: jax.tree.leaves(call(*xs))[0]
