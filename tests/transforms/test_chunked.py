"""Memory: `jacobian` and `hessian` with a chunk_size, and the chunks that `batched` chooses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import batched, hessian, jacobian
from jaxmatcalc.transforms import chunks
from jaxmatcalc.transforms.chunks import Layout, Sizes, Step

rng = np.random.default_rng(5)
b = jnp.asarray(rng.normal(size=3), float)
w = np.asarray(rng.normal(size=3), b.dtype)
SWAP = np.roll(np.eye(3), 1, 1) + np.roll(np.eye(3), 2, 1)  # where the rows of a pair differ


def cubic(x, s=1.0):
    return s * (jnp.prod(x) + jnp.sum(w * x**3))


def hessian_of_cubic(x):
    x = np.asarray(x)
    return np.asarray(SWAP * (x.sum() - x[:, None] - x) + np.diag(6 * w * x), x.dtype)


@pytest.mark.parametrize("size", [1, 2, 3, 100])  # a ragged end, and none
def test_hessians_a_few_columns_at_a_time(size, close):
    close(hessian(cubic, chunk_size=size)(b), hessian_of_cubic(b))


def several(x, y):
    return {"product": x * y[:2], "rest": (jnp.sum(x), y**2)}


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("argnums", [0, (1, 0)])
def test_jacobians_of_pytrees(size, argnums, close):
    """In two entries by columns, of a result with six; in both arguments' five as well."""
    x = b[:2] + 1
    by_x = {"product": jnp.diag(b[:2]), "rest": (jnp.ones(2, b.dtype), jnp.zeros((3, 2), b.dtype))}
    by_y = {"product": jnp.diag(x) @ jnp.eye(2, 3), "rest": (jnp.zeros(3), 2 * jnp.diag(b))}
    found = jacobian(several, argnums, chunk_size=size)(x, b)
    for name, place in (("product", 0), ("rest", 0), ("rest", 1)):
        one, of_y, of_x = (
            t[name] if name == "product" else t[name][place] for t in (found, by_y, by_x)
        )
        close(one, of_x if argnums == 0 else (of_y, of_x))


def test_jacobians_by_rows(close):
    """Two results of three entries, and a Hessian of more than a scalar."""
    f = lambda x: (jnp.sum(w * x**3), x[0] * x[1])  # noqa: E731
    found = jacobian(f, chunk_size=2)(b)
    close(found, (3 * w * b**2, jnp.array([b[1], b[0], 0])))
    second = hessian(f, chunk_size=2)(b)
    close(second, (np.diag(6 * w * b), jnp.zeros((3, 3)).at[0, 1].set(1).at[1, 0].set(1)))


def test_what_else_jax_takes(close):
    """Further results, complex arguments, two arguments, branches on values."""

    def f(x):
        return cubic(x), {"k": x, "n": jnp.arange(3)}

    for derivative, expected in (
        (hessian, hessian_of_cubic(b)),
        (jacobian, jnp.prod(b) / b + 3 * w * b**2),
    ):
        close(
            derivative(f, has_aux=True, chunk_size=2)(b), (expected, {"k": b, "n": jnp.arange(3)})
        )
    z = b + 1j * b[::-1]
    close(hessian(cubic, holomorphic=True, chunk_size=2)(z), hessian_of_cubic(z))
    (_, mixed), (_, by_s) = hessian(cubic, (0, 1), chunk_size=3)(b, jnp.asarray(2.0))
    close(mixed, jnp.prod(b) / b + 3 * w * b**2)
    close(by_s, jnp.zeros(()))

    def branching(x):
        return cubic(x) if x[0] > 0 else jnp.sum(x**2)

    for x in (jnp.abs(b), -jnp.abs(b)):
        expected = hessian_of_cubic(x) if x[0] > 0 else 2 * np.eye(3, dtype=b.dtype)
        close(hessian(branching, chunk_size=2)(x), expected)
        close(jacobian(branching, chunk_size=2)(x), jax.grad(branching)(x))


def test_functions_with_a_reverse_rule_only():
    @jax.custom_vjp
    def f(x):
        return x**2

    f.defvjp(lambda x: (f(x), x), lambda x, g: (3 * g * x,))
    np.testing.assert_allclose(jacobian(f, chunk_size=2)(b), jnp.diag(3 * b), rtol=1e-6)


def test_empty_arrays(close):
    empty = jnp.zeros((0, 3))
    for f, x in ((lambda x: jnp.sum(x**2, 0), empty), (lambda x: x[:0] ** 2, b), (jnp.sin, empty)):
        close(jacobian(f, chunk_size=2)(x), jax.jacobian(f)(x))
    close(hessian(jnp.sum, chunk_size=2)(empty), jax.hessian(jnp.sum)(empty))


def test_composition(close):
    chunked = hessian(cubic, chunk_size=2)
    close(jax.jit(chunked)(b), hessian_of_cubic(b))
    third = np.zeros((3, 3, 3), b.dtype)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        third[i, j, k] = third[j, i, k] = 1
        third[i, i, i] = 6 * w[i]
    close(jax.jacrev(chunked)(b), third)
    batch = jnp.stack([b, 2 * b, -b])
    found = batched(chunked, batch_size=2)(batch)
    close(found, np.stack([hessian_of_cubic(x) for x in batch]))


def test_closed_form_rules_are_used():
    """The squared norm at 0, where the Hessian of JAX is NaN."""
    squared = lambda x: jnp.linalg.norm(x) ** 2  # noqa: E731
    np.testing.assert_array_equal(hessian(squared, chunk_size=2)(jnp.zeros(3)), 2 * np.eye(3))


def test_memory_grows_with_the_chunk_alone():
    """Temporaries of the compiled program: a tangent of 40,000 entries for each column at once."""
    W = jnp.ones((200, 60))

    def f(x):  # an outer product of what depends on x, which no program can leave out
        h = jnp.tanh(W @ x)
        return jnp.sum(jnp.cos(h[:, None] * h) @ jnp.sin(h[:, None] + h))

    x = jnp.ones(60)
    tangent = 200 * 200 * x.dtype.itemsize

    def temporaries(derivative):
        compiled = jax.jit(derivative).lower(x).compile()
        return compiled.memory_analysis().temp_size_in_bytes / tangent

    few, more = (temporaries(hessian(f, chunk_size=k)) for k in (2, 10))
    each = (more - few) / 8
    assert each < 12
    assert few < 2 * each + 25  # one pass through the gradient, whatever the chunk
    assert temporaries(jax.hessian(f)) > 2 * more


@pytest.mark.parametrize("transform", [jacobian, hessian])
def test_mistakes(transform):
    name = transform.__name__
    for size in (0, -2):
        with pytest.raises(ValueError, match=rf"`{name}` needs chunk_size .*positive.*got {size}"):
            transform(cubic, chunk_size=size)
    for size in (1.5, "auto", True):
        with pytest.raises(TypeError, match=rf"`{name}` needs chunk_size .*integer; got {size!r}"):
            transform(cubic, chunk_size=size)
    with pytest.raises(TypeError, match=r"real floating-point dtype; got dtype int"):
        transform(lambda x: jnp.sum(x * 1.0), chunk_size=2)(jnp.arange(3))
    with pytest.raises(TypeError, match=r"holomorphic=True is for complex ones"):
        transform(lambda z: jnp.sum(jnp.abs(z)), chunk_size=2)(b + 1j)


# Chunks of a batch


@pytest.mark.parametrize("devices", [1, 3])
@pytest.mark.parametrize("items", [1, 5, 12])
@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_a_layout_has_every_item_once(devices, items, chunk):
    layout = Layout(items, devices, chunk)
    rows = np.arange(items)
    seen, results = [], np.full(items, -1)
    for step in layout.steps:
        found = [rows[layout.rows(d, step.start)] for d in range(devices)]
        assert all(len(part) == chunk for part in found)
        seen += list(np.concatenate(found)[layout.is_new(step)])
        for d, part in enumerate(found):
            to, of = layout.target(d, step)
            results[to] = part[of]
    assert sorted(seen) == list(range(items))
    np.testing.assert_array_equal(results, rows)
    assert layout.steps[0] == Step(0, 0)


def test_chunks_are_chosen_by_memory():
    compiled = []

    def needs(chunk):
        compiled.append(chunk)
        return 1000 + 10 * chunk

    sizes = Sizes()
    assert sizes.choose(needs, 500, 0, 10**6) == 500  # all at once
    chosen = sizes.choose(needs, 10**6, 0, 50_000)
    assert 3 * needs(chosen) <= 50_000 < 3 * needs(chosen + 2)
    before = len(compiled)
    assert sizes.choose(needs, 3 * 10**6, 0, 50_000) == chosen  # the program is there
    assert len(compiled) == before
    assert sizes.choose(needs, 10**6, 40_000, 50_000) < chosen / 2
    assert Sizes().choose(lambda n: 10 * n * n, 1000, 0, 5000) <= 12  # not on a straight line
    with pytest.raises(ValueError, match=r"needs a memory_limit of 2\.96 KiB or more .* got 1"):
        sizes.choose(needs, 100, 0, 1500)
    with pytest.raises(ValueError, match=r'needs out="host", reduce= .* take 2 bytes .* got 1 b'):
        sizes.choose(needs, 100, 2, 1)


def test_free_memory_is_known_here():
    assert 2**20 < chunks.free_memory(jax.local_devices()[:1]) < 2**50


def test_the_automatic_chunk_is_right(close):
    mapped = batched(jnp.sum, batch_size="auto", memory_limit="2KiB", out="host")
    xs = rng.normal(size=(300, 3)).astype(b.dtype)
    close(mapped(xs), xs.sum(-1))
    assert 1 < mapped.lower(xs).out_info.shape[0] < len(xs) / 3
    assert batched(jnp.sum, batch_size="auto").lower(xs).out_info.shape == (len(xs),)


PEAK = """
    import json, jax, jax.numpy as jnp, numpy as np
    from jaxmatcalc import batched

    def status(name):
        lines = open("/proc/self/status").read().splitlines()
        return 1024 * int(next(l for l in lines if l.startswith(name)).split()[1])

    def growth(call, *args):
        call(*args)  # compiles
        open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
        before = status("VmRSS")
        result = call(*args)
        return status("VmHWM") - before, sum(x.nbytes for x in jax.tree.leaves(result))

    W = np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    xs = np.random.default_rng(1).normal(size=(2048, 96)).astype(np.float32)
    limit = {"batch_size": "auto", "memory_limit": "16MiB"}
    wide = lambda x: jnp.sum(jnp.tanh(W * x) @ jnp.cos(W + x), 0)  # 144 MiB of factors for all
    outer = lambda x: x[:, None] * jnp.sin(x)  # 72 MiB of results
    print(json.dumps([
        growth(batched(wide, **limit), xs),
        growth(batched(outer, reduce="mean", **limit), xs),
        growth(batched(outer, out="host", **limit), xs),
    ]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_stays_within_the_limit():
    """Resident memory of a fresh process, for intermediates and results that would not fit."""
    # What is freed is given back at once, so that resident memory is what is in use.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", textwrap.dedent(PEAK)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    (wide, _), (mean, _), (outer, results) = json.loads(done.stdout)
    limit = 16 * 2**20
    assert results > 4 * limit
    assert max(wide, mean) <= limit
    assert outer <= limit + results  # which are the caller's, on the host
