"""Words for mistakes in the choice of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn


def implementation(operation: str, value: Any) -> None:
    """``value`` is a word for how an operation is computed, or None."""
    if value not in (None, "xla", "pallas"):
        raise ValueError(
            f'`{operation}` needs implementation to be None, "xla" or "pallas"; got {value!r}.'
        )


def no_kernel(reasons: Sequence[str]) -> NoReturn:
    """No platform has the Pallas kernel that was asked for."""
    raise ValueError(f'implementation="pallas" needs a kernel, but {", and ".join(reasons)}.')
