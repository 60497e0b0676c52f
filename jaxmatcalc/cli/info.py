"""``jaxmatcalc info``: what this process would compute with."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata

import jax

import jaxmatcalc as jmc


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe ``jaxmatcalc info``."""
    command = subparsers.add_parser(
        "info",
        help="versions, devices and precision settings",
        description="Print the versions, devices and precision settings that a run here would use.",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per fact."""
    for name, fact in facts():
        print(f"{name:<10}  {fact}")
    return 0


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
