"""Axes of tensors: merged and split, added, left out, and made longer."""

from __future__ import annotations

from collections.abc import Sequence

from jaxmatcalc.explain.atoms import Merge
from jaxmatcalc.explain.building import product
from jaxmatcalc.explain.tensor import Label, Tensor, labels, of_atom


def spread(value: Tensor, shape: Sequence[int]) -> Tensor:
    """A scalar everywhere, and an axis of size 1 along the other operand's."""
    if value.shape == tuple(shape):
        return value
    out = labels(shape)
    own = [x if n == x.size else Label(n) for n, x in zip(value.shape, out, strict=False)]
    return product(out, (value, own))


def without_ones(value: Tensor) -> Tensor:
    """A tensor without its axes of size 1."""
    return value.permuted([k for k, n in enumerate(value.shape) if n != 1])


def with_ones(value: Tensor, new: Sequence[int]) -> Tensor:
    """A tensor with axes of size 1 where a shape has them."""
    own = iter(labels(value.shape))
    inner: list[Label] = []
    out: list[Label] = []
    for n in new:
        x = Label(1) if n == 1 else next(own)
        out.append(x)
        inner += [] if n == 1 else [x]
    return product(out, (value, inner))


def reshaped(value: Tensor, new: Sequence[int]) -> Tensor | None:
    """A tensor with axes merged, split, added and left out."""
    old = [n for n in value.shape if n != 1]
    wanted = [n for n in new if n != 1]
    value, axis = without_ones(value), 0
    i = j = 0
    while i < len(old):
        a, b, many, few = old[i], wanted[j], 1, 1
        while a != b:
            if a < b:
                i, many = i + 1, many + 1
                a *= old[i]
            else:
                j, few = j + 1, few + 1
                b *= wanted[j]
        value = merged(value, axis, many) if many > 1 else value
        value = split(value, axis, wanted[j - few + 1 : j + 1]) if few > 1 else value
        i, j, axis = i + 1, j + 1, axis + few
    return with_ones(value, new)


def merged(value: Tensor, first: int, count: int) -> Tensor:
    """A tensor with some axes next to each other made one, the last of them fastest."""
    for _ in range(count - 1):  # the last two at a time
        value = _merged_pair(value, first + count - 2)
        count -= 1
    return value


def _merged_pair(value: Tensor, first: int) -> Tensor:
    out = labels(value.shape)
    a, b = out[first : first + 2]
    rest, whole = out[first + 2 :], Label(a.size * b.size)
    if 1 in (a.size, b.size):
        joined = (value, (*out[:first], *((whole, b) if b.size == 1 else (a, whole)), *rest))
        return product((*out[:first], whole, *rest), joined)
    merge = of_atom(Merge((a.size, b.size)))
    return product((*out[:first], whole, *rest), (value, out), (merge, (whole, a, b)))


def split(value: Tensor, axis: int, sizes: Sequence[int]) -> Tensor:
    """A tensor with an axis split in several, the last of them fastest."""
    for k, size in enumerate(sizes[:-1]):
        value = _split_pair(value, axis + k, size)
    return value


def _split_pair(value: Tensor, axis: int, size: int) -> Tensor:
    out = labels(value.shape)
    whole = out[axis]
    a, b = labels((size, whole.size // size))
    if 1 in (a.size, b.size):
        inner = (a, whole) if a.size == 1 else (whole, b)
        return product((*out[:axis], *inner, *out[axis + 1 :]), (value, out))
    merge = of_atom(Merge((a.size, b.size)))
    return product((*out[:axis], a, b, *out[axis + 1 :]), (value, out), (merge, (whole, a, b)))
