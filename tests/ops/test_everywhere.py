"""Every operation of the catalogue in every place where JAX may put it.

The function is taken along a line, t ↦ Σ w ∘ op(X + t V), so that each derivative is one number and
every composition of forward and reverse mode is cheap to compile.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import jaxmatcalc as jmc
from jaxmatcalc import identities
from jaxmatcalc.identities.sample import draw

# One comparison for each operation and what it is told of its matrix
OPERATIONS = {(entry.name, entry.assume_a): entry for entry in identities.operations()}.values()
MODES = (jax.jacfwd, jax.jacrev)
STEPS = np.array([0.0, 0.25, 0.5])

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


def applied(operation, *args):
    return operation.apply(getattr(jmc, operation.name), *args)


def line(function, operation, dtype, seed=0):
    """t ↦ Σ w ∘ function(X + t V) for a tangent V of a tenth of the size of X."""
    args = draw(operation.sample, operation.name, seed, dtype)
    other = draw(operation.sample, operation.name, seed + 1, dtype)
    size = jax.eval_shape(function, *args).shape
    w = jnp.asarray(np.random.default_rng(seed).uniform(0.5, 1, size), dtype)

    def along(t):
        moved = (X + (t / 10) * V for X, V in zip(args, other, strict=True))
        return jnp.sum(w * function(*moved))

    return along


@every_operation
def test_derivatives_of_three_orders(operation, close, float_dtype):
    """All four second derivatives and the third, beside those of the plain spelling."""
    ours = line(functools.partial(applied, operation), operation, float_dtype)
    plain = line(operation.plain, operation, float_dtype)

    @jax.jit
    def derivatives(t):
        seconds = [outer(inner(ours))(t) for outer in MODES for inner in MODES]
        return ours(t), [mode(ours)(t) for mode in MODES], seconds, third(ours)(t)

    def third(f):
        return jax.jacfwd(jax.jacrev(jax.jacfwd(f)))

    @jax.jit
    def expected(t):
        return plain(t), jax.grad(plain)(t), jax.grad(jax.grad(plain))(t), third(plain)(t)

    t = jnp.zeros((), float_dtype)
    value, firsts, seconds, thirds = derivatives(t)
    truth = expected(t)
    close(value, truth[0], 4)
    for first in firsts:
        close(first, truth[1], 4)
    for second in seconds:
        close(second, truth[2], 4)
    close(thirds, truth[3], 5)


@every_operation
def test_transformations_of_programs(operation, close, float_dtype):
    """vmap, scan, remat, shard_map and export give what one call after another does."""
    f = line(functools.partial(applied, operation), operation, float_dtype)
    slope = jax.value_and_grad(f)
    steps = jnp.asarray(STEPS, float_dtype)
    one = jax.jit(slope)
    values, slopes = (jnp.stack(part) for part in zip(*map(one, steps), strict=True))
    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    spec = PartitionSpec("batch")

    @jax.jit
    def everywhere(steps):
        mapped = jax.vmap(slope)(steps)
        _, scanned = jax.lax.scan(lambda carry, t: (carry, slope(t)), 0, steps)
        rematerialised = jax.vmap(jax.value_and_grad(jax.checkpoint(f)))(steps)
        summed = jax.grad(lambda steps: jnp.sum(jax.vmap(f)(steps)))(steps)
        sharded = jax.shard_map(jax.vmap(slope), mesh=mesh, in_specs=spec, out_specs=spec)(steps)
        return mapped, scanned, rematerialised, (mapped[0], summed), sharded

    for found in everywhere(steps):
        close(found[0], values, 4)
        close(found[1], slopes, 4)
    exported = jax.export.export(one)(steps[0])
    close(exported.call(steps[1])[1], slopes[1], 4)


@every_operation
def test_no_nan_is_made_on_the_way(operation, float_dtype):
    """A NaN that is masked later would stop a program that is being debugged."""
    f = line(functools.partial(applied, operation), operation, float_dtype)
    with jax.debug_nans(True):
        slope = jax.jit(jax.grad(f))(jnp.zeros((), float_dtype))
    assert np.isfinite(slope)


@every_operation
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dtypes_stay_what_they_are(operation, dtype):
    """Traced with strict promotion: nothing wider or narrower enters on the way."""
    args = [X.astype(dtype) for X in draw(operation.sample, operation.name, 0, "float32")]
    f = functools.partial(applied, operation)

    def total(*args):
        return jnp.sum(f(*args))

    with jax.numpy_dtype_promotion("strict"):
        value = jax.eval_shape(f, *args)
        gradients = jax.eval_shape(jax.grad(total, tuple(range(len(args)))), *args)
    assert {leaf.dtype for leaf in jax.tree.leaves((value, gradients))} == {jnp.dtype(dtype)}
