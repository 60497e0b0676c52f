"""The result of a verification: rows, and what they say together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: the identity or operation.
        family: its family.
        check: what was compared: "closed form" with JAX's automatic differentiation, a transform
            of jaxmatcalc by its name, "structure", or "value", "first order", "second order" of an
            operation's rule.
        error: the worst relative error over the seeds; NaN where a value was NaN, infinite where
            there was none to compare.
        tolerance: the largest error that passes.
        detail: what went wrong, where numbers do not say it.
    """

    name: str
    family: str
    check: str
    error: float
    tolerance: float
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is a number within the tolerance."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        numbers = f"error {self.error:.1e}, tolerance {self.tolerance:.1e}"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{verdict}  {self.family}: {self.name}, {self.check}: {numbers}{detail}"


@dataclass(frozen=True)
class PointRow:
    """Plain JAX and jaxmatcalc at points where JAX has been seen to be wrong.

    Attributes:
        name: the derivative, and where it is taken.
        family: family of the operation.
        truth: how the true value is known.
        points: number of points.
        jax_wrong: at how many of them plain JAX is wrong or NaN.
        jax_nan: at how many of them plain JAX is NaN.
        jax_error: the worst relative error of plain JAX where it is not NaN.
        error: the worst relative error of jaxmatcalc.
        tolerance: the largest error that counts as right.
        jax_raises: the kind of error that plain JAX raises where it has no derivative.
    """

    name: str
    family: str
    truth: str
    points: int
    jax_wrong: int
    jax_nan: int
    jax_error: float
    error: float
    tolerance: float
    jax_raises: str = ""

    @property
    def passed(self) -> bool:
        """Whether jaxmatcalc is right at every point."""
        return self.error <= self.tolerance

    @property
    def jax_verdict(self) -> str:
        """What plain JAX does here, in words."""
        if self.jax_raises:
            return f"raises {self.jax_raises}"
        if not self.jax_wrong:
            return "right here"
        where = "" if self.points == 1 else f" at {self.jax_wrong} of {self.points}"
        if self.jax_nan == self.jax_wrong:
            return f"NaN{where}"
        nan = f", NaN at {self.jax_nan}" if self.jax_nan else ""
        return f"wrong{where}{nan}, error {self.jax_error:.1e}"

    def __str__(self) -> str:
        verdict = "right" if self.passed else "WRONG"
        return (
            f"{self.name}: plain JAX {self.jax_verdict}; "
            f"jaxmatcalc {verdict}, error {self.error:.1e} (truth by {self.truth})"
        )


@dataclass(frozen=True)
class Report:
    """What :func:`~jaxmatcalc.identities.verify.verify` found.

    Attributes:
        rows: the comparisons.
        points: the places where JAX has been seen to be wrong.
        dtype: precision of what was checked.
        reference_dtype: precision of what it was checked against.
        seeds: number of points at which each entry was checked.
        device: the device it ran on.
        jax: version of JAX.
    """

    rows: tuple[Row, ...]
    points: tuple[PointRow, ...]
    dtype: str
    reference_dtype: str
    seeds: int
    device: str
    jax: str

    @property
    def passed(self) -> bool:
        """Whether every comparison passed and jaxmatcalc is right at every special point."""
        return all(row.passed for row in (*self.rows, *self.points))

    @property
    def failures(self) -> tuple[Row | PointRow, ...]:
        """The rows that did not pass."""
        return tuple(row for row in (*self.rows, *self.points) if not row.passed)

    def worst(self) -> tuple[Row, ...]:
        """Return the worst row of each family and check, relative to its tolerance."""
        worst: dict[tuple[str, str], Row] = {}
        for row in self.rows:
            key = (row.family, row.check)
            if key not in worst or _badness(row) > _badness(worst[key]):
                worst[key] = row
        return tuple(worst.values())

    def summary(self) -> str:
        """Return the outcome in one sentence."""
        rows = (*self.rows, *self.points)
        bad = len(self.failures)
        outcome = f"all {len(rows)} checks passed" if not bad else f"{bad} of {len(rows)} failed"
        seeds = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        return (
            f"{outcome}: {self.dtype} against {self.reference_dtype}, {seeds}, "
            f"{self.device}, JAX {self.jax}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as lists and dictionaries, with NaN and infinity as text."""
        return {
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(self)
                if field.name not in ("rows", "points")
            },
            "passed": self.passed,
            "rows": [_row_dict(row) for row in self.rows],
            "points": [_row_dict(row) | {"jax_verdict": row.jax_verdict} for row in self.points],
        }

    def __str__(self) -> str:
        lines = [str(row) for row in self.worst()]
        shown = set(lines)
        lines += [str(row) for row in self.failures if str(row) not in shown]
        lines += [str(row) for row in self.points if row.passed]
        return "\n".join([*lines, self.summary()])


def relative_error(value: Any, reference: Any) -> float:
    """Return max|value - reference| / max|reference|, or the numerator where the latter is zero.

    Values of different shapes are infinitely far apart.

    >>> relative_error([1.0, 2.0], [1.0, 4.0])
    0.5
    >>> relative_error([1.0], 1.0)
    inf
    """
    left, right = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    if left.shape != right.shape:
        return math.inf
    scale = float(np.max(np.abs(right), initial=0.0)) or 1.0
    return float(np.max(np.abs(left - right), initial=0.0)) / scale


def worst_error(errors: Iterable[float]) -> float:
    """Return the largest error; NaN is worse than any number.

    >>> worst_error([0.5, float("nan"), 1.0])
    nan
    """
    return max(errors, key=lambda error: (math.isnan(error), error), default=0.0)


def _badness(row: Row) -> tuple[bool, bool, float]:
    relative = row.error / row.tolerance if row.tolerance else row.error
    return not row.passed, math.isnan(row.error), relative


def _row_dict(row: Row | PointRow) -> dict[str, Any]:
    fields = dataclasses.asdict(row) | {"passed": row.passed}
    return {
        name: value if not isinstance(value, float) or math.isfinite(value) else str(value)
        for name, value in fields.items()
    }
