"""What a kernel takes of its processor, as its assembler says: registers, spills, instructions."""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from benchmarks.targets import TARGETS, compiled_for, ptxas
from jaxmatcalc.kernels import lanes, looped, mosaic, tpu

Record = dict[str, Any]

ORDERS = (4, 5, 7, 8, 11, 12, 14, 16)
MATRICES = 65536  # of a batch that a kernel is compiled for


def kernel(target: str, operation: str, n: int) -> Record | None:
    """What a kernel takes of its processor; None where there is no kernel."""
    module = mosaic if TARGETS[target].platform == "cuda" else tpu
    if module.admits(operation, n, jnp.float32) is not None:
        return None
    shapes, outs = [(n, n, MATRICES)], [(n, n)]
    if operation.endswith("solve"):
        shapes, outs = [(n, n, MATRICES), (n, 1, MATRICES)], [(n, 1)]
    elif not operation.endswith("_inverse"):
        outs = [(n, 1)]
    elif operation.count("_") == 2:
        outs = [(n, 1), (n, n)]
    body = getattr(lanes, operation)
    for file in _dump().iterdir():
        file.unlink()
    compiled_for(target, lambda *arrays: module.run(body, outs, *arrays), *shapes)
    taken = assembled(TARGETS[target].capability) if module is mosaic else bundled()
    return taken | {"in memory": module.in_memory(operation, n, jnp.float32)}


def kernels(target: str) -> list[Record]:
    """What every kernel takes, by size; in a process of its own, which writes all it compiles."""
    if TARGETS[target].platform == "cpu":
        return []  # there they are fused into XLA's own
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_dump) as process:
        chosen = [(operation, n) for operation in looped.BODIES for n in ORDERS]
        found = [process.submit(kernel, target, *pair) for pair in chosen]
        return [
            {"target": target, "operation": operation, "n": n, **record}
            for (operation, n), future in zip(chosen, found, strict=True)
            if (record := future.result()) is not None
        ]


@functools.cache
def _dump() -> Path:
    """Where the compilers of this process write; libtpu reads its options when it is loaded."""
    folder = Path(tempfile.mkdtemp(prefix="compiled-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MOSAIC_GPU_DUMP_TO"] = str(folder)
    os.environ["LIBTPU_INIT_ARGS"] = f"--xla_jf_dump_to={folder} --xla_jf_dump_llo_text=true"
    return folder


def assembled(capability: tuple[int, int]) -> Record:
    """Registers and bytes spilled of a thread, as ptxas has them."""
    (source,) = _dump().glob("*.ptx")
    architecture = "sm_{}{}a".format(*capability)
    command = [str(ptxas()), "-v", f"-arch={architecture}", str(source), "-o", os.devnull]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return {
        "registers": max(map(int, re.findall(r"Used (\d+) registers", said))),
        "spilled": sum(map(int, re.findall(r"(\d+) bytes spill stores", said))),
    }


def bundled() -> Record:
    """Instruction bundles, of which a core starts one a cycle, and registers spilled."""
    final = [f for f in _dump().glob("*jaxmatcalc*final_bundles.txt") if "schedule" not in f.name]
    text = max(final, key=lambda file: file.stat().st_size).read_text(encoding="utf-8")
    return {
        "bundles": len(re.findall(r"^\s*0x[0-9a-f]+", text, re.MULTILINE)),
        "spilled": len(re.findall(r"vst \[vmem:\[#allocation\d+_spill", text)),
    }
