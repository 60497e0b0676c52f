"""`batched(mesh=)` on eight devices of one process, and on two processes with two devices each."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import batched, hessian_operator

WORKER = Path(__file__).with_name("sharded_worker.py")
XS = np.random.default_rng(3).normal(size=(5, 2)).astype(jnp.ones(()).dtype)


def names(group):
    """The checks of the worker, read from its source: its devices are not ours."""
    for node in ast.parse(WORKER.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == group:
            return [ast.unparse(name) for name in node.value.elts]
    raise AssertionError(group)


def started(*arguments):
    environment = {k: v for k, v in os.environ.items() if k[:4] != "XLA_"}
    command = [sys.executable, str(WORKER), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def alone():
    with started(8) as process:
        return finished(process)


@pytest.fixture(scope="module")
def together():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with started(2, 0, 2, port) as first, started(2, 1, 2, port) as second:
        try:
            return [finished(first), finished(second)]
        finally:
            first.kill()
            second.kill()


@pytest.mark.parametrize("name", names("ALONE"))
def test_eight_devices(alone, name):
    assert alone[name] is None, alone[name]


@pytest.mark.parametrize("name", names("TOGETHER"))
def test_two_processes(together, name):
    for found in together:
        assert found[name] is None, found[name]


def test_a_mesh_of_one_device():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("x",))
    for options in ({}, {"batch_size": 2}, {"out": "host"}, {"reduce": "sum"}):
        found = batched(jnp.sin, mesh=mesh, **options)(XS)
        expected = np.sin(XS).sum(0) if options.get("reduce") else np.sin(XS)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    H = batched(hessian_operator(lambda x: jnp.sum(x**4)), mesh=mesh, batch_size=2)(XS)
    np.testing.assert_allclose(H.diagonal(), 12 * XS**2, rtol=1e-5)
    assert batched(jnp.sin, mesh=mesh)(XS[:0]).shape == (0, 2)
