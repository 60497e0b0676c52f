"""Newton's direction by an exact solve with the structured Hessian."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc._precision import matmul
from jaxmatcalc.linear.block import BlockOperator
from jaxmatcalc.linear.constructors import duplication, identity
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.transforms.arguments import as_weak_as
from jaxmatcalc.transforms.hessian import value_grad_hessian_operator

# Up to this order all eigenvalues of a matrix are found; above, the extreme ones, by iteration
# where the structure does not give them.
SMALL = 512


def newton_direction(
    f: Callable[..., Any],
    argnums: int = 0,
    damping: Any = 0.0,
    method: str | None = None,
    symmetric: Any = False,
) -> Callable[..., Any]:
    """The Newton direction of a function, by an exact solve.

    D = -(H + λI)⁻¹ ∇f. H stays in structured form and is solved through its structure, for a pytree
    block by block.

    With ``damping="auto"`` D is a direction of descent wherever ∇f ≠ 0, at a saddle or a maximum as
    well: λ = 0 where H is positive definite, and elsewhere λ = max(|λ₁|, √eps ‖H‖₂) - λ₁ for the
    least eigenvalue λ₁ of H, so that the least of H + λI is |λ₁|, or √eps ‖H‖₂ where λ₁ is near 0.
    Positive definite means λ₁ > 10 √n eps ‖H‖₂, for n unknowns. Where H is 0, D is -∇f.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar.
        argnums: the argument to differentiate in.
        damping: λ ≥ 0, added to the diagonal of H, or "auto". The least eigenvalue comes from the
            structure of H or from the matrix; for more than 512 unknowns without such structure by
            LOBPCG, with ‖H‖ in the Frobenius norm for |λ₁| if that does not converge.
        method: as in `LinearOperator.solve`.
        symmetric: whether the argument is a symmetric matrix, and D is to be one; the solve then
            takes place among symmetric matrices, and "auto" looks at H on these alone. For a pytree
            True, False, or a pytree of these like the argument.

    Returns:
        A function of f's arguments that returns D, like the argument.

    Raises:
        TypeError: f does not return a real scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there, `damping` is another word, an
            array is not a square matrix with `symmetric`, or the structure does not admit
            `method`.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> f = lambda X: jnp.trace(X) - jnp.linalg.slogdet(X)[1]
        >>> jmc.newton_direction(f)(jnp.eye(2) / 2).diagonal().tolist()
        [0.25, 0.25]
        >>> saddle = lambda x: x[0] ** 2 - x[1] ** 2
        >>> jmc.newton_direction(saddle, damping="auto")(jnp.array([3.0, 1.0])).tolist()
        [-1.0, 1.0]

    Source: Boyd and Vandenberghe (2004), sec. 9.5; Nocedal and Wright (2006), sec. 3.4, for the
    multiple of the identity that makes H positive definite.
    """
    if isinstance(damping, str):
        _checks.option("newton_direction", "damping", damping, ("auto",))
    derive = value_grad_hessian_operator(f, argnums, _name="newton_direction")

    @functools.wraps(f)
    def newton_direction_f(*args: Any, **kwargs: Any) -> Any:
        _, grad, H = derive(*args, **kwargs)

        def like_argument(direction: Any) -> Any:
            return jax.tree.map(lambda d, g: as_weak_as(d, jax.typeof(g)), direction, grad)

        only = only_symmetric("newton_direction", symmetric, grad)
        single = isinstance(H, LinearOperator)
        options: dict[str, Any] = {"method": method, "symmetric": symmetric}
        descent = jax.tree.map(jnp.negative, grad)

        def undamped(_: Any = None) -> Any:
            return like_argument(H.solve(descent, **options))

        def damped(shift: Any) -> Any:
            unit = identity(H.in_shape, H.dtype) if single else H.identity()
            return like_argument((H + shift * unit).solve(descent, **options))

        if isinstance(damping, str):
            shift = _shift(H, only)
            if single and not H.terms:
                return damped(shift)
            return lax.cond(shift > 0, damped, undamped, shift)
        if isinstance(damping, int | float) and not damping:
            return undamped()
        return damped(damping)

    return newton_direction_f


def _shift(H: LinearOperator | BlockOperator, symmetric: tuple[bool, ...]) -> jax.Array:
    """The λ of ``damping="auto"``; 0 where H is positive definite."""
    order, eps = sum(map(math.prod, _shapes(H))), float(jnp.finfo(H.dtype).eps)
    if any(symmetric) or order <= SMALL:
        values = eigenvalues(H, symmetric)
        least, greatest = (jnp.min(values, initial=jnp.inf), jnp.max(values, initial=-jnp.inf))
    else:
        (least,) = H.extreme_eigenvalues(which="smallest")
        (greatest,) = H.extreme_eigenvalues(which="largest")
        bound = jnp.sqrt((H.T @ H).trace())  # where the iteration did not converge
        least = jnp.where(jnp.isnan(least), -bound, least)
        greatest = jnp.where(jnp.isnan(greatest), bound, greatest)
    norm = jnp.maximum(jnp.abs(least), jnp.abs(greatest))
    raised = jnp.maximum(jnp.abs(least), math.sqrt(eps) * norm) - least
    definite = least > 10 * math.sqrt(order) * eps * norm
    return jnp.where(norm > 0, jnp.where(definite, 0, raised), 1)


def _shapes(H: LinearOperator | BlockOperator) -> Sequence[tuple[int, ...]]:
    return [H.in_shape] if isinstance(H, LinearOperator) else H.in_shapes


def only_symmetric(name: str, symmetric: Any, argument: Any) -> tuple[bool, ...]:
    """Which leaves of an argument are symmetric matrices."""
    leaves, tree = jax.tree.flatten(argument)
    return _checks.symmetric_leaves(name, symmetric, tree, [leaf.shape for leaf in leaves])


def eigenvalues(H: LinearOperator | BlockOperator, symmetric: tuple[bool, ...]) -> jax.Array:
    """Those of H, or of H on the symmetric matrices that some leaves are, in ascending order."""
    if not any(symmetric):
        return H.eigvalsh()
    bases = [_basis(s, only, H.dtype) for s, only in zip(_shapes(H), symmetric, strict=True)]
    basis = jax.scipy.linalg.block_diag(*bases)
    return jnp.linalg.eigvalsh(matmul(basis.T, matmul(H.as_matrix(), basis)))


def _basis(shape: tuple[int, ...], symmetric: bool, dtype: Any) -> jax.Array:
    """An orthonormal basis of the arrays of a shape, or of the symmetric matrices, in columns."""
    if not symmetric:
        return jnp.eye(math.prod(shape), dtype=dtype)
    basis = duplication(shape[0], dtype).as_matrix()
    return basis / jnp.linalg.norm(basis, axis=0)
