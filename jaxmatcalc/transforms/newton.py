"""Newton's direction by an exact solve with the structured Hessian."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxmatcalc.linear.constructors import identity
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.transforms.hessian import value_grad_hessian_operator


def newton_direction(
    f: Callable[..., Any],
    argnums: int = 0,
    damping: float = 0.0,
    method: str | None = None,
    symmetric: bool = False,
) -> Callable[..., Any]:
    """The Newton direction of a function, by an exact solve.

    D = -(H + λI)⁻¹ ∇f. Where the argument is one array, H stays in structured form and is solved
    through its structure; for a pytree its blocks are formed.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar.
        argnums: the argument to differentiate in.
        damping: λ ≥ 0, added to the diagonal of H.
        method: as in `LinearOperator.solve`.
        symmetric: whether the argument is a symmetric matrix, and D is to be one; the solve then
            takes place among symmetric matrices.

    Returns:
        A function of f's arguments that returns D, like the argument.

    Raises:
        TypeError: f does not return a real scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there, or the structure does not admit
            `method`.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> f = lambda X: jnp.trace(X) - jnp.linalg.slogdet(X)[1]
        >>> jmc.newton_direction(f)(jnp.eye(2) / 2).diagonal().tolist()
        [0.25, 0.25]

    Source: Boyd and Vandenberghe (2004), sec. 9.5.
    """
    derive = value_grad_hessian_operator(f, argnums, _name="newton_direction")

    @functools.wraps(f)
    def newton_direction_f(*args: Any, **kwargs: Any) -> Any:
        _, grad, H = derive(*args, **kwargs)
        if isinstance(H, LinearOperator):
            if not isinstance(damping, int | float) or damping:
                H = H + damping * identity(H.in_shape, H.dtype)
            return H.solve(-grad, method, symmetric)
        flat_grad, unravel = ravel_pytree(grad)
        matrix = _matrix(H, jax.tree.structure(grad))
        matrix = matrix + damping * jnp.eye(flat_grad.size, dtype=matrix.dtype)
        return unravel(-jnp.linalg.solve(matrix, flat_grad))

    return newton_direction_f


def _matrix(blocks: Any, tree: Any) -> jax.Array:
    """The matrix of a pytree of pytrees of operators, in the order of `ravel_pytree`."""
    is_operator = lambda leaf: isinstance(leaf, LinearOperator)  # noqa: E731
    operators = jax.tree.leaves(blocks, is_leaf=is_operator)
    n = tree.num_leaves
    rows = [operators[i : i + n] for i in range(0, n * n, n)]
    return jnp.block([[op.as_matrix() for op in row] for row in rows])
