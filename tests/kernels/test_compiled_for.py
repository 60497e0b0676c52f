"""Kernels compiled ahead of time for devices that are not here: they are in what comes out."""

import json

import jax
import jax.numpy as jnp
import pytest
from jax import export
from jax.sharding import PartitionSpec as P

import jaxmatcalc as jmc
from benchmarks import compiled, hlo, targets
from benchmarks.results import COMMITTED
from jaxmatcalc import _jax
from jaxmatcalc.kernels import lanes, looped, mosaic, tpu, xla

BATCH = 300  # more than two blocks of a GPU, and less than three
RUNNERS = {"cuda": mosaic, "tpu": tpu}
OUTS = {
    "lu_pivots": [(3, 1)],
    "lu_inverse": [(3, 3)],
    "lu_pivots_inverse": [(3, 1), (3, 3)],
    "lu_solve": [(3, 2)],
    "cholesky_roots": [(3, 1)],
    "cholesky_inverse": [(3, 3)],
    "cholesky_roots_inverse": [(3, 1), (3, 3)],
    "cholesky_solve": [(3, 2)],
}


def installed(*names):
    """Targets, each skipped where what compiles for it is not installed."""
    return [
        pytest.param(t, marks=pytest.mark.skipif(reason is not None, reason=str(reason)))
        for t in names
        for reason in [targets.missing(t)]
    ]


@pytest.fixture(params=["registers", "memory"])
def place(request, monkeypatch):
    """Where kernels keep their matrices."""
    if request.param == "memory":
        nothing = dict.fromkeys(looped.BODIES, 0)
        monkeypatch.setattr(tpu, "_IN_REGISTERS", nothing)
        monkeypatch.setattr(mosaic, "_IN_REGISTERS", {"float32": nothing})
    return request.param


@pytest.mark.parametrize("target", installed("h100", "b200", "v5e"))
def test_every_kernel_alone(target, place):
    module = RUNNERS[targets.TARGETS[target].platform]
    admitted = [name for name in looped.BODIES if module.admits(name, 3, jnp.float32) is None]

    def everything(X, B):
        return [
            module.run(
                getattr(lanes, name), OUTS[name], *((X, B) if name.endswith("solve") else (X,))
            )
            for name in admitted
        ]

    program = targets.compiled_for(target, everything, (3, 3, BATCH), (3, 2, BATCH))
    assert compiled.costs(target, program)["kernels"] == sorted(admitted)
    assert len(admitted) == (8 if module is tpu or _jax.MOSAIC_HAS_SQUARE_ROOTS else 4)


def loss(X):
    """Every operation that has kernels, mapped and batched."""
    total = jnp.sum(jax.vmap(jmc.logdet)(X))
    total += jnp.sum(jmc.logdet(X, assume_a="pos"))
    total += jnp.sum(jax.vmap(jax.vmap(jmc.inv))(X.reshape(2, -1, 3, 3)))
    return total + jnp.sum(jmc.solve(X, X[..., :1]))


def expected(platform):
    names = {"lu_pivots_inverse", "lu_solve"}
    if platform == "tpu" or _jax.MOSAIC_HAS_SQUARE_ROOTS:
        names.add("cholesky_roots_inverse")
    return names


@pytest.mark.parametrize("target", installed("h100", "v5e", "v6e"))
def test_kernels_inside_of_gradients(target):
    program = targets.compiled_for(target, jax.value_and_grad(loss), (512, 3, 3))
    assert expected(targets.TARGETS[target].platform) <= set(
        compiled.costs(target, program)["kernels"]
    )


@pytest.mark.parametrize("spread", [False, True], ids=["whole", "shard_map"])
@pytest.mark.parametrize(("platform", "call"), [("cuda", "mosaic_gpu"), ("tpu", "tpu_custom_call")])
def test_exported_from_a_cpu(platform, call, spread):
    assert jax.default_backend() == "cpu"
    X = jax.ShapeDtypeStruct((512, 3, 3), jnp.float32)
    gradient = jax.grad(loss)
    if spread:
        mesh = jax.make_mesh((1,), ("b",), axis_types=(jax.sharding.AxisType.Auto,))
        gradient = jax.shard_map(gradient, mesh=mesh, in_specs=P("b"), out_specs=P("b"))
    text = export.export(jax.jit(gradient), platforms=[platform])(X).mlir_module()
    assert call in text
    assert all(f"jaxmatcalc_{name}" in text for name in expected(platform))


@pytest.mark.parametrize("target", installed("a100"))
def test_lanes_as_plain_xla(target):
    loop = xla.in_one_loop(lanes.lu_pivots_inverse, ((1, 2), (2, 2)))  # which a CPU keeps apart
    found = compiled.costs(target, targets.compiled_for(target, loop, (2, 2, BATCH)))
    assert not found["kernels"]
    assert 0 < found["launches"] <= 4


@pytest.mark.parametrize("target", installed("v5e"))
def test_products_with_kronecker_products_stay_on_the_chip(target):
    """Why there is no kernel for them: input and output are all that moves."""
    product = lambda A, B, X: jax.vmap(lambda x: jmc.kronecker(A, B) @ x)(X)  # noqa: E731
    program = targets.compiled_for(target, product, (64, 64), (64, 64), (256, 4096))
    arrays = 4 * (2 * 64**2 + 2 * 256 * 4096)
    assert compiled.costs(target, program)["main memory"] <= 1.02 * arrays


@pytest.mark.parametrize("target", installed("h100", "v5e"))
def test_a_dense_hessian_is_written_once(target):
    """Why there is no kernel for that either."""
    hessian = jmc.hessian(lambda U, V: jnp.sum((U @ V.T) ** 2))
    program = targets.compiled_for(target, hessian, (64, 5), (32, 5))
    assert compiled.costs(target, program)["main memory"] <= 1.1 * 4 * (64 * 5) ** 2


def test_traffic_is_counted_where_it_happens():
    text = """HloModule example

%slice_computation (param_0: f32[100,8]) -> f32[8] {
  %param_0 = f32[100,8]{1,0} parameter(0)
  %slice.1 = f32[1,8]{1,0} slice(%param_0), slice={[0:1], [0:8]}
  ROOT %bitcast.1 = f32[8]{0} bitcast(%slice.1)
}

%body (state: (s32[], f32[8])) -> (s32[], f32[8]) {
  %state = (s32[], f32[8]{0}) parameter(0)
  %gte = f32[8]{0} get-tuple-element(%state), index=1
  %negate.1 = f32[8]{0} negate(%gte)
  ROOT %tuple.1 = (s32[], f32[8]{0}) tuple(%gte, %negate.1)
}

ENTRY %main (x: f32[100,8]) -> f32[8] {
  %x = f32[100,8]{1,0} parameter(0)
  %fusion.1 = f32[8]{0} fusion(%x), kind=kLoop, calls=%slice_computation
  %start = (s32[], f32[8]{0}) tuple(%fusion.1)
  %while.1 = (s32[], f32[8]{0}) while(%start), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %last = f32[8]{0} get-tuple-element(%while.1), index=1
  ROOT %call.1 = f32[8]{0:S(1)} custom-call(%last), metadata={op_name="jit(f)/jaxmatcalc_lu_pivots/call"}
}
"""  # noqa: E501
    found = hlo.traffic(text)
    assert found.launches == 1 + 5 + 1
    assert found.bytes == (32 + 32) + 5 * (32 + 32) + 32  # the last result stays on the chip
    assert found.kernels == {"lu_pivots"}


def test_what_was_compiled_keeps_its_promises():
    """Of the committed costs: no kernel spills, and the figures that were set are reached."""
    content = json.loads((COMMITTED / "compiled.json").read_text(encoding="utf-8"))
    assert content["kernels"]
    assert all(record["spilled"] == 0 for record in content["kernels"])
    for record in content["programs"]:
        if any(f"-b{b}-n{n}" in record["name"] for b, n in compiled.WANTED):
            theirs, ours = record["jax"], record["jaxmatcalc"]
            assert ours["launches"] < theirs["launches"], record["name"]
            assert 2 * ours["bytes"] <= theirs["bytes"], record["name"]
    assert "Compiled for these devices, not measured on them" in compiled.report(content)
