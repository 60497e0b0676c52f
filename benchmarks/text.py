"""Numbers and tables as text."""

from __future__ import annotations

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def markdown(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; all but the first column to the right."""
    lines = [columns, ("---", *("---:" for _ in columns[1:])), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> duration(0.0123456), duration(12.3), duration(4.56e-6)
    ('12.3 ms', '12.3 s', '4.56 µs')
    """
    scale, unit = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{digits(seconds / scale)} {unit}"


def multiple(ratio: float | None) -> str:
    """A ratio with its sign; a dash where there is none."""
    return "–" if ratio is None else f"{digits(ratio)}×"


def digits(value: float) -> str:
    """A number to three digits, never in powers of ten.

    >>> digits(1234.5), digits(123.4), digits(12.34), digits(1.234), digits(0.1234)
    ('1,234', '123', '12.3', '1.23', '0.12')
    """
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{places}f}"


def amount(count: float | None) -> str:
    """Bytes, to three digits; a dash where they are not known.

    >>> amount(0), amount(6_554_628), amount(2.66e9), amount(None)
    ('0 B', '6.55 MB', '2.66 GB', '–')
    """
    if count is None:
        return "–"
    units = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    scale, unit = next((u for u in units if count >= u[0]), (1.0, "B"))
    return f"{digits(count / scale)} {unit}" if scale > 1 else f"{count:.0f} B"


def emphasised(text: str, missed: bool) -> str:
    """Bold, where a figure was missed."""
    return f"**{text}**" if missed else text
