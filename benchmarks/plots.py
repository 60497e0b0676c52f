"""Pictures of results, from the results file alone: every ratio on one page, and time against n.

An SVG holds a digest of the data that it shows, so that it can be told whether it is of these
results without drawing it again. Its text stays text, and equal data give equal files.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from pathlib import Path

from benchmarks import plot_curves, plot_ratios, report
from benchmarks.contenders import OURS
from benchmarks.measure import Record
from benchmarks.palette import STYLE
from benchmarks.results import Results, UnusableResults


def require() -> None:
    """Say what is missing to draw."""
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise UnusableResults("pictures need matplotlib: pip install -e '.[bench]'") from None


def write(results: Results, folder: Path, stem: str) -> list[Path]:
    """Draw every picture of the results into a folder."""
    require()
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for (dtype, kind), name in report.pictures(results, stem).items():
        data = shown(results, dtype, kind)
        metadata = {"Date": None, "Creator": None, "Description": digest(data)}
        with matplotlib.rc_context(STYLE):
            draw = {"ratios": plot_ratios.draw, "curves": plot_curves.draw}[kind]
            draw(data).savefig(folder / name, metadata=metadata)
        written.append(folder / name)
    return written


def shown(results: Results, dtype: str, kind: str) -> Record:
    """The data of a picture, all that it is drawn from."""
    records = dict(report.by_dtype(results))[dtype]
    found: Record = {"conditions": report.conditions(results, dtype, records)}
    if kind == "ratios":
        main = [r for r in records if report.is_main(r) and OURS in r["contenders"]]
        return {**found, "rows": [_ratio(record) for record in main]}
    curves = {
        name: {"why": points[0]["why"], "points": [_point(record) for record in points]}
        for name, points in report.curves(records).items()
    }
    return {**found, "write": (results.bandwidth or {}).get("write"), "curves": curves}


def _ratio(record: Record) -> Record:
    peer = report.rival(record)
    theirs, ours = (record["contenders"][name]["run"] for name in (peer, OURS))
    return {
        "name": record["name"],
        "task": record["task"],
        "wanted": record["wanted"],
        "peer": peer,
        "ratio": theirs["median"] / ours["median"],
        "lower": theirs["lower"] / ours["upper"],
        "upper": theirs["upper"] / ours["lower"],
    }


def _point(record: Record) -> Record:
    times = {name: c["run"] for name, c in record["contenders"].items()}
    return {
        "n": record["sizes"]["n"],
        "bytes": record.get("answer_bytes"),
        "times": {n: [t["lower"], t["median"], t["upper"]] for n, t in times.items()},
    }


def digest(data: Record) -> str:
    """What tells one picture's data from another's."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return "data " + hashlib.sha256(text.encode()).hexdigest()


def digest_in(path: Path) -> str | None:
    """The digest that a picture holds; None where it is not one of these pictures."""
    if not path.exists():
        return None
    found = re.search(r"data [0-9a-f]{64}", path.read_text(encoding="utf-8"))
    return found[0] if found else None


# Every ratio on one page

# Time against n
