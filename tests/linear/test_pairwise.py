"""Products of two factors by one primitive, beside NumPy's einsum."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.linear import pairwise
from jaxmatcalc.linear.term import Factor, Label

SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "z": 0}

CASES = [
    "ab,bc->ac",
    "ab,bc->ca",  # the other operand first
    "ab,cb->ac",
    "dab,dbc->dac",
    "abd,cbd->dca",
    "ab,ab->",
    "ab,ab->ba",  # entry by entry
    "a,b->ba",
    ",ab->ab",
    "abc,b->ca",
    "abc,d->da",  # sums of one factor alone
    "abz,zc->abc",
    "az,z->za",
]


@pytest.mark.parametrize("case", CASES)
def test_a_product_is_the_einsum(case, close, float_dtype):
    operands, result = case.split("->")
    names = operands.split(",")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=[SIZES[k] for k in name]) for name in names]
    labels = {k: Label(n) for k, n in SIZES.items()}
    factors = [
        Factor(a, tuple(labels[k] for k in name)) for a, name in zip(arrays, names, strict=True)
    ]
    kept = tuple(labels[k] for k in result)
    found = pairwise.product(*factors, kept, float_dtype)
    assert found.dtype == float_dtype
    close(found, np.einsum(case, *arrays).astype(float_dtype))
    program = jax.make_jaxpr(
        lambda *xs: pairwise.product(
            *(f._replace(array=x) for f, x in zip(factors, xs, strict=True)), kept, float_dtype
        )
    )(*(jnp.asarray(a, float_dtype) for a in arrays))
    assert len(program.jaxpr.eqns if hasattr(program, "jaxpr") else program.eqns) <= 4
