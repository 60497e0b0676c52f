"""``python -m jaxmatcalc``, the same as the command ``jaxmatcalc``."""

from __future__ import annotations

import sys

from jaxmatcalc.cli import main

if __name__ == "__main__":
    sys.exit(main())
