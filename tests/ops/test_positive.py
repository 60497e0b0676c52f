"""assume_a: symmetric positive definite matrices by Cholesky, symmetric ones by LU."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.ops.determinant import det, logdet, slogdet
from jaxmatcalc.ops.inverse import inv, solve


@pytest.fixture(scope="session")
def covariance(sample):
    """covariance(*batch, n): X Xᴴ, well conditioned."""

    def draw(*shape, **kwargs):
        X = sample(*shape, shape[-1], **kwargs)
        return X @ jnp.conj(jnp.swapaxes(X, -1, -2)) / shape[-1]

    return draw


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (2, 3, 5), (150,)])
def test_values_are_numpys(shape, complex, covariance, close):
    S = covariance(*shape, complex=complex)
    b = np.ones((shape[-1], 2), S.dtype)
    for word in ("sym", "pos"):
        sign, logabsdet = slogdet(S, word)
        assert sign.dtype == S.dtype
        close(sign, np.ones(shape[:-1], S.dtype))
        close(logabsdet, np.linalg.slogdet(S)[1])
        close(logdet(S, assume_a=word), np.linalg.slogdet(S)[1])
        close(inv(S, assume_a=word), np.linalg.inv(S))
        close(solve(S, b, assume_a=word), np.linalg.solve(S, b))
        if shape[-1] < 10:
            close(det(S, assume_a=word), np.linalg.det(S))


def test_derivatives_are_those_of_the_general_function(covariance, agree, sample, close):
    S, b = covariance(3), sample(3)
    agree(lambda S: logdet(S, "pos"), lambda S: jnp.linalg.slogdet(S)[1], S)
    agree(lambda S: inv(S, "pos"), jnp.linalg.inv, S)
    agree(lambda S: solve(S, b, "pos"), lambda S: jnp.linalg.solve(S, b), S)
    agree(lambda S: det(S / 4, "pos"), lambda S: jnp.linalg.det(S / 4), S)
    agree(lambda b: solve(S, b * b, "pos"), lambda b: jnp.linalg.solve(S, b * b), b)


def test_third_derivative(covariance, close):
    S = covariance(2)
    third, expected = (
        jax.jit(jax.jacfwd(jax.jacfwd(jax.jacrev(f))))(S)
        for f in (lambda S: logdet(S, "pos"), lambda S: jnp.linalg.slogdet(S)[1])
    )
    close(third, expected)


def test_complex_gradients_are_jaxs(covariance, sample, close):
    S, b = covariance(3, complex=True), sample(3, complex=True)
    for f, g in [
        (lambda S: logdet(S, "pos"), lambda S: jnp.linalg.slogdet(S)[1]),
        (lambda S: slogdet(S, "pos")[1], lambda S: jnp.linalg.slogdet(S)[1]),
        (lambda S: jnp.abs(solve(S, b, "pos")[0]), lambda S: jnp.abs(jnp.linalg.solve(S, b)[0])),
    ]:
        close(jax.grad(f)(S), jax.grad(g)(S))


def test_what_is_not_positive_definite_is_nan_and_harms_no_other(covariance, close):
    S = covariance(3, 3).at[1].set(jnp.diag(jnp.array([1, -1, 2])))

    def total(S):
        return jnp.nansum(logdet(S, "pos"))

    value, gradient = logdet(S, "pos"), jax.grad(total)(S)
    assert jnp.isnan(value[1])
    for f in (det, inv, lambda S, w: slogdet(S, w).sign, lambda S, w: solve(S, S[0], w)):
        found = f(S, "pos")
        assert jnp.isnan(found[1]).any()
        close(found[::2], f(S[::2], "pos"))
    close(gradient[::2], np.linalg.inv(S[::2]).swapaxes(-1, -2))
    assert np.isfinite(logdet(S, "sym")).all()


def test_the_value_is_that_of_the_symmetric_part(covariance, sample, close):
    X = covariance(3) + jnp.triu(sample(3, 3, square=False), 1) / 4
    close(logdet(X, "pos"), np.linalg.slogdet((X + X.T) / 2)[1])


def test_far_from_one(covariance, close, float_dtype):
    S = covariance(4)
    scale = float(jnp.finfo(float_dtype).max) ** 0.45
    for factor in (scale, 1 / scale):
        expected = np.linalg.slogdet(S)[1] + 4 * np.log(factor).astype(float_dtype)
        close(logdet(S * factor, "pos"), expected)
        close(inv(S * factor, "pos") * factor, np.linalg.inv(S))


def badly_scaled(kind, n, seed):
    """A general and a positive definite matrix."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    R, _ = np.linalg.qr(rng.normal(size=(n, n)))
    if kind == "random":
        X = rng.normal(size=(n, n))
        return X, X @ X.T / n + np.eye(n)
    if kind == "ill-conditioned":
        return (Q * np.logspace(0, -6, n)) @ R, (Q * np.logspace(0, -5, n)) @ Q.T
    scale = np.logspace(4, -4, n)
    S = scale[:, None] * (Q * np.linspace(1, 3, n)) @ Q.T * scale
    return scale[:, None] * rng.normal(size=(n, n)), S


@pytest.mark.parametrize("kind", ["random", "ill-conditioned", "graded"])
def test_single_precision_is_as_accurate_as_jaxs(kind):
    """The median of the forward error beside JAX's, never worse than by rounding.

    Errors of one or two units of the result's norm, those of a well-conditioned matrix, are the
    order in which sums are taken, which XLA changes from version to version. So one is granted.
    """
    programs = [inv, inv, functools.partial(inv, assume_a="pos")]
    excess = []
    for seed in range(5):
        X, S = badly_scaled(kind, 200, seed)
        for A, ours in zip((X, S, S), programs, strict=True):
            single = jnp.asarray(A, jnp.float32)
            exact = np.linalg.inv(np.asarray(single, np.float64))
            ours, theirs = (
                np.linalg.norm(np.asarray(f(single), np.float64) - exact)
                for f in (ours, jnp.linalg.inv)
            )
            unit = np.finfo(np.float32).eps * np.linalg.norm(exact)
            excess.append(ours / (1.25 * theirs + unit))
    assert (np.median(np.reshape(excess, (5, 3)), axis=0) <= 1).all()


def test_half_precision_is_factored_in_single(covariance):
    S = covariance(5).astype(jnp.bfloat16)
    exact = np.linalg.slogdet(np.asarray(S, np.float64))[1]
    assert logdet(S, "pos").dtype == jnp.bfloat16
    np.testing.assert_allclose(float(logdet(S, "pos")), exact, rtol=2**-8)


@pytest.mark.parametrize("shape", [(6, 6), (3, 6, 6), (200, 200)])
def test_value_and_gradient_factor_once(shape):
    X = jax.ShapeDtypeStruct(shape, jnp.float32)
    for f in (
        lambda X: jnp.sum(logdet(X, "pos")),
        lambda X: jnp.sum(slogdet(X, "pos")[1]) + jnp.sum(inv(X, "pos")),
        lambda X: jnp.sum(solve(X, X, "pos")),
    ):
        program = jax.jit(jax.value_and_grad(f)).lower(X).compile().as_text()
        assert program.count("potrf") == 1
        assert "getrf" not in program


def test_another_word_is_refused():
    for f in (det, slogdet, logdet, inv, lambda X, w: solve(X, X, w)):
        with pytest.raises(ValueError, match=r'needs assume_a to be "gen" or "sym" or "pos"'):
            f(jnp.eye(2), "posdef")


class Answering:
    """Stands for a linear operator: it says what it was asked."""

    def logdet(self, *, assume_a):
        return "logdet", assume_a

    def solve(self, b, *, assume_a):
        return "solve", b, assume_a

    def inv_quad(self, y, *, assume_a):
        return "inv_quad", y, assume_a

    def inv_quad_logdet(self, y, *, assume_a):
        return y, assume_a


def test_an_operator_is_asked():
    from jaxmatcalc.ops.quadratic import inv_quad, inv_quad_logdet

    A = Answering()
    assert logdet(A, "pos") == ("logdet", "pos")
    assert solve(A, 1) == ("solve", 1, "gen")
    assert inv_quad(A, 1, "sym") == ("inv_quad", 1, "sym")
    assert inv_quad_logdet(A, 1).logdet == "gen"


def test_products_take_the_precision_that_the_user_chose():
    X = jnp.eye(17, dtype=jnp.float32)  # smaller products are in tests/kernels/test_products.py

    def precisions():
        text = str(jax.make_jaxpr(jax.grad(lambda X: jnp.sum(inv(X))))(X))
        return {name for name in ("HIGHEST", "TF32_TF32_F32") if name in text}

    assert precisions() == {"HIGHEST"}
    with jax.default_matmul_precision("TF32_TF32_F32"):
        assert precisions() == {"TF32_TF32_F32"}
