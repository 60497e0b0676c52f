"""Draw the points at which an identity is checked."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.identities.record import Argument

# Small, and all different where an identity could not tell them apart.
DIMS = {"n": 4, "m": 3, "p": 5, "q": 2, "r": 2}


def _orthogonal(rng: np.random.Generator, n: int) -> np.ndarray:
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * np.sign(np.diag(R))  # of either determinant, uniformly


def _full_rank(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    k = min(shape)
    U, V = (_orthogonal(rng, n)[:, :k] for n in shape)
    return U * rng.uniform(0.5, 2, k) @ V.T


def _singular(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    X = rng.standard_normal(shape)
    X[:, 1] = X[:, 0]
    return X


def _symmetric(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    Z = rng.standard_normal(shape)
    return (Z + Z.T) / 2


def _positive_definite(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    Q = _orthogonal(rng, shape[0])
    S = Q * rng.uniform(0.5, 2, shape[0]) @ Q.T
    return (S + S.T) / 2


def _apart(rng: np.random.Generator, k: int) -> np.ndarray:
    """Draw numbers in [0.5, 2], in increasing order and well apart."""
    return np.linspace(0.6, 1.9, k) + rng.uniform(-0.1, 0.1, k)


def _definite_apart(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    Q = _orthogonal(rng, shape[0])
    S = Q * _apart(rng, shape[0]) @ Q.T
    return (S + S.T) / 2


def _full_apart(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    k = min(shape)
    U, V = (_orthogonal(rng, n)[:, :k] for n in shape)
    return U * _apart(rng, k) @ V.T


def _nonzero(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return _sign(rng, shape) * rng.uniform(0.5, 2, shape)


def _sign(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape)


def _probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weights = rng.uniform(0.1, 1, shape)
    return weights / weights.sum(axis=-1, keepdims=True)


FLAGS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "": lambda rng, shape: rng.standard_normal(shape),
    "inv": _full_rank,
    "full": _full_rank,
    "singular": _singular,
    "sym": _symmetric,
    "spd": _positive_definite,
    "apart": _definite_apart,
    "full-apart": _full_apart,
    "pos": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "nonzero": _nonzero,
    "sign": _sign,
    "simplex": _probabilities,
    "small": lambda rng, shape: 0.2 * rng.standard_normal(shape),
}


def shape(argument: Argument) -> tuple[int, ...]:
    """Return the shape that is drawn for an argument.

    >>> shape(Argument("C", ("p*n", "m")))
    (20, 3)
    """
    return tuple(math.prod(DIMS[letter] for letter in dim.split("*")) for dim in argument.dims)


def draw(
    sample: Sequence[Argument], name: str, seed: int, dtype: jax.typing.DTypeLike
) -> tuple[jax.Array, ...]:
    """Draw the arguments of the entry ``name``: the same values in every dtype, but for rounding.

    Singular values of ``inv`` and ``full`` and eigenvalues of ``spd`` matrices lie in [0.5, 2], so
    that what is measured is the identity and not the condition of its sample. Where vectors of a
    decomposition are concerned, ``apart`` (positive definite) and ``full-apart`` keep them apart.
    The flag ``same`` repeats the first argument.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values: list[np.ndarray] = []
    for argument in sample:
        same = argument.flag == "same"
        values.append(values[0] if same else FLAGS[argument.flag](rng, shape(argument)))
    return tuple(jnp.asarray(value, dtype) for value in values)


def direction(
    shape: tuple[int, ...], name: str, seed: int, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Draw a tangent or cotangent for the entry ``name``."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), 1])
    return jnp.asarray(rng.standard_normal(shape), dtype)
