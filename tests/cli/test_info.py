"""``jaxmatcalc info``, ``--version``, ``--help``, and the ways to start the command."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import jax
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.cli import COMMANDS, main


def test_info_names_versions_devices_and_precision(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    facts = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert facts["jaxmatcalc"] == jmc.__version__
    assert facts["jax"] == metadata.version("jax")
    assert facts["backend"] == jax.default_backend()
    assert facts["devices"].count(",") == len(jax.devices()) - 1
    assert facts["x64"].startswith("on" if jax.config.jax_enable_x64 else "off")


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
