"""Laplacians and Hessian diagonals of functions as users write them, and what they cost."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import _jax, laplacian
from jaxmatcalc._multilinear import Multilinear
from jaxmatcalc.interpret import Program, second_order

n = 4
rng = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(rng.normal(size=shape), float)


A, B, T = (normal(n, n) for _ in range(3))
S = A @ A.T + jnp.eye(n)
X = normal(n, n) + 3 * jnp.eye(n)
U, V = normal(n, 2), normal(n, 2)
W1, W2, w3 = normal(n, 5), normal(5, 5), normal(5)
D, labels = normal(12, 3), jnp.sign(normal(12))
M = (normal(n, n) > 0) * 1.0
R, P1, P2 = normal(n, 3), normal(6, n), normal(8, n)
x, w = normal(n), normal(3)


def slogdet(X):
    return jnp.linalg.slogdet(X)[1]


def rows(X, width=W2):
    """A network applied to each row."""
    return jnp.tanh(jnp.tanh(X @ W1) @ width)


def residual(x):
    h = x
    for _ in range(3):
        h = h + jnp.tanh(A @ h)
    return h


def ansatz(R):
    """log|ψ| of four particles: each stream sees the mean of all."""
    h = R
    for W in (P1, P2):
        h = jnp.tanh(jnp.concatenate([h, jnp.broadcast_to(h.mean(0), h.shape)], 1) @ W)
    return slogdet(h + jnp.exp(-jnp.sum(R**2, 1))[:, None] * B)


def attention(X):
    return jnp.sum(jnp.sin(jax.nn.softmax(X @ A @ X.T / 2) @ X))


def recurrent(x):
    """A loop: values and tangents of both orders are carried side by side."""
    step = lambda h, _: (jnp.tanh(A @ h), jnp.sum(h) ** 2)  # noqa: E731
    return jax.lax.scan(step, jnp.sin(x), None, length=3)


def scanned(X):
    """What enters at each step, from a state of zeros; what is gathered is of second degree."""
    step = lambda h, row: (jnp.tanh(A @ h + row), h[0] * row)  # noqa: E731
    return jax.lax.scan(step, jnp.zeros(n), X, reverse=True)


def integrated(x):
    """Two steps of Runge and Kutta, each with a loop of its own."""

    def stage(i, k):
        return jnp.sin(B @ (k / (2.0 + i)))

    def step(x, _):
        return x + 0.1 * jax.lax.fori_loop(0, 2, stage, x), None

    return jnp.sum(jax.lax.scan(step, x, None, length=2)[0] ** 3)


def repeated(x):
    """A loop of as many steps as the point says."""
    body = lambda c: (c[0] + 1, jnp.sin(A @ c[1]) * c[1][0])  # noqa: E731
    return jax.lax.while_loop(lambda c: c[0] < jnp.where(x[0] > 9, 9, 2), body, (0, x))[1]


def rows_in_a_loop(X):
    return jax.lax.scan(lambda H, _: (jnp.tanh(H @ A), jnp.sum(H)), X, None, length=2)


def _differential(primals, tangents):
    (X, Y), (dX, dY) = primals, tangents
    return product((1, 1), dX, Y) + product((1, 1), X, dY)


product = Multilinear(
    "product_of_vectors",
    lambda X, Y: X * Y,
    _differential,
    lambda cotangent, operands, k: product((1, 1), cotangent, operands[1 - k]),
    entered=False,
)


def chosen(x):
    return jax.lax.cond(x[0] > 0, lambda y: jnp.sum(y**3), jnp.prod, x * x[1]) * x[2]


# name: (function, point, primitives that are run direction by direction)
CASES = {
    "log|X| of a batch": (slogdet, normal(2, 3, 3), set()),
    "tr(AX⁻¹)": (lambda X: jnp.trace(A @ jnp.linalg.inv(X)), X, set()),
    "masked ‖T-UVᵀ‖²": (lambda U: jnp.sum(M * (T - U @ V.T) ** 2), U, set()),
    "sin(XXᵀ)": (lambda X: jnp.sin(X @ X.T), X, set()),
    "tr(AX), linear": (lambda X: jnp.trace(A @ X), X, set()),
    "Σx⁴ + (Σx)²": (lambda x: jnp.sum(x**4) + jnp.sum(x) ** 2, x, set()),
    "logistic": (lambda w: jnp.mean(jnp.logaddexp(0.0, -labels * (D @ w))), w, set()),
    "network of rows": (rows, X, set()),
    "residual network": (residual, x, set()),
    "softmax": (jax.nn.softmax, x, set()),
    "attention": (attention, X, set()),
    "determinant ansatz": (ansatz, R, set()),
    "recurrent": (recurrent, x, set()),
    "recurrent, in two places": (
        lambda W: jnp.sum(W[0] * recurrent(W[1])[0]),
        normal(2, n),
        set(),
    ),
    "recurrent, in what is scanned": (scanned, R.T, set()),
    "ODE": (integrated, x, set()),
    "rows in a loop": (rows_in_a_loop, R @ P1[:3], set()),
    "cond": (chosen, x, {"cond"}),
    "while": (repeated, x, set()),
    "convolution": (lambda x: jnp.convolve(jnp.sin(x), x), x, {"conv_general_dilated"}),
    "a multilinear primitive": (
        lambda x: product((1, 1), jnp.sin(x), x**2),
        x,
        {"product_of_vectors"},
    ),
    "cumprod, reversed": (lambda x: jnp.cumprod(x)[::-1], x, set()),
    "empty slices": (lambda x: jnp.sum(x[:0] ** 2) + jnp.sum(x[:2] * x[2:]), x, set()),
}


def by_directions(f, x):
    """Jacobian and Hessian diagonal by JAX, one unit vector after the other."""

    @jax.jit
    def along(v):
        return jax.jvp(lambda x: jax.jvp(f, (x,), (v,))[1], (x,), (v,))

    units = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
    pairs = [jax.tree.map(np.asarray, along(v)) for v in units]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves, -1), *pairs)
    return [jax.tree.leaves(part) for part in stacked]


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives(name, close):
    f, point, expected = CASES[name]
    found = {}

    @jax.jit
    def ours(x):
        program = Program(f, [x])
        both = second_order.laplacian(program, first=True), second_order.diagonal(program)
        found["fallbacks"] = {line.split()[0] for result in both for line in result.fallbacks}
        return both[0].firsts, both[0].seconds, both[1].seconds

    firsts, sums, diagonals = ours(point)
    slopes, curvatures = by_directions(f, point)
    for (J,), L, (d,), slope, curvature in zip(
        firsts, sums, diagonals, slopes, curvatures, strict=True
    ):
        shape = (*curvature.shape[:-1], *point.shape)
        scale = max(1.0, np.abs(curvature).sum(-1).max(initial=0))  # the sum may cancel
        close(np.asarray(L) / scale, curvature.sum(-1) / scale)
        close(np.asarray(d) / scale, curvature.reshape(shape) / scale)
        close(J, slope.reshape(shape))
    assert found["fallbacks"] == expected


def test_a_fallback_names_its_line():
    found = []
    laplacian_of = lambda x: found.append(second_order.laplacian(Program(chosen, [x])))  # noqa: E731
    jax.eval_shape(laplacian_of, x)
    assert "test_second_order.py:" in found[0].fallbacks[0]


def equations(f, x):
    """Every equation of a function's program, those of its loops and calls too."""
    jaxpr = _jax.opened(jax.make_jaxpr(f)(x))[0]
    return [e for p in _jax.subprograms(jaxpr) for e in p.eqns]


def largest(f, x):
    """Entries of the largest array that a function's program makes."""
    return max(v.aval.size for e in equations(f, x) for v in e.outvars)


def test_closed_forms_need_no_array_larger_than_the_argument():
    size = 12
    Y = jnp.asarray(rng.normal(size=(size, size)) + 3 * np.eye(size), float)
    other = jnp.ones((size, 2))
    assert largest(laplacian(slogdet), Y) <= Y.size
    assert largest(laplacian(lambda Y: jnp.sum((Y - other @ other.T) ** 2)), Y) <= Y.size
    assert largest(laplacian(lambda Y: jnp.trace(jnp.linalg.inv(Y))), Y) <= Y.size


def test_rows_that_do_not_meet_cost_one_row_each():
    """The Jacobian of a network of rows has the columns of one row, not of all."""
    points = jnp.ones((30, n))
    assert largest(laplacian(lambda X: jnp.sum(rows(X))), points) <= 30 * n * 5


def test_loops_are_run_once_for_all_directions():
    """One loop each; in its body J is pushed as a matrix, and rows cost one row each."""
    for f, loops in ((recurrent, 1), (integrated, 2)):
        found = equations(laplacian(f), jnp.ones(n))
        assert sum(e.primitive.name in ("scan", "while") for e in found) == loops
        products = [e.outvars[0].aval.shape for e in found if e.primitive.name == "dot_general"]
        assert products and set(map(len, products)) <= {0, 1, 2}
    points = jnp.ones((30, n))
    assert largest(laplacian(lambda X: rows_in_a_loop(X)[0].sum()), points) <= 30 * n * n


def test_one_pass_of_a_network():
    """Value, Jacobian and second-order sum: a third of the flops of the trace of the Hessian."""
    width = 32
    weights = jnp.asarray(rng.normal(size=(3, width, width)), float)

    def f(x):
        for W in weights:
            x = jnp.tanh(x @ W)
        return jnp.sum(x)

    def traced(x):
        return jnp.trace(jax.hessian(f)(x))

    def flops(g):
        cost = jax.jit(g).lower(jnp.ones(width)).compile().cost_analysis()
        return cost["flops"]

    # two products of n × n matrices in the Jacobian; the sums of squares, value and sum besides
    assert flops(laplacian(f)) <= 1.25 * 2 * 2 * width**3
    assert flops(laplacian(f)) <= flops(traced) / 2


def test_low_rank_stays_low_rank():
    """A bottleneck of two between 40 inputs and 40 outputs: the Jacobian is not formed."""
    narrow, wide = jnp.ones((40, 2)) / 40, jnp.ones((2, 40))
    f = lambda x: jnp.sum(jnp.tanh(jnp.tanh(x @ narrow) @ wide))  # noqa: E731
    assert largest(laplacian(f), jnp.ones(40)) <= 40 * 2 * 2  # a factor times a factor's column
