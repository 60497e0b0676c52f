"""The points at which identities are checked are what their flags say."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.identities.record import arguments
from jaxmatcalc.identities.sample import draw

WIDE = jnp.zeros(()).dtype
EPS = float(jnp.finfo(WIDE).eps)


def _draw(text: str, seed: int = 0) -> np.ndarray:
    return np.asarray(draw(arguments({"X": text}), "a name", seed, WIDE)[0], np.float64)


def test_draws_are_repeatable_and_differ_by_seed_and_name():
    sample = arguments({"X": "n m", "t": ""})
    X, t = draw(sample, "a", 0, WIDE)
    assert X.shape == (4, 3) and t.shape == () and X.dtype == WIDE
    np.testing.assert_array_equal(X, draw(sample, "a", 0, WIDE)[0])
    assert not np.array_equal(X, draw(sample, "a", 1, WIDE)[0])
    assert not np.array_equal(X, draw(sample, "b", 0, WIDE)[0])


def test_narrow_samples_are_the_wide_ones_rounded():
    sample = arguments({"X": "n n spd"})
    (narrow,), (wide,) = draw(sample, "a", 0, "float32"), draw(sample, "a", 0, WIDE)
    np.testing.assert_array_equal(narrow, np.asarray(wide, np.float32))


@pytest.mark.parametrize("seed", range(5))
def test_flags_mean_what_they_say(seed):
    for text in ("n n inv", "n m full", "n n spd"):
        s = np.linalg.svd(_draw(text, seed), compute_uv=False)
        assert s.min() >= 0.5 - 10 * EPS and s.max() <= 2 + 10 * EPS
    for text in ("n n spd", "n n sym"):
        S = _draw(text, seed)
        np.testing.assert_array_equal(S, S.T)
    assert np.linalg.eigvalsh(_draw("n n spd", seed)).min() > 0
    for text in ("n m full-apart", "n n apart"):
        s = np.linalg.svd(_draw(text, seed), compute_uv=False)
        assert s.min() >= 0.5 - 10 * EPS and s.max() <= 2 + 10 * EPS and np.diff(s).max() < -0.2
    S = _draw("n n apart", seed)
    assert np.array_equal(S, S.T) and np.linalg.eigvalsh(S).min() > 0
    assert np.linalg.matrix_rank(_draw("n n singular", seed)) == 3
    assert np.abs(_draw("n nonzero", seed)).min() >= 0.5
    assert set(np.unique(_draw("n sign", seed))) <= {-1.0, 1.0}
    np.testing.assert_allclose(_draw("p m simplex", seed).sum(axis=1), 1, 4 * EPS)


def test_the_flag_same_repeats_the_first_argument():
    X, Y = draw(arguments({"X": "n n spd", "Y": "n n same"}), "a", 0, WIDE)
    np.testing.assert_array_equal(X, Y)


def test_both_invertible_determinant_signs_occur():
    signs = {np.sign(np.linalg.det(_draw("n n inv", seed))) for seed in range(20)}
    assert signs == {-1.0, 1.0}
