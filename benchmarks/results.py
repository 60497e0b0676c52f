"""The results file: what was measured, where, in JSON; complete after every case."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import NOT_INSTALLED, Record, Settings

COMMITTED = Path(__file__).parent / "results"


class UnusableResults(Exception):
    """A file that is not a results file, or one that this run cannot go on with."""


@dataclass
class Results:
    """Measurements of one environment, each of its own case and dtype.

    Attributes:
        environment: what they were taken on.
        records: the measurements.
        bandwidth: bytes a second that the device writes to its memory, and of how many bytes.
    """

    environment: dict[str, str]
    records: list[Record] = field(default_factory=list)
    bandwidth: dict[str, float] | None = None

    def __post_init__(self) -> None:
        self._by_key = {key(r["name"], r["dtype"]): r for r in self.records}

    def get(self, name: str, dtype: str) -> Record | None:
        """The measurement of a case, if there is one."""
        return self._by_key.get(key(name, dtype))

    def has(
        self, name: str, dtype: str, settings: Settings, contenders: Collection[str] = ()
    ) -> bool:
        """Whether a case was measured in this way, and these contenders of it.

        One that was refused was measured too; one that was not installed then was not.
        """
        record = self.get(name, dtype)
        if record is None or record["settings"] != asdict(settings):
            return False
        missing = record.get("missing", {}).items()
        refused = {name for name, why in missing if not why.endswith(NOT_INSTALLED)}
        return {*contenders} <= {*record["contenders"], *refused}

    def add(self, record: Record) -> None:
        """Keep a measurement, in place of an earlier one of the same case."""
        self._by_key[key(record["name"], record["dtype"])] = record
        self.records = list(self._by_key.values())

    def save(self, path: Path) -> None:
        """Write the file in one step: a run that is stopped leaves the last whole one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {"environment": self.environment, "records": self.records}
        if self.bandwidth is not None:
            content = {"bandwidth": self.bandwidth, **content}
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(partial, path)


def key(name: str, dtype: str) -> tuple[str, str]:
    """What tells two measurements of one file apart."""
    return name, dtype


def load(path: Path) -> Results:
    """Read a results file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Results(content["environment"], content["records"], content.get("bandwidth"))
    except FileNotFoundError:
        raise UnusableResults(f"there is no file {path}") from None
    except (ValueError, KeyError, TypeError, IsADirectoryError):
        raise UnusableResults(f"{path} is not a results file of these benchmarks") from None


def resume(path: Path, environment: dict[str, str]) -> Results:
    """The results to go on with: those in the file, or none yet.

    Times of two environments do not belong in one table, so a file of another one is refused.
    """
    if not path.exists():
        return Results(environment)
    found = load(path)
    for name, value in environment.items():
        if found.environment.get(name) != value:
            raise UnusableResults(
                f"{path} was measured with {name} {found.environment.get(name)!r}, and this is "
                f"{value!r}: name another file with --out"
            )
    return found
