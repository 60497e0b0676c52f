"""A function with its library calls replaced by operations of better derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc.interpret import Program


def rewrite(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with its `jax.numpy.linalg` calls replaced by operations.

    Calls of slogdet, det, inv, solve, trace, norm and kron become the operations of this library:
    same values, closed-form derivatives, right where autodiff is not. A call is recognised by its
    name and because its body is what that function traces to at these shapes; a function of the
    user's that is also called ``trace`` is left alone. A function without such calls is called
    as it is.

    Args:
        f: function of arrays, or pytrees of them.

    Returns:
        A function with the arguments and the result of f.

    Example:
        >>> import jax, jax.numpy as jnp, jaxmatcalc as jmc
        >>> norm = lambda x: jnp.linalg.norm(x)
        >>> jax.grad(norm)(jnp.zeros(2)).tolist()
        [nan, nan]
        >>> jax.grad(jmc.rewrite(norm))(jnp.zeros(2)).tolist()
        [0.0, 0.0]
    """

    @functools.wraps(f)
    def rewritten(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, kwargs))
        moving = [k for k, leaf in enumerate(leaves) if _is_array(leaf)]

        def flat(*arrays: Any) -> Any:
            given = list(leaves)
            for k, array in zip(moving, arrays, strict=True):
                given[k] = array
            args_, kwargs_ = jax.tree.unflatten(tree, given)
            return f(*args_, **kwargs_)

        try:
            program = Program(flat, [leaves[k] for k in moving])
        except (jax.errors.ConcretizationTypeError, TypeError):
            return f(*args, **kwargs)  # f branches on values, or returns more than arrays
        if not program.has_calls:
            return f(*args, **kwargs)
        results, _ = program.run(*(leaves[k] for k in moving))
        return jax.tree.unflatten(program.tree, results)

    return rewritten


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) or hasattr(leaf, "__array__") or jnp.isscalar(leaf)
