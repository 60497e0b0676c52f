"""Devices by their description, and programs compiled for them without the devices."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies


class Target(NamedTuple):
    """A device by its description: platform, name, and for a GPU its compute capability."""

    platform: str
    name: str
    capability: tuple[int, int] = (0, 0)


TARGETS = {
    "a100": Target("cuda", "NVIDIA A100", (8, 0)),
    "h100": Target("cuda", "NVIDIA H100 80GB HBM3", (9, 0)),
    "b200": Target("cuda", "NVIDIA B200", (10, 0)),
    "v5e": Target("tpu", "v5e:2x2"),
    "v6e": Target("tpu", "v6e:2x2"),
    "cpu": Target("cpu", "the processor of this machine"),
}
# Of an H100; the compiler reads the limits of a block from it, and the rest for its cost model.
_GPU = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84978434048 shared_memory_per_block_optin: 232448
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}}
platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 8 }} device_description_str: "{name}"
"""


def missing(target: str) -> str | None:
    """Why programs cannot be compiled for a target here; None if they can."""
    if TARGETS[target].platform == "cpu":
        return None
    cuda = TARGETS[target].platform == "cuda"
    package = "jax_cuda13_plugin" if cuda else "libtpu"
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed, which compiles for {target}"
    if cuda and ptxas() is None:
        return f"there is no ptxas, which assembles for {target}"
    return None


def ptxas() -> Path | None:
    """The assembler of the package nvidia-cuda-nvcc, or of a CUDA toolkit on the path."""
    package = importlib.util.find_spec("nvidia") and importlib.util.find_spec("nvidia.cu13")
    for folder in (package and package.submodule_search_locations) or ():
        if (installed := Path(folder) / "bin" / "ptxas").exists():
            return installed
    found = shutil.which("ptxas")
    return Path(found) if found else None


@functools.cache
def device(target: str) -> Any:
    """The device that a target describes, for the shardings of abstract arrays."""
    platform, name, (major, minor) = TARGETS[target]
    if platform == "cpu":
        return jax.devices("cpu")[0]
    if platform == "tpu":
        # There is no TPU that could be asked for its kind and its neighbours.
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # nor is any held
        found = topologies.get_topology_desc(platform="tpu", topology_name=name)
    else:
        found = topologies.get_topology_desc(
            platform="cuda",
            topology_name=target,
            target_config=_GPU.format(name=name, major=major, minor=minor),
            topology="1x1x1",
        )
    return found.devices[0]


def compiled_for(target: str, function: Callable[..., Any], *inputs: Any) -> Any:
    """A function compiled for a target; an input is the shape of a float32 array, or abstract."""
    here = device(target)
    sharding = jax.sharding.SingleDeviceSharding(here)

    def placed(x: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    abstract = [jax.ShapeDtypeStruct(x, jnp.float32) if isinstance(x, tuple) else x for x in inputs]
    args = jax.tree.map(placed, abstract)
    mesh = jax.sharding.Mesh(np.array([here]), ("device",))
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        traced = jax.jit(function).trace(*args)
        return traced.lower(lowering_platforms=(TARGETS[target].platform,)).compile()


def without_devices() -> None:
    """Let JAX look for no accelerator, here and in processes that are started from here."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
