"""What the tests of linear operators share: comparison, and operators written as einsum strings.

The strings are evaluated a second time by an explicit einsum with Kronecker deltas, which knows
nothing of labels, groups or terms.
"""

from __future__ import annotations

import re

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import LinearOperator
from jaxmatcalc.linear.term import Factor, Label, Term


@pytest.fixture(scope="session")
def close():
    """close(actual, expected): same shape, equal to rounding relative to the largest entry."""

    def compare(actual, expected, digits_lost=3):
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert actual.shape == expected.shape
        assert np.all(np.isfinite(expected))
        wide = np.result_type(actual.dtype, np.float32)
        tolerance = float(jnp.finfo(wide).eps) * 10**digits_lost
        largest = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)

    return compare


def parsed(spec):
    """``"ab,cd:(ac)|bd"`` as the operands' letters, and the groups of out and of in."""
    operands, axes = spec.split(":")
    out, in_ = axes.split("|")
    groups = [[g.strip("()") for g in re.findall(r"\([a-z]*\)|[a-z]", side)] for side in (out, in_)]
    letters = [k.strip(".") for k in operands.split(",")] if operands else []
    return letters, *groups


@pytest.fixture(scope="session")
def einsum_operator():
    """einsum_operator(sizes, (spec, *arrays), …): the operator of a sum of einsum terms.

    A spec is ``operands:out|in``; the operand ``.`` is a scalar, parentheses merge labels.
    """

    def build(sizes, *sums):
        terms = []
        for spec, *arrays in sums:
            operands, out, in_ = parsed(spec)
            labels = {k: Label(sizes[k]) for k in sorted(set(spec)) if k.isalpha()}

            def group(letters, labels=labels):
                return tuple(labels[k] for k in letters)

            factors = [Factor(a, group(ks)) for ks, a in zip(operands, arrays, strict=True)]
            terms.append(Term(tuple(factors), tuple(map(group, out)), tuple(map(group, in_))))
            out_shape, in_shape = (
                tuple(int(np.prod([sizes[k] for k in g])) for g in side) for side in (out, in_)
            )
        dtype = jnp.result_type(float, *(a for _, *arrays in sums for a in arrays))
        return LinearOperator(terms, out_shape, in_shape, dtype)

    return build


@pytest.fixture(scope="session")
def einsum_matrix():
    """The matrix of the same sum, formed with one identity matrix for every place of a label."""

    def build(sizes, *sums):
        total = 0
        for spec, *arrays in sums:
            operands, out, in_ = parsed(spec)
            number = {k: i for i, k in enumerate(sorted(k for k in set(spec) if k.isalpha()))}
            places = "".join(out + in_)
            arguments = []
            for letters, array in zip(operands, arrays, strict=True):
                arguments += [jnp.asarray(array), [number[k] for k in letters]]
            result = []
            for position, k in enumerate(places):
                result.append(len(number) + position)
                arguments += [jnp.eye(sizes[k]), [number[k], result[-1]]]
            rows = int(np.prod([sizes[k] for k in "".join(out)]))
            dense = jnp.einsum(*arguments, result, precision="highest")
            total = total + dense.reshape(rows, -1)
        return total

    return build
