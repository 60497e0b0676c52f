"""Functions as users write them: derivatives, the structure that is found, and what was lost.

Each case is a function of plain `jax.numpy`, the point, the kind that its Hessian must be found to
be (None where nothing is promised), and the primitives that lose structure on the way.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmatcalc import hessian_operator, jacobian_operator

n = 4
rng = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(rng.normal(size=shape), float)


A, B, C, T = (normal(n, n) for _ in range(4))
S = A @ A.T + jnp.eye(n)
X = normal(n, n) + 3 * jnp.eye(n)
U, V = normal(n, 2), normal(n, 2)
W1, W2, w3 = normal(5, n), normal(5, 5), normal(5)
D, labels = normal(12, 3), jnp.sign(normal(12))
M = (normal(n, n) > 0) * 1.0
x, w = normal(n), normal(3)
y6 = normal(6)


def slogdet(X):
    return jnp.linalg.slogdet(X)[1]


def network(x, layers=3):
    h = jnp.tanh(W1 @ x)
    for _ in range(layers - 1):
        h = jnp.tanh(W2 @ h)
    return w3 @ h


def scanned(x, length=3):
    return jax.lax.scan(lambda h, _: (jnp.tanh(A @ h), None), x, None, length)[0].sum()


# name: (function, point, kind of the Hessian, primitives that fall back)
CASES = {
    # the functions that the design names
    "log|X|": (slogdet, X, "kronecker+commutation", ()),
    "log|AXAᵀ|": (lambda X: slogdet(A @ X @ A.T), X, "kronecker+commutation", ()),
    "tr(AX⁻¹)": (
        lambda X: jnp.trace(A @ jnp.linalg.inv(X)),
        X,
        "sum of 2 kronecker+commutation",
        (),
    ),
    "‖AX‖²": (lambda X: jnp.sum((A @ X) ** 2), X, "kronecker", ()),
    "‖AX‖² by norm": (lambda X: jnp.linalg.norm(A @ X) ** 2, X, "kronecker", ()),
    "‖AX‖² by square": (lambda X: jnp.square(jnp.linalg.norm(A @ X)), X, "kronecker", ()),
    "precision matrix": (
        lambda X: -slogdet(X) + jnp.trace(S @ X) + 0.3 * jnp.sum(X**2),
        X,
        "kronecker+commutation + identity",
        (),
    ),
    "‖T-UVᵀ‖²": (lambda U: jnp.sum((T - U @ V.T) ** 2), U, "kronecker", ()),
    "‖T-UVᵀ‖² by norm": (lambda U: jnp.linalg.norm(T - U @ V.T) ** 2, U, "kronecker", ()),
    "xᵀAx": (lambda x: x @ A @ x, x, "dense", ()),
    "‖AXB-C‖²": (lambda X: jnp.sum((A @ X @ B - C) ** 2), X, "kronecker", ()),
    "tr(XᵀAXB)": (lambda X: jnp.trace(X.T @ A @ X @ B), X, "sum of 2 kronecker", ()),
    "logistic regression": (
        lambda w: jnp.mean(jnp.logaddexp(0.0, -labels * (D @ w))),
        w,
        "dense",
        (),
    ),
    "network": (network, x, "dense", ()),
    # others whose structure follows from a formula
    "‖X‖² = tr(XᵀX)": (lambda X: jnp.trace(X.T @ X), X, "identity", ()),
    "tr(X²)": (lambda X: jnp.trace(X @ X), X, "permutation", ()),
    "tr(AX), linear": (lambda X: jnp.trace(A @ X), X, "zero", ()),
    "tr(AX)²": (lambda X: jnp.trace(A @ X) ** 2, X, "low-rank", ()),
    "log|X| of a batch": (lambda X: jnp.sum(slogdet(X)), normal(2, 3, 3), "block diagonal", ()),
    "log|X| by vmap": (
        lambda X: jnp.sum(jax.vmap(slogdet)(X)),
        normal(2, 3, 3),
        "block diagonal",
        (),
    ),
    "Σx⁴ + (Σx)²": (lambda x: jnp.sum(x**4) + jnp.sum(x) ** 2, y6, "diagonal + low-rank", ()),
    "Σ exp(sin x) x": (lambda x: jnp.sum(jnp.exp(jnp.sin(x)) * x), y6, "diagonal", ()),
    "mean and variance": (lambda x: jnp.mean(x) ** 3 + jnp.var(x), y6, "low-rank + identity", ()),
    "‖X‖": (jnp.linalg.norm, X, "low-rank + identity", ()),
    "kron": (
        lambda X: jnp.sum((jnp.kron(A, X) - jnp.kron(B, C)) ** 2),
        X,
        "identity",
        (),
    ),
    # values only
    "masked": (lambda U: jnp.sum(M * (T - U @ V.T) ** 2), U, None, ()),
    "network in its weights": (
        lambda W: w3 @ jnp.tanh(W2 @ jnp.tanh(W2 @ jnp.tanh(W @ x))),
        W1,
        None,
        (),
    ),
    "network on a batch": (
        lambda W: jnp.sum(jnp.tanh(jnp.tanh(X @ W.T) @ W2.T) @ w3),
        W1,
        None,
        (),
    ),
    "solve": (lambda X: C[0] @ jnp.linalg.solve(X, C[1]), X, "sum of 2 kronecker+commutation", ()),
    "solve, many": (lambda X: jnp.sum(jnp.linalg.solve(X, C) ** 2), X, None, ()),
    "det": (jnp.linalg.det, X, None, ()),
    "log-sum-exp": (lambda w: jax.nn.logsumexp(D @ w), w, None, ()),
    "relu": (lambda x: w3 @ jax.nn.relu(W2 @ jax.nn.relu(W1 @ x)) ** 2, x, None, ()),
    "reshape": (
        lambda X: jnp.sum(jnp.sin(X.reshape(-1) * jnp.arange(n * n)).reshape(n, n) @ A) ** 2,
        X,
        None,
        (),
    ),
    "slices": (
        lambda x: (
            jnp.sum(x[1:] * x[:-1]) ** 2
            + jnp.sum(jnp.cumsum(x) ** 2)
            + jnp.sum(jnp.concatenate([x, 2 * x]) ** 3)
            + jnp.sum(x[::-1] * jnp.pad(x[::2], (1, 2)))
        ),
        y6,
        None,
        (),
    ),
    "a diagonal matrix": (lambda x: slogdet(jnp.diag(x) + A), x, None, ()),
    "a mask of ones": (lambda X: jnp.sum((X * jnp.eye(n) + A @ X) ** 2), X, None, ()),
    "where": (lambda x: jnp.sum(jnp.where(x > 0, x**3, jnp.sin(x))), y6, "diagonal", ()),
    "where, away from a pole": (
        lambda x: jnp.sum(jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), x**2)),
        y6,
        "diagonal",
        (),
    ),
    "einsum": (
        lambda X: jnp.einsum("ij,jk,ki->", X, X, A),
        X,
        "sum of 2 kronecker+commutation",
        (),
    ),
    "several powers": (
        lambda x: jnp.prod(jnp.array([2.0, 3.0])) * jnp.sum(x**5 / x),
        y6,
        "diagonal",
        (),
    ),
    "gather": (lambda x: jnp.sum(x[jnp.array([1, 0, 1])] ** 3), y6, "diagonal", ()),
    "short loop": (scanned, x, "dense", ()),
    # primitives without a rule: pushed densely, and named
    "scan": (lambda x: scanned(x, 20), x, "dense", ("scan",)),
    "sort": (
        lambda x: jnp.sort(x) @ jnp.arange(6.0) ** 2 + jnp.sum(jnp.sort(x)[:3] ** 3),
        y6,
        None,
        None,
    ),
    "cumulative product": (lambda x: jnp.sum(jnp.cumprod(x)), y6, None, None),
    "fft": (lambda x: jnp.sum(jnp.abs(jnp.fft.rfft(x)) ** 2), y6, None, None),
}


@pytest.mark.parametrize("name", CASES)
def test_hessian_and_gradient(name, first_order, second_order):
    f, point, kind, fallbacks = CASES[name]
    H = second_order(f, point, digits_lost=4)
    if kind is not None:
        assert H.structure.kind == kind
    if fallbacks is not None:
        assert bool(H.fallbacks) == bool(fallbacks)
        for primitive in fallbacks:
            assert any(lost.startswith(f"{primitive} (test_corpus.py:") for lost in H.fallbacks)
    assert H.structure.fallbacks == H.fallbacks
    if fallbacks:
        assert str(H.structure).startswith("dense; dense at ")
    first_order(f, point, digits_lost=4)


def test_what_is_lost_inside_of_a_library_call_is_named():
    H = hessian_operator(lambda x: jnp.sum(jax.lax.map(jnp.sin, jnp.tile(x, 4))))(y6)
    assert any(lost.startswith("scan (test_corpus.py:") for lost in H.fallbacks)


@pytest.mark.parametrize(
    "f",
    [
        jax.scipy.linalg.expm,
        lambda X: lax.fori_loop(0, 20, lambda _, P: jnp.linalg.inv(P) @ X, X),
    ],
)
def test_what_is_lost_in_the_place_of_a_recognised_call_has_its_line(f):
    (lost,) = jacobian_operator(lambda X: f(X))(X).fallbacks
    assert "(test_corpus.py:" in lost


@pytest.mark.parametrize(
    ("f", "point", "kind"),
    [
        (lambda X: A @ X @ B, X, "kronecker"),
        (lambda X: (A @ X @ B).T, X, "kronecker+commutation"),
        (lambda X: X.T, X, "permutation"),
        (lambda X: 3 * X, X, "identity"),
        (lambda X: jnp.sin(X), X, "diagonal"),
        (jnp.linalg.inv, X, "kronecker"),
        (lambda U: jnp.kron(U, A), V, "kronecker"),
        (lambda X: X.reshape(-1), X, "identity"),
        (lambda x: jnp.outer(x, w), x, "kronecker"),
        (lambda x: jnp.stack([x, 2 * x]), x, "kronecker"),
        (lambda x: jnp.stack([x, x**2, w[0] * x], 1), x, None),
        (lambda X: jnp.stack(jnp.unstack(X, axis=1)[::2]), X, None),
        (lambda x: jnp.full((3,), jnp.sum(x)), x, "low-rank"),
        (lambda X: jnp.tanh(A @ X), X, None),
        (lambda x: jnp.sin(x)[None] * C, x, None),
        (lambda X: jnp.linalg.solve(X, C), X, "kronecker"),
        (lambda x: jnp.linalg.solve(X, x), x, "dense"),
        (lambda X: jnp.sum(X, 0) / jnp.sum(X, 1), X, None),
        (lambda X: jnp.linalg.slogdet(X)[1] * jnp.ones(2), X, "low-rank"),
    ],
)
def test_jacobians(f, point, kind, first_order):
    J = first_order(f, point, digits_lost=4)
    assert J.fallbacks == ()
    if kind is not None:
        assert J.structure.kind == kind


def test_a_broadcast_scalar_stays_one():
    """As a full array it would tie rows to columns, and the Kronecker form would be lost."""
    spread = lambda X: jnp.sum(jnp.full((n, n), 2.0) * (A @ X) ** 2)  # noqa: E731
    H = hessian_operator(spread)(X)
    assert H.structure.kind == "kronecker"
    assert max(leaf.size for leaf in H.arrays) == n * n
    # an array that varies does tie them
    H = hessian_operator(lambda X: jnp.sum(M * (A @ X) ** 2))(X)
    assert H.structure.kind == "block diagonal"


@pytest.mark.parametrize("layers", [2, 5])
def test_like_terms_are_merged(layers, second_order):
    """Unmerged, terms double with each product rule: 2046 of them at five layers."""
    H = second_order(lambda x: network(x, layers), x)
    assert len(H.terms) == 1


def test_like_terms_are_merged_in_the_weights(second_order):
    f = CASES["network in its weights"][0]
    assert len(second_order(f, W1).terms) <= 3
