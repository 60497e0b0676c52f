"""`critical_point`: the kinds, the counts and the discriminant, at points known from calculus."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import critical_point

# name: (function, point, kind, inertia, discriminant)
POINTS = {
    "bowl": (lambda x: x[0] ** 2 + 3 * x[1] ** 2, (0, 0), "minimum", (2, 0, 0), 12),
    "dome": (lambda x: -(x[0] ** 2) - x[0] * x[1] - x[1] ** 2, (0, 0), "maximum", (0, 2, 0), 3),
    "saddle": (lambda x: x[0] * x[1], (0, 0), "saddle", (1, 1, 0), -1),
    "trough": (lambda x: (x[0] + x[1]) ** 2, (1, -1), "degenerate", (1, 0, 1), 0),
    "flat": (lambda x: x[0] ** 4 - x[1] ** 3, (0, 0), "degenerate", (0, 0, 2), 0),
    "constant": (lambda x: jnp.ones(()), (0, 0), "degenerate", (0, 0, 2), 0),
    "slope": (lambda x: x[0] + x[1] ** 2, (0, 0), "not critical", (1, 0, 1), 0),
    "plane": (lambda x: x[0] - x[1], (0, 0), "not critical", (0, 0, 2), 0),
    "a saddle with a flat direction": (
        lambda x: x[0] ** 2 - x[1] ** 2 + 0 * x[2],
        (0, 0, 5),
        "saddle",
        (1, 1, 1),
        0,
    ),
    "rounded": (
        lambda x: (x[0] - 0.1) ** 2 + (x[1] - 0.3) ** 2,
        (0.1, 0.3),
        "minimum",
        (2, 0, 0),
        4,
    ),
    "not finite": (lambda x: jnp.sum(jnp.log(x)), (0, 1), "not finite", None, None),
}


@pytest.mark.parametrize("name", POINTS)
def test_kinds(name, float_dtype):
    f, x, kind, inertia, discriminant = POINTS[name]
    point = critical_point(f)(jnp.asarray(x, float_dtype))
    assert point.kind == kind
    assert repr(point).startswith(f"CriticalPoint({kind}: ")
    if inertia is not None:
        assert tuple(map(int, (point.positive, point.negative, point.zero))) == inertia
        np.testing.assert_allclose(point.discriminant, discriminant, atol=1e-5)


def test_discriminant_of_two_variables(close):
    """D = f_xx f_yy - f_xy², at any point."""
    f = lambda x: jnp.sin(x[0]) * x[1] ** 3 + x[0] ** 2 * x[1]  # noqa: E731
    x = jnp.asarray([0.4, -0.7])
    point = jax.jit(critical_point(f))(x)
    H = jax.hessian(f)(x)
    close(point.discriminant, H[0, 0] * H[1, 1] - H[0, 1] ** 2)
    close(point.eigenvalues, jnp.linalg.eigvalsh(H))
    close(point.gradient_norm, jnp.linalg.norm(jax.grad(f)(x)))
    close(point.value, f(x))
    assert not point.is_critical


def test_a_batch_under_jit(float_dtype):
    """x³ - 3x + y² has a minimum at x = 1 and a saddle at x = -1."""
    f = lambda x: x[0] ** 3 - 3 * x[0] + x[1] ** 2  # noqa: E731
    batch = jax.jit(jax.vmap(critical_point(f)))(
        jnp.asarray([[1, 0], [-1, 0], [0, 0]], float_dtype)
    )
    assert batch.kind.tolist() == ["minimum", "saddle", "not critical"]
    assert repr(batch) == "CriticalPoint(batch (3,): minimum, not critical, saddle)"
    np.testing.assert_allclose(batch.discriminant, [12, -12, 0], atol=1e-4)
    shapes = jax.eval_shape(critical_point(f), jnp.zeros(2, float_dtype))
    assert "CriticalPoint(" in repr(shapes)


def test_structured_hessians(float_dtype):
    """tr(SX) - log|X| at X = S⁻¹: a minimum among symmetric matrices, a saddle among all.

    With d = diag S the Hessian V ↦ S Vᵀ S has eigenvalues dᵢ², and ± dᵢ dⱼ for i < j.
    """
    d = np.array([1.0, 2.0, 3.0])
    S = jnp.asarray(np.diag(d), float_dtype)
    f = lambda X: jnp.trace(S @ X) - jnp.linalg.slogdet(X)[1]  # noqa: E731
    everywhere = critical_point(f)(jnp.linalg.inv(S))
    pairs = np.array([2.0, 3.0, 6.0])
    expected = np.sort(np.concatenate([d**2, pairs, -pairs]))
    np.testing.assert_allclose(everywhere.eigenvalues, expected, rtol=1e-5)
    assert everywhere.kind == "saddle"
    symmetric = critical_point(f, symmetric=True)(jnp.linalg.inv(S))
    assert symmetric.kind == "minimum"
    np.testing.assert_allclose(symmetric.eigenvalues, np.sort(np.concatenate([d**2, pairs])), 1e-5)


def test_only_the_symmetric_part_of_a_gradient_counts(float_dtype):
    skew = jnp.asarray([[0, 1], [-1, 0]], float_dtype)
    f = lambda X: jnp.sum(X**2) + jnp.trace(skew @ X)  # noqa: E731
    zero = jnp.zeros((2, 2), float_dtype)
    assert critical_point(f)(zero).kind == "not critical"
    assert critical_point(f, symmetric=True)(zero).kind == "minimum"


def test_pytrees_and_arguments(parameters):
    def f(p, q, *, sign):
        squares = jnp.sum(p["a"] ** 2) + jnp.sum(p["b"] ** 2) + p["c"] ** 2
        return sign * squares + jnp.sum(p["a"]) * 0 + q**2

    zero = jax.tree.map(jnp.zeros_like, parameters)
    q = jnp.zeros_like(parameters["c"])
    point = critical_point(f)(zero, q, sign=-1)
    assert (point.kind, int(point.negative)) == ("maximum", 10)
    point = critical_point(f, (0, 1))(zero, q, sign=-1)
    assert (point.kind, int(point.negative), int(point.positive)) == ("saddle", 10, 1)
    assert critical_point(lambda x: x**2)(0.0).kind == "minimum"


def test_tolerances(float_dtype):
    f = lambda x: x[0] ** 2 + 1e-3 * x[1] ** 2  # noqa: E731
    near, origin = jnp.asarray([0.01, 0.0], float_dtype), jnp.zeros(2, float_dtype)
    assert critical_point(f)(near).kind == "not critical"
    assert critical_point(f, gradient_rtol=0.02)(near).kind == "minimum"
    assert critical_point(f, eigenvalue_rtol=0.01)(origin).kind == "degenerate"


def test_mistakes():
    x = jnp.ones(3)
    with pytest.raises(TypeError, match=r"`critical_point` .* its result has shape \(3,\)"):
        critical_point(jnp.sin)(x)
    with pytest.raises(ValueError, match=r"`critical_point` with symmetric=True .* got shape \(3,"):
        critical_point(lambda x: x @ x, symmetric=True)(x)
    with pytest.raises(ValueError, match=r"symmetric=True needs matrices .* got shape"):
        critical_point(lambda p: p["x"] @ p["x"], symmetric=True)({"x": x})


def test_pytrees_by_blocks(close):
    """The spectrum of a pytree is that of its blocks, on symmetric matrices where asked for."""
    f = lambda p: -jnp.linalg.slogdet(p["X"])[1] + jnp.trace(p["X"]) - p["y"] ** 2  # noqa: E731
    at = {"X": jnp.eye(2), "y": jnp.zeros(())}
    point = critical_point(f)(at)
    close(point.eigenvalues, jnp.array([-2.0, -1, 1, 1, 1]))
    assert point.kind == "saddle" and bool(point.is_critical)
    point = critical_point(f, symmetric={"X": True, "y": False})(at)
    close(point.eigenvalues, jnp.array([-2.0, 1, 1, 1]))
