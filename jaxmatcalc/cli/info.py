"""``jaxmatcalc info``: what this process would compute with."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata

import jax

import jaxmatcalc as jmc
from jaxmatcalc import kernels
from jaxmatcalc.kernels import triangles

DTYPES = ("float32", "float64", "complex64", "complex128")

# The kernel that computes a value; with a gradient, value and inverse come from one elimination
OPERATIONS = {
    "logdet, slogdet, det": "lu_pivots",
    "  gradient; inv": "lu_pivots_inverse",
    "solve, inv_quad": "lu_solve",
    "  value (pos)": "cholesky_roots",
    "  gradient; inv (pos)": "cholesky_roots_inverse",
    "  solve (pos)": "cholesky_solve",
}
# What a CPU solves larger systems with
FACTORS = {"lu_solve": "lu_factors", "cholesky_solve": "cholesky_upper"}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe ``jaxmatcalc info``."""
    command = subparsers.add_parser(
        "info",
        help="versions, devices and precision settings",
        description="Print the versions, devices and precision settings that a run here would use.",
    )
    command.add_argument(
        "--shape",
        type=_shape,
        help="of matrices, as 4096x8x8: say also what would compute each operation on them",
    )
    command.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="of the matrices (default: float32)"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per fact."""
    for name, fact in facts():
        print(f"{name:<10}  {fact}")
    if arguments.shape is not None:
        print(f"\nmatrices {'x'.join(map(str, arguments.shape))}, {arguments.dtype}")
        for operation, device, kernel in chosen(arguments.shape, arguments.dtype):
            print(f"{operation:<21}  {device:<4}  {kernel}")
    return 0


def chosen(shape: tuple[int, ...], dtype: str) -> list[tuple[str, str, str]]:
    """What each operation is computed by on each platform, and why no Pallas kernel does it."""
    found = []
    for operation, body in OPERATIONS.items():
        selected = kernels.select(body, shape, dtype, columns=1)
        for device in ("cpu", "cuda", "tpu"):
            if device == "cpu":
                kernel = on_cpu(body, shape, dtype)
            elif device in selected:
                kernel = "Pallas kernel, lane-wise"
            else:
                kernel = f"library: {refusal(device, body, shape, dtype)}"
            found.append((operation, device, kernel))
    return found


def on_cpu(body: str, shape: tuple[int, ...], dtype: str) -> str:
    """What a CPU computes with."""
    factors = FACTORS.get(body, body)
    if any(kernels.on_cpu(kernel, shape, dtype, columns=1) for kernel in (body, factors)):
        return "plain XLA, lane-wise"
    if body in FACTORS and triangles.divides(shape, dtype, columns=1):
        return "library, then plain XLA row by row"
    return "library"


def refusal(device: str, body: str, shape: tuple[int, ...], dtype: str) -> str:
    """Why there is no Pallas kernel for a shape, or why it is not taken where there is one."""
    reason = kernels.refusal(device, body, shape[-1], dtype)
    return reason or 'implementation="pallas" would take a kernel'


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(map(int, text.split("x")))
    except ValueError:
        shape = ()
    if len(shape) < 2 or shape[-1] != shape[-2] or min(shape) < 0:
        raise argparse.ArgumentTypeError(f"needs square matrices, as 4096x8x8; got {text!r}")
    return shape


def facts() -> list[tuple[str, str]]:
    """Name and value of every fact, as a bug report would want them."""
    versions = [(name, metadata.version(name)) for name in ("jax", "jaxlib", "numpy")]
    devices = [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]
    settings = jax.config.values
    return [
        ("jaxmatcalc", jmc.__version__),
        *versions,
        ("python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("backend", jax.default_backend()),
        ("devices", ", ".join(devices)),
        ("x64", "on" if settings["jax_enable_x64"] else "off (JAX's default)"),
        ("matmul", f"{settings['jax_default_matmul_precision'] or 'default'} precision"),
    ]
