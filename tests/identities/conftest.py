from __future__ import annotations

import pytest

from jaxmatcalc.identities.report import Report
from jaxmatcalc.identities.verify import verify


@pytest.fixture(scope="session")
def report() -> Report:
    """The whole verification, once for every test that reads it."""
    return verify(seeds=2)
