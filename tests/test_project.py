"""The project keeps what its own pages promise."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.cli import main
from jaxmatcalc.data import load_digits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = sorted(ROOT.glob("jaxmatcalc/**/*.py"))
LONGEST_FILE = 320  # about 300

EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^python3 -m venv .*$", README, flags=re.MULTILINE)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def in_own_process(code: str, **variables: str) -> str:
    """What ``code`` prints in a fresh interpreter with JAX's default settings."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "JAX_"}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


# README


def test_readme_has_three_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_readme_example(number: int) -> None:
    example = doctest.DocTestParser().get_doctest(
        EXAMPLES[number], {}, f"README example {number + 1}", "README.md", 0
    )
    assert example.examples
    # A reader has JAX's default precision.
    with jax.enable_x64(False):
        result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.failed == 0


def test_readme_prints_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    words, printed = re.findall(r"^\$ jaxmatcalc (.*)\n((?:.+\n)+?)```", README, re.MULTILINE)[0]
    assert main(shlex.split(words)) == 0
    assert capsys.readouterr().out.startswith(printed)


def test_readme_tree_is_the_tree() -> None:
    folders = {path.parent.name for path in ROOT.glob("jaxmatcalc/*/__init__.py")}
    described = set(re.findall(r"^  (\w+)/ ", README, flags=re.MULTILINE))
    assert described == folders


def test_ci_runs_the_readme_test_command() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    extraction = re.search(r"^test_command=.*$", script, flags=re.MULTILINE)
    assert extraction and 'bash -c "$test_command"' in script
    found = subprocess.run(
        ["bash", "-euc", f'{extraction[0]}; printf %s "$test_command"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout in COMMANDS
    assert "pytest" in found.stdout


@pytest.mark.clean_env
@pytest.mark.parametrize(
    ("word", "extra", "outcome"),
    [
        ("jaxmatcalc demo", "--size 16", "ratio"),
        # .ci/run has run all tests by this command; here it must install what one test needs.
        ("pytest", "tests/cli/test_info.py", "passed"),
    ],
)
def test_readme_command_in_an_environment_of_its_own(
    word: str, extra: str, outcome: str, tmp_path: Path
) -> None:
    (command,) = [command for command in COMMANDS if word in command]
    ignored = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis")
    clone = shutil.copytree(ROOT, tmp_path / "clone", ignore=ignored)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    done = subprocess.run(
        ["bash", "-c", f"{command} {extra}"],
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcome in done.stdout


# Public names


def test_version_is_the_package_version() -> None:
    assert jmc.__version__ == PROJECT["project"]["version"]


def test_all_names_each_public_name_once() -> None:
    assert len(jmc.__all__) == len(set(jmc.__all__))
    submodules = {path.stem if path.suffix else path.name for path in ROOT.glob("jaxmatcalc/*")}
    exported = {name for name in vars(jmc) if not name.startswith("_")} - submodules
    assert exported - {"annotations"} <= set(jmc.__all__)


@pytest.mark.parametrize("name", jmc.__all__)
def test_public_name_has_a_docstring_with_an_example(name: str) -> None:
    public = getattr(jmc, name)
    documentation = inspect.getdoc(public)
    assert documentation
    if callable(public):
        assert ">>>" in documentation


# Importing


def test_import_leaves_the_configuration_alone() -> None:
    code = (
        "import jax; before = dict(jax.config.values); import jaxmatcalc; "
        "print(before == dict(jax.config.values))"
    )
    assert in_own_process(code).strip() == "True"


def test_import_costs_little_beyond_jax() -> None:
    code = (
        "import json, sys, jax, jax.numpy; before = set(sys.modules); import jaxmatcalc; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    added = json.loads(in_own_process(code))
    foreign = {name.partition(".")[0] for name in added} - {"jaxmatcalc"} - sys.stdlib_module_names
    # Parts of JAX that jax.numpy has not loaded, and the contraction planner that JAX depends on.
    assert foreign <= {"jax", "jaxlib", "opt_einsum"}
    assert len([name for name in added if not name.startswith("jaxmatcalc")]) < 60


def test_import_starts_no_device() -> None:
    # No device answers to this name, so whoever asks for one fails.
    assert (
        in_own_process("import jaxmatcalc; print('imported')", JAX_PLATFORMS="none") == "imported\n"
    )


# Source files


def test_only_one_module_knows_the_inside_of_jax() -> None:
    knowing = {
        named(path)
        for path in SOURCES
        if re.search(r"jax\._src|jax\s+import\s+_src", path.read_text("utf-8"))
    }
    assert knowing == {"jaxmatcalc/_jax.py"}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_source_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text))


def test_no_module_of_odds_and_ends() -> None:
    stems = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not stems & {"utils", "util", "helpers", "common", "base", "misc"}


# Data


def test_digits_are_what_their_page_says() -> None:
    pixels, labels = load_digits()
    page = (ROOT / "jaxmatcalc/data/LICENSE.txt").read_text(encoding="utf-8")
    for name, array in (("pixels", pixels), ("labels", labels)):
        assert re.search(rf"{name}\s+{array.dtype} {re.escape(str(array.shape))}", page)
    assert (int(pixels.min()), int(pixels.max())) == (0, 16)
    assert np.array_equal(np.unique(labels), np.arange(10))
    for fact in ("CC BY 4.0", "10.24432/C50P49", "Alpaydin", "1998"):
        assert fact in page
    # The sum that the scikit-learn copy has, so a changed file is noticed.
    assert int(pixels.sum(dtype=np.int64)) == 561718


def test_packaged_files_are_licensed() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0 AND CC-BY-4.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for name in PROJECT["project"]["license-files"]:
        assert (ROOT / name).is_file()
    assert (ROOT / "jaxmatcalc/py.typed").is_file()
