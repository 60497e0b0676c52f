"""What a measurement was taken on: device, processor, versions and settings."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import jax

PACKAGES = ("jax", "jaxlib", "numpy")
# The LAPACK calls of XLA's CPU backend run on threads of their own, which compete with XLA's.
VARIABLES = ("XLA_FLAGS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


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
