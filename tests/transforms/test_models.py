"""Models as their authors write them: Hessians beside JAX's, what structure is found, what is lost.

Each case is a log-likelihood, an energy or a loss in plain `jax.numpy`, the point, the kind of its
Hessian (None where nothing is promised), and the primitives that must be reported as formed. They
are compared in 64 bits only: in 32 the references of the worst conditioned lose half their digits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmatcalc import hessian, hessian_operator

rng = np.random.default_rng(7)


def normal(*shape):
    return jnp.asarray(rng.normal(size=shape), float)


def positive(n):
    A = normal(n, n)
    return A @ A.T / n + jnp.eye(n)


def logdet(X):
    return jnp.linalg.slogdet(X)[1]


n = 4
A, B, C, S, X = (*(normal(n, n) for _ in range(3)), positive(n), positive(n) + normal(n, n) / 4)
D, E, F = (normal(3, 3) for _ in range(3))
Y, Y23, Y32, P3 = normal(n, 3), normal(2, 3), normal(3, 2), positive(3)
points, targets = normal(6, 2), normal(6)
design, counts = normal(8, 3), jnp.asarray(rng.poisson(2.0, 8), float)
labels = jax.nn.one_hot(rng.integers(0, 3, 8), 3)
particles, sequence, image = normal(4, 2), normal(5, 3), normal(1, 1, 5, 5)
kernels, mixing = normal(2, 1, 3, 3) / 3, normal(3, 3) / 2
tokens = rng.integers(0, 4, 6)
w3, w4, w6 = normal(3), normal(4), normal(6)


# Gaussian processes and filters


def covariance(theta):
    distances = jnp.sum((points[:, None] - points[None]) ** 2 * jnp.exp(-theta[:2]), -1)
    return jnp.exp(theta[2]) * jnp.exp(-distances / 2) + jnp.exp(theta[3]) * jnp.eye(6)


def gaussian_process(theta):
    K = covariance(theta)
    return (targets @ jnp.linalg.solve(K, targets) + logdet(K)) / 2


def gaussian_process_by_cholesky(theta):
    L = jnp.linalg.cholesky(covariance(theta))
    z = jax.scipy.linalg.solve_triangular(L, targets, lower=True)
    return z @ z / 2 + jnp.sum(jnp.log(jnp.diagonal(L)))


def gaussian_process_by_factor(theta):
    factor = jax.scipy.linalg.cho_factor(covariance(theta), lower=True)
    weights = jax.scipy.linalg.cho_solve(factor, targets)
    return targets @ weights / 2 + jnp.sum(jnp.log(jnp.diagonal(factor[0])))


def kalman_step(F, mean=w3, P=P3, H=Y23, y=w3[:2]):
    mean, P = F @ mean, F @ P @ F.T + jnp.eye(3) / 4
    innovation, Z = y - H @ mean, H @ P @ H.T + jnp.eye(2)
    gain = jnp.linalg.solve(Z, H @ P).T
    mean, P = mean + gain @ innovation, P - gain @ H @ P
    return logdet(Z) + innovation @ jnp.linalg.solve(Z, innovation) + mean @ P @ mean


def kalman_filter(F, observed=Y32, H=Y23):
    def step(state, y):
        mean, P = F @ state[0], F @ state[1] @ F.T + jnp.eye(3) / 4
        Z = H @ P @ H.T + jnp.eye(2)
        gain = jnp.linalg.solve(Z, H @ P).T
        r = y - H @ mean
        return (mean + gain @ r, P - gain @ H @ P), logdet(Z) + r @ jnp.linalg.solve(Z, r)

    return jnp.sum(lax.scan(step, (w3, jnp.eye(3)), observed)[1])


def matrix_normal(U, Y=Y, V=P3):
    return (3 * logdet(U) + jnp.trace(jnp.linalg.solve(U, Y) @ jnp.linalg.solve(V, Y.T))) / 2


def factor_analysis(L):
    K = L @ L.T + jnp.diag(jnp.exp(w4 / 4))
    return logdet(K) + jnp.trace(jnp.linalg.solve(K, S))


def graphical_model(P):
    return -logdet(P) + jnp.trace(S @ P) + 0.05 * jnp.sum(P**2)


def optimal_design(w):
    return -logdet(design.T @ (w[:, None] * design))


# Regression and counts


def poisson(w):
    return jnp.sum(jnp.exp(design @ w) - counts * (design @ w))


def softmax_regression(W):
    return -jnp.sum(labels * jax.nn.log_softmax(design @ W))


def student(residual):
    return jnp.sum(2.5 * jnp.log1p(residual**2 / 4))


def huber(w):
    r = counts - design @ w
    return jnp.sum(jnp.where(jnp.abs(r) < 1, r**2 / 2, jnp.abs(r) - 0.5)) + w @ w


def mixture(centres):
    distances = jnp.sum((points[:, None] - centres) ** 2, -1)
    return -jnp.sum(jax.nn.logsumexp(-distances / 2, axis=1))


def proportional_hazards(w):
    risk = design @ w
    return jnp.sum(lax.cumlogsumexp(risk, reverse=True) - risk)


def chain_field(score, transition=D):
    def step(a, s):
        return jax.nn.logsumexp(a[:, None] + transition, axis=0) + s, None

    return jax.nn.logsumexp(lax.scan(step, score[0], score[1:])[0])


def transport(cost):
    def step(u, _):
        v = -jax.nn.logsumexp(u[:, None] - cost, axis=0)
        return -jax.nn.logsumexp(v[None] - cost, axis=1), None

    u, _ = lax.scan(step, jnp.zeros(len(cost)), None, length=2)
    return jnp.sum(u**2)


# Networks


def attention(Z, Q=D, K=E, V=F):
    scores = jax.nn.softmax((Z @ Q) @ (Z @ K).T / jnp.sqrt(3.0), axis=-1)
    return jnp.sum((Z + scores @ (Z @ V)) ** 2)


def normalised(x):
    centred = x - jnp.mean(x)
    return w6 @ jnp.tanh(centred / jnp.sqrt(jnp.mean(centred**2) + 1e-3))


def convolved(picture, kernel):
    features = jax.nn.softplus(lax.conv_general_dilated(picture, kernel, (1, 1), "SAME"))
    pooled = lax.reduce_window(features, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return jnp.sum(pooled**2)


def recurrent(W, inputs=sequence):
    def step(h, x):
        gates = W @ jnp.concatenate([h, x])
        forget, update = jax.nn.sigmoid(gates[:2]), jnp.tanh(gates[2:])
        return forget * h + (1 - forget) * update, None

    return jnp.sum(lax.scan(step, jnp.zeros(2), inputs[:3])[0] ** 2)


def embedded(table):
    return jnp.sum(jnp.tanh(jnp.mean(table[tokens], 0) @ mixing) ** 2) + jnp.sum(table[tokens] ** 2)


def shared_by_rows(Z, W=Y.T, v=w4):
    return jnp.sum(jnp.tanh(jnp.tanh(Z @ W) @ v) ** 2)


def residual(x):
    for _ in range(3):
        x = x + jax.nn.gelu(A @ x) / 2
    return w4 @ x


def mixture_of_experts(x):
    gate = jax.nn.softmax(B @ x)
    return jnp.sum(gate * jax.vmap(lambda W: jnp.tanh(W @ x) @ w4)(jnp.stack([A, B, C, S])))


def checkpointed(x):
    layer = jax.checkpoint(lambda x: jnp.tanh(A @ x))
    return jnp.sum(layer(layer(x)) ** 2)


# Physics


def flow(x):
    """The log-density of a planar flow of two layers, by its own Jacobian."""
    layer = lambda x: x + C[0] * jnp.tanh(w4 @ x) + jnp.sin(A @ x) / 4  # noqa: E731
    return logdet(jax.jacfwd(layer)(x)) - jnp.sum(layer(x) ** 2)


def wave_function(r):
    orbitals = jnp.exp(-jnp.sum((r[:, None] - particles) ** 2, -1) / 2)
    pairs = jnp.sum((r[:, None] - r[None]) ** 2, -1) + 1
    return logdet(orbitals + 2 * jnp.eye(4)) - jnp.sum(jnp.log(pairs))


def springs(r):
    lengths = jnp.sqrt(jnp.sum((r[1:] - r[:-1]) ** 2, -1))
    return jnp.sum((lengths - 1) ** 2)


def molecule(r):
    i, j = np.triu_indices(len(r), 1)
    squared = jnp.sum((r[i] - r[j]) ** 2, -1) + 0.5
    return jnp.sum(squared**-6 - squared**-3)


def runge_kutta(x):
    field = lambda x: jnp.tanh(A @ x)  # noqa: E731

    def step(x, _):
        k1 = field(x)
        k2 = field(x + k1 / 20)
        return x + k2 / 10, None

    return jnp.sum(lax.scan(step, x, None, length=4)[0] ** 2)


def implicit(theta):
    """The fixed point z = tanh(A z / 4 + θ), and a function of it."""
    residue = lambda z: z - jnp.tanh(A @ z / 4 + theta)  # noqa: E731

    def newton(g, z):
        return lax.fori_loop(0, 40, lambda _, z: z - g(z), z)

    def tangent(g, y):
        return jnp.linalg.solve(jax.jacobian(g)(y), y)

    return jnp.sum(lax.custom_root(residue, jnp.zeros(n), newton, tangent) ** 3)


def rotated(a):
    """Cayley's transform of a skew matrix, applied to points."""
    W = jnp.zeros((3, 3)).at[[0, 1, 2], [1, 2, 0]].set(a)
    W = W - W.T
    return jnp.sum((jnp.linalg.solve(jnp.eye(3) + W, jnp.eye(3) - W) @ sequence.T) ** 3)


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


# Matrices and tensors


def sylvester(Z):
    return jnp.sum((A @ Z + Z @ B - C) ** 2)


def canonical(U, V=Y32, W=Y23[:, :2]):
    return jnp.sum((A[:, :3, None] - jnp.einsum("ir,jr,kr->ijk", U, V, W)) ** 2)


def orthogonality(Q):
    return jnp.sum((Q.T @ Q - jnp.eye(3)) ** 2)


def spectrum(x):
    return jnp.sum(jnp.abs(jnp.fft.rfft(x)) ** 4)


def masked(U, V=Y32):
    return jnp.sum((Y > 0) * (A[:, :3] - U @ V.T) ** 2)


def smoothed(x):
    return jnp.sum(jnp.diff(x, 2) ** 2) + jnp.sum((x - w6) ** 2)


# name: (function, point, kind of the Hessian, primitives that are formed)
MODELS = {
    "Gaussian process": (gaussian_process, normal(4) / 4, None, ()),
    "Gaussian process by Cholesky": (gaussian_process_by_cholesky, normal(4) / 4, None, ()),
    "Gaussian process by factor": (gaussian_process_by_factor, normal(4) / 4, None, ()),
    "Kalman step": (kalman_step, mixing, None, ()),
    "Kalman filter": (kalman_filter, mixing, None, ("scan",)),
    "matrix normal": (matrix_normal, X, None, ()),
    "factor analysis": (factor_analysis, normal(n, 2), None, ()),
    "graphical model": (graphical_model, X, "kronecker+commutation + identity", ()),
    "optimal design": (optimal_design, jnp.exp(normal(8) / 4), None, ()),
    "Poisson regression": (poisson, w3 / 4, "dense", ()),
    "softmax regression": (softmax_regression, normal(3, 3) / 4, None, ()),
    "Student residuals": (student, w6, "diagonal", ()),
    "Huber regression": (huber, w3, None, ()),
    "mixture": (mixture, normal(3, 2), None, ()),
    "proportional hazards": (proportional_hazards, w3 / 4, None, None),
    "chain field": (chain_field, normal(3, 3), None, ()),
    "transport": (transport, normal(3, 3), None, ()),
    "attention": (attention, sequence, None, ()),
    "layer norm": (normalised, w6, None, ()),
    "convolution, picture": (lambda p: convolved(p, kernels), image, None, ()),
    "convolution, kernel": (lambda k: convolved(image, k), kernels, None, ()),
    "recurrent": (recurrent, normal(4, 5) / 2, None, ()),
    "embedding": (embedded, normal(4, 3), None, ()),
    "network shared by rows": (shared_by_rows, sequence, "block diagonal", ()),
    "residual network": (residual, w4, "dense", ()),
    "mixture of experts": (mixture_of_experts, w4, "dense", ()),
    "checkpointed": (checkpointed, w4, "dense", ()),
    "flow": (flow, w4, None, ()),
    "wave function": (wave_function, particles + normal(4, 2) / 4, None, ()),
    "springs": (springs, sequence, None, ()),
    "molecule": (molecule, particles, None, ()),
    "Runge-Kutta": (runge_kutta, w4, None, ()),
    "implicit function": (implicit, w4 / 4, None, None),
    "rotation": (rotated, w3, None, None),
    "Rosenbrock": (rosenbrock, w6, None, ()),
    "Sylvester": (sylvester, X, None, ()),
    "canonical decomposition": (canonical, normal(4, 2), "kronecker", ()),
    "orthogonality": (orthogonality, normal(4, 3), None, ()),
    "spectrum": (spectrum, w6, None, None),
    "masked factorisation": (masked, normal(4, 2), "block diagonal", ()),
    "smoothing": (smoothed, w6, None, ()),
}


def columns(f, x):
    """JAX's Hessian by products with unit vectors; under `vmap` XLA has been wrong for some."""
    product = jax.jit(lambda v: jax.jvp(jax.grad(f), (x,), (v,))[1])
    units = np.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
    return np.stack([product(v) for v in units], -1).reshape(*x.shape, *x.shape)


@pytest.mark.skipif(not jax.config.jax_enable_x64, reason="64 bits only")
@pytest.mark.parametrize("name", MODELS)
def test_hessian(name, close, counted):
    f, point, kind, lost = MODELS[name]
    derive, derivations = counted(hessian_operator(f))
    H, again = derive(point), derive(point + 0)
    assert len(derivations) == 1
    assert jax.tree.structure(again) == jax.tree.structure(H)
    close(H.to_dense(), columns(f, point), 5)
    if kind is not None:
        assert H.structure.kind == kind
    if lost is not None:
        assert {reason.split(" (")[0] for reason in H.fallbacks} == set(lost)


@pytest.mark.parametrize("name", ["graphical model", "softmax regression", "springs"])
def test_without_compilation(name, close):
    f, point, _, _ = MODELS[name]
    close(hessian(f)(point), jax.jit(hessian(f))(point), 5)
