"""Everything that a process of its own may need, imported: see `apart.py`."""

from __future__ import annotations

import importlib
from contextlib import suppress

for _name in ("contenders", "peers.torch", "peers.linear_operator", "peers.autograd"):
    with suppress(Exception):  # what is missing or broken is named by the process that needs it
        importlib.import_module(f"benchmarks.{_name}")
