"""What a structure is called, and the constructors that make the simplest ones."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import (
    LinearOperator,
    commutation,
    diagonal,
    hessian_operator,
    identity,
    kronecker,
)

A = jnp.arange(6.0).reshape(2, 3)
B = jnp.arange(8.0).reshape(2, 4) + 1
Q = jnp.arange(9.0).reshape(3, 3) + jnp.eye(3)
u, d = jnp.arange(3.0) + 1, jnp.ones((3, 2))
sizes = {"a": 2, "b": 3, "c": 3, "i": 3, "j": 3, "k": 2, "r": 2}

# (spec, arrays, kind, formula of one term)
KINDS = [
    (":ik|ik", (), "identity", "I3 ⊗ I2"),
    (".:ik|ik", (2.0,), "identity", "s·I3 ⊗ I2"),
    (":ki|ik", (), "permutation", "I2 ⊗ I3·K"),
    ("ik:ik|ik", (d,), "diagonal", "diag(d6)"),
    ("i:ik|ik", (u,), "diagonal", "diag(d3) ⊗ I2"),
    ("ab:ak|bk", (A,), "kronecker", "M2×3 ⊗ I2"),
    ("bc:jb|jc", (Q,), "kronecker", "I3 ⊗ M3×3"),
    ("bc,k:kjb|kjc", (Q, u[:2]), "kronecker", "diag(d2) ⊗ I3 ⊗ M3×3"),
    ("bj,ci:bc|ij", (Q, Q), "kronecker+commutation", "M3×3 ⊗ M3×3·K"),
    ("ibc:ib|ic", (jnp.stack([Q, Q, Q]),), "block diagonal", "blocks3·M3×3"),
    ("i,j:i|j", (u, u), "low-rank", "u3 ⊗ u3"),
    (":i|j", (), "low-rank", "u3 ⊗ u3"),
    ("ri,rj:i|j", (A, A), "low-rank", "M3×3"),
    ("bc:b|c", (Q,), "dense", "M3×3"),
    ("j:ij|i", (u,), "kronecker", "I3 ⊗ u3"),
    ("j:i|ij", (u,), "kronecker", "I3 ⊗ u3"),
    (":ii|i", (), "sparse", None),
]


@pytest.mark.parametrize(("spec", "arrays", "kind", "formula"), KINDS)
def test_names_and_formulas(spec, arrays, kind, formula, einsum_operator):
    op = einsum_operator(sizes, (spec, *map(jnp.asarray, arrays)))
    assert op.structure.kind == kind
    assert str(op.structure) == kind
    if formula is not None:
        # every operator holds a scalar, one where the term has none
        assert op.structure.formula.removeprefix("s·") == formula.removeprefix("s·")
        assert repr(op) == (
            f"LinearOperator({op.in_shape} → {op.out_shape}, {op.dtype.name}: "
            f"{op.structure.formula})"
        )
    if op.out_shape != op.in_shape and np.prod(op.out_shape) != np.prod(op.in_shape):
        assert op.structure.method == "none"


def test_names_of_sums(einsum_operator):
    op = einsum_operator(sizes, (":ij|ij",), ("bi,cj:bc|ij", Q, Q))
    assert op.structure.kind == "kronecker + identity"  # whichever came first
    op = einsum_operator(sizes, ("bi,cj:bc|ij", Q, Q), ("bi,cj:bc|ij", Q + 1, Q - 1))
    assert op.structure.kind == "sum of 2 kronecker"
    zero = LinearOperator([], (3,), (2,), jnp.float32)
    assert zero.structure.kind == "zero"
    assert zero.structure.formula == "0"
    assert zero.to_dense().shape == (3, 2)
    np.testing.assert_array_equal(zero @ jnp.ones(2), np.zeros(3))
    lossy = LinearOperator(op.terms, (3, 3), (3, 3), op.dtype, ("scan (mine.py:3:1)",) * 2)
    assert str(lossy.structure) == "sum of 2 kronecker; dense at scan (mine.py:3:1)"
    for derived in (lossy.T, 2 * lossy, lossy + op, op @ lossy, lossy.inv()):
        assert derived.fallbacks == ("scan (mine.py:3:1)",)


def test_a_tree_of_placeholders_has_a_repr():
    blank = jax.tree.map(lambda _: object(), identity((3, 2)))
    assert repr(blank) == "LinearOperator((3, 2) → (3, 2))"


def test_constructors(close):
    close(identity((3, 2)).as_matrix(), np.eye(6))
    close(identity(4).as_matrix(), np.eye(4))
    close(identity(()).to_dense(), np.asarray(1.0))
    assert identity((0, 2)).to_dense().shape == (0, 2, 0, 2)
    close(diagonal(d * 3).as_matrix(), 3 * np.eye(6))
    assert diagonal(jnp.arange(3)).dtype == jnp.zeros(()).dtype
    X = jnp.arange(12.0).reshape(3, 4)
    close(kronecker(A, B).as_matrix(), np.kron(A, B))
    close(kronecker(A, B) @ X, np.asarray(A @ X @ B.T))
    close(kronecker(A, B) @ X.reshape(-1), np.kron(A, B) @ np.arange(12.0))
    close(kronecker(A, B, Q).as_matrix(), np.kron(np.kron(A, B), Q))
    close(kronecker(A[:1], B).as_matrix(), np.kron(A[:1], B))
    close(kronecker(A).as_matrix(), A)
    close(commutation(3, 4) @ X, X.T)
    K = np.zeros((12, 12))
    for i in range(3):
        for j in range(4):
            K[j * 3 + i, i * 4 + j] = 1
    close(commutation(3, 4).as_matrix(), K)
    close((commutation(4, 3) @ commutation(3, 4)).as_matrix(), np.eye(12))
    assert (kronecker(Q, Q) @ commutation(3, 3)).structure.kind == "kronecker+commutation"
    assert identity(3, jnp.float16).dtype == jnp.float16


def test_a_diagonal_that_exchanges_axes_is_no_diagonal(close):
    """W ∘ Vᵀ: taken for a diagonal it was solved wrongly, without a word."""
    W, b = Q + 4 * jnp.ones((3, 3)), jnp.arange(9.0).reshape(3, 3)
    op = diagonal(W) @ commutation(3, 3)
    assert op.structure.kind == "diagonal+commutation"
    for each in (op, op.T, op + 2 * identity((3, 3)), op.T - 3 * diagonal(W)):
        matrix = np.asarray(each.as_matrix())
        close(each.solve(b), np.linalg.solve(matrix, np.ravel(b)).reshape(3, 3), 4)
        close(each.logdet(), np.linalg.slogdet(matrix)[1], 4)
        close(each.inv().as_matrix(), np.linalg.inv(matrix), 4)
    H = hessian_operator(lambda X: jnp.sum(W * X * X.T) + jnp.sum(X**2))(b)
    close(H.solve(b).reshape(-1), np.linalg.solve(H.as_matrix(), np.ravel(b)), 4)


def test_a_scalar_from_either_side_keeps_the_structure(close):
    """Python's, NumPy's and JAX's; JAX's would else form the matrix."""
    for scalar in (2, 2.0, np.float32(2), jnp.asarray(2.0), np.asarray(2.0)):
        for op in (scalar * kronecker(Q, Q), kronecker(Q, Q) * scalar):
            assert isinstance(op, LinearOperator)
            assert op.structure.kind == "kronecker"
            close(op.as_matrix(), 2 * np.kron(Q, Q))
    traced = jax.jit(lambda s: s * identity(3))(2.0)
    close(traced.as_matrix(), 2 * np.eye(3))


def test_a_batch_and_a_single_operator(close):
    """An operator without batch axes goes with each one of a batch."""
    batch = jax.vmap(lambda s: s * kronecker(Q, Q))(jnp.arange(1.0, 3.0))
    M = np.kron(Q, Q)
    for op in (batch + identity((3, 3)), identity((3, 3)) + batch):
        close(op.as_matrix(), np.stack([M + np.eye(9), 2 * M + np.eye(9)]))
    close((commutation(3, 3) @ batch).as_matrix(), np.stack([K9 @ M, 2 * K9 @ M]))
    close((batch - kronecker(Q, Q)).as_matrix(), np.stack([0 * M, M]))


K9 = np.eye(9).reshape(3, 3, 9).transpose(1, 0, 2).reshape(9, 9)


def test_mistakes():
    op = kronecker(A, B)
    mistakes = [
        (TypeError, r"`identity` needs a shape of integers", lambda: identity((2.5,))),
        (ValueError, r"factor 2 to be a matrix .* got shape \(3,\)", lambda: kronecker(A, u)),
        (TypeError, r"`kronecker` needs at least one matrix", kronecker),
        (TypeError, r"`diagonal` needs an array", lambda: diagonal("d")),
        (ValueError, r"shape \(3, 4\), or flat \(12,\); got \(5,\)", lambda: op @ jnp.ones(5)),
        (ValueError, r"right operator with out_shape \(3, 4\)", lambda: op @ op),
        (ValueError, r"operators of the same shapes", lambda: op + op.T),
        (ValueError, r"needs a scalar; .* got shape \(3,\)", lambda: op * u),
        (TypeError, r"no \+ with an array", lambda: op + 1),
        (TypeError, None, lambda: op * op),
    ]
    for kind, sentence, call in mistakes:
        with pytest.raises(kind, match=sentence):
            call()
