"""What the transforms of jaxmatcalc say about an identity, in the layout of JAX's derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxmatcalc.identities.record import Identity
from jaxmatcalc.identities.reference import point, restated
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.transforms import hessian, hessian_operator, jacobian, jacobian_operator

Array = jax.Array


def transformed(
    identity: Identity, args: tuple[Array, ...], probe: tuple[Array, ...]
) -> tuple[dict[str, Array], LinearOperator | None]:
    """Return the derivative from every transform that gives it, by the name of the transform.

    Returns:
        The derivatives, and the operator among them whose structure the identity may state.
    """
    f, at = restated(identity), point(identity, args)
    match identity.kind:
        case "gradient" | "vech-gradient":
            return {"jacobian": jacobian(f)(*at)}, None
        case "symmetric-gradient":
            G = jacobian(f)(*at)
            return {"jacobian": (G + G.T) / 2}, None
        case "hessian" | "vech-hessian":
            H = hessian_operator(f)(*at)
            return {"hessian": hessian(f)(*at), "hessian_operator": H.to_dense()}, H
        case "jacobian" | "vech-jacobian":
            J = jacobian_operator(f)(*at)
            return {"jacobian": jacobian(f)(*at), "jacobian_operator": J.to_dense()}, J
        case "mixed-hessian":
            J = jacobian_operator(jax.grad(f), argnums=1)(*at)
            return {"jacobian_operator": J.to_dense()}, J
        case "differential":
            return {"jacobian_operator @": jacobian_operator(f)(*at) @ probe[0]}, None
        case "vjp":
            return {"jacobian_operator.T @": jacobian_operator(f)(*at).T @ probe[0]}, None
        case "second-differential" if not jax.eval_shape(f, *at).shape:
            product = hessian_operator(f)(*at) @ probe[0]
            return {"hessian_operator @": jnp.sum(probe[0] * product)}, None
    return {}, None
