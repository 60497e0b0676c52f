"""The product of a Hessian and a vector."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.interpret import Program
from jaxmatcalc.transforms.arguments import Argnums, Call


def hvp(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The product of the Hessian and a vector, without the Hessian.

    H(X) V = d/dt ∇f(X + tV) at t = 0: forward over reverse, through the operations' own rules. For
    many vectors at one point take ``hessian_operator(f)(X) @ V``: its factors are computed once.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar.
        argnums: the argument to differentiate in, an integer or a tuple of them.

    Returns:
        A function of f's arguments followed by V, which has the pytree and the shapes of the
        differentiated argument (a tuple if `argnums` is one); the product has them too.

    Raises:
        TypeError: f does not return a real scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there, or V does not fit it.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> product = jmc.hvp(lambda X: jnp.linalg.slogdet(X)[1])
        >>> product(2 * jnp.eye(2), jnp.eye(2)).diagonal().tolist()
        [-0.25, -0.25]

    Source: Pearlmutter (1994), "Fast exact multiplication by the Hessian".
    """

    @functools.wraps(f)
    def hvp_f(*args: Any, **kwargs: Any) -> Any:
        _checks.has_vector("hvp", args)
        *args_, vector = args
        call = Call("hvp", f, argnums, tuple(args_), kwargs)
        tangents = _checks.like_argument("hvp", vector, call.tree, call.leaves)
        program = Program(call, call.leaves)
        _checks.scalar_result("hvp", program.tree, program.out_avals)
        scalar = (lambda *xs: program.run(*xs)[0][0]) if program.has_calls else _plain(call)
        gradient = jax.grad(scalar, tuple(range(len(call.leaves))))
        _, products = jax.jvp(gradient, tuple(call.leaves), tuple(tangents))
        return call.collect(products)

    return hvp_f


def _plain(call: Call) -> Callable[..., Any]:
    return lambda *xs: jax.tree.leaves(call(*xs))[0]
