"""What a walk has made already: the same thing asked for twice is one array.

Terms are merged, and selections seen to meet each other, by the identity of their arrays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class _Memory:
    apart: bool
    made: dict[Any, tuple[Any, Any]] = field(default_factory=dict)


_MADE: ContextVar[_Memory | None] = ContextVar("made", default=None)


@contextlib.contextmanager
def remembering(apart: bool = False) -> Iterator[None]:
    """While it lasts, what is asked for twice is made once; one for each trace that JAX runs.

    Args:
        apart: whether selections are kept apart from other factors (see `selected`).
    """
    token = _MADE.set(_Memory(apart))
    try:
        yield
    finally:
        _MADE.reset(token)


def remembered(owner: Any, key: Any, make: Callable[[], Any]) -> Any:
    """What `make` returns, or returned before for the same key.

    Args:
        owner: holds the objects whose ids are in the key.
        key: hashable.
        make: makes it.
    """
    memory = _MADE.get()
    if memory is None:
        return make()
    made = memory.made
    if key not in made:
        made[key] = owner, make()  # the owner is kept: its id, in the key, must not be given away
    return made[key][1]


def recalled(key: Any) -> Any:
    """What was made for a key while selections are kept apart; None if there is no such thing."""
    memory = _MADE.get()
    return memory.made.get(key, (None, None))[1] if memory is not None and memory.apart else None
