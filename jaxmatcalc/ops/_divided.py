"""Divided differences f[x₀, …, xₖ], right to rounding whether the nodes are equal, close or far.

f[a, b] = (f(b) - f(a)) / (b - a) loses the digits that f(a) and f(b) share. Where a and b are close
it is computed as ∫₀¹ f'(a + t (b - a)) dt instead (Hermite–Genocchi), by a Kronrod rule of seven
points. How close depends on f, and is seen from f: the rule is used where it agrees with the Gauss
rule of three points on which it is built to half the digits, for then its own error, of twice the
order, is at rounding. By then the quotient has lost no more than a digit. Where f has a
kink, a pole or a jump between a and b the rules disagree, and the quotient is right.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

# Kronrod's nodes on [-1, 1], his weights, and Gauss's on every other node
_NODES = np.array([0.9604912687080202835, 0.7745966692414833770, 0.4342437493468025580, 0.0])
_KRONROD = np.array([0.1046562260264672652, 0.2684880898683334407])
_KRONROD = np.append(_KRONROD, [0.4013974147759622229, 0.4509165386584741424])
_GAUSS = np.array([0.0, 5 / 9, 0.0, 8 / 9])


def _both_sides(weights: np.ndarray, sign: int = 1) -> np.ndarray:
    return np.concatenate([sign * weights[:-1], weights[::-1]])


def difference(f: Callable[[Array], Array], k: int) -> Callable[..., Array]:
    """The k-th divided difference of f as a function of k + 1 numbers."""
    if k == 0:
        return f
    lower = difference(f, k - 1)

    def divided(*nodes: Array) -> Array:
        def along(x: Array) -> Array:
            return lower(x, *nodes[1:-1])

        # unrolled it is one pass over the nodes; deeper, that would be 7ᵏ copies of f
        return _first(along, nodes[0], nodes[-1], unroll=k == 1)

    return divided


def _first(g: Callable[[Array], Array], a: Array, b: Array, unroll: bool) -> Array:
    """g[a, b]."""
    gap = b - a
    dtype = a.dtype
    places = jnp.asarray((1 + _both_sides(_NODES, -1)) / 2, dtype)
    kronrod = jnp.asarray(_both_sides(_KRONROD) / 2, dtype)
    gauss = jnp.asarray(_both_sides(_GAUSS) / 2, dtype)

    def slope(x: Array) -> Array:
        return jax.jvp(g, (x,), (jnp.ones_like(x),))[1]

    def add(sums: Any, at: Any) -> tuple[Any, None]:
        t, weight, other = at
        mean, error, top = sums
        s = slope(a + t * gap)
        weight, rest = weight.astype(s.dtype), (weight - other).astype(s.dtype)
        return (mean + weight * s, error + rest * s, jnp.maximum(top, jnp.abs(s))), None

    zero = 0 * a
    start = *[zero.astype(jax.eval_shape(slope, a).dtype)] * 2, zero
    (mean, error, top), _ = lax.scan(add, start, (places, kronrod, gauss), unroll=unroll)

    half = float(np.sqrt(jnp.finfo(dtype).eps))
    ga, gb = g(a), g(b)
    quotient = (gb - ga) / jnp.where(gap == 0, 1, gap).astype(ga.dtype)
    smooth = jnp.abs(error) < half * top
    size = jnp.abs(ga) + jnp.abs(gb) + jnp.maximum(jnp.abs(a), jnp.abs(b)) * top
    consistent = jnp.abs(quotient - mean) * jnp.abs(gap) < half * size
    return jnp.where((gap == 0) | (smooth & consistent), mean, quotient)


@functools.partial(jax.jit, static_argnums=(0, 1))  # traced once for each f and k
def differences(f: Callable[..., Array], k: int, nodes: Array, *parameters: Array) -> Array:
    """f[xᵢ, …, xⱼ] of every k + 1 of the nodes x (n,): an array with k + 1 axes."""

    def at(*chosen: Array) -> Array:
        return difference(lambda x: f(x, *parameters), k)(*chosen)

    for axis in reversed(range(k + 1)):
        at = jax.vmap(at, in_axes=[0 if i == axis else None for i in range(k + 1)])
    return at(*[nodes] * (k + 1))


def weight_differences(nodes: Array, weights: Array, k: int, constant: bool) -> Array:
    """Divided differences of a function with given values at the nodes, where it is constant.

    Its value at node i is the i-th weight, and its derivatives there are 0. Where two nodes that
    are equal to rounding have different weights there is no such function: NaN. With ``constant``
    false the weights are those of an unknown function that may vary; then it is NaN wherever two
    nodes are equal to rounding.

    Args:
        nodes: array of shape (..., n).
        weights: array of shape (..., n).
        k: order.
        constant: whether equal weights at equal nodes mean a constant function.

    Returns:
        Array of shape (..., n, …, n), with k + 1 axes for the nodes.
    """
    n = nodes.shape[-1]
    largest = jnp.max(jnp.abs(nodes), axis=-1, keepdims=True, initial=0)
    rounding = n * float(jnp.finfo(nodes.dtype).eps) * largest.reshape(*largest.shape, *[1] * k)

    def placed(x: Array, position: int) -> Array:
        shape = [n if i == position else 1 for i in range(k + 1)]
        return x.reshape(*x.shape[:-1], *shape)

    x = [placed(nodes, i) for i in range(k + 1)]
    w = [placed(weights, i) for i in range(k + 1)]
    index = [placed(jnp.arange(n), i) for i in range(k + 1)]

    def tied(p: int, q: int) -> Array:
        return jnp.abs(x[p] - x[q]) <= rounding

    @functools.cache
    def divided(chosen: tuple[int, ...]) -> Array:
        first, *others = chosen
        if not others:
            return w[first]
        result = jnp.zeros((), weights.dtype)
        for q in others:
            differ, close = w[first] != w[q], tied(first, q)
            gap = jnp.where(differ & ~close, x[first] - x[q], 1).astype(weights.dtype)
            rise = divided(tuple(i for i in chosen if i != q)) - divided(tuple(others))
            result = jnp.where(differ, jnp.where(differ & close, jnp.nan, rise / gap), result)
        return result

    result = divided(tuple(range(k + 1)))
    if not constant:
        for p in range(k + 1):
            for q in range(p):
                unknown = tied(p, q) & (index[p] != index[q])
                result = jnp.where(unknown, jnp.nan, result)
    batch = jnp.broadcast_shapes(nodes.shape[:-1], weights.shape[:-1])
    return jnp.broadcast_to(result, (*batch, *[n] * (k + 1)))
