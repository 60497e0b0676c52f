import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.ops.quadratic import inv_quad, inv_quad_logdet, quadratic_form

words = pytest.mark.parametrize("word", ["gen", "sym", "pos"])


@pytest.fixture(scope="module")
def matrix(sample):
    """matrix(word, *batch, n): what the word promises, and for "gen" nothing."""

    def draw(word, *shape, **kwargs):
        X = sample(*shape, shape[-1], **kwargs)
        return X if word == "gen" else X @ jnp.conj(jnp.swapaxes(X, -1, -2)) / shape[-1]

    return draw


def plain_inv_quad(A, Y):
    return jnp.sum(jnp.conj(Y) * jnp.linalg.solve(A, Y), axis=(-2, -1))


def plain_logdet(A):
    return jnp.linalg.slogdet(A)[1]


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_quadratic_form_is_numpys(n, batch, sample, close):
    x, A = sample(*batch, n, seed=1, square=False), sample(*batch, n, n)
    close(quadratic_form(x, A), np.einsum("...i,...ij,...j->...", x, A, x))
    close(quadratic_form(sample(n), A), np.einsum("i,...ij,j->...", sample(n), A, sample(n)))


def test_quadratic_form_derivatives(agree, sample, close):
    x, A = sample(3), sample(3, 3)
    agree(lambda x: quadratic_form(x, A), lambda x: x @ A @ x, x)
    agree(lambda A: quadratic_form(x * A[0], A), lambda A: (x * A[0]) @ A @ (x * A[0]), A)
    z, B = sample(3, complex=True), sample(3, 3, complex=True)
    value, tangent = jax.jvp(quadratic_form, (z, B), (1j * z, B))
    close(value, np.vdot(z, B @ z))
    close(tangent, np.vdot(z, B @ z))
    ones = jnp.ones((2, 2), int)
    assert quadratic_form(ones[0], ones).dtype == ones.dtype


@words
@pytest.mark.parametrize("shape", [(0,), (1,), (0, 2), (2, 1, 3), (4,)])
def test_values_are_numpys(word, shape, matrix, sample, close):
    A, y, Y = matrix(word, *shape), sample(shape[-1]), sample(3, shape[-1], 2)
    expected = np.einsum("i,...i->...", y, np.linalg.solve(A, y[:, None])[..., 0])
    close(inv_quad(A, y, word), expected)
    both = inv_quad_logdet(A, y, word)
    close(both.inv_quad, expected)
    close(both.logdet, np.linalg.slogdet(A)[1])
    if shape != (0, 2):
        expected = np.sum(np.asarray(Y) * np.linalg.solve(A, Y), axis=(-2, -1))
        close(inv_quad(A, Y, word), expected)


@words
def test_derivatives(word, matrix, agree, sample, close):
    A, Y = matrix(word, 3), sample(3, 2)
    agree(lambda A: inv_quad(A, Y, word), lambda A: plain_inv_quad(A, Y), A)
    actual, expected = (
        jax.jit(lambda A, Y, f=f: jax.hessian(f, argnums=(0, 1))(A, Y))(A, Y)
        for f in (
            lambda A, Y: jnp.prod(jnp.stack(inv_quad_logdet(A, Y, word))),
            lambda A, Y: plain_inv_quad(A, Y) * plain_logdet(A),
        )
    )
    jax.tree.map(close, actual, expected)


@words
def test_complex(word, matrix, sample, close):
    A, Y = matrix(word, 3, complex=True), sample(3, 2, complex=True)
    V, W = sample(3, 3, complex=True, seed=1), sample(3, 2, complex=True, seed=2)
    actual, expected = (
        jax.jvp(f, (A, Y), (V, W)) for f in (lambda A, Y: inv_quad(A, Y, word), plain_inv_quad)
    )
    jax.tree.map(close, actual, expected)
    actual, expected = (
        jax.grad(lambda A, Y, f=f: jnp.abs(f(A, Y)), argnums=(0, 1))(A, Y)
        for f in (lambda A, Y: inv_quad(A, Y, word), plain_inv_quad)
    )
    jax.tree.map(close, actual, expected)


def test_a_matrix_that_is_not_positive_definite_harms_no_other(close):
    A = jnp.stack([jnp.eye(2), -jnp.eye(2), 2 * jnp.eye(2)])
    quadratic, logarithm = inv_quad_logdet(A, jnp.ones(2, A.dtype), "pos")
    np.testing.assert_array_equal(jnp.isnan(jnp.stack([quadratic, logarithm])), [[0, 1, 0]] * 2)
    close(quadratic[::2], np.asarray([2, 1], A.dtype))


@pytest.mark.parametrize(
    ("word", "routine", "other"), [("gen", "getrf", "potrf"), ("pos", "potrf", "getrf")]
)
@pytest.mark.parametrize("batch", [(), (3,)])
def test_both_and_their_gradients_factor_once(word, routine, other, batch):
    A = jax.ShapeDtypeStruct((*batch, 70, 70), jnp.float32)
    y = jax.ShapeDtypeStruct((70,), jnp.float32)
    for f in (
        lambda A, y: sum(map(jnp.sum, inv_quad_logdet(A, y, word))),
        lambda A, y: jnp.sum(inv_quad(A, y, word)),
    ):
        both = jax.jit(jax.value_and_grad(f, argnums=(0, 1)))
        program = both.lower(A, y).compile().as_text()
        assert program.count(routine) == 1
        assert other not in program


def test_half_precision_and_integers():
    A, y = 2 * jnp.eye(3, dtype=jnp.bfloat16), jnp.ones(3, jnp.bfloat16)
    assert [r.dtype for r in inv_quad_logdet(A, y, "pos")] == [jnp.bfloat16] * 2
    assert inv_quad(jnp.eye(2, dtype=int), jnp.ones(2, int)) == 2
    assert jnp.issubdtype(inv_quad(jnp.eye(2, dtype=int), jnp.ones(2, int)).dtype, jnp.floating)


def test_mistakes():
    with pytest.raises(ValueError, match=r"needs y of shape \(2,\) or \(\.\.\., 2, k\)"):
        inv_quad(jnp.eye(2), jnp.ones(3))
    with pytest.raises(ValueError, match=r"needs x of shape \(\.\.\., 2\)"):
        quadratic_form(jnp.ones(3), jnp.eye(2))
    with pytest.raises(ValueError, match="leading axes"):
        quadratic_form(jnp.ones((3, 2)), jnp.ones((2, 2, 2)))
