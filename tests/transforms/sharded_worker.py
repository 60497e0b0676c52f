"""What is checked on many devices, in a process of its own: the number of devices is set at start.

``python sharded_worker.py DEVICES [PROCESS COUNT PORT]`` prints one JSON object: for each check
null or what went wrong.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxmatcalc import BlockOperator, batched, hessian, hessian_operator

jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
jax.config.update("jax_enable_x64", os.environ.get("JAXMATCALC_TEST_X64", "1") != "0")
if len(sys.argv) > 2:
    process, count, port = map(int, sys.argv[2:])
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", count, process, initialization_timeout=120)

DEVICES = np.array(jax.devices())
MESH = Mesh(DEVICES, ("x",))
GRID = Mesh(DEVICES.reshape(2, -1), ("a", "b"))
EXPLICIT = jax.make_mesh(GRID.devices.shape, ("a", "b"), axis_types=(AxisType.Explicit,) * 2)
XS = np.random.default_rng(3).normal(size=(3 * len(DEVICES), 2, 2)).astype(jnp.ones(()).dtype)
TOLERANCE = 1e-4


def f(X):
    return jnp.sum(X**3) * X[0, 0]


def quartic(X):  # with a second derivative that is an array of its own
    return jnp.sum(X**4)


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found), expected, atol=TOLERANCE, rtol=TOLERANCE)


def expected(xs=XS):
    """The gradient of f, by hand."""
    found = 3 * xs**2 * xs[:, :1, :1]
    found[:, 0, 0] += (xs**3).sum((1, 2))
    return found


def collectives(text):
    names = "all-gather|all-reduce|all-to-all|collective|reduce-scatter|partition-id"
    return re.findall(names, text)


def whole(mesh, x=XS):
    return jax.device_put(x, NamedSharding(mesh, P(mesh.axis_names)))


def results_stay_sharded():
    for mesh in (MESH, GRID, EXPLICIT):
        sharded = whole(mesh)
        for options in ({}, {"batch_size": len(DEVICES)}, {"batch_size": 2 * len(DEVICES)}):
            found = batched(jax.grad(f), mesh=mesh, **options)(sharded)
            close(found, expected())
            assert found.sharding.is_equivalent_to(sharded.sharding, 3), found.sharding
            assert {s.data.shape[0] for s in found.addressable_shards} == {3}


def sharded_data_stay_where_they_are():
    sharded = whole(MESH)
    mapped = batched(hessian(quartic), mesh=MESH)
    compiled = mapped.lower(sharded).compile()
    assert not collectives(compiled.as_text()), collectives(compiled.as_text())
    (of_arrays, _), _ = compiled.input_shardings
    assert [s.spec for s in of_arrays] == [P("x")]
    with jax.transfer_guard("disallow"):
        found = mapped(sharded)
    assert {s.device: s.index[0] for s in found.addressable_shards} == {
        s.device: s.index[0] for s in sharded.addressable_shards
    }


def chunks_of_sharded_data_are_local():
    """Also of the small programs that take a chunk and put it away."""
    from jaxmatcalc.transforms import sharding

    parts = whole(MESH)
    start = np.int32(1)
    taken = sharding._taken.lower(MESH, 2, (0,), (parts,), start).compile()
    written = sharding.written.lower(MESH, parts, whole(MESH, XS[: 2 * len(DEVICES)]), start)
    for compiled in (taken, written.compile(), sharding.begun.lower(MESH, 5, parts).compile()):
        assert not collectives(compiled.as_text()), collectives(compiled.as_text())


def uneven_batches_are_padded():
    for mesh in (MESH, GRID, EXPLICIT):
        for length in (1, len(DEVICES) + 2):
            for options in ({}, {"batch_size": len(DEVICES)}, {"out": "host"}):
                mapped = batched(jax.grad(f), mesh=mesh, **options)
                for source in (np.asarray, jnp.asarray):
                    close(mapped(source(XS[:length])), expected(XS[:length]))
    found = batched(jax.grad(f), mesh=GRID)(XS[:10])  # 10 items on 2 × 4 devices
    assert found.sharding.spec == P("a"), found.sharding


def sums_over_devices():
    for mesh in (MESH, EXPLICIT):
        for length in (len(XS), len(XS) - 1, 1):
            for reduce in ("sum", "mean"):
                total = batched(jax.grad(f), batch_size=len(DEVICES), mesh=mesh, reduce=reduce)
                truth = getattr(expected(XS[:length]), reduce)(0)
                close(total(XS[:length]), truth)
                assert total(XS[:length]).is_fully_replicated


def operators_come_sharded():
    pair = {"a": whole(MESH), "b": whole(MESH)}
    g = lambda p: quartic(p["a"]) + quartic(p["b"])  # noqa: E731
    for size in (None, len(DEVICES)):
        H = batched(hessian_operator(g), mesh=MESH, batch_size=size)(pair)
        assert isinstance(H, BlockOperator)
        leaves = jax.tree.leaves(H)
        assert leaves
        assert all(leaf.sharding.spec[0] in ("x", ("x",)) for leaf in leaves)
        assert H.batch_shape == (len(XS),)
        close(H["a"]["a"].diagonal(), 12 * XS**2)


def one_bad_matrix_spoils_no_other():
    bad = XS.copy()
    bad[4] = np.nan
    found = np.asarray(batched(jax.grad(f), mesh=MESH, batch_size=len(DEVICES))(bad))
    good = np.arange(len(XS)) != 4
    close(found[good], expected()[good])
    assert np.isnan(found[4]).all()


def inside_of_jit_and_grad():
    for mesh in (MESH, GRID, EXPLICIT):
        for length in (len(XS), len(XS) - 3):
            mapped = batched(jax.grad(f), mesh=mesh, batch_size=len(DEVICES))
            close(jax.jit(mapped)(XS[:length]), expected(XS[:length]))
    total = batched(f, mesh=MESH, batch_size=len(DEVICES), reduce="sum")
    close(jax.grad(total)(jnp.asarray(XS[:-1])), expected(XS[:-1]))
    compiled = jax.jit(batched(jax.grad(f), mesh=MESH)).lower(whole(MESH)).compile()
    assert not collectives(compiled.as_text())


def automatic_chunks():
    many = np.tile(XS, (20, 1, 1))
    limit = 3 * many.nbytes // (2 * len(DEVICES))  # 2/3 for the results, the rest for two chunks
    mapped = batched(jax.grad(f), batch_size="auto", memory_limit=limit, mesh=MESH)
    close(mapped(whole(MESH, many)), expected(many))
    assert mapped.lower(many).out_info.shape[0] < len(many) / 2
    assert batched(jax.grad(f), batch_size="auto", mesh=MESH).lower(many).out_info.shape == (
        len(many), 2, 2,
    )  # fmt: skip


def library_calls_are_recognised_on_a_device():
    """And a batch of them takes a kernel there, no call of LAPACK for each matrix."""
    many = np.random.default_rng(4).normal(size=(256 * len(DEVICES), 3, 3)).astype(XS.dtype)
    many += 5 * np.eye(3, dtype=XS.dtype)
    mapped = batched(hessian(lambda X: jnp.linalg.slogdet(X)[1]), mesh=MESH)
    assert "lapack" not in mapped.lower(whole(MESH, many)).compile().as_text()
    inverse = np.linalg.inv(many)
    close(mapped(many), -np.einsum("bjk,bli->bijkl", inverse, inverse))


def arrays_passed_on_whole():
    committed = jax.device_put(jnp.arange(4.0).reshape(2, 2), DEVICES[1])
    for weights in (committed, np.asarray(committed), 2.0):
        found = batched(lambda X, w: X * w, (0, None), len(DEVICES), mesh=MESH)(XS, weights)
        close(found, XS * np.asarray(weights))


# With several processes


def own_rows(x):
    """The rows that this process has, with their places in the batch."""
    return [(s.index[0], np.asarray(s.data)) for s in x.addressable_shards]


def processes_give_what_one_gives():
    assert MESH.is_multi_process
    single = np.asarray(batched(jax.grad(f))(XS))  # in this process alone
    close(single, expected())
    sharding = NamedSharding(MESH, P("x"))
    sharded = jax.make_array_from_callback(XS.shape, sharding, lambda index: XS[index])
    for source in (sharded, XS, jnp.asarray(XS)):
        for size in (None, len(DEVICES), "auto"):
            found = batched(jax.grad(f), mesh=MESH, batch_size=size)(source)
            rows = own_rows(found)
            assert len(rows) == jax.local_device_count()
            for place, data in rows:
                np.testing.assert_array_equal(data, single[place])


def processes_share_sums_and_uneven_batches():
    for length in (len(XS), len(XS) - 1):
        for reduce in ("sum", "mean"):
            total = batched(jax.grad(f), mesh=MESH, batch_size=len(DEVICES), reduce=reduce)
            close(total(XS[:length]), getattr(expected(XS[:length]), reduce)(0))
    for place, data in own_rows(batched(jax.grad(f), mesh=MESH)(XS[:-1])):
        close(data, expected(XS[:-1])[place])


def processes_agree_on_a_chunk():
    many = np.tile(XS, (40, 1, 1))
    limit = 3 * many.nbytes // (2 * len(DEVICES))
    mapped = batched(jax.grad(f), mesh=MESH, batch_size="auto", memory_limit=limit)
    for place, data in own_rows(mapped(many)):
        close(data, expected(many)[place])


def results_on_the_host_are_refused():
    try:
        batched(jax.grad(f), mesh=MESH, out="host")(XS)
    except ValueError as error:
        assert "addressable_shards" in str(error)
    else:
        raise AssertionError("not refused")


ALONE = (
    results_stay_sharded,
    sharded_data_stay_where_they_are,
    chunks_of_sharded_data_are_local,
    uneven_batches_are_padded,
    sums_over_devices,
    operators_come_sharded,
    one_bad_matrix_spoils_no_other,
    inside_of_jit_and_grad,
    automatic_chunks,
    library_calls_are_recognised_on_a_device,
    arrays_passed_on_whole,
)
TOGETHER = (
    processes_give_what_one_gives,
    processes_share_sums_and_uneven_batches,
    processes_agree_on_a_chunk,
    results_on_the_host_are_refused,
)


if __name__ == "__main__":
    found: dict[str, str | None] = {}
    for check in ALONE if len(sys.argv) == 2 else TOGETHER:
        try:
            check()
            found[check.__name__] = None
        except Exception:
            found[check.__name__] = traceback.format_exc()
    print(json.dumps(found))
