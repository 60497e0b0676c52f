"""What every test shares: the precision of the pass, and how hypothesis searches.

The suite holds in two passes. By default 64-bit types are on; with ``JAXMATCALC_TEST_X64=0`` in the
environment JAX stays as a user finds it, in 32 bits.
"""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores; threads of LAPACK that wait for each other would hold them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import jax
import jax.numpy as jnp
import pytest

X64 = os.environ.get("JAXMATCALC_TEST_X64", "1") != "0"
jax.config.update("jax_enable_x64", X64)

# Compilation makes the first example of a property slow and the later ones fast, so a deadline
# would measure the compiler. CI draws the same examples every time: a red run can be repeated.
hypothesis.settings.register_profile(
    "local", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "ci", parent=hypothesis.settings.get_profile("local"), derandomize=True, database=None
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_report_header() -> str:
    """The line at the top of a run that says what was tested."""
    device = jax.devices()[0]
    return f"jax {jax.__version__} on {device.device_kind} ({device.platform}), x64 {X64}"


@pytest.fixture(scope="session")
def x64() -> bool:
    """Whether this pass runs with 64-bit types."""
    return X64


@pytest.fixture(scope="session")
def float_dtype() -> jnp.dtype:
    """The widest real dtype of this pass."""
    return jnp.dtype("float64" if X64 else "float32")


@pytest.fixture(scope="session")
def complex_dtype() -> jnp.dtype:
    """The widest complex dtype of this pass."""
    return jnp.dtype("complex128" if X64 else "complex64")
