"""Everything in the catalogue passes, what is wrong fails, and the report says so."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

import jaxmatcalc.identities as identities
from jaxmatcalc.identities.report import PointRow, Report, Row, relative_error, worst_error
from jaxmatcalc.identities.special_points import SPECIAL_POINTS
from jaxmatcalc.identities.verify import (
    check_closed_form,
    check_identity,
    check_operation,
    check_transforms,
    tolerance,
    verify,
)

WIDE = jnp.zeros(()).dtype.name
ENTRIES = identities.catalogue()


def rows_of(entry, seeds: int = 1) -> dict[str, Row]:
    return {row.check: row for row in check_identity(entry, WIDE, WIDE, seeds)}


# What each kind of identity is compared with, beside JAX's automatic differentiation.
TRANSFORMS = {
    "gradient": {"jacobian"},
    "symmetric-gradient": {"jacobian"},
    "vech-gradient": {"jacobian"},
    "jacobian": {"jacobian", "jacobian_operator"},
    "vech-jacobian": {"jacobian", "jacobian_operator"},
    "hessian": {"hessian", "hessian_operator"},
    "vech-hessian": {"hessian", "hessian_operator"},
    "mixed-hessian": {"jacobian_operator"},
    "differential": {"jacobian_operator @"},
    "vjp": {"jacobian_operator.T @"},
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_identity(entry):
    transforms = check_transforms(entry, WIDE, WIDE, 2, batched=True)
    rows = [
        check_closed_form(entry, WIDE, WIDE, 2),
        check_closed_form(entry, "float32", WIDE, 2, batched=True),
        *transforms,
    ]
    assert [str(row) for row in rows if not row.passed] == []
    stated = {"structure"} if entry.structure else set()
    assert {row.check for row in transforms} == _transforms(entry) | stated


# All of them in every mode of differentiation: tests/ops/test_everywhere.py
@pytest.mark.parametrize(
    "operation", {entry.family: entry for entry in identities.operations()}.values(), ids=str
)
def test_operation(operation):
    rows = check_operation(operation, WIDE, WIDE, 2)
    assert [row.check for row in rows] == ["value", "first order", "second order"]
    assert [str(row) for row in rows if not row.passed] == []


def test_the_report_covers_the_family_and_names_the_process(monkeypatch):
    entries, operations = ENTRIES[:2], identities.operations("frobenius")[:1]
    module = importlib.import_module("jaxmatcalc.identities.verify")
    monkeypatch.setattr(module, "catalogue", lambda family: entries)
    monkeypatch.setattr(module, "operations", lambda family: operations)
    report = verify("frobenius", seeds=2)
    assert {row.name for row in report.rows} == {*(e.name for e in entries), str(*operations)}
    cases = [case.name for case in SPECIAL_POINTS if case.family == "frobenius"]
    assert [point.name for point in report.points] == cases
    assert report.passed and report.failures == ()
    assert report.dtype == report.reference_dtype == WIDE and report.seeds == 2
    assert report.jax == jax.__version__ and jax.default_backend() in report.device
    assert "checks passed" in report.summary() and report.summary() in str(report)


WRONG = {
    "scaled": lambda right: 1.001 * right,
    "transposed": lambda right: right.T,
    "of another shape": lambda right: right[:-1],
    "not a number": lambda right: right * jnp.nan,
    "shifted in one entry": lambda right: right.at[1, 2].add(1e-3),
}


@pytest.fixture
def closed_forms_only(monkeypatch):
    monkeypatch.setattr("jaxmatcalc.identities.verify.transformed", lambda *_: ({}, None))


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", ["trace-of-AXB", "AXB", "inverse-adjoint"])
@pytest.mark.usefixtures("closed_forms_only")
def test_a_wrong_derivative_is_caught(name, change):
    entry = identities.get(name)
    if name == "AXB" and change is WRONG["of another shape"]:
        pytest.skip("it cannot be laid out at all")
    wrong = replace(entry, derivative=lambda *args: change(entry.derivative(*args)))
    assert not rows_of(wrong)["closed form"].passed


def test_a_wrong_derivative_fails_the_whole_verification():
    entry = identities.get("trace-of-XA")
    wrong = replace(entry, name="wrong", derivative=lambda X, A: 2 * A.T)
    report = verify(identities=[entry, wrong])
    assert not report.passed
    assert [(row.name, row.check) for row in report.failures] == [("wrong", "closed form")]
    assert "FAILED" in str(report) and "1 of 4 failed" in report.summary()


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        (
            "inner-product-of-two-images-of-a-power",
            lambda X, a, b: sum(
                _power(X, 2 - r) @ jnp.outer(a, b) @ _power(X, 3).T @ _power(X, r)
                + _power(X, r).T @ _power(X, 3) @ jnp.outer(b, a) @ _power(X, 2 - r).T
                for r in range(3)
            ),
        ),
        (
            "ratio-of-two-squared-lengths",
            lambda x, A, B: (
                2 * A.T @ A @ x / (x @ B @ B @ x)
                - 2 * (x @ A.T @ A @ x) * (B.T @ B @ x) / (x @ B @ B @ x) ** 2
            ),
        ),
        (
            "bilinear-form-as-a-form-in-vec",
            lambda X, a, B, c: X.T.ravel() @ jnp.kron(B, jnp.outer(c, a)) @ X.T.ravel(),
        ),
    ],
)
@pytest.mark.usefixtures("closed_forms_only")
def test_the_misprints_of_the_matrix_cookbook_are_wrong_as_printed(name, printed):
    misprinted = replace(identities.get(name), derivative=printed)
    assert not rows_of(misprinted)["closed form"].passed


@pytest.mark.usefixtures("closed_forms_only")
def test_the_condition_added_to_equation_127_is_needed():
    entry = identities.get("trace-of-a-regularised-quotient-of-quadratics")
    assert entry.sample[1].name == "A" and entry.sample[1].flag == "spd"
    sample = (entry.sample[0], entry.sample[1]._replace(flag="inv"), *entry.sample[2:])
    assert not rows_of(replace(entry, sample=sample))["closed form"].passed


def test_a_wrong_structure_is_caught():
    entry = identities.get("log-determinant-hessian")
    row = rows_of(replace(entry, structure="diagonal"))["structure"]
    assert not row.passed and "stated diagonal" in row.detail


def test_a_transform_that_raises_is_a_failed_row():
    entry = identities.get("trace-of-XA")

    def only_in_jax(X, A):
        # The transforms trace the function to a program first and so see no other argument type.
        return jnp.trace(X @ A)

    def broken(*_):
        raise RuntimeError("cannot do that")

    fine = rows_of(replace(entry, function=only_in_jax))
    assert fine["jacobian"].passed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxmatcalc.identities.verify.transformed", broken)
        row = rows_of(entry)["transforms"]
    assert not row.passed and row.error == math.inf and "cannot do that" in row.detail


def test_a_wrong_rule_of_an_operation_is_caught(monkeypatch):
    @jax.custom_jvp
    def wrong(X):
        return jnp.trace(X)

    @wrong.defjvp
    def _(primals, tangents):
        return wrong(*primals), jnp.sum(tangents[0])

    (operation,) = (o for o in identities.operations("trace") if o.name == "trace")
    assert all(row.passed for row in check_operation(operation, WIDE, WIDE, 1))
    monkeypatch.setattr(importlib.import_module("jaxmatcalc.ops.trace"), "trace", wrong)
    passed = {row.check: row.passed for row in check_operation(operation, WIDE, WIDE, 1)}
    assert passed == {"value": True, "first order": False, "second order": True}


def test_float32_is_checked_against_the_widest_precision():
    report = verify(dtype="float32", identities=[identities.get("trace-of-AXB")])
    assert report.passed and report.dtype == "float32" and report.reference_dtype == WIDE
    assert {row.tolerance for row in report.rows} == {tolerance("float32")}
    if WIDE == "float64":
        assert max(row.error for row in report.rows) > tolerance("float64")


def test_configuration_is_left_alone():
    names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion")
    before = [getattr(jax.config, name) for name in names]
    verify(identities=[identities.get("trace-of-XA")])
    assert [getattr(jax.config, name) for name in names] == before


def test_mistakes_are_answered_in_a_sentence(x64):
    with pytest.raises(ValueError, match="needs family to be"):
        verify("tensors")
    with pytest.raises(ValueError, match="needs dtype to be"):
        verify(dtype="int8")
    with pytest.raises(ValueError, match="no device of platform 'abacus'"):
        verify(platform="abacus")
    if not x64:
        with pytest.raises(ValueError, match="jax_enable_x64"):
            verify(dtype="float64")


def test_checks_are_announced():
    heard: list[tuple[str, int]] = []
    verify(
        identities=[identities.get("trace-of-XA"), identities.get("trace")],
        on_check=lambda name, count: heard.append((name, count)),
    )
    assert heard == [("trace-of-XA", 2), ("trace", 2)]


def test_the_report_goes_to_json():
    rows = Row("a", "trace", "closed form", 0.0, 1e-3), Row("b", "vec", "value", math.nan, 1e-3)
    point = PointRow("at 0", "trace", "known", 1, 1, 1, 0.0, 0.0, 1e-3)
    report = Report(rows, (point,), "float32", "float64", 1, "cpu", "0")
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["passed"] is False and len(read["rows"]) == 2
    assert read["rows"][1]["error"] == "nan" and read["rows"][1]["passed"] is False
    assert read["points"][0]["jax_verdict"] == "NaN" and read["points"][0]["passed"] is True
    assert read["dtype"] == "float32" and read["reference_dtype"] == "float64"


def test_the_worst_row_of_each_check_is_shown():
    rows = [
        Row(n, "trace", "closed form", e, 1e-3)
        for n, e in zip("abc", (1e-9, 1e-5, 1e-7), strict=True)
    ]
    report = Report(tuple(rows), (), "float32", "float32", 1, "cpu", "0")
    assert [row.name for row in report.worst()] == ["b"]
    bad = Row("d", "trace", "closed form", math.nan, 1e-3)
    assert replace(report, rows=(*rows, bad)).worst() == (bad,)


def test_errors_are_relative_to_the_reference():
    assert relative_error([1.0, 2.0], [1.0, 4.0]) == 0.5
    assert relative_error([0.25], [0.0]) == 0.25
    assert relative_error([1.0], [[1.0]]) == math.inf
    assert math.isnan(relative_error([math.nan, 1.0], [1.0, 1.0]))
    assert math.isnan(worst_error([1.0, math.nan, math.inf])) and worst_error([]) == 0.0


def _transforms(entry) -> set[str]:
    if entry.kind == "second-differential" and entry.family != "inverse":  # of a scalar
        return {"hessian_operator @"}
    return TRANSFORMS.get(entry.kind, set())


def _power(X, k):
    return jnp.linalg.matrix_power(X, k)
