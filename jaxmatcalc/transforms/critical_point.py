"""Whether a point is a minimum, a maximum or a saddle, by the gradient and the Hessian's signs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxmatcalc.transforms.arguments import Argnums
from jaxmatcalc.transforms.hessian import value_grad_hessian_operator
from jaxmatcalc.transforms.newton import eigenvalues, only_symmetric


class CriticalPoint(NamedTuple):
    """What `critical_point` found; a pytree of arrays, which goes through `jit` and `vmap`.

    Attributes:
        value: f(x).
        gradient_norm: ‖∇f(x)‖₂.
        is_critical: whether the gradient counts as zero.
        eigenvalues: those of the Hessian, in ascending order.
        positive, negative, zero: how many of them are positive, negative, and count as zero: the
            inertia of the Hessian.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> point = jmc.critical_point(lambda x: x[0] ** 2 + 3 * x[0] * x[1] + x[1] ** 2)
        >>> point(jnp.zeros(2))
        CriticalPoint(saddle: 1 positive, 1 negative, 0 zero; D = -5, ‖∇f‖ = 0)
    """

    value: jax.Array
    gradient_norm: jax.Array
    is_critical: jax.Array
    eigenvalues: jax.Array
    positive: jax.Array
    negative: jax.Array
    zero: jax.Array

    @property
    def discriminant(self) -> jax.Array:
        """D = det H, of two variables f_xx f_yy - f_xy²; 0 or inf where it leaves the dtype."""
        return jnp.prod(self.eigenvalues, axis=-1)

    @property
    def kind(self) -> Any:
        """The name of the point; for a batch of points an array of names. Not under `jit`.

        "minimum" or "maximum" where all eigenvalues have one sign, "saddle" where both signs occur,
        "degenerate" where some are zero and the others of one sign, so that the Hessian does not
        decide; "not critical", or "not finite", where no such thing can be said.
        """
        finite = np.isfinite(self.gradient_norm) & np.isfinite(self.eigenvalues).all(-1)
        positive, negative, zero = map(np.asarray, (self.positive, self.negative, self.zero))
        kinds = {
            "not finite": ~finite,
            "not critical": ~np.asarray(self.is_critical),
            "saddle": (positive > 0) & (negative > 0),
            "degenerate": zero > 0,
            "maximum": negative > 0,
        }
        names = np.select([np.asarray(c) for c in kinds.values()], list(kinds), "minimum")
        return names if names.ndim else str(names)

    def __repr__(self) -> str:
        try:
            kind = self.kind
            D, norm, *counts = map(np.asarray, (self.discriminant, self.gradient_norm, *self[4:]))
        except (jax.errors.TracerArrayConversionError, TypeError):
            return f"CriticalPoint{tuple(self)}"  # inside `jit`, or a tree of placeholders
        if norm.ndim:
            return f"CriticalPoint(batch {norm.shape}: {', '.join(np.unique(kind))})"
        signs = ", ".join(f"{n} {s}" for n, s in zip(counts, self._fields[4:], strict=True))
        return f"CriticalPoint({kind}: {signs}; D = {D:.6g}, ‖∇f‖ = {norm:.3g})"


def critical_point(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    gradient_rtol: float | None = None,
    eigenvalue_rtol: float | None = None,
    symmetric: Any = False,
) -> Callable[..., Any]:
    """Whether a point is critical, and of which kind: minimum, maximum, saddle or degenerate.

    By the signs of the eigenvalues of the Hessian H, which come from its structure where it has
    one (`LinearOperator.eigvalsh`, `BlockOperator.eigvalsh`). The discriminant D = det H is, of two
    variables, f_xx f_yy - f_xy².

    A point counts as critical where ‖∇f‖ ≤ gradient_rtol · ‖H‖₂ · max(1, ‖x‖): it is then within
    about that relative distance of a critical point, unless H is nearly singular. An eigenvalue λ
    counts as zero where |λ| ≤ eigenvalue_rtol · ‖H‖₂.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        gradient_rtol: √eps of the dtype where not given: 3.5e-4 in float32, 1.5e-8 in float64.
        eigenvalue_rtol: 10 √n eps of the dtype where not given, for n unknowns: what rounding
            leaves of an eigenvalue that is zero, where f itself is not more sensitive.
        symmetric: whether the argument is a symmetric matrix, and only such are looked at; the
            gradient and the Hessian are then those on the n(n+1)/2 entries of an orthonormal basis.
            For a pytree True, False, or a pytree of these like the argument.

    Returns:
        A function of f's arguments that returns a `CriticalPoint`.

    Raises:
        TypeError: f does not return a real scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there, or the argument is not a square
            matrix with `symmetric`.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> f = lambda x: x[0] ** 3 - 3 * x[0] + x[1] ** 2
        >>> classify = jmc.critical_point(f)
        >>> [classify(jnp.array([x, 0.0])).kind for x in (1.0, -1.0, 0.0)]
        ['minimum', 'saddle', 'not critical']

    Source: Magnus and Neudecker (2019), ch. 7; for the inertia, Horn and Johnson (2013), sec. 4.5.
    """
    derive = value_grad_hessian_operator(f, argnums, _name="critical_point")

    @functools.wraps(f)
    def critical_point_f(*args: Any, **kwargs: Any) -> CriticalPoint:
        value, grad, H = derive(*args, **kwargs)
        chosen = args[argnums] if isinstance(argnums, int) else [args[k] for k in argnums]
        only = only_symmetric("critical_point", symmetric, grad)
        leaves = zip(jax.tree.leaves(grad), only, strict=True)
        gradient = ravel_pytree([(g + g.T) / 2 if s else g for g, s in leaves])[0]
        point = ravel_pytree(chosen)[0]
        found = eigenvalues(H, only)
        return _classified(value, gradient, point, found, gradient_rtol, eigenvalue_rtol)

    return critical_point_f


def _classified(
    value: jax.Array,
    gradient: jax.Array,
    point: jax.Array,
    eigenvalues: jax.Array,
    gradient_rtol: float | None,
    eigenvalue_rtol: float | None,
) -> CriticalPoint:
    eps = float(jnp.finfo(eigenvalues.dtype).eps)
    close = math.sqrt(eps) if gradient_rtol is None else gradient_rtol
    small = 10 * math.sqrt(eigenvalues.size) * eps if eigenvalue_rtol is None else eigenvalue_rtol
    norm = jnp.max(jnp.abs(eigenvalues), initial=0)
    length = jnp.linalg.norm(gradient)
    return CriticalPoint(
        value,
        length,
        length <= close * norm * jnp.maximum(1, jnp.linalg.norm(point)),
        eigenvalues,
        jnp.sum(eigenvalues > small * norm),
        jnp.sum(eigenvalues < -small * norm),
        jnp.sum(jnp.abs(eigenvalues) <= small * norm),
    )
