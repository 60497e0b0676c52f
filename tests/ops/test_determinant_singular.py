"""det at singular matrices: its derivatives are minors, at every rank, of every order tested."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops
from jaxmatcalc.ops.determinant import adjugate


def sign(permutation):
    pairs = itertools.combinations(permutation, 2)
    return (-1) ** sum(left > right for left, right in pairs)


def leibniz(X):
    n = len(X)
    return sum(
        sign(columns) * math.prod(X[i, j] for i, j in enumerate(columns))
        for columns in itertools.permutations(range(n))
    )


def minors(X, order):
    """The derivative of det of an order: signed minors without the rows and columns named.

    Computed from the definition, so that integers stay exact.
    """
    n = len(X)
    out = np.zeros((n,) * (2 * order))
    complement = {
        kept: [i for i in range(n) if i not in kept]
        for k in range(n + 1)
        for kept in itertools.permutations(range(n), k)
    }
    determinant = functools.cache(lambda rows, columns: leibniz(X[np.ix_(rows, columns)]))
    for rows in itertools.permutations(range(n), order):
        for columns in itertools.permutations(range(n), order):
            left, right = complement[rows], complement[columns]
            index = tuple(itertools.chain(*zip(rows, columns, strict=True)))
            parity = sign([*rows, *left]) * sign([*columns, *right])
            out[index] = parity * determinant(tuple(left), tuple(right))
    return out


@pytest.fixture(scope="module")
def derivatives(every_mode):
    """The value and derivatives of det, compiled once for each n."""
    third = jax.jacfwd(jax.jacfwd(jax.jacrev(ops.det)))
    return functools.cache(lambda n: (every_mode(ops.det), jax.jit(third)))


@pytest.fixture(scope="module")
def right(derivatives, float_dtype):
    """right(X): every derivative of det at X is the minor, to rounding relative to ‖X‖."""

    def check(X, digits_lost=2, third=False):
        X = np.asarray(X)
        n = len(X)
        scale = max(np.linalg.norm(np.asarray(X, float), 2), 1e-30)
        eps = float(jnp.finfo(float_dtype).eps)
        twice, thrice = derivatives(n)
        value, gradients, hessians = twice(jnp.asarray(X, float_dtype))
        found = [(0, value), *((1, g) for g in gradients), *((2, h) for h in hessians)]
        if third:
            found.append((3, thrice(jnp.asarray(X, float_dtype))))
        for order, derivative in found:
            # The third derivative of det X · X⁻¹ cancels as the square of the condition number.
            lost = digits_lost + 3 * (order == 3)
            atol = 10**lost * eps * max(scale, 1) ** max(n - order, 0)
            np.testing.assert_allclose(derivative, minors(X, order), rtol=0, atol=atol)

    return check


RANKS = [(n, rank) for n in range(1, 6) for rank in range(n + 1)]


@pytest.mark.parametrize(("n", "rank"), RANKS)
def test_every_rank(n, rank, right):
    rng = np.random.default_rng((n, rank))
    for _ in range(2):
        left, right_factor = rng.integers(-2, 3, (n, rank)), rng.integers(-2, 3, (rank, n))
        right(left @ right_factor, third=n < 5)
    right(rng.normal(size=(n, rank)) @ rng.normal(size=(rank, n)))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_zero_pivot_at_every_place(n, right):
    for place in range(n):
        D = np.diag(np.arange(1, n + 1))
        D[place, place] = 0
        right(D)
        right(np.roll(D, 1, axis=0))


def test_two_zero_pivots_at_every_two_places(right):
    for places in itertools.combinations(range(4), 2):
        D = np.diag([1, 2, 3, 4])
        D[places, places] = 0
        right(D)


def test_the_case_where_jax_gives_zeros(close):
    X = jnp.diag(jnp.array([1.0, 0, 2, 3]))
    close(jax.grad(ops.det)(X), np.diag([0.0, 6, 0, 0]))


def test_random_singular_integer_matrices(right):
    rng = np.random.default_rng(0)
    for _ in range(20):
        X = rng.integers(-2, 3, (4, 4))
        X[3] = X[rng.integers(3)] * rng.integers(-1, 2)
        right(X[rng.permutation(4)])


@pytest.mark.parametrize("smallest", [1e-2, 1e-5, 1e-9, 1e-14, 1e-20])
def test_near_singular(smallest, right):
    rng = np.random.default_rng(3)
    U, V = (np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(2))
    for s in ([1, 0.5, 0.3, 0.2, smallest], [1, 0.5, 0.3, smallest, smallest]):
        right(U @ np.diag(s) @ V, digits_lost=4)


@pytest.mark.parametrize(("vanishing", "expected"), [(3, 24), (4, 0)])
def test_fourth_derivative_at_the_documented_limit(vanishing, expected, float_dtype):
    # det of t in four places is t⁴, with the fourth derivative 24. Of four zeros nothing is seen.
    base = jnp.asarray([1, 0, 0, 0] if vanishing == 3 else [0, 0, 0, 0], float_dtype)

    def derivative(f):
        return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))[1]

    def power(t):
        return ops.det(jnp.diag(base + t))

    fourth = jax.jit(derivative(derivative(derivative(derivative(power)))))
    assert fourth(jnp.zeros((), float_dtype)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("direction", [1, -1])
def test_scale_invariance(n, direction, derivatives, float_dtype):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, n - 1)) @ rng.normal(size=(n - 1, n))
    power = direction * (100 if float_dtype == jnp.float64 else 12)
    scale = 10.0**power
    twice, _ = derivatives(n)
    _, gradients, hessians = twice(jnp.asarray(X * scale, float_dtype))
    atol = 300 * float(jnp.finfo(float_dtype).eps) * np.linalg.norm(X, 2) ** (n - 1)
    for order, found in ((1, gradients), (2, hessians)):
        for derivative in found:
            unscaled = np.asarray(derivative, np.longdouble) / np.longdouble(scale) ** (n - order)
            np.testing.assert_allclose(unscaled.astype(float), minors(X, order), atol=atol)


def test_a_batch_of_every_rank(derivatives, float_dtype):
    rng = np.random.default_rng(0)
    ranks = [4, 3, 2, 1, 0, 4]
    X = np.stack([rng.integers(-2, 3, (4, r)) @ rng.integers(-2, 3, (r, 4)) for r in ranks])
    X = jnp.asarray(X, float_dtype)

    def hessian(X):
        return jax.vmap(jax.hessian(ops.det))(X)

    gradients, hessians = jax.jit(lambda X: (jax.grad(lambda X: ops.det(X).sum())(X), hessian(X)))(
        X
    )
    atol = 1e3 * float(jnp.finfo(float_dtype).eps) * float(jnp.abs(X).max()) ** 3
    for i, x in enumerate(np.asarray(X)):
        np.testing.assert_allclose(gradients[i], minors(x, 1), atol=atol)
        np.testing.assert_allclose(hessians[i], minors(x, 2), atol=atol)


def test_a_complex_singular_matrix(complex_dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 2)) @ rng.normal(size=(2, 4)) * (1 + 2j)
    V = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))

    def along(f):
        return lambda X: jax.jvp(f, (X,), (jnp.asarray(V, complex_dtype),))[1]

    second = along(along(ops.det))(jnp.asarray(X, complex_dtype))
    points = np.exp(2j * np.pi * np.arange(8) / 8)
    expected = 2 * np.mean([np.linalg.det(X + t * V) * t**-2 for t in points])
    np.testing.assert_allclose(second, expected, rtol=1e4 * jnp.finfo(complex_dtype).eps)


def test_a_regular_matrix_is_factored_once_and_not_decomposed():
    X = jax.ShapeDtypeStruct((6, 6), jnp.float32)
    program = jax.jit(jax.value_and_grad(ops.det)).lower(X).compile().as_text()
    main = program[program.index("\nENTRY") :]
    assert main.count("getrf") == 1
    assert "gesdd" not in main
    assert "gesdd" in program


@pytest.mark.parametrize("n", [0, 1, 3, 5])
def test_the_adjugate_is_that_of_minors(n, float_dtype, every_mode):
    rng = np.random.default_rng(n)
    for rank in range(n + 1):
        X = rng.integers(-2, 3, (n, rank)) @ rng.integers(-2, 3, (rank, n))
        expected = minors(X, 1).T if n else np.zeros((0, 0))
        scale = max(1, np.linalg.norm(X, 2)) if n else 1
        atol = 100 * float(jnp.finfo(float_dtype).eps) * scale ** max(n - 1, 0)
        np.testing.assert_allclose(adjugate(jnp.asarray(X, float_dtype)), expected, atol=atol)
    if n == 3:
        X = np.diag([1, 0, 0])
        _, jacobians, _ = every_mode(adjugate)(jnp.asarray(X, float_dtype))
        expected = minors(X, 2).transpose(1, 0, 2, 3)
        for jacobian in jacobians:
            np.testing.assert_allclose(jacobian, expected, atol=1e-5)


def test_the_gradient_of_an_ill_conditioned_matrix_has_no_decomposition():
    # In single precision most matrices of a few hundred rows are as badly conditioned as this.
    rng = np.random.default_rng(0)
    Q, R = (np.linalg.qr(rng.normal(size=(30, 30)))[0] for _ in range(2))
    X = (Q * np.logspace(0.5, -3.5, 30)) @ R * 30
    single = jnp.asarray(X, jnp.float32)
    wide = np.asarray(single, np.float64)
    gradient = np.asarray(jax.grad(ops.det)(single), np.float64)
    expected = np.linalg.det(wide) * np.linalg.inv(wide).T
    assert np.linalg.norm(gradient - expected) < 1e-4 * np.linalg.norm(expected)
