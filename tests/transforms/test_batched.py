"""`batched`: any function over a batch in chunks, one program for all of them."""

from __future__ import annotations

import logging
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxmatcalc import batched, hessian_operator, inv, laplacian, newton_direction
from jaxmatcalc._checks import memory_limit
from jaxmatcalc.transforms.results import OnHost

rng = np.random.default_rng(7)
XS = np.asarray(rng.normal(size=(7, 3)), float)
WEIGHTS = jnp.asarray(rng.normal(size=3), float)


def moment(x, w):
    return {"cube": x**3 * w, "sum": jnp.sum(x) * w[0]}


def reference(xs, w=WEIGHTS):
    w = np.asarray(w)
    return {"cube": xs**3 * w, "sum": xs.sum(-1) * w[0]}


@pytest.fixture(scope="module")
def in_threes():
    return {out: batched(moment, (0, None), batch_size=3, out=out) for out in ("device", "host")}


@pytest.fixture(scope="module")
def inverses():
    return batched(inv, batch_size=3)


# Values


@pytest.mark.parametrize("out", ["device", "host"])
@pytest.mark.parametrize("length", [1, 3, 7])
@pytest.mark.parametrize("source", [np.asarray, jnp.asarray])
def test_chunks_make_the_whole(in_threes, out, length, source, close):
    xs = source(XS[:length].astype(WEIGHTS.dtype))
    found = in_threes[out](xs, WEIGHTS)
    close(found, jax.tree.map(lambda x: x.astype(WEIGHTS.dtype), reference(XS[:length])))
    kind = np.ndarray if out == "host" else jax.Array
    assert all(isinstance(leaf, kind) for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("out", ["device", "host"])
def test_sums_and_means(reduce, out, close):
    found = batched(moment, (0, None), batch_size=3, reduce=reduce, out=out)(XS, WEIGHTS)
    expected = jax.tree.map(lambda x: getattr(x, reduce)(0), reference(XS))
    close(found, jax.tree.map(lambda x: x.astype(WEIGHTS.dtype), expected))


def test_sums_of_other_dtypes():
    """Short floating-point numbers are added in float32; integers have a mean."""
    halves = jnp.ones(5000, jnp.bfloat16)
    total = batched(lambda x: x, batch_size=1000, reduce="sum")(halves)
    assert total.dtype == jnp.float32
    assert total == 5000  # bfloat16 does not count beyond 256
    mean = batched(lambda x: (x, x > 1), batch_size=2, reduce="mean")(jnp.arange(5))
    np.testing.assert_allclose(mean, [2, 0.6], rtol=1e-6)


def test_axes_as_vmap_has_them(close):
    """Other axes, negative ones, pytrees, keywords, and what is passed on whole."""

    def f(pair, scale, power, name, *, shift):
        assert name == "static"
        return pair["a"] @ pair["b"] * scale**power + shift

    a, b = jnp.asarray(rng.normal(size=(3, 5, 2)), float), jnp.asarray(rng.normal(size=(2, 5)))
    shift = jnp.arange(5.0)
    axes = ({"a": 1, "b": -1}, None, None, None)
    found = batched(f, axes, batch_size=2)({"a": a, "b": b}, 1.5, 2, "static", shift=shift)
    expected = [a[:, i] @ b[:, i] * 1.5**2 + shift[i] for i in range(5)]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5)
    assert batched(f, list(axes))({"a": a, "b": b}, 1.5, 2, "static", shift=shift).shape == (5, 3)


def test_operators_keep_their_structure(close):
    f = lambda x: jnp.sum(x**4)  # noqa: E731
    for out in ("device", "host"):
        H = batched(hessian_operator(f), batch_size=3, out=out)(jnp.asarray(XS))
        assert H.batch_shape == (7,)
        assert H.structure.kind == "diagonal"
        expected = np.stack([np.diag(12 * x**2) for x in XS])
        np.testing.assert_allclose(H.to_dense(), expected, rtol=1e-5)
    found = batched(newton_direction(f), batch_size=4)(jnp.asarray(XS))
    np.testing.assert_allclose(found, -XS / 3, rtol=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 3}, {"batch_size": "auto"}, {"out": "host"}]
)
def test_empty_batches(options, close):
    found = batched(moment, (0, None), **options)(jnp.zeros((0, 3)), WEIGHTS)
    assert found["cube"].shape == (0, 3)
    assert found["sum"].shape == (0,)
    assert found["sum"].dtype == WEIGHTS.dtype
    total = batched(moment, (0, None), reduce="sum", **options)(jnp.zeros((0, 3)), WEIGHTS)
    np.testing.assert_array_equal(total["cube"], np.zeros(3))


def test_one_bad_matrix_spoils_no_other(inverses):
    """Singular or NaN: the first, the one that two chunks have, and the one that is repeated."""
    Xs = 2 * np.eye(2) + 0.1 * rng.normal(size=(5, 2, 2))
    for bad, length in ((0, 5), (2, 5), (1, 2)):
        good = np.arange(length) != bad
        for value in (0, np.nan):
            batch = Xs[:length].copy()
            batch[bad] = value
            found = np.asarray(inverses(batch))
            np.testing.assert_allclose(found[good], np.linalg.inv(batch[good]), rtol=1e-4)
            assert not np.isfinite(found[bad]).all()


def test_padding_makes_no_nan():
    """What fills a chunk up is an item of the batch: the logarithm of -1 or 0 would stop here."""
    with jax.debug_nans(True), jax.debug_infs(True):
        xs = 1 + jnp.arange(4.0)
        for reduce in (None, "sum"):
            found = batched(jnp.log, batch_size=3, reduce=reduce)(xs)
            np.testing.assert_allclose(jnp.sum(found), np.log(24), rtol=1e-6)
        found = jax.grad(lambda xs: jnp.sum(batched(jnp.log, batch_size=3)(xs)))(xs)
        np.testing.assert_allclose(found, 1 / xs, rtol=1e-6)


# One program


def test_one_compilation_whatever_the_batch(caplog):
    traces = []

    def f(x):
        traces.append(x.shape)
        return jnp.sin(x)

    mapped = batched(f, batch_size=4)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        for length in (4, 9, 3, 1, 16):
            assert mapped(jnp.ones((length, 2))).shape == (length, 2)
            assert mapped(np.ones((length, 2), jnp.ones(()).dtype)).shape == (length, 2)
    compiled = [m for m in caplog.messages if m.startswith("Compiling") and "_chunk" in m]
    assert len(traces) == len(compiled) == 1


def test_jit_lowers_the_whole_call():
    X = jnp.ones((9, 2))
    program = jax.jit(batched(jnp.sin, batch_size=4)).lower(X).compile()
    assert program(X).shape == (9, 2)


def test_lower_gives_the_program_of_a_chunk():
    lowered = batched(jnp.sin, batch_size=4).lower(jnp.ones((9, 2)))
    assert lowered.out_info.shape == (4, 2)


# Inside of other transformations


def test_inside_of_jit_grad_and_vmap(close):
    xs = jnp.asarray(XS)
    mapped = batched(lambda x, w: jnp.sum(jnp.sin(x) * w), (0, None), batch_size=3)
    expected = jnp.sum(jnp.sin(xs) * WEIGHTS, -1)
    close(jax.jit(mapped)(xs, WEIGHTS), expected)
    gradient = jax.grad(lambda xs, w: jnp.sum(mapped(xs, w) ** 2), (0, 1))(xs, WEIGHTS)
    close(gradient[0], 2 * expected[:, None] * jnp.cos(xs) * WEIGHTS)
    close(gradient[1], jnp.sum(2 * expected[:, None] * jnp.sin(xs), 0))
    close(jax.vmap(mapped, (None, 0))(xs, jnp.stack([WEIGHTS, WEIGHTS]))[1], expected)
    mean = batched(lambda x: x**2, batch_size=3, reduce="mean")
    close(jax.jit(mean)(xs), jnp.mean(xs**2, 0))
    # a function that closes over what is differentiated
    sums = jax.grad(lambda w: batched(lambda x: x @ w, batch_size=3, reduce="sum")(xs))(WEIGHTS)
    close(sums, jnp.sum(xs, 0))


def test_the_loop_has_one_copy_of_the_program():
    mapped = batched(jnp.tanh, batch_size=3)
    text = str(jax.make_jaxpr(mapped)(jnp.ones((7, 2))))
    assert text.count("tanh") == 1
    assert "scan" in text


# Long work


def test_progress_is_drawn_on_terminals_only(monkeypatch, capsys):
    mapped = batched(jnp.sin, batch_size=2, progress=True)
    monkeypatch.setattr(Console, "is_terminal", False)
    mapped(jnp.ones(5))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(Console, "is_terminal", True)
    np.testing.assert_allclose(mapped(jnp.ones(5)), np.sin(np.ones(5)), rtol=1e-6)
    out, err = capsys.readouterr()
    assert out == ""
    assert "5/5" in err
    batched(jnp.sin, batch_size=2)(jnp.ones(5))
    assert capsys.readouterr().err == ""


def test_progress_counts_items(monkeypatch):
    reached = []

    class Bar:
        def __enter__(self):
            return reached.append

        def __exit__(self, *_):
            return None

    module = sys.modules["jaxmatcalc.transforms.batched"]
    monkeypatch.setattr(module, "bar", lambda total, shown: Bar())
    batched(jnp.sin, batch_size=2, progress=True)(jnp.ones(5))
    assert reached == [2, 4, 5]


def test_an_interrupted_run_leaves_nothing(monkeypatch, close):
    xs = XS.copy()
    mapped = batched(jnp.sin, batch_size=2, out="host")
    added = []
    add = OnHost.add

    def interrupted(self, parts, step):
        added.append(step)
        if len(added) == 2:
            raise KeyboardInterrupt
        add(self, parts, step)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(OnHost, "add", interrupted)
        mapped(xs)
    np.testing.assert_array_equal(xs, XS)
    np.testing.assert_allclose(mapped(xs), np.sin(XS), rtol=1e-5, atol=1e-6)


def test_arguments_are_not_donated():
    xs = jnp.asarray(XS)
    for options in ({}, {"batch_size": 2}, {"batch_size": 7}, {"reduce": "sum"}):
        batched(jnp.sin, **options)(xs)
        batched(lambda x: x, **options)(xs)
    np.testing.assert_array_equal(xs, jnp.asarray(XS))


def test_results_come_in_the_same_order_every_time():
    total = batched(laplacian(lambda x: jnp.sum(x**3)), batch_size=2, reduce="sum")
    first = total(jnp.asarray(XS))
    assert all(total(jnp.asarray(XS)) == first for _ in range(3))


# Mistakes


def double(x, y=0.0):
    return 2 * x + y


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": 0}, ValueError, 'batch_size to be None, "auto" or an integer ≥ 1; got 0'),
        ({"batch_size": -3}, ValueError, "an integer ≥ 1; got -3"),
        ({"batch_size": 2.5}, TypeError, "an integer ≥ 1; got 2.5"),
        ({"batch_size": True}, TypeError, "an integer ≥ 1; got True"),
        ({"batch_size": "all"}, TypeError, "an integer ≥ 1; got 'all'"),
        (
            {"batch_size": "auto", "memory_limit": "2 apples"},
            ValueError,
            'as "2GiB"; got \'2 apples',
        ),
        ({"batch_size": "auto", "memory_limit": 0}, ValueError, "memory_limit in bytes, .* got 0"),
        ({"batch_size": "auto", "memory_limit": [1]}, TypeError, r"in bytes, .* got \[1\]"),
        ({"memory_limit": "1GiB"}, ValueError, 'batch_size="auto" for a memory_limit'),
        ({"mesh": 8}, TypeError, "jax.sharding.Mesh or None; got int"),
        ({"out": "disk"}, ValueError, 'out to be "device" or "host"; got \'disk\''),
        ({"reduce": "max"}, ValueError, 'reduce to be "sum" or "mean"; got \'max\''),
    ],
)
def test_options_that_are_not_known(options, error, words):
    with pytest.raises(error, match=f"`batched` needs .*{words}"):
        batched(double, **options)


def test_text_for_memory():
    for text, count in (("2GiB", 2**31), ("1.5 kB", 1500), ("300", 300), ("1 TiB", 2**40)):
        assert memory_limit("batched", text, True) == count


@pytest.mark.parametrize(
    ("in_axes", "args", "error", "words"),
    [
        (0, (XS, XS[:4]), ValueError, r"one batch length .*; args\[0\] has 7 and args\[1\] has 4"),
        (0, (XS, 2.0), ValueError, r"a batch axis 0 .*; args\[1\] has shape \(\)"),
        ((2, None), (XS, XS), ValueError, r"a batch axis 2 .*; args\[0\] has shape \(7, 3\)"),
        ((0, 0), (XS, {"a": "b"}), TypeError, r"an array .*; args\[1\]\['a'\] is of type str"),
        (0, (XS, np.array([None] * 7)), TypeError, r"an array .*; args\[1\] is of type ndarray"),
        ((0, None), (XS,), ValueError, "in_axes for each of the 1 positional arguments; got 2"),
        (({"b": 0},), ({"a": XS},), ValueError, "in_axes to be a prefix of the arguments' pytree"),
        ((0.5,), (XS,), TypeError, "integers and None in in_axes; got 0.5"),
        (None, (XS,), ValueError, "one mapped argument with an array; got none"),
        ((0, None), (XS, {1, 2}), TypeError, r"hashable .*; args\[1\] is of type set"),
    ],
)
def test_arguments_that_do_not_fit(in_axes, args, error, words):
    def never(*_):
        raise AssertionError("work has begun")

    with pytest.raises(error, match=f"`batched` needs .*{words}"):
        batched(never, in_axes, batch_size=2)(*args)


def test_results_that_do_not_fit():
    with pytest.raises(TypeError, match="`batched` needs a function; got int"):
        batched(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"arrays of numbers; got dtype key"):
        batched(jax.random.key)(jnp.arange(3))
    for reduce in ("sum", "mean"):
        total = batched(hessian_operator(lambda x: jnp.sum(x**4)), batch_size=2, reduce=reduce)
        with pytest.raises(TypeError, match=rf'reduce="{reduce}".* returned a LinearOperator'):
            total(XS)
    with pytest.raises(ValueError, match='one item or more for reduce="mean"; got 0'):
        batched(double, reduce="mean")(XS[:0])


def test_what_cannot_be_inside_of_other_transformations():
    for options in ({"progress": True}, {"out": "host"}, {"batch_size": "auto"}):
        (name,) = options
        mapped = batched(double, **options)
        for outer in (jax.jit(mapped), jax.vmap(mapped), jax.jacrev(mapped)):
            with pytest.raises(
                ValueError, match=f"outside of `jit`, `grad` and `vmap` where {name}"
            ):
                outer(jnp.ones((2, 3)))


def test_errors_of_the_function_come_through():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        batched(broken, batch_size=2)(XS)
