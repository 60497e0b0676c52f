"""Block operators: eigenvalues, signs, factors kept for many solves, and lineax.

The reference is the matrix put together from the dense blocks, in NumPy.
"""

from __future__ import annotations

import importlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxmatcalc as jmc
from jaxmatcalc import BlockOperator, LinearOperator
from jaxmatcalc.linear import extreme
from jaxmatcalc.linear.constructors import from_dense

SHAPES = {"a": (2, 2), "b": (3,), "c": ()}
SIZES = [4, 3, 1]
TREE = jax.tree.structure(dict.fromkeys(SHAPES, 0))
FACTORISATIONS = re.compile(r"getrf|potrf|syevd|heevd|gesdd|gees|geev|geqrf|trtri")


def draw(seed=0):
    rng = np.random.default_rng(seed)
    G, C = rng.normal(size=(2, 2, 2))
    values = {"A": G @ G.T + np.eye(2), "P": C @ C.T + np.eye(2), "d": rng.uniform(3, 5, 3)}
    values |= {"s": rng.uniform(9, 10), "u": rng.normal(size=(4, 1)), "w": rng.normal(size=(3, 1))}
    return {k: jnp.asarray(v) for k, v in values.items()}


def built(v, couplings=(), last=None):
    """A ⊗ P, diag(d) and s, with the columns u or w beside s."""
    shapes = list(SHAPES.values())
    rows = [[LinearOperator([], i, j, v["A"].dtype) for j in shapes] for i in shapes]
    rows[0][0], rows[1][1] = jmc.kronecker(v["A"], v["P"]), jmc.diagonal(v["d"])
    rows[2][2] = v["s"] * jmc.identity((), v["s"].dtype) if last is None else rows[2][2]
    for name, i in couplings:
        column = v[name].reshape(shapes[i])
        rows[i][2], rows[2][i] = from_dense(column, 0), from_dense(column, len(shapes[i]))
    return BlockOperator(rows, TREE, TREE)


# what is coupled to the last leaf, and the method asked for
CASES = {
    "alone": ((), None),
    "one coupled": ((("w", 1),), None),
    "arrow": ((("u", 0), ("w", 1)), "eliminate"),
}


def matrix_of(H):
    parts = iter(jax.tree.leaves(H.to_dense()))
    return np.block([[np.asarray(next(parts)).reshape(m, n) for n in SIZES] for m in SIZES])


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


@jax.jit
def everything(H):
    w, V = H.eigh()
    return {
        "eigenvalues": H.eigvalsh(),
        "eigh": w,
        "matrix": V.as_matrix(),
        "largest": H.extreme_eigenvalues(3),
        "smallest": H.extreme_eigenvalues(1, "smallest"),
        "inertia": jnp.stack(H.inertia()),
        "positive": H.is_positive_definite(),
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shift", [0, -6])
def test_the_spectrum_is_that_of_the_matrix(case, shift, close):
    H = built(draw(), CASES[case][0])
    H = H + shift * H.identity()
    M = matrix_of(H)
    expected = np.linalg.eigvalsh(M)
    found = everything(H)
    close(found["eigenvalues"], expected)
    assert {k: x.shape for k, x in found["eigh"].items()} == SHAPES
    V, w = np.asarray(found["matrix"]), flat(found["eigh"])
    close(V.T @ V, np.eye(8))
    close(V * w @ V.T, M)
    close(found["largest"], expected[-3:])
    close(found["smallest"], expected[:1])
    assert found["inertia"].tolist() == [int((expected > 0).sum()), int((expected < 0).sum()), 0]
    assert bool(found["positive"]) == (expected[0] > 0)


def test_blocks_alone_keep_their_structure():
    H = built(draw())
    V = H.eigh().eigenvectors
    assert [V["a"]["a"].structure.kind, V["b"]["b"].structure.kind] == ["kronecker", "identity"]
    program = jax.jit(lambda H: H.eigvalsh()).lower(H).as_text()
    orders = {int(n) for n in re.findall(r"@lapack_\w+syevd\w*.*?tensor<(\d+)x\d+xf", program)}
    assert orders <= {2}


def test_a_zero_block_and_one_that_is_not_symmetric(close):
    H = built(draw(), last=0)
    found = everything(H)
    close(found["eigenvalues"], np.linalg.eigvalsh(matrix_of(H)))
    close(found["matrix"][-1], np.eye(8)[-1])
    assert found["inertia"].tolist() == [7, 0, 1]
    assert not found["positive"]
    rows = [list(row) for row in built(draw()).rows]
    rows[1][2] = built(draw(), (("w", 1),)).rows[1][2]  # beside s, and not below it
    assert not everything(BlockOperator(rows, TREE, TREE))["positive"]


def test_first_derivatives_also_at_repeated_eigenvalues(close):
    """Σ λᵏ = tr Mᵏ, whose gradient plain products give."""
    values = draw() | {"A": jnp.eye(2), "P": 3 * jnp.eye(2), "d": jnp.full(3, 3.0)}

    @jax.jit
    @jax.grad
    def ours(v):
        return jnp.sum(built(v, CASES["one coupled"][0]).eigvalsh() ** 3)

    @jax.jit
    @jax.grad
    def products(v):
        M = built(v, CASES["one coupled"][0]).as_matrix()
        return jnp.trace(M @ M @ M)

    jax.tree.map(close, ours(values), products(values))
    with pytest.raises(ValueError, match="have no derivative"):
        jax.grad(lambda v: jnp.sum(built(v).eigh().eigenvalues["a"]))(values)


def test_extreme_eigenvalues_by_products(close, monkeypatch):
    """Where coupled blocks are too large to be formed, LOBPCG works on products of pytrees."""
    monkeypatch.setattr(extreme, "_DENSE", 6)
    H = built(draw(), CASES["arrow"][0])
    M = matrix_of(H)
    w, V = np.linalg.eigh(M)
    found, slope = jax.jvp(lambda t: (H + t * H).extreme_eigenvalues(), (0.0,), (1.0,))
    np.testing.assert_allclose(found, w[-1:], rtol=1e-5)
    np.testing.assert_allclose(slope, [V[:, -1] @ M @ V[:, -1]], rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_a_factored_operator_solves_without_factoring(case, close):
    couplings, given = CASES[case]
    H = built(draw(), couplings)
    M = matrix_of(H)
    rng = np.random.default_rng(3)
    b = {k: jnp.asarray(rng.normal(size=(5, *s))) for k, s in SHAPES.items()}
    factored = jax.jit(lambda H: H.factor(given))(H)
    assert factored.method == (given or H.structure.method)
    assert "BlockFactored(BlockOperator(3 × 3" in repr(factored)

    def solves(factored, b):
        return factored.solve(b), factored.logdet()

    compiled = jax.jit(solves).lower(factored, b).compile()
    count = 0 if given is None else 2  # where elimination fails, the matrix is factored
    assert len(re.findall(r'custom_call_target="\w*getrf', compiled.as_text())) <= count
    assert given or not FACTORISATIONS.search(compiled.as_text())
    xs, logdet = compiled(factored, b)
    B = np.concatenate([np.asarray(b[k]).reshape(5, -1) for k in SHAPES], axis=1)
    expected = np.linalg.solve(M, B.T).T
    close(np.concatenate([np.asarray(xs[k]).reshape(5, -1) for k in SHAPES], 1), expected)
    close(logdet, np.linalg.slogdet(M)[1])
    if case == "one coupled":
        close(factored.inv_quad(B), np.sum(B * expected, axis=1))
        close(factored.solve(B[0] + 1j * B[1]), expected[0] + 1j * expected[1])


@pytest.mark.parametrize(("case", "method"), [("arrow", "eliminate"), ("one coupled", "cg")])
def test_derivatives_of_factored_solves(case, method, close):
    values, moved = draw(), draw(1)
    b = {k: jnp.ones(s) for k, s in SHAPES.items()}

    def objective(solver):
        def along(t):
            v = {k: values[k] + t * moved[k] for k in values}
            return solver(built(v, CASES[case][0]))

        return jax.jit(lambda t: jax.jvp(jax.grad(along), (t,), (1.0,)))(0.0)

    def ours(H):
        factored = H.factor(method, "pos" if method == "cg" else "gen")
        return jnp.sum(jnp.sin(ravel_pytree(factored.solve(b))[0])) + factored.logdet()

    def dense(H):
        M = H.as_matrix()
        return jnp.sum(jnp.sin(jnp.linalg.solve(M, jnp.ones(8)))) + jnp.linalg.slogdet(M)[1]

    jax.tree.map(lambda x, y: close(x, y, 5), objective(ours), objective(dense))


def test_factors_of_what_elimination_cannot_take_out(close):
    values = draw() | {"d": jnp.asarray([0.0, 4.0, 5.0])}
    H = built(values, CASES["arrow"][0])
    M = matrix_of(H)
    factored = H.factor("eliminate")
    close(flat(factored.solve(jnp.ones(8))), np.linalg.solve(M, np.ones(8)), 4)
    close(factored.logdet(), np.linalg.slogdet(M)[1], 4)
    assert np.isnan(H.factor("eliminate", "pos").solve(jnp.ones(8))).all()


def test_batches(close):
    stacked = jax.tree.map(lambda *x: jnp.stack(x), draw(), draw(1))
    H = jax.vmap(lambda v: built(v, CASES["arrow"][0]))(stacked)
    M = np.stack([matrix_of(built(draw(seed), CASES["arrow"][0])) for seed in range(2)])
    close(H.eigvalsh(), np.linalg.eigvalsh(M))
    assert H.is_positive_definite().tolist() == (np.linalg.eigvalsh(M)[:, 0] > 0).tolist()
    factored = H.factor()
    assert factored.batch_shape == (2,)
    b = np.random.default_rng(0).normal(size=(2, 3, 8))
    expected = np.linalg.solve(M[:, None], b[..., None])[..., 0]
    close(factored.solve(jnp.asarray(b)), expected, 4)


def test_among_symmetric_leaves(close):
    """V ↦ V + Vᵀ is singular, and twice the identity on symmetric matrices."""
    V = np.asarray([[2.0, 1.0], [1.0, 3.0]])
    tree = jax.tree.structure((0, 0))
    K = jmc.identity((2, 2)) + jmc.commutation(2, 2)
    none = [LinearOperator([], *s, K.dtype) for s in (((2, 2), (3,)), ((3,), (2, 2)))]
    H = BlockOperator([[K, none[0]], [none[1], 2 * jmc.identity(3)]], tree, tree)
    x, y = H.solve((jnp.asarray(V), jnp.ones(3)), symmetric=(True, False))
    close(x, V / 2)
    close(y, np.ones(3) / 2)
    for wrong, words in (
        (True, r"symmetric=True needs matrices \(n, n\); got shape \(3,\)"),
        ((True,), "needs symmetric to be True, False, or a pytree"),
    ):
        with pytest.raises(ValueError, match=words):
            H.solve((jnp.asarray(V), jnp.ones(3)), symmetric=wrong)


def test_lineax(close):
    lineax = importlib.import_module("lineax")  # of the extra `test`
    values = draw()
    b = {k: jnp.ones(s) for k, s in SHAPES.items()}
    H = built(values, CASES["arrow"][0])
    operator = H.to_lineax("sym")
    assert isinstance(operator, lineax.FunctionLinearOperator)
    assert lineax.is_symmetric(operator) and not lineax.is_diagonal(operator)
    close(flat(operator.mv(b)), flat(H @ b))
    solution = lineax.linear_solve(H.to_lineax(), b, lineax.LU()).value
    close(flat(solution), flat(H.solve(b)), 4)
    D = jmc.diagonal(values["d"])
    pair, off = jax.tree.structure([0, 0]), LinearOperator([], (3,), (3,), D.dtype)
    diagonal = BlockOperator([[D, off], [off, 2 * D]], pair, pair).to_lineax()
    assert isinstance(diagonal, lineax.DiagonalLinearOperator)
    close(flat(diagonal.mv([jnp.ones(3)] * 2)), np.concatenate([values["d"], 2 * values["d"]]))


def test_mistakes():
    H = built(draw())
    tall = BlockOperator([row[:1] for row in H.rows], TREE, jax.tree.structure([0]))
    names = ("eigvalsh", "eigh", "extreme_eigenvalues", "inertia", "is_positive_definite", "factor")
    for name in names:
        with pytest.raises(ValueError, match=f"`{name}` needs a block operator"):
            getattr(tall, name)()
    with pytest.raises(ValueError, match="k to be an integer from 1 to 8"):
        H.extreme_eigenvalues(9)
    with pytest.raises(ValueError, match="got zero blocks alone in row and column 2"):
        built(draw(), last=0).factor()
    for wrong in (jnp.ones(7), {"a": jnp.ones((2, 2))}, dict.fromkeys(SHAPES, jnp.ones(3))):
        with pytest.raises(ValueError, match=r"needs a pytree .* or flat arrays \(8,\)"):
            H.factor().solve(wrong)
