"""A sum of terms as arrays, the leaves of a pytree, and what is static about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc.linear.contraction import is_static
from jaxmatcalc.linear.term import Array, Factor, Group, Label, Term, walk_labels

Spec = Any  # hashable: the terms, with numbers for arrays and labels


def pack(terms: Iterable[Term], dtype: Any) -> tuple[tuple[Array, ...], Spec]:
    """Arrays, each once, and what is static; labels are numbered in canonical order.

    Every term gets a scalar, so that its dtype and a batch axis always have a leaf to live in.
    """
    arrays: list[Array] = []
    index: dict[int, int] = {}
    spec = []
    for term in terms:
        if all(f.labels for f in term.factors):
            term = term.times(np.ones((), dtype))
        number: dict[Label, int] = {k: i for i, k in enumerate(walk_labels(term))}
        factors = []
        for f in term.factors:
            if id(f.array) not in index:
                index[id(f.array)] = len(arrays)
                arrays.append(f.array)
            labels = tuple(number[k] for k in f.labels)
            factors.append((index[id(f.array)], labels, f.symmetric))
        spec.append(
            (
                tuple(factors),
                tuple(tuple(number[k] for k in g) for g in term.out),
                tuple(tuple(number[k] for k in g) for g in term.in_),
                tuple(k.size for k in number),
            )
        )
    return tuple(jnp.asarray(a, _leaf_dtype(a, dtype)) for a in arrays), tuple(spec)


def _leaf_dtype(array: Array, dtype: Any) -> Any:
    return dtype if is_static(array) else array.dtype


def transposed(spec: Spec) -> Spec:
    """The spec with ``out`` and ``in`` exchanged: nothing is computed, every array stays itself."""
    terms = []
    for factors, out, in_, sizes in spec:
        external = [k for group in in_ + out for k in group]
        order = list(dict.fromkeys([*external, *range(len(sizes))]))
        number = {k: i for i, k in enumerate(order)}

        def renumbered(groups: Any, number: dict[int, int] = number) -> Any:
            return tuple(tuple(number[k] for k in group) for group in groups)

        labels = renumbered(ks for _, ks, _ in factors)
        terms.append(
            (
                tuple((i, ks, sym) for (i, _, sym), ks in zip(factors, labels, strict=True)),
                renumbered(in_),
                renumbered(out),
                tuple(sizes[k] for k in order),
            )
        )
    return tuple(terms)


def unpack(arrays: tuple[Array, ...], spec: Spec) -> tuple[Term, ...]:
    """The terms of a spec, with new labels."""
    terms = []
    for factors, out, in_, sizes in spec:
        labels = [Label(n) for n in sizes]

        def group(numbers: tuple[int, ...], labels: list[Label] = labels) -> Group:
            return tuple(labels[k] for k in numbers)

        terms.append(
            Term(
                tuple(Factor(arrays[i], group(ks), sym) for i, ks, sym in factors),
                tuple(map(group, out)),
                tuple(map(group, in_)),
            )
        )
    return tuple(terms)
