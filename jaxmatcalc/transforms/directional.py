"""Derivatives of any order along one direction."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks, _jax
from jaxmatcalc.interpret import Program
from jaxmatcalc.interpret.series import Series, Walk
from jaxmatcalc.transforms.arguments import Argnums, Call


def directional_derivative(
    f: Callable[..., Any], order: int | tuple[int, ...] = 1, argnums: Argnums = 0
) -> Callable[..., Any]:
    """The derivative of any order along one direction.

    dᵏ/dtᵏ f(X + tV) at t = 0. The cost grows as k², not as 2ᵏ (inside a `while` loop, as 2ᵏ).

    Args:
        f: function of arrays, or pytrees of them, with arrays or a pytree of them as its result.
        order: k ≥ 0, where 0 is f(X) itself; or a tuple of such, which cost what the largest does.
        argnums: the argument to differentiate in, an integer or a tuple of them.

    Returns:
        A function of f's arguments followed by V, which has the pytree and the shapes of the
        differentiated argument (a tuple if `argnums` is one). It returns the pytree of f's result;
        a tuple of them if `order` is one. Derivatives of integers are zeros of dtype float0.

    Raises:
        TypeError: `order` is not made of integers, or an argument is not of a differentiable dtype.
        ValueError: an order is negative, `argnums` names no argument, or V does not fit it.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> curvature = jmc.directional_derivative(lambda X: jnp.linalg.slogdet(X)[1], order=2)
        >>> curvature(2 * jnp.eye(3), jnp.eye(3)).item()  # log|2I + tI| = 3 log(2 + t)
        -0.75
        >>> all_orders = jmc.directional_derivative(lambda x: x**3, order=(0, 1, 2, 3, 4))
        >>> [float(d) for d in all_orders(2.0, 1.0)]
        [8.0, 12.0, 12.0, 6.0, 0.0]

    Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 13.
    """
    orders = _checks.orders("directional_derivative", order)

    @functools.wraps(f)
    def directional_derivative_f(*args: Any, **kwargs: Any) -> Any:
        _checks.has_vector("directional_derivative", args)
        *args_, vector = args
        is_complex = all(map(jnp.iscomplexobj, jax.tree.leaves(vector)))
        call = Call("directional_derivative", f, argnums, tuple(args_), kwargs, is_complex)
        tangents = _checks.like_argument("directional_derivative", vector, call.tree, call.leaves)
        program = Program(call, call.leaves)
        jaxpr, consts = program.jaxpr, program.consts
        if program.has_calls:
            jaxpr, consts = _jax.trace(lambda *xs: program.run(*xs)[0], *call.leaves)
        walk = Walk(max(orders))
        lines = [Series.given([x, v]) for x, v in zip(call.leaves, tangents, strict=True)]
        outs = walk.run(jaxpr, consts, lines)
        derivatives = [[_derivative(out, k) for out in outs] for k in orders]
        results = tuple(jax.tree.unflatten(program.tree, leaves) for leaves in derivatives)
        return results if isinstance(order, tuple) else results[0]

    return directional_derivative_f


def _derivative(out: Any, k: int) -> Any:
    """k! times coefficient k."""
    if isinstance(out, Series):
        return out.array(k) * math.factorial(k)
    out = jnp.asarray(out)
    real = not k or jnp.issubdtype(out.dtype, jnp.inexact)
    return (jnp.zeros_like(out) if k else out) if real else np.zeros(out.shape, jax.dtypes.float0)
