"""What `explain` prints for the catalogue's functions, beside the textbook's formula."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc
from jaxmatcalc import identities
from jaxmatcalc.explain.arguments import arguments
from jaxmatcalc.explain.derivatives import Mode
from jaxmatcalc.explain.formula import Formula
from jaxmatcalc.explain.numeric import evaluate
from jaxmatcalc.identities.record import Identity
from jaxmatcalc.identities.sample import draw

KINDS = ("gradient", "hessian", "mixed-hessian", "jacobian", "symmetric-gradient")
SYMMETRIC = ("sym", "spd", "apart")
# Entries that write a matrix function as a power series: what is printed is that series, which
# takes long to differentiate and is no formula. They count as failed, without being tried.
SERIES = {
    "trace-of-the-exponential", "log-determinant-of-the-exponential",
    "inner-product-with-the-exponential", "exponential-along-a-line",
    "trace-of-the-exponential-along-a-line", "Helmholtz-free-energy",
}  # fmt: skip
# Decompositions without a matrix form, slow to differentiate twice: likewise.
DECOMPOSITIONS = {
    "largest-eigenvalue-hessian", "log-determinant-through-QR",
    "half-vectorisation-of-a-congruence",
}  # fmt: skip
WANTED = 0.8

# A quarter of the entries, spread over the families; all with JAXMATCALC_CATALOGUE=1
ENTRIES = [e for e in identities.catalogue() if e.kind in KINDS]
if not os.environ.get("JAXMATCALC_CATALOGUE"):
    ENTRIES = ENTRIES[3::4]


def words(latex: str) -> int:
    """How many letters, numbers, functions and signs a formula in LaTeX is made of."""
    text = latex.replace(r"\tfrac12", r"\frac{1}{2}")
    text = re.sub(r"\\(left|right|quad|textstyle|displaystyle)(?![A-Za-z])|\\[,;!: ]", " ", text)
    text = re.sub(r"\\(operatorname|mathrm|mathsf|mathbf)\{[^}]*\}", r" \\w ", text)
    text = re.sub(r"\\t?frac", " / ", text)
    return len(re.findall(r"\\[A-Za-z]+|[A-Za-z]|\d+|[^\s\w{}^_()\[\],]|\\\|", text))


def length(entry: Identity) -> int:
    """The length of the textbook's formula, with what the entry says its letters stand for."""
    return words(" ".join([entry.result, *entry.expression.split(r"\quad")[1:]]))


def formula(entry: Identity, args: tuple[Any, ...]) -> tuple[Formula, np.ndarray]:
    """What is printed, and its value."""
    names = [a.name for a in entry.sample]
    mirrored = [a.name for a in entry.sample if a.flag in SYMMETRIC]
    mode = Mode(arguments(entry.function, args, names, mirrored))
    if entry.kind.endswith("hessian"):
        found = mode.second(0, int(entry.kind.startswith("mixed")))
        rows = args[0].ndim
    else:
        found, rows = mode.first(0), mode.value.ndim
    matrix = "gradient" not in entry.kind and args[0].ndim
    expression = mode.expression(found, rows if matrix else None)
    shape = expression.shape
    shape = shape[:1] if len(shape) == 2 and shape[1] == 1 else shape
    values = {n: np.asarray(a, float) for n, a in zip(names, args, strict=True)}
    with np.errstate(all="ignore"):
        value = np.asarray(evaluate(expression, values)).reshape(shape)
    return Formula(entry.kind, "", "", shape, expression, "", frozenset(names)), value


def arrays(entry: Identity) -> tuple[Any, ...]:
    return draw(entry.sample, entry.name, 0, jnp.zeros(()).dtype)


def agrees(found: np.ndarray, entry: Identity, args: tuple[Any, ...], rtol: float) -> bool:
    truth = np.asarray(entry.derivative(*args))
    if entry.kind == "jacobian" and args[0].ndim == 0:
        found = found.T  # by columns
    if found.size != truth.size:
        return False
    return np.allclose(found.reshape(truth.shape), truth, rtol=rtol, atol=rtol)


@pytest.fixture(scope="module")
def printed() -> dict[str, tuple[Formula, np.ndarray]]:
    """What is printed for the entries, and its values, where it has one."""
    found = {}
    for entry in ENTRIES:
        if entry.name not in SERIES | DECOMPOSITIONS:
            with contextlib.suppress(np.linalg.LinAlgError):
                found[entry.name] = formula(entry, arrays(entry))
    return found


def test_most_of_the_catalogue_is_printed_as_the_textbook_has_it(printed: Any) -> None:
    rtol = float(jnp.finfo(jnp.zeros(()).dtype).eps) ** 0.5 * 10
    failed: list[str] = []
    for entry in ENTRIES:
        if entry.name not in printed:
            failed.append(f"{entry.name}: not tried, or singular")
            continue
        made, value = printed[entry.name]
        if not agrees(value, entry, arrays(entry), rtol):
            # that of a general matrix is printed, the entry has the one on symmetric changes
            assert entry.kind == "symmetric-gradient", f"{entry.name}: {made.unicode} is wrong"
            failed.append(f"{entry.name}: {made.unicode} is of a general matrix")
        elif words(made.latex) > length(entry):
            failed.append(f"{entry.name}: {made.unicode} is longer")
    good = len(ENTRIES) - len(failed)
    print(f"{good} of {len(ENTRIES)} entries; not these:", *failed, sep="\n  ")
    assert good >= WANTED * len(ENTRIES)


def test_the_catalogue_is_typeset(printed: Any, typeset: Any) -> None:
    for made, _ in printed.values():
        typeset(made.latex)


def test_the_text_says_what_was_checked(printed: Any, readable: Any) -> None:
    read = 0
    for name, (made, _) in printed.items():
        entry = identities.get(name)
        values = zip((a.name for a in entry.sample), arrays(entry), strict=True)
        read += readable(made, dict(values))
    assert read >= 0.8 * len(printed)


@pytest.mark.parametrize(
    "name",
    [
        "log-determinant-hessian", "trace-of-XtBXC", "Frobenius-norm-hessian", "softmax",
        "logistic-regression", "log-determinant-of-a-Kronecker-product", "unit-vector-towards-x",
        "squared-norm-of-the-Gram-matrix-hessian", "trace-of-the-logarithm", "transpose",
        "weighted-trace-of-a-Kronecker-product", "outer-product-of-a-vector-with-itself",
    ],
)  # fmt: skip
def test_the_python_is_the_formula(name: str) -> None:
    entry = identities.get(name)
    args = arrays(entry)
    printed, _ = formula(entry, args)
    scope = {"jnp": jnp, "jax": jax, "jaxmatcalc": jaxmatcalc}
    scope |= {a.name: value for a, value in zip(entry.sample, args, strict=True)}
    value = np.asarray(eval(printed.python, scope))
    assert value.shape == printed.shape
    assert agrees(value, entry, args, float(jnp.finfo(jnp.zeros(()).dtype).eps) ** 0.5 * 10)
