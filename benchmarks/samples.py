"""The arrays that cases are measured at: shapes by name, values from a fixed seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from jaxmatcalc.data import load_digits

Sizes = Mapping[str, int]
Sample = Callable[[np.random.Generator, Sizes], np.ndarray]


def normal(*shape: str) -> Sample:
    """Independent standard normal entries."""
    return lambda rng, sizes: rng.standard_normal([sizes[name] for name in shape])


def weights(*shape: str) -> Sample:
    """Matrices (…, m, n) that keep the length of a random vector: entries of variance 1/n."""
    draw = normal(*shape)
    return lambda rng, sizes: draw(rng, sizes) / np.sqrt(sizes[shape[-1]])


def one_hot(m: str, n: str) -> Sample:
    """Classes as rows of the identity."""
    return lambda rng, sizes: np.eye(sizes[n])[rng.integers(0, sizes[n], sizes[m])]


def mask(*shape: str) -> Sample:
    """Zeros and ones."""
    return lambda rng, sizes: rng.integers(0, 2, [sizes[name] for name in shape]).astype(float)


def signs(n: str) -> Sample:
    """Labels ±1."""
    return lambda rng, sizes: rng.choice([-1.0, 1.0], sizes[n])


def positive() -> Sample:
    """A number between 1/2 and 1."""
    return lambda rng, sizes: rng.uniform(0.5, 1)


def regular(*shape: str) -> Sample:
    """Square matrices (…, n, n) far from singular: eigenvalues about 2, in a disc of radius 1."""
    draw = weights(*shape, shape[-1])
    return lambda rng, sizes: 2 * np.eye(sizes[shape[-1]]) + draw(rng, sizes)


def positive_definite(*shape: str) -> Sample:
    """Symmetric matrices (…, n, n) with eigenvalues between 1 and about 2."""
    draw = weights(*shape, shape[-1])

    def drawn(rng: np.random.Generator, sizes: Sizes) -> np.ndarray:
        factor = draw(rng, sizes)
        return np.eye(sizes[shape[-1]]) + factor @ np.swapaxes(factor, -1, -2) / 4

    return drawn


def digit_correlations(n: str) -> Sample:
    """Correlations of the first n pixels of the digits; a constant pixel has a row of zeros."""

    def draw(rng: np.random.Generator, sizes: Sizes) -> np.ndarray:
        pixels = load_digits().pixels[:, : sizes[n]].astype(np.float64)
        deviation = pixels.std(axis=0)
        scores = (pixels - pixels.mean(axis=0)) / np.where(deviation == 0, 1, deviation)
        return scores.T @ scores / len(scores)

    return draw
