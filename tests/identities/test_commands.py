"""``jaxmatcalc verify`` and ``jaxmatcalc identities``."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
from dataclasses import replace

import jax
import pytest

import jaxmatcalc.identities as identities
from jaxmatcalc.identities.verify import verify

verify_command = importlib.import_module("jaxmatcalc.cli.verify")
identities_command = importlib.import_module("jaxmatcalc.cli.identities")
ENTRY = identities.get("trace-of-XA")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="jaxmatcalc")
    subparsers = parser.add_subparsers(required=True)
    verify_command.add_parser(subparsers)
    identities_command.add_parser(subparsers)
    arguments = parser.parse_args(words)
    return arguments.run(arguments)


@pytest.fixture
def checks(monkeypatch):
    """Let the command check these identities only."""

    def choose(*entries: identities.Identity) -> None:
        some = functools.partial(verify, identities=entries)
        monkeypatch.setattr(verify_command, "verify", some)

    return choose


def test_verify_prints_a_table_and_returns_0(checks, capsys):
    checks(ENTRY)
    assert run("verify", "--all") == 0
    out = capsys.readouterr().out
    assert "trace-of-XA" in out and "closed form" in out and "all 2 checks passed" in out


def test_verify_returns_1_when_something_is_wrong(checks, capsys):
    checks(ENTRY, replace(ENTRY, name="wrong", derivative=lambda X, A: A.T + 1))
    assert run("verify") == 1
    out = capsys.readouterr().out
    assert "wrong" in out and "failed" in out and "1 of 4 failed" in out


def test_verify_runs_in_float64_and_leaves_the_precision_of_the_process(checks, capsys):
    checks(ENTRY)
    before = jax.config.jax_enable_x64
    assert run("verify", "--json", "-", "--seeds", "2") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["dtype"] == report["reference_dtype"] == "float64" and report["seeds"] == 2
    assert run("verify", "--json", "-", "--dtype", "float32") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dtype"], report["reference_dtype"]) == ("float32", "float64")
    assert run("verify", "--json", "-", "--platform", "cpu") == 0
    assert json.loads(capsys.readouterr().out)["device"].startswith("cpu")
    assert jax.config.jax_enable_x64 == before


def test_verify_writes_json_to_a_file(checks, capsys, tmp_path):
    checks(ENTRY)
    path = tmp_path / "report.json"
    assert run("verify", "--json", str(path)) == 0
    assert json.loads(path.read_text())["passed"] is True
    assert "checks passed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "--family", "tensors"), "invalid choice: 'tensors'"),
        (("verify", "--dtype", "int8"), "invalid choice: 'int8'"),
        (("verify", "--platform", "abacus"), "finds no device of platform 'abacus' here"),
        (("verify", "--seeds", "0"), "needs a whole number from 1 on; got '0'"),
        (("verify", "--seeds", "two"), "needs a whole number from 1 on; got 'two'"),
        (("verify", "--json", "/no/such/folder/x.json"), "needs a file in a folder that exists"),
        (("identities", "trace-of-XAA"), "has no entry 'trace-of-XAA'"),
        (("identities", "--family", "tensors"), "invalid choice: 'tensors'"),
    ],
)
def test_a_bad_value_is_status_2(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_identities_prints_the_catalogue(capsys):
    assert run("identities", "--family", "vec", "--latex") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(identities.catalogue("vec"))
    assert r"AX^\top B: $" not in lines[0] and all(line.endswith("$") for line in lines)
    assert run("identities", "--family", "vec") == 0
    assert f"{len(lines)} identities" in capsys.readouterr().out


def test_identities_prints_one_entry(capsys):
    assert run("identities", "log-determinant-hessian") == 0
    out = capsys.readouterr().out
    assert "∇²_X[log |det X|] = -Kₙₙ (X⁻ᵀ ⊗ X⁻¹)" in out
    assert "MN ch. 10" in out and "kronecker+commutation" in out and "X (n, n) inv" in out
    assert run("identities", "log-determinant-hessian", "--latex") == 0
    assert identities.get("log-determinant-hessian").statement in capsys.readouterr().out


@pytest.mark.parametrize("entry", identities.catalogue(), ids=lambda entry: entry.name)
def test_every_statement_is_readable_without_latex(entry):
    text = identities_command.readable(entry.statement)
    assert not set(text) & set("\\{}") and "  " not in text
