"""What plain JAX says about an identity, and what the identity says, in the same layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc.identities.conventions import to_jax_layout, unvech, vech
from jaxmatcalc.identities.record import Identity, Kind
from jaxmatcalc.identities.sample import direction, shape

Array = jax.Array
Function = Callable[..., Array]


def restated(identity: Identity) -> Function:
    """Return the function that is differentiated: of ``vech X`` where the identity is about it."""
    f = identity.function
    if not identity.kind.startswith("vech-"):
        return f
    if identity.kind == "vech-jacobian":
        return lambda v, *rest: vech(f(unvech(v), *rest))
    return lambda v, *rest: f(unvech(v), *rest)


def point(identity: Identity, args: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the arguments of :func:`restated`."""
    return (vech(args[0]), *args[1:]) if identity.kind.startswith("vech-") else args


def probe(identity: Identity, seed: int, dtype: Any) -> tuple[Array, ...]:
    """Return the tangent of a differential or the cotangent of an adjoint, else nothing."""
    if "differential" in identity.kind:
        return (direction(shape(identity.sample[0]), identity.name, seed, dtype),)
    if identity.kind == "vjp":
        args = [jax.ShapeDtypeStruct(shape(argument), dtype) for argument in identity.sample]
        value = jax.eval_shape(identity.function, *args)
        return (direction(value.shape, identity.name, seed, dtype),)
    return ()


def closed_form(identity: Identity, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    """Return the identity's right side, in the layout of JAX's derivatives."""
    right = jnp.asarray(identity.derivative(*args, *probe))
    in_shape = args[0].shape
    match identity.kind:
        case "vech-gradient":
            return vech(right)
        case "hessian":
            return to_jax_layout(right, in_shape, in_shape)
        case "mixed-hessian":
            return to_jax_layout(right, in_shape, args[1].shape)
        case "jacobian":
            return to_jax_layout(right, jax.eval_shape(identity.function, *args).shape, in_shape)
    return right


def plain_jax(identity: Identity, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    """Return the same by JAX's automatic differentiation, or by finite differences."""
    method = _AUTODIFF[identity.kind]
    if identity.reference == "finite differences":
        method = finite_difference_gradient
    return method(restated(identity), point(identity, args), probe)


def finite_difference_gradient(f: Function, args: tuple[Array, ...], _probe: Any = ()) -> Array:
    """Return the gradient of a scalar function in its first argument by central differences."""
    x, rest = args[0], args[1:]
    step = float(jnp.finfo(x.dtype).eps) ** (1 / 3)
    steps = step * jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
    values = [(f(x + h, *rest) - f(x - h, *rest)) / (2 * step) for h in steps]
    return jnp.stack(values).reshape(x.shape)


def _gradient(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    return jax.grad(f)(*args)


def _symmetric_gradient(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    G = jax.grad(f)(*args)
    return (G + G.T) / 2


def _hessian(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    return jax.hessian(f)(*args)


def _mixed_hessian(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    return jax.jacfwd(jax.grad(f), argnums=1)(*args)


def _jacobian(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    return jax.jacobian(f)(*args)


def _differential(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    return jax.jvp(lambda X: f(X, *args[1:]), args[:1], probe)[1]


def _second_differential(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    def differential(X: Array) -> Array:
        return _differential(f, (X, *args[1:]), probe)

    return jax.jvp(differential, args[:1], probe)[1]


def _vjp(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    pullback = jax.vjp(lambda X: f(X, *args[1:]), args[0])[1]
    return pullback(*probe)[0]


def _value(f: Function, args: tuple[Array, ...], probe: tuple[Array, ...]) -> Array:
    return f(*args)


_AUTODIFF: dict[Kind, Callable[[Function, tuple[Array, ...], tuple[Array, ...]], Array]] = {
    "gradient": _gradient,
    "hessian": _hessian,
    "mixed-hessian": _mixed_hessian,
    "jacobian": _jacobian,
    "differential": _differential,
    "second-differential": _second_differential,
    "vjp": _vjp,
    "symmetric-gradient": _symmetric_gradient,
    "vech-gradient": _gradient,
    "vech-hessian": _hessian,
    "vech-jacobian": _jacobian,
    "identity": _value,
}
