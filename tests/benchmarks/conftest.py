"""The tiny case that tests of the benchmarks measure, and how briefly they do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from benchmarks import measure
from benchmarks.cases import Case
from benchmarks.measure import Settings
from benchmarks.samples import normal


def cubic(x: jax.Array, a: jax.Array) -> jax.Array:
    return jnp.sum(a * x**3)


@pytest.fixture(scope="session")
def energy() -> Case:
    return Case("energy", "hessian", cubic, (normal("n"), normal("n")), {"n": 3}, why="it is tiny")


@pytest.fixture(scope="session")
def brief() -> Settings:
    return Settings(budget=0.0, fewest=2, most=3, compiles=2)


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is not measured in processes of their own, which take seconds to start."""
    taken = {"peak": 24}
    monkeypatch.setattr(
        measure, "memory_of", lambda contenders, *_: dict.fromkeys(contenders, taken)
    )
