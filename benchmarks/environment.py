"""What a measurement was taken on: device, processor, versions and settings."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp

PACKAGES = ("jax", "jaxlib", "numpy")
# The LAPACK calls of XLA's CPU backend run on threads of their own, which compete with XLA's.
VARIABLES = ("XLA_FLAGS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
NAMES = {"gpu": ["cuda", "rocm"]}  # those that JAX itself has for a platform
WRITTEN = 2**28  # bytes, more than any cache has


class NoSuchPlatform(Exception):
    """JAX has no device of the kind that was asked for."""


def choose(platform: str) -> None:
    """Compute on this kind of device; before JAX has computed anything."""
    before, reason = jax.config.values["jax_platforms"], ""
    for name in NAMES.get(platform, [platform]):
        jax.config.update("jax_platforms", name if name == "cpu" else f"{name},cpu")
        try:
            if (found := jax.default_backend()) == platform:
                return
            reason = f"it computes on the {found}"
        except RuntimeError as error:  # what JAX was not built for
            reason = reason or str(error).splitlines()[0].partition(" (set JAX_PLATFORMS")[0]
    jax.config.update("jax_platforms", before)
    raise NoSuchPlatform(f"JAX finds no {platform} here: {reason.rstrip('.')}")


def bandwidth(size: int = WRITTEN, repeats: int = 10) -> dict[str, float]:
    """Bytes a second that the device writes to its memory, by the fastest of some writes.

    The memory is the program's own already, so that no system has to find any: nothing that fills
    an array of this size is faster.
    """

    def fill(array: jax.Array, value: jax.Array) -> jax.Array:
        return jnp.full_like(array, value)

    write = jax.jit(fill, donate_argnums=0, keep_unused=True)
    array, times = jnp.zeros(size // 4, "float32"), []
    for value in range(repeats):
        number = jax.block_until_ready(jnp.float32(value))
        began = time.perf_counter()
        array = jax.block_until_ready(write(array, number))
        times.append(time.perf_counter() - began)
    return {"write": size / min(times[1:]), "bytes": size}


def environment() -> dict[str, str]:
    """Every fact that times depend on, by name."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "driver": " ".join(device.client.platform_version.split()),
        "cpu": cpu_model(),
        "cores": str(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "matmul precision": str(jax.config.values["jax_default_matmul_precision"] or "default"),
        **{name: os.environ.get(name, "") for name in VARIABLES},
    }


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name, as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
