"""The progress of long work, on a terminal; beside the commands the only place that draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax


@contextmanager
def bar(total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal, and the function that says how far it is.

    Args:
        total: how many items there are.
        shown: whether the user asked for it; of several processes the first draws.
    """
    if not shown or jax.process_index() != 0:
        yield lambda done: None
        return
    # Imported here: it takes longer than all of this library.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done: None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("items", total=total)
        yield lambda done: progress.update(task, completed=done)
