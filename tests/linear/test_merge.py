"""Like terms merge into one that is their sum; axes are split until they agree."""

from __future__ import annotations

import itertools

import hypothesis
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from jaxmatcalc.linear.contraction import dense
from jaxmatcalc.linear.merge import merge
from jaxmatcalc.linear.term import Factor, Label, Term, refine

A, B, C = (jnp.asarray(np.random.default_rng(k).normal(size=(3, 3)), float) for k in range(3))


def product(left, right, scale=None):
    """left ⊗ right, times a scalar."""
    i, j, k, l = (Label(3) for _ in range(4))
    factors = (Factor(left, (i, j)), Factor(right, (k, l)))
    if scale is not None:
        factors += (Factor(scale, ()),)
    return Term(factors, ((i,), (k,)), ((j,), (l,)))


def total(terms):
    return np.asarray(sum(dense(t, A.dtype) for t in terms))


def test_what_merges(close):
    """Terms alike but for one part, in any order; and nothing else."""
    s = jnp.asarray(0.3)
    for terms, left in [
        ([product(A, B), product(A, C)], 1),
        ([product(A, B), product(C, B)], 1),
        ([product(A, B), product(A, B)], 1),
        ([product(A, B), product(A, B, s)], 1),
        ([product(A, B, np.asarray(2.0)), product(A, B, np.asarray(-2.0))], 1),
        ([product(A, B), product(C, C), product(A, C)], 2),
        ([product(A, B), product(B, A)], 2),
        ([product(A, A), product(A, B), product(B, A), product(B, B)], 2),
    ]:
        merged = merge(terms)
        assert len(merged) == left
        close(total(merged), total(terms))


def test_axes_in_another_order_are_not_alike(close):
    """A ⊗ B and the same with its inputs exchanged."""
    plain, crossed = product(A, B), product(A, B)
    crossed = Term(crossed.factors, crossed.out, crossed.in_[::-1])
    merged = merge([plain, crossed])
    assert len(merged) == 2
    close(total(merged), total([plain, crossed]))


def test_a_summed_label_may_be_an_external_one_elsewhere(close):
    """Terms that share labels with each other, as the pieces of one product rule do."""
    i, j, k = (Label(3) for _ in range(3))
    first = Term((Factor(A, (i, k)), Factor(B, (k, j))), ((i,),), ((j,),))
    second = Term((Factor(A, (i, j)), Factor(B, (j, k))), ((i,),), ((k,),))
    third = Term((Factor(A, (k, i)), Factor(C, (i, j))), ((k,),), ((j,),))
    expected = 2 * np.asarray(A) @ B + np.asarray(A) @ C
    close(total(merge([first, second, third])), expected)


def test_the_same_array_twice_is_a_square(close):
    """(AA)ᵢⱼ, (AAᵀ)ᵢⱼ and Aᵢⱼ² hold the same array twice, over different labels."""
    terms = []
    for pattern in ("ik,kj", "ik,jk", "ij,ij"):
        label = {k: Label(3) for k in "ijk"}
        factors = tuple(Factor(A, tuple(label[k] for k in ks)) for ks in pattern.split(","))
        terms.append(Term(factors, ((label["i"],),), ((label["j"],),)))
    a = np.asarray(A)
    close(total(merge(terms)), a @ a + a @ a.T + a * a)


@st.composite
def splits(draw):
    """Two row-major factorisations of one axis."""
    size = draw(st.sampled_from([4, 6, 8, 12, 24]))

    def factorised(n):
        parts = []
        while n > 1:
            parts.append(draw(st.sampled_from([k for k in range(2, n + 1) if n % k == 0])))
            n //= parts[-1]
        return parts

    return factorised(size), factorised(size)


@hypothesis.settings(max_examples=100)
@hypothesis.given(splits())
def test_refine(pair):
    first, second = ([Label(n) for n in sizes] for sizes in pair)
    parts = refine(first, second)
    places = [set(np.cumprod(sizes[::-1])) for sizes in pair]
    common = sorted(places[0] | places[1])
    if parts is None:
        # only where a boundary of one cuts a label of the other unevenly
        assert any(b % a for a, b in itertools.pairwise(common))
        return
    left, right = ([k for a in axis for k in parts.get(a, (a,))] for axis in (first, second))
    assert [k.size for k in left] == [k.size for k in right]
    for label, pieces in parts.items():
        assert label.size == np.prod([k.size for k in pieces])
    assert np.prod([k.size for k in left]) == common[-1]


def test_refine_of_labels_that_are_the_same():
    """A label on both sides is split on both."""
    six, two, three = Label(6), Label(2), Label(3)
    parts = refine([six, six], [two, three, six])
    assert parts is not None
    assert [k.size for k in parts[six]] == [2, 3]
    assert refine([Label(2), Label(3)], [Label(3), Label(2)]) is None
    assert refine([], []) == {}
