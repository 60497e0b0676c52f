"""``jaxmatcalc demo`` reaches the known optimum, and refuses what it cannot do."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmatcalc.cli import main, precision


def figure(name: str, text: str) -> float:
    """The number that the output gives for ``name``."""
    found = re.search(rf"^\s*{name}\s+(\S+)", text, flags=re.MULTILINE)
    assert found, text
    return float(found[1].strip(";").replace(",", ""))


@pytest.fixture(scope="module", params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return request.param


def test_demo_reaches_the_optimum(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    x64 = jax.config.jax_enable_x64
    assert main(["demo", "--size", "12", "--dtype", dtype]) == 0
    text = capsys.readouterr().out
    eps = np.finfo(dtype).eps
    assert figure("gradient norm", text) <= 500 * eps
    assert figure("error of Θ", text) <= 50 * eps
    assert figure("error of the Hessian", text) <= 200 * eps
    assert figure("unknowns", text) == 144
    assert figure("ratio", text) > 0
    assert re.search(r"^Hessian .*[Kk]ronecker", text, flags=re.MULTILINE)
    assert dtype in text
    rows = re.findall(r"^ +(\d+)  +\S+  +\S+", text, flags=re.MULTILINE)
    assert [int(row) for row in rows] == list(range(len(rows)))
    assert jax.config.jax_enable_x64 == x64


def test_demo_keeps_theta_positive_definite_where_a_full_step_would_not() -> None:
    S = precision.correlations(8).matrix
    f = precision.objective(np.asarray(S, np.float32), 0.1)
    step = precision.newton_step(f)(np.eye(8, dtype=np.float32) * 2)
    full = 2 * np.eye(8) + (np.asarray(step.theta) - 2 * np.eye(8)) / float(step.length)
    assert float(step.length) < 1
    assert np.linalg.eigvalsh(full).min() < 0
    assert np.linalg.eigvalsh(np.asarray(step.theta)).min() > 0
    assert float(f(step.theta)) < float(step.value)


def test_optimum_has_no_gradient() -> None:
    S, rho = precision.correlations(64).matrix, 1e-3
    theta = precision.optimum(S, rho)
    gradient = -np.linalg.inv(theta) + S + rho * theta
    assert np.linalg.norm(gradient) < 1e-11


def test_correlations_leave_constant_pixels_zero() -> None:
    data = precision.correlations(64)
    diagonal = np.diag(data.matrix)
    assert data.constant == 3
    np.testing.assert_allclose(np.sort(diagonal), [0] * 3 + [1] * 61, atol=1e-12)
    assert np.array_equal(data.pixels, np.arange(64))
    assert not precision.correlations(61).constant


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--size", "65"], "must be a whole number from 2 to 64; got '65'"),
        (["--size", "many"], "must be a whole number from 2 to 64; got 'many'"),
        (["--rho", "0"], "must be a number from 1e-6 to 1e6; got '0'"),
        (["--rho", "nan"], "must be a number from 1e-6 to 1e6; got 'nan'"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_value_gets_one_sentence_and_status_2(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", *words])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_help_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    for option in ("--size", "--rho", "--dtype", "--plot"):
        assert option in text
    assert max(map(len, text.splitlines())) <= 80


def test_plot_draws_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    file = tmp_path / "partial.png"
    assert main(["demo", "--size", "12", "--plot", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    picture = imread(file)
    assert picture.shape[0] > 1000
    # Correlations of both signs: some pixels are clearly red, some clearly blue.
    red, blue = picture[..., 0], picture[..., 2]
    assert (red - blue > 0.3).mean() > 0.001
    assert (blue - red > 0.1).mean() > 0.001


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("partial.jpg", "must end in .png, .svg or .pdf"), ("absent/a.png", "a folder that exists")],
)
def test_plot_refuses_a_file_that_it_cannot_write(
    name: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--plot", str(tmp_path / name)])
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


def test_plot_without_matplotlib_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "matplotlib" else find_spec(name, *rest),
    )
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--plot", "partial.png"])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert "jaxmatcalc[plot]" in captured.err
    assert captured.err.count("\n") == 1
