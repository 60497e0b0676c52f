"""``jaxmatcalc info``, ``--version``, ``--help``, and the ways to start the command."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import jax
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.cli import COMMANDS, main
from jaxmatcalc.cli.info import OPERATIONS


def test_info_names_versions_devices_and_precision(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    facts = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert facts["jaxmatcalc"] == jmc.__version__
    assert facts["jax"] == metadata.version("jax")
    assert facts["backend"] == jax.default_backend()
    assert facts["devices"].count(",") == len(jax.devices()) - 1
    assert facts["x64"].startswith("on" if jax.config.jax_enable_x64 else "off")


def test_info_names_the_kernel_for_a_shape(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--shape", "4096x4x4", "--dtype", "float32"]) == 0
    text = capsys.readouterr().out
    assert text.count("cpu   plain XLA, lane-wise") == len(OPERATIONS)
    assert "cuda  Pallas kernel, lane-wise" in text
    assert main(["info", "--shape", "4096x16x16", "--dtype", "float32"]) == 0
    assert capsys.readouterr().out.count("cpu   library, then plain XLA row by row") == 2
    assert main(["info", "--shape", "64x64", "--dtype", "complex64"]) == 0
    text = capsys.readouterr().out
    assert text.count("cpu   library\n") == len(OPERATIONS)
    assert text.count("not in complex64") == 2 * len(OPERATIONS)


@pytest.mark.parametrize("shape", ["4096x8x7", "8", "axb"])
def test_info_needs_square_matrices(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["info", "--shape", shape])
    assert f"needs square matrices, as 4096x8x8; got {shape!r}" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"jaxmatcalc {jmc.__version__}\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    listed = [
        line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:4] == "    "
    ]
    assert set(COMMANDS) <= set(listed)


@pytest.mark.parametrize("words", [[], ["dance"]])
def test_no_or_unknown_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.err.startswith("jaxmatcalc: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("module", ["jaxmatcalc", "jaxmatcalc.cli"])
def test_module_starts_the_command(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"jaxmatcalc {jmc.__version__}\n"
