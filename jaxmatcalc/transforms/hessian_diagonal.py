"""The diagonal of the Hessian of any JAX function, without the Hessian."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxmatcalc.transforms.arguments import Argnums
from jaxmatcalc.transforms.laplacian import SecondOrderCall


def hessian_diagonal(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The diagonal of the Hessian, without the Hessian.

    D[i…] = ∂²f(X) / ∂X[i…]². The function is differentiated twice along a direction, and that
    program is run once for all unit vectors together: the second derivatives of a matrix operation
    come from its closed form, those of a network from one pass with its Jacobian.

    Args:
        f: function of arrays, or pytrees of them. Each entry of its result has a Hessian.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (result, further data), of which the second is passed on.
        holomorphic: whether f is holomorphic, for complex arguments.

    Returns:
        A function of f's arguments. For a scalar f it returns the argument's pytree (a tuple of
        these if `argnums` is one); for others the result's pytree with, at each leaf, such a pytree
        of arrays of shape ``out.shape + in.shape``; with `has_aux` a pair (diagonal, further data).

    Raises:
        TypeError: an argument or a result is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> jmc.hessian_diagonal(lambda x: x[0] ** 3 * x[1] ** 2)(jnp.array([1.0, 2.0])).tolist()
        [24.0, 2.0]

    Source: Magnus and Neudecker (2019), ch. 10, for the second differential.
    """

    @functools.wraps(f)
    def hessian_diagonal_f(*args: Any, **kwargs: Any) -> Any:
        call = SecondOrderCall("hessian_diagonal", f, argnums, args, kwargs, has_aux, holomorphic)
        found = call.run(summed=False)
        rows = [call.collect(row) for row in found.seconds]
        result = jax.tree.unflatten(found.tree, rows)
        return (result, found.aux) if has_aux else result

    return hessian_diagonal_f
