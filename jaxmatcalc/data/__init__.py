"""Real data that ships with the package, small enough to install with it.

``digits.npz`` is described, with its origin and licence, in ``LICENSE.txt`` beside it.
"""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

import numpy as np


class Digits(NamedTuple):
    """Handwritten digits: one row an image, one column a pixel of its 8 x 8 grid, row by row."""

    pixels: np.ndarray
    labels: np.ndarray


def load_digits() -> Digits:
    """The 1,797 handwritten digits of the UCI optical-recognition test set.

    Returns:
        ``pixels``, a uint8 array of shape (1797, 64) with the inked part of each of the 8 x 8 cells
        in sixteenths, 0 to 16; and ``labels``, a uint8 array of shape (1797,) with the digit that
        was written, 0 to 9.

    Example:
        >>> from jaxmatcalc.data import load_digits
        >>> digits = load_digits()
        >>> digits.pixels.shape, int(digits.pixels.max()), int(digits.labels[0])
        ((1797, 64), 16, 0)

    Source:
        Alpaydin and Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning
        Repository, 1998, https://doi.org/10.24432/C50P49, licensed CC BY 4.0.
    """
    file = resources.files(__name__) / "digits.npz"
    with file.open("rb") as stream, np.load(stream) as arrays:
        return Digits(arrays["pixels"], arrays["labels"])


__all__ = ["Digits", "load_digits"]
