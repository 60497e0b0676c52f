from __future__ import annotations

import jax
import pytest


@pytest.fixture(scope="package", autouse=True)
def precise_and_quickly_compiled():
    """Products in full precision, as `verify` takes them, and programs that need not be fast."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.default_matmul_precision("highest"):
        yield
    jax.config.update("jax_disable_most_optimizations", before)
