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
from jaxmatcalc.identities.report import Report, Row, relative_error, worst_error
from jaxmatcalc.identities.verify import check_identity, check_operation, tolerance, verify

WIDE = jnp.zeros(()).dtype.name
ENTRIES = identities.catalogue()


def rows_of(entry, seeds: int = 1) -> dict[str, Row]:
    return {row.check: row for row in check_identity(entry, WIDE, WIDE, seeds)}


def errors(report: Report, name: str) -> list[str]:
    rows = [row for row in report.rows if row.name == name]
    assert rows
    return [str(row) for row in rows if not row.passed]


@pytest.mark.parametrize("name", [entry.name for entry in ENTRIES])
def test_identity(report, name):
    assert errors(report, name) == []


@pytest.mark.parametrize("name", [str(operation) for operation in identities.operations()])
def test_operation(report, name):
    assert errors(report, name) == []


def test_every_derivative_is_compared_with_the_transforms(report):
    checks: dict[str, set[str]] = {}
    for row in report.rows:
        checks.setdefault(row.name, set()).add(row.check)
    expected = {
        "gradient": {"jacobian"},
        "jacobian": {"jacobian", "jacobian_operator"},
        "hessian": {"hessian", "hessian_operator"},
        "differential": {"jacobian_operator @"},
        "vjp": {"jacobian_operator.T @"},
    }
    for entry in ENTRIES:
        assert {"closed form"} | expected.get(entry.kind, set()) <= checks[entry.name]
        assert bool(entry.structure) == ("structure" in checks[entry.name])


def test_the_report_is_of_this_process(report):
    assert report.passed and report.failures == ()
    assert report.dtype == report.reference_dtype == WIDE
    assert report.jax == jax.__version__
    assert jax.default_backend() in report.device
    assert "checks passed" in report.summary() and report.summary() in str(report)


WRONG = {
    "scaled": lambda right: 1.001 * right,
    "transposed": lambda right: right.T,
    "of another shape": lambda right: right[:-1],
    "not a number": lambda right: right * jnp.nan,
    "shifted in one entry": lambda right: right.at[1, 2].add(1e-3),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", ["trace-of-AXB", "trace-of-XtBXC-hessian"])
def test_a_wrong_derivative_is_caught(name, change):
    entry = identities.get(name)
    assert rows_of(entry)["closed form"].passed
    if "hessian" in name and change is WRONG["transposed"]:
        pytest.skip("a Hessian is symmetric")
    if change is WRONG["of another shape"] and "hessian" in name:
        pytest.skip("it cannot be laid out at all")
    wrong = replace(entry, derivative=lambda *args: change(entry.derivative(*args)))
    rows = rows_of(wrong)
    assert not rows["closed form"].passed
    assert all(row.passed for check, row in rows.items() if check != "closed form")


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
def test_the_misprints_of_the_matrix_cookbook_are_wrong_as_printed(name, printed):
    misprinted = replace(identities.get(name), derivative=printed)
    assert not rows_of(misprinted)["closed form"].passed


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


def test_the_report_goes_to_json(report):
    failing = Row("a", "trace", "closed form", math.nan, 1e-3)
    text = json.dumps(replace(report, rows=(*report.rows[:3], failing)).to_dict(), allow_nan=False)
    read = json.loads(text)
    assert read["passed"] is False and len(read["rows"]) == 4
    assert read["rows"][3]["error"] == "nan" and read["rows"][3]["passed"] is False
    assert {"name", "jax_verdict", "error"} <= read["points"][0].keys()


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


def _power(X, k):
    return jnp.linalg.matrix_power(X, k)
