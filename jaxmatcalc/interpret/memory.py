"""What a walk has made already: the same thing asked for twice is one array.

Terms are merged, and selections seen to meet their transposes, by the identity of their arrays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

_MADE: ContextVar[dict[Any, tuple[Any, Any]] | None] = ContextVar("made", default=None)


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """While it lasts, what is asked for twice is made once; one for each trace that JAX runs."""
    token = _MADE.set({})
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
    made = _MADE.get()
    if made is None:
        return make()
    if key not in made:
        made[key] = owner, make()  # the owner is kept: its id, in the key, must not be given away
    return made[key][1]
