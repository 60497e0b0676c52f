"""Factored operators: many solves from one factorisation, for every way to solve.

The reference is the dense matrix in NumPy; derivatives are compared with those of A(t)⁻¹ b there.
"""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import LinearOperator, commutation, diagonal, identity, kronecker, low_rank

FACTORISATIONS = re.compile(r"getrf|potrf|syevd|heevd|gesdd|gees|geev|geqrf|trtri")


def draw(seed=0):
    rng = np.random.default_rng(seed)
    A, B, G = rng.normal(size=(3, 3, 3))
    values = {"A": A + 3 * np.eye(3), "S": B @ B.T + np.eye(3), "T": G @ G.T + np.eye(3)}
    values |= {"U": rng.normal(size=(9, 2)), "w": rng.uniform(1, 2, size=(3, 3))}
    return {k: jnp.asarray(v) for k, v in values.items()}


# case: (method given, method found, operator, factorisations in the program of `factor`)
CASES = {
    "identity": (None, "scale", lambda v: 2.0 * identity((3, 3)), 0),
    "diagonal": (None, "divide", lambda v: diagonal(v["w"]), 0),
    "commutation": (None, "permute", lambda v: commutation(3, 3), 0),
    "kronecker": (None, "kronecker", lambda v: kronecker(v["A"], v["S"]), 2),
    "eigen": ("eigen", "eigen", lambda v: kronecker(v["S"], v["T"]) + identity((3, 3)), 2),
    "schur": ("schur", "schur", lambda v: kronecker(v["A"], v["S"]) + identity((3, 3)), 2),
    "dense": ("dense", "dense", lambda v: kronecker(v["A"], v["S"]) + identity((3, 3)), 1),
    "woodbury": (
        None,
        "woodbury",
        lambda v: diagonal(v["w"].reshape(-1)) + low_rank(v["U"], v["U"]),
        1,
    ),
    "iterative": ("cg", "cg", lambda v: kronecker(v["S"], v["T"]) + identity((3, 3)), None),
}


def right_hand_sides(op, *lead):
    rng = np.random.default_rng(5)
    return jnp.asarray(rng.normal(size=(*lead, *op.out_shape)))


@pytest.mark.parametrize("case", [case for case in CASES if case != "iterative"])
def test_a_factored_operator_solves_without_factoring(case, close):
    given, found, build, count = CASES[case]
    op = build(draw())
    matrix = np.asarray(op.as_matrix(), np.float64)
    factored = op.factor(given)
    assert factored.method == found and f"method '{found}'" in repr(factored)
    b, many = right_hand_sides(op), right_hand_sides(op, 2, 2)

    def solves(factored, b, many):
        return factored.solve(b), factored.solve(many), factored.logdet(), factored.inv_quad(many)

    compiled = jax.jit(solves).lower(factored, b, many).compile()
    assert not FACTORISATIONS.search(compiled.as_text())
    program = jax.jit(lambda op: op.factor(given)).lower(op).compile().as_text()
    targets = re.findall(r'custom_call_target="(\w+)"', program)
    assert len([t for t in targets if FACTORISATIONS.search(t)]) == count
    x, xs, logdet, quadratic = compiled(factored, b, many)
    flat = np.asarray(many, np.float64).reshape(4, -1)
    expected = np.linalg.solve(matrix, flat.T).T
    close(x, np.linalg.solve(matrix, np.ravel(b)).reshape(op.in_shape))
    close(xs, expected.reshape(many.shape))
    close(logdet, np.linalg.slogdet(matrix)[1])
    close(quadratic, np.sum(flat * expected, axis=1).reshape(2, 2))


@pytest.mark.parametrize("case", ["kronecker", "schur", "woodbury", "iterative"])
def test_derivatives_in_the_operator_and_the_right_hand_side(case, close):
    given, _, build, _ = CASES[case]
    values, moved = draw(), draw(1)
    b = right_hand_sides(build(values))

    def along(t):
        return build({k: values[k] + t * moved[k] for k in values})

    def objective(t, b):
        factored = along(t).factor(given)
        logdet = factored.logdet() if given != "schur" else 0.0
        return jnp.sum(jnp.sin(factored.solve(b))) + logdet

    program = jax.jit(lambda t: jax.jvp(lambda t: jax.grad(objective, (0, 1))(t, b), (t,), (1.0,)))
    (slope, gradient), (second, mixed) = program(0.0)

    # A(t) is a polynomial of degree 2
    matrices = [np.asarray(along(float(t)).as_matrix(), np.float64) for t in range(3)]
    fit = np.linalg.inv(np.vander(np.arange(3.0), increasing=True))
    A, dA, half = np.einsum("kj,jab->kab", fit, matrices)
    inv = np.linalg.inv(A)
    x = inv @ np.ravel(b)
    dx = -inv @ dA @ x
    ddx = -inv @ (2 * half @ x + 2 * dA @ dx)
    y = inv.T @ np.cos(x)
    traces = np.trace(inv @ dA), 2 * np.trace(inv @ half) - np.trace(inv @ dA @ inv @ dA)
    first, curvature = traces if given != "schur" else (0.0, 0.0)
    close(slope, np.cos(x) @ dx + first, 4)
    close(gradient, y.reshape(b.shape), 4)
    close(second, np.cos(x) @ ddx - np.sin(x) @ dx**2 + curvature, 5)
    close(mixed, (inv.T @ (-dA.T @ y - np.sin(x) * dx)).reshape(b.shape), 5)


def test_factors_that_were_kept_carry_derivatives(close):
    A = draw()["A"]
    b = jnp.arange(9.0).reshape(3, 3)
    factored = kronecker(A, A).factor()

    def objective(op):
        fixed, held = jax.tree.flatten(factored)
        count = len(jax.tree.leaves(op))
        return jnp.sum(jax.tree.unflatten(held, [*jax.tree.leaves(op), *fixed[count:]]).solve(b))

    gradient = jax.grad(objective)(factored.operator)
    expected = jax.grad(lambda op: jnp.sum(op.solve(b)))(factored.operator)
    for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
        close(ours, theirs)


def test_batches_and_loops(close):
    S = jnp.stack([draw(seed)["S"] for seed in range(3)])
    ops = jax.vmap(lambda S: kronecker(S, S))(S)
    factored = ops.factor()
    assert factored.batch_shape == (3,)
    b = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4, 3, 3)))
    matrices = [np.kron(M, M) for M in np.asarray(S, np.float64)]
    expected = np.stack(
        [np.linalg.solve(M, c.reshape(4, 9).T).T for M, c in zip(matrices, b, strict=True)]
    )
    close(factored.solve(b), expected.reshape(b.shape))
    close(
        factored.solve(b[0, 0]),
        [np.linalg.solve(M, b[0, 0].ravel()).reshape(3, 3) for M in matrices],
    )
    close(factored.logdet(), [np.linalg.slogdet(M)[1] for M in matrices])
    one = kronecker(S[0], S[0]).factor()

    def step(carry, c):
        factored, total = carry
        return (kronecker(S[0], S[0]).factor(), total + jnp.sum(factored.solve(c))), None

    (_, total), _ = jax.lax.scan(step, (one, jnp.zeros(())), b[0])
    close(total, expected[0].sum())
    close(jax.vmap(one.solve)(b[0]), expected[0].reshape(4, 3, 3))


def test_equal_programs_give_equal_trees():
    A = draw()["A"]
    traces = []

    @jax.jit
    def use(factored, b):
        traces.append(None)
        return factored.solve(b)

    for scale in (1.0, 2.0):
        use(kronecker(scale * A, A).factor(), jnp.ones((3, 3)))
    assert len(traces) == 1


def test_flat_and_complex_right_hand_sides(close, complex_dtype):
    A = draw()["A"]
    factored = kronecker(A, A).factor()
    matrix = np.kron(A, A)
    flat = jnp.arange(18.0).reshape(2, 9)
    close(factored.solve(flat), np.linalg.solve(matrix, flat.T).T)
    close(factored.inv_quad(flat), np.einsum("ki,ki->k", flat, np.linalg.solve(matrix, flat.T).T))
    b = (flat[0] + 1j * flat[1]).astype(complex_dtype)
    close(factored.solve(b), np.linalg.solve(matrix, b))
    C = jnp.asarray(np.asarray(A) * (1 + 0.5j))
    close(kronecker(C, A).factor().solve(b), np.linalg.solve(np.kron(C, A), b))


def test_mistakes():
    with pytest.raises(ValueError, match="`factor` needs a linear operator with equal"):
        kronecker(jnp.eye(2), jnp.ones((2, 3))).factor()
    with pytest.raises(ValueError, match="not identically zero"):
        LinearOperator([], (2,), (2,), jnp.zeros(()).dtype).factor()
    with pytest.raises(ValueError, match="needs method"):
        diagonal(jnp.ones(3)).factor("schur")
    factored = kronecker(jnp.eye(2), jnp.eye(3)).factor()
    with pytest.raises(ValueError, match=r"`solve` of a factored operator needs arrays of shape"):
        factored.solve(jnp.ones((3, 2)))
    with pytest.raises(TypeError, match="`solve` needs an array for b"):
        factored.solve([1.0] * 6)
