"""Block operators: the interface of an operator on pytrees, and solves block by block.

The reference is one matrix put together from the dense blocks, and JAX's autodiff of its solve.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxmatcalc as jmc
from jaxmatcalc import LinearOperator
from jaxmatcalc.linear.block import BlockOperator
from jaxmatcalc.linear.constructors import from_dense

SHAPES = {"a": (3, 2), "b": (3,), "c": ()}
SIZES = [6, 3, 1]
TREE = jax.tree.structure(dict.fromkeys(SHAPES, 0))


def draw(dtype, seed=0):
    """Arrays from which a positive definite matrix is made."""
    rng = np.random.default_rng(seed)

    def definite(n):
        a = rng.normal(size=(n, n))
        return a @ a.T / n + 3 * np.eye(n)

    arrays = {
        "A": definite(3),
        "P": definite(2),
        "d": rng.uniform(3, 5, 3),
        "s": rng.uniform(9, 10),
    }
    arrays |= {"U": rng.normal(size=(6, 3)) / 3, "v": rng.normal(size=6), "w": rng.normal(size=3)}
    arrays |= {"D": definite(3)}
    return {k: jnp.asarray(v, dtype) for k, v in arrays.items()}


def between(matrix, i, j):
    """A matrix as the block from the leaf j to the leaf i."""
    shapes = list(SHAPES.values())
    return from_dense(matrix.reshape(shapes[i] + shapes[j]), len(shapes[j]))


def zero(i, j, dtype):
    shapes = list(SHAPES.values())
    return LinearOperator([], shapes[i], shapes[j], dtype)


def built(arrays, diagonal, couplings):
    """The operator, symmetric, with these blocks on the diagonal and above it."""
    rows = [[zero(i, j, arrays["A"].dtype) for j in range(3)] for i in range(3)]
    for i, op in enumerate(diagonal):
        rows[i][i] = op
    for (i, j), matrix in couplings.items():
        rows[i][j], rows[j][i] = between(matrix, i, j), between(matrix.T, j, i)
    return BlockOperator(rows, TREE, TREE)


def dense_a(x):
    return between(jnp.kron(x["A"], x["P"]), 0, 0)


def kronecker_a(x):
    return jmc.kronecker(x["A"], x["P"])


def scalar(x):
    return x["s"] * jmc.identity(())


def block_diagonal(x):
    return built(x, [kronecker_a(x), jmc.diagonal(x["d"]), scalar(x)], {})


def arrow(x):
    """Two blocks with structure, coupled to a dense one."""
    couplings = {(0, 2): x["v"][:, None], (1, 2): x["w"][:, None]}
    return built(x, [kronecker_a(x), jmc.diagonal(x["d"]), scalar(x)], couplings)


def coupled(x):
    """Two blocks with structure that are coupled: the larger one is eliminated."""
    couplings = {(0, 1): x["U"], (1, 2): x["w"][:, None]}
    return built(x, [kronecker_a(x), jmc.diagonal(x["d"]), scalar(x)], couplings)


def half_dense(x):
    """One block alone, two coupled and without structure."""
    return built(x, [dense_a(x), between(x["D"], 1, 1), scalar(x)], {(0, 1): x["U"]})


CASES = {
    "block diagonal": (block_diagonal, "blocks"),
    "arrow": (arrow, "eliminate"),
    "coupled": (coupled, "eliminate"),
    "half dense": (half_dense, None),
}


def matrix_of(H):
    """Every block formed, put together by NumPy or JAX."""
    rows, sizes = jax.tree.leaves(H.to_dense()), [(m, n) for m in SIZES for n in SIZES]
    parts = [x.reshape(m, n) for x, (m, n) in zip(rows, sizes, strict=True)]
    return jnp.block([parts[3 * i : 3 * i + 3] for i in range(3)])


def right_side(dtype, seed=1):
    rng = np.random.default_rng(seed)
    return {k: jnp.asarray(rng.normal(size=s), dtype) for k, s in SHAPES.items()}


@pytest.mark.parametrize("name", CASES)
def test_values(name, close, float_dtype):
    make, method = CASES[name]
    H, b = make(draw(float_dtype)), right_side(float_dtype)
    assert (H.structure.kind, H.structure.method) == (
        "block",
        "blocks" if method == "blocks" else "dense",
    )
    M, flat = np.asarray(matrix_of(H), float), np.asarray(ravel_pytree(b)[0], float)
    x, expected = np.linalg.solve(M, flat), np.linalg.slogdet(M)[1]
    near = functools.partial(close, digits_lost=4)
    solution = H.solve(b, method)
    assert jax.tree.structure(solution) == TREE
    near(ravel_pytree(solution)[0], x)
    near(H.logdet(method), expected)
    near(H.inv().as_matrix(), np.linalg.inv(M))
    if name == "arrow":
        near(H.solve(ravel_pytree(b)[0]), x)  # by the matrix, which is small
        near(ravel_pytree(H.solve(b, "cg"))[0], x)
        jax.tree.map(near, H.inv_quad_logdet(b), (flat @ x, expected))
        near(ravel_pytree(H @ b)[0], M @ flat)
        close(H.as_matrix(), M)
        close(ravel_pytree(H.diagonal())[0], np.diag(M))
        close(H.trace(), np.trace(M))


def test_derivatives(close, float_dtype):
    """Of solve and logdet in everything inside, and a second derivative along a line."""
    arrays, b = draw(float_dtype), right_side(float_dtype)
    w = ravel_pytree(right_side(float_dtype, 2))[0]

    def ours(arrays, b):
        H = arrow(arrays)
        solution = H.solve(b, "eliminate", assume_a="pos")
        return w @ ravel_pytree(solution)[0] + H.logdet("eliminate")

    def dense(arrays, b):
        M = matrix_of(arrow(arrays))
        return w @ jnp.linalg.solve(M, ravel_pytree(b)[0]) + jnp.linalg.slogdet(M)[1]

    def everything(f, t):
        def line(t):
            return f(jax.tree.map(lambda x: x * (1 + t) + t**2, arrays), b)

        return jax.grad(f, (0, 1))(arrays, b), jax.grad(jax.grad(line))(t)

    zero = jnp.zeros((), float_dtype)
    found = jax.jit(functools.partial(everything, ours))(zero)
    truth = jax.jit(functools.partial(everything, dense))(zero)
    jax.tree.map(functools.partial(close, digits_lost=4), found, truth)


def test_it_stands_where_the_nested_blocks_stood(close, float_dtype):
    arrays = draw(float_dtype)
    H = arrow(arrays)
    close(H["a"]["c"].to_dense(), arrays["v"].reshape(3, 2))
    assert H["a"]["b"].structure.kind == "zero"
    assert list(H) == ["a", "b", "c"]
    assert len(H) == 3
    pair = jax.tree.structure((0, 0))
    D, I = jmc.diagonal(arrays["d"]), jmc.identity(3, float_dtype)
    (_, ab), (ba, bb) = BlockOperator([[D, I], [2 * I, 3 * D]], pair, pair)
    close(ab.as_matrix(), np.eye(3))
    close(ba.as_matrix(), 2 * np.eye(3))
    close(bb.diagonal(), 3 * arrays["d"])
    J = BlockOperator([[D], [I]], pair, jax.tree.structure(0))  # of a function of one array
    close(J[1].as_matrix(), np.eye(3))
    jax.tree.map(close, J @ arrays["d"], (arrays["d"] ** 2, arrays["d"]))
    close(J.T @ (J @ arrays["d"]), (arrays["d"] ** 3 + arrays["d"]))
    close((J.T @ J).as_matrix(), np.diag(arrays["d"] ** 2 + 1))
    assert J.structure.method == "none"
    assert "BlockOperator(2 × 1 blocks" in repr(J)
    assert repr(jax.tree.map(lambda _: object(), J)) == "BlockOperator(2 × 1 blocks)"


def test_arithmetic(close, float_dtype):
    arrays = draw(float_dtype)
    H, M = arrow(arrays), np.asarray(matrix_of(arrow(arrays)))
    close((H + 2 * H.identity()).as_matrix(), M + 2 * np.eye(10))
    close((-H / 2 - H * jnp.asarray(3.0, float_dtype)).as_matrix(), -3.5 * M)
    close((H.T @ H).as_matrix(), M.T @ M)
    close(np.asarray(H), M)
    leaves, tree = jax.tree.flatten(H)
    assert jax.tree.structure(jax.tree.unflatten(tree, leaves)) == tree


def test_a_batch(close, float_dtype):
    """Under `vmap`, and by the methods of what a `vmap` returned."""
    each = [draw(float_dtype, seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *each)
    H = jax.jit(jax.vmap(arrow))(stacked)
    assert H.batch_shape == (2,)
    assert "batch (2,)" in repr(H)
    M = np.stack([matrix_of(arrow(x)) for x in each])
    b = right_side(float_dtype)
    flat = np.asarray(ravel_pytree(b)[0])
    expected = np.linalg.solve(M, np.broadcast_to(flat, (2, 10))[..., None])[..., 0]
    close(H.as_matrix(), M)
    close(H @ flat, M @ flat)
    close(jax.vmap(lambda x: ravel_pytree(x)[0])(H.solve(b, "eliminate")), expected, 4)
    close(H.logdet("eliminate"), np.linalg.slogdet(M)[1], 4)
    close((H + 2 * H.identity()).as_matrix(), M + 2 * np.eye(10))


def test_complex_blocks(close, complex_dtype):
    arrays = draw(complex_dtype)
    arrays["v"] = arrays["v"] * (1 + 0.5j)
    H, b = arrow(arrays), right_side(complex_dtype)
    M = np.asarray(matrix_of(H))
    flat = np.asarray(ravel_pytree(b)[0])
    close(ravel_pytree(H.solve(b))[0], np.linalg.solve(M, flat), 4)
    close(ravel_pytree(H.adjoint() @ b)[0], M.conj().T @ flat)
    close(H.logdet(), np.linalg.slogdet(M)[1], 4)


def test_a_singular_block_is_never_wrong(close, float_dtype):
    """Elimination cannot take it out; the matrix can be solved, and is unless that is excluded."""
    arrays = draw(float_dtype) | {"d": jnp.asarray([0.0, 4.0, 5.0], float_dtype)}
    H, b = arrow(arrays), right_side(float_dtype)
    M, flat = np.asarray(matrix_of(H)), np.asarray(ravel_pytree(b)[0])
    close(ravel_pytree(H.solve(b, "eliminate"))[0], np.linalg.solve(M, flat), 4)
    close(H.logdet("eliminate"), np.linalg.slogdet(M)[1], 4)
    assert np.isnan(np.asarray(H.solve(b, "eliminate", assume_a="pos")["a"])).all()


def test_the_choice_by_size(float_dtype):
    """Above 256 unknowns blocks with structure are eliminated, however many there are."""

    def made(n, X):
        tree = jax.tree.structure((0, 0))
        U = from_dense(jnp.ones((n, n, 2), float_dtype), 1)
        rows = [[jmc.kronecker(X, X), U], [U.T, jmc.kronecker(X[:2, :2])]]
        return BlockOperator(rows, tree, tree)

    def method(n):
        H = jax.eval_shape(functools.partial(made, n), jax.ShapeDtypeStruct((n, n), float_dtype))
        return H.structure.method

    assert [method(n) for n in (15, 17, 100)] == ["dense", "eliminate", "eliminate"]


def test_mistakes(float_dtype):
    arrays, b = draw(float_dtype), right_side(float_dtype)
    H = arrow(arrays)
    tall = BlockOperator([row[:1] for row in H.rows], TREE, jax.tree.structure([0]))
    lost = built(arrays, [kronecker_a(arrays), zero(1, 1, float_dtype), scalar(arrays)], {})
    assert lost.logdet() == -jnp.inf
    mistakes = [
        (r"`solve` needs a block operator from pytrees of one structure", lambda: tall.solve(b)),
        (r"`logdet` needs a block operator", tall.logdet),
        (r"needs a pytree .* or a flat array \(10,\)", lambda: H.solve({"a": b["a"]})),
        (r"needs a pytree .* or a flat array \(10,\)", lambda: H @ jnp.ones(9)),
        (r"whose pytrees and shapes fit", lambda: H + tall),
        (r"whose pytrees and shapes fit", lambda: tall @ H),
        (r'needs method.* to be "dense" or "eliminate"', lambda: H.solve(b, "blocks")),
        (r'`logdet` needs method.* to be "dense" or "eliminate"; got', lambda: H.logdet("cg")),
        (r"got zero blocks alone in row and column 1", lambda: lost.solve(b)),
    ]
    for sentence, call in mistakes:
        with pytest.raises(ValueError, match=sentence):
            call()
