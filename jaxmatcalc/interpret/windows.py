"""Rules for what slides or turns along axes: pools, convolutions, Fourier transforms.

Sums over a window are taken one axis at a time, and so are Fourier transforms: Kronecker products.
A maximum over a window picks the entry that attains it. A convolution mixes channels and space, and
repeats itself along the batch; in its kernel it repeats itself along the channels that go out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.interpret.along import Axes, along, moved
from jaxmatcalc.interpret.memory import remembered
from jaxmatcalc.interpret.movement import Shape
from jaxmatcalc.interpret.parts import part
from jaxmatcalc.interpret.selected import Selection
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.interpret.value import Known

Value = Known | Tangent

_WINDOW = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
_TRIVIAL = (1, 1, (0, 0), 1, 1)


def _others(rank: int, *axes: int) -> tuple[tuple[int, int], ...]:
    return tuple((a, a) for a in range(rank) if a not in axes)


def _parameters(eqn: Any) -> list[Sequence[Any]]:
    """The parameters of a window; one that moves entries apart may be left out."""
    none = (1,) * len(eqn.params["window_dimensions"])
    return [tuple(eqn.params.get(name, none)) for name in _WINDOW]


def _windowed(eqn: Any) -> list[int]:
    """The axes along which a window is longer than one entry, or moves by more."""
    per_axis = zip(*_parameters(eqn), strict=True)
    return [a for a, p in enumerate(per_axis) if (*p[:2], tuple(p[2]), *p[3:]) != _TRIVIAL]


def _reduce_window_sum(eqn: Any, operand: Tangent) -> Tangent:
    for a in _windowed(eqn):
        p = [eqn.params[name][a] for name in _WINDOW]

        def total(x: Any, p: Any = p) -> Any:
            zero = jnp.zeros((), x.dtype)
            window, strides, padding, base, dilation = ((v,) for v in p)
            return lax.reduce_window(x, zero, lax.add, window, strides, padding, base, dilation)

        shape = list(operand.shape)
        shape[a] = eqn.outvars[0].aval.shape[a]
        axes = Axes((a,), (a,), (), _others(len(shape), a))
        operand = along(operand, Shape(tuple(shape), operand.dtype), axes, total)
    return operand


class _Pool:
    """The maxima (or minima) of windows: for each window, the place of an entry in its plane."""

    def __init__(self, eqn: Any, primal: Known, axes: Sequence[int], dtype: Any):
        array, better = primal.value(), eqn.params["select_prim"]
        worst = -np.inf if better.name == "ge" else np.inf
        self.plane = tuple(array.shape[a] for a in axes)
        self.size = math.prod(self.plane)
        rest = [a for a in range(array.ndim) if a not in axes]
        self.batch = tuple(array.shape[a] for a in rest)
        # what pads a window has number 0: a window of nothing else picks nothing
        numbers = 1 + jnp.arange(self.size, dtype=np.int32).reshape(self.plane)
        numbers = lax.broadcast_in_dim(numbers, array.shape, list(axes))

        def best(x: Any, y: Any) -> Any:
            first = better.bind(x[0], y[0])
            return lax.select(first, x[0], y[0]), lax.select(first, x[1], y[1])

        start = np.asarray(worst, array.dtype), np.asarray(0, np.int32)
        window, strides, padding, base, dilation = _parameters(eqn)
        found = lax.reduce_window(
            (array, numbers), start, best, window, strides, padding, base, dilation
        )[1]
        found = jnp.transpose(found, [*rest, *axes])
        self.windows = found.shape[len(rest) :]
        self.place = found.reshape(*self.batch, -1) - 1
        self.selection = Selection(self._index, dtype)

    def _index(self, transposed: bool) -> Any:
        return jnp.where(self.place >= 0, self.place, self.size)

    def gather(self, x: Any) -> Any:
        """The entries at the maxima, from (batch, plane) to (batch, windows)."""
        flat = x.reshape(*self.batch, self.size)
        found = jnp.take_along_axis(flat, jnp.maximum(self.place, 0), -1)
        found = jnp.where(self.place >= 0, found, jnp.zeros((), x.dtype))
        return found.reshape(*self.batch, *self.windows)

    def scatter(self, u: Any) -> Any:
        """The transpose."""
        flat = u.reshape(*self.batch, -1)
        at = tuple(range(len(self.batch)))
        numbers = lax.ScatterDimensionNumbers((), (len(at),), (len(at),), at, at)
        place = jnp.where(self.place >= 0, self.place, self.size)[..., None]
        zeros = jnp.zeros((*self.batch, self.size), u.dtype)
        total = lax.scatter_add(zeros, place, flat, numbers, mode="drop")
        return total.reshape(*self.batch, *self.plane)


def _picked(eqn: Any, operand: Value, primal: Value) -> Tangent | None:
    """Of a maximum over windows, the tangent; of its transpose, where the cotangent goes."""
    if not isinstance(operand, Tangent) or not isinstance(primal, Known):
        return None
    axes = _windowed(eqn)
    key = "pool", id(primal), str(_parameters(eqn)), eqn.params["select_prim"]
    pool = remembered(
        primal, (key, jnp.dtype(operand.dtype)), lambda: _Pool(eqn, primal, axes, operand.dtype)
    )
    transposed = eqn.primitive.name == "select_and_scatter_add"
    where = Axes(tuple(axes), tuple(axes), _others(len(operand.shape), *axes))
    call = pool.scatter if transposed else pool.gather
    return along(operand, eqn.outvars[0].aval, where, call, pool.selection, transposed)


def _fft(eqn: Any, operand: Tangent) -> Tangent | None:
    """A transform along each axis by itself; of real values along the last one."""
    aval, lengths = eqn.outvars[0].aval, eqn.params["fft_lengths"]
    kind = lax.FftType(eqn.params["fft_type"])
    rank, halved = len(operand.shape), kind == lax.FftType.IRFFT
    order = range(len(lengths)) if halved else reversed(range(len(lengths)))
    for k in order:  # real values last or first: along the last axis
        length = lengths[k]
        a = rank - len(lengths) + k
        real = kind == lax.FftType.RFFT and a == rank - 1
        inverse = kind in (lax.FftType.IFFT, lax.FftType.IRFFT)
        one = lax.FftType.RFFT if real else lax.FftType.IFFT if inverse else lax.FftType.FFT
        half = halved and a == rank - 1

        def transform(x: Any, one: Any = one, length: int = length, half: bool = half) -> Any:
            return lax.fft(_doubled(x, length) if half else x, one, (length,))

        shape = list(operand.shape)
        shape[a] = aval.shape[a]
        axes = Axes((a,), (a,), (), _others(rank, a))
        dtype = jnp.result_type(operand.dtype, np.complex64)
        operand = along(operand, Shape(tuple(shape), dtype), axes, transform)
    return part(operand, aval, "real") if halved else operand


def _doubled(x: Any, length: int) -> Any:
    """Half a spectrum as a whole one, of which the transform has the same real part."""
    place = jnp.arange(x.shape[0])
    weight = jnp.where((place == 0) | (2 * place == length), 1, 2).astype(x.dtype)
    return jnp.pad(x * weight, (0, length - x.shape[0]))


def _convolution(eqn: Any, image: Value, kernel: Value) -> Tangent | None:
    p, rank = eqn.params, len(image.shape)
    d = p["dimension_numbers"]
    simple = p["feature_group_count"] == p["batch_group_count"] == 1
    aval, out = eqn.outvars[0].aval, d.out_spec
    if isinstance(image, Tangent) and isinstance(kernel, Known):
        spec, other = d.lhs_spec, kernel.value()
        still = [a for a in range(rank) if simple and a == 0]
        still += [a for a in range(2, rank) if simple and _is_pointwise(p, a - 2, kernel, d)]
        call = lambda x: _jax.bind(eqn, [x, other])[0]  # noqa: E731
        operand, pairs = image, [(spec[a], out[a]) for a in still]
    elif isinstance(kernel, Tangent) and isinstance(image, Known):
        spec, other = d.rhs_spec, image.value()
        # the channels that go out come first in a kernel, and second in the result
        call = lambda x: _jax.bind(eqn, [other, x])[0]  # noqa: E731
        operand, pairs = kernel, [(spec[0], out[1])] if simple else []
    else:
        return None
    acted = tuple(a for a in range(rank) if a not in [a for a, _ in pairs])
    made = tuple(r for r in range(rank) if r not in [r for _, r in pairs])
    axes = Axes(acted, made, (), tuple(pairs))
    return along(operand, aval, axes, moved(call, axes, rank, rank))


def _is_pointwise(p: Any, k: int, kernel: Known, d: Any) -> bool:
    """Whether a convolution leaves a spatial axis alone."""
    one = kernel.shape[d.rhs_spec[k + 2]] == 1
    return one and (p["window_strides"][k], tuple(p["padding"][k]), p["lhs_dilation"][k]) == (
        1,
        (0, 0),
        1,
    )


WINDOWS: dict[str, Callable[..., Any]] = {
    "conv_general_dilated": _convolution,
    "fft": _fft,
    "reduce_window_sum": _reduce_window_sum,
    "select_and_gather_add": _picked,
    "select_and_scatter_add": _picked,
}
