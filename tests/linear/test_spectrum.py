"""Eigenvalues, eigenvectors and their signs, for every structure that gives them.

The reference forms the matrix by an explicit einsum with identity matrices and uses NumPy; for
derivatives, tr Aᵏ = Σ λᵏ, which plain products give, also where eigenvalues repeat.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import LinearOperator, commutation, diagonal, identity, kronecker, low_rank
from jaxmatcalc.linear import eigen, extreme
from jaxmatcalc.linear.decomposition import LARGEST
from jaxmatcalc.linear.structure import SMALL
from jaxmatcalc.linear.term import Factor, Label, Term

SIZES = {"a": 3, "b": 3, "c": 3, "d": 3, "e": 3, "i": 3, "j": 3, "k": 2, "l": 2, "p": 4, "q": 4}

# case: (the way that is found, einsum terms over named arrays)
CASES = {
    "identity": ("term", ((".:ik|ik", "s"),)),
    "diagonal": ("term", (("ik,.:ik|ik", "W", "s"),)),
    "kronecker": ("term", (("ab,kl,.:ak|bl", "A", "P", "s"),)),
    "merged three": ("term", (("ab,kl,i:(ak)i|(bl)i", "A", "P", "u"),)),
    "blocks between": ("term", (("iab,kl:aik|bil", "F", "P"),)),
    "kronecker + identity": ("commuting", (("ab,kl:ak|bl", "A", "P"), (".:ak|ak", "s"))),
    "kronecker sum": ("commuting", (("ab:(ak)|(bk)", "A"), ("kl:(ak)|(al)", "P"))),
    "two of three axes": ("commuting", (("ab:aki|bki", "A"), ("kl,.:aki|ali", "P", "s"))),
    "diagonal and matrix + identity": (
        "commuting",
        (("i,ab:ia|ib", "u", "A"), (".:ia|ia", "s")),
    ),
    "commutation": ("permutation", ((".:(ji)k|(ij)k", "s"),)),
    "crossed": ("crossed", (("ad,cb,.:ab|cd", "G", "G", "s"),)),
    "crossed + identity": ("crossed", (("ad,cb,.:ab|cd", "G", "G", "s"), (".:ab|ab", "r"))),
    "crossed with symmetric": ("crossed", (("ad,bc:ab|cd", "A", "A"), (".:ab|ab", "r"))),
    "two kroneckers": ("dense", (("ab,kl:ak|bl", "A", "P"), ("ab,kl:ak|bl", "B", "Q"))),
    "exchanged weights": ("dense", (("ij:ij|ji", "B"),)),
    "matrix": ("dense", (("pq:p|q", "T"),)),
}


KINDS = {  # of the eigenvectors
    "diagonal": "identity",
    "kronecker": "kronecker",
    "kronecker sum": "kronecker",
    "merged three": "kronecker",
}


def draw(complex=False, seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        value = rng.normal(size=shape)
        return value + 1j * rng.normal(size=shape) if complex else value

    def hermitian(*shape):
        X = normal(*shape)
        return X + X.swapaxes(-1, -2).conj()

    values = {name: hermitian(3, 3) for name in "AB"} | {name: hermitian(2, 2) for name in "PQ"}
    values |= {"G": normal(3, 3), "T": hermitian(4, 4), "F": hermitian(3, 3, 3)}
    real = {"W": rng.normal(size=(3, 2)), "u": rng.normal(size=3), "s": 0.7, "r": -1.3}
    return {k: jnp.asarray(v) for k, v in (values | real).items()}


def sums(case, values):
    """The arrays of a case; those that are one array stay one."""
    return [(spec, *(values[k] for k in names)) for spec, *names in CASES[case][1]]


def symmetric_flag(op):
    """The operator, its factors known to be symmetric."""
    terms = [t.map_arrays(lambda a: a) for t in op.terms]
    marked = [
        Term(tuple(f._replace(symmetric=len(f.labels) == 2) for f in t.factors), t.out, t.in_)
        for t in terms
    ]
    return op.rebuilt(marked)


@pytest.fixture(scope="module")
def built(einsum_operator, einsum_matrix):
    def build(case, values):
        pieces = sums(case, values)
        op = einsum_operator(SIZES, *pieces)
        if case == "crossed with symmetric":
            op = symmetric_flag(op)
        return op, einsum_matrix(SIZES, *pieces)

    return build


@jax.jit
def everything(op):
    """What the methods give, by one program."""
    w, V = op.eigh()
    return {
        "eigenvalues": op.eigvalsh(),
        "eigh": w,
        "vectors": V,
        "matrix": V.as_matrix(),
        "largest": op.extreme_eigenvalues(2),
        "smallest": op.extreme_eigenvalues(3, "smallest"),
        "inertia": jnp.stack(op.inertia()),
        "positive": op.is_positive_definite(),
    }


@pytest.mark.parametrize("case", CASES)
def test_eigenvalues_and_eigenvectors_are_those_of_the_matrix(case, built, close):
    op, matrix = built(case, draw())
    matrix = np.asarray(matrix, np.float64)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    assert eigen.way(op.terms) == CASES[case][0]
    expected = np.linalg.eigvalsh(matrix)
    found = everything(op)
    close(found["eigenvalues"], expected)
    assert found["eigh"].shape == op.in_shape
    assert found["vectors"].in_shape == found["vectors"].out_shape == op.in_shape
    V, w = np.asarray(found["matrix"]), np.ravel(found["eigh"])
    close(np.sort(w), expected)
    close(V.T @ V, np.eye(len(matrix)))
    close(V * w @ V.T, matrix)
    close(found["largest"], expected[-2:])
    close(found["smallest"], expected[:3])
    positive, negative = int((expected > 1e-4).sum()), int((expected < -1e-4).sum())
    assert found["inertia"].tolist() == [positive, negative, 0]
    assert bool(found["positive"]) == (expected[0] > 0)
    assert str(found["vectors"].structure) == KINDS.get(case, str(found["vectors"].structure))


@pytest.mark.parametrize("case", ["blocks between", "diagonal and matrix + identity"])
def test_complex_hermitian(case, built, close):
    op, matrix = built(case, draw(complex=True))
    matrix = np.asarray(matrix)
    found = everything(op)
    expected = np.linalg.eigvalsh(matrix)
    close(found["eigenvalues"], expected)
    V = np.asarray(found["matrix"])
    close(V * np.ravel(found["eigh"]) @ V.conj().T, matrix)
    assert bool(found["positive"]) == (expected[0] > 0)
    assert not bool((op * 1j).is_positive_definite())


@pytest.mark.parametrize("case", ["blocks between", "kronecker + identity", "crossed + identity"])
def test_derivatives_of_the_sum_of_cubes(case, built, close, x64):
    values, direction = draw(seed=3), draw(seed=4)
    names = sorted({name for _, *rest in CASES[case][1] for name in rest})

    def moved(t):
        return built(case, values | {k: values[k] + t * direction[k] for k in names})

    def ours(t):
        return jnp.sum(moved(t)[0].eigvalsh() ** 3)

    first, second = jax.jit(lambda t: jax.jvp(jax.grad(ours), (t,), (1.0,)))(0.0)
    # the matrix is a polynomial of t, of degree 2 at most
    M, dM, half = polynomial(lambda t: np.asarray(moved(t)[1], np.float64))
    close(first, 3 * np.trace(M @ M @ dM))
    if x64:
        close(second, 3 * np.trace(2 * M @ dM @ dM + 2 * M @ M @ half), 5)


def polynomial(function):
    """The coefficients of a matrix that is a polynomial of degree 3 at most, the first three."""
    t = np.arange(4.0)
    values = np.stack([function(k) for k in t])
    return np.einsum("kj,jab->kab", np.linalg.inv(np.vander(t, increasing=True)), values)[:3]


def test_first_derivative_at_repeated_eigenvalues(close):
    A = jnp.asarray(np.array([[2.0, 1.0], [1.0, 2.0]]))

    def ours(A):
        op = kronecker(A, jnp.eye(2)) + identity((2, 2))
        return jnp.sum(op.eigvalsh() ** 2)

    close(jax.grad(ours)(A), 4 * (A + np.eye(2)))


def large_low_rank(seed=0):
    rng = np.random.default_rng(seed)
    n = SMALL + 4
    U, V = rng.normal(size=(n, 2)), rng.normal(size=(n, 1))
    return jnp.asarray(U), jnp.asarray(V)


def of_low_rank(U, V, shift):
    n = U.shape[0]
    return low_rank(U, U) + -0.5 * low_rank(V, V) + shift * identity(n)


def test_low_rank_and_identity(close):
    U, V = large_low_rank()
    op = of_low_rank(U, V, 2.0)
    assert eigen.way(op.terms) == "shifted"
    matrix = np.asarray(U) @ np.asarray(U).T - 0.5 * np.asarray(V) @ np.asarray(V).T
    matrix = matrix + 2 * np.eye(len(matrix))
    expected = np.linalg.eigvalsh(matrix)
    found = everything(op)
    close(found["eigenvalues"], expected)
    assert str(found["vectors"].structure) == "low-rank + identity"
    Q = np.asarray(found["matrix"])
    close(Q.T @ Q, np.eye(len(matrix)))
    close(Q * np.asarray(found["eigh"]) @ Q.T, matrix)
    assert found["inertia"].tolist() == [SMALL + 3, 1, 0] and not found["positive"]
    assert bool(of_low_rank(U, 0 * V, 2.0).is_positive_definite())
    assert not bool((low_rank(U, U + 1) + 2 * identity(len(U))).is_positive_definite())

    def squares(s):  # at s = 0 the first term has no range; what it moves to has one
        moved = low_rank(s * U, U) + -0.5 * low_rank(V, V) + 2 * identity(len(U))
        return jnp.sum(moved.eigvalsh() ** 2)

    start = matrix - np.asarray(U) @ np.asarray(U).T
    close(jax.grad(squares)(0.0), 2 * np.trace(start @ np.asarray(U) @ np.asarray(U).T))
    with pytest.raises(ValueError, match="have no derivative"):
        jax.hessian(squares)(0.0)


def test_batches(close):
    rng = np.random.default_rng(1)
    G = rng.normal(size=(3, 2, 2))
    A = jnp.asarray(G @ G.swapaxes(1, 2) + np.eye(2))
    signs = jnp.asarray([1.0, -1.0, 1.0])
    ops = jax.vmap(lambda A, s: s * kronecker(A, A) + 0.5 * identity((2, 2)))(A, signs)
    matrices = np.stack(
        [s * np.kron(M, M) + 0.5 * np.eye(4) for M, s in zip(A, signs, strict=True)]
    )
    close(ops.eigvalsh(), np.linalg.eigvalsh(matrices))
    assert ops.is_positive_definite().tolist() == [True, False, True]
    assert ops.inertia().positive.shape == (3,)
    w, V = ops.eigh()
    assert w.shape == (3, 2, 2) and V.batch_shape == (3,)
    vectors = np.asarray(V.as_matrix())
    close(vectors * np.asarray(w).reshape(3, 1, 4) @ vectors.swapaxes(1, 2), matrices)
    close(ops.extreme_eigenvalues(), np.linalg.eigvalsh(matrices)[:, -1:])


def test_extreme_eigenvalues_by_products(monkeypatch, x64):
    monkeypatch.setattr(extreme, "_DENSE", 20)
    n = 40
    expected = np.linspace(-1.0, 2.0, n)
    Q = np.linalg.qr(np.random.default_rng(2).normal(size=(n, n)))[0]
    row, column = Label(n), Label(n)
    array = jnp.asarray(Q * expected @ Q.T)
    factor = Factor(array, (row, column))
    op = LinearOperator([Term((factor,), ((row,),), ((column,),))], (n,), (n,), array.dtype)
    weights = jnp.linspace(1.0, 2.0, n)

    def smallest(t):
        return (op + diagonal(t * weights)).extreme_eigenvalues(which="smallest")[0]

    bound = 6 * (2**-52 if x64 else 2**-23) ** 0.5
    largest = op.extreme_eigenvalues(2)
    np.testing.assert_allclose(largest, expected[-2:], rtol=0, atol=bound)
    value, slope = jax.value_and_grad(smallest)(0.0)
    np.testing.assert_allclose(value, expected[0], rtol=0, atol=bound)
    np.testing.assert_allclose(slope, Q[:, 0] @ (np.asarray(weights) * Q[:, 0]), rtol=1e-2)
    assert np.isnan(op.extreme_eigenvalues(2, iterations=1)).all()
    with pytest.raises(ValueError, match="have no derivative"):
        jax.hessian(smallest)(0.0)
    with pytest.raises(ValueError, match="a real operator and 5 k less than its order"):
        jax.eval_shape(lambda A: (A * 1j).extreme_eigenvalues(1), op)


def test_definite_factors_in_pairs():
    A = jnp.asarray([[-2.0, 1.0], [1.0, -2.0]])
    B = jnp.asarray([[2.0, 1.0], [0.0, 2.0]])
    assert bool(kronecker(A, A).is_positive_definite())
    assert bool((-1 * kronecker(A, -A)).is_positive_definite())
    assert not bool(kronecker(A, -A).is_positive_definite())
    assert not bool(kronecker(B, -A).is_positive_definite())
    assert not bool((kronecker(B, B) + identity((2, 2))).is_positive_definite())
    skew = jnp.asarray([[0.0, 1.0], [-1.0, 0.0]])
    assert not bool(kronecker(skew, skew).is_positive_definite())
    assert not bool(diagonal(jnp.asarray([1.0, jnp.nan])).is_positive_definite())
    assert not bool(commutation(2, 2).is_positive_definite())


def test_nothing_and_nearly_nothing():
    zero = identity((2, 3)) * 0 - identity((2, 3)) * 0
    nothing = LinearOperator([], (2, 2), (2, 2), jnp.zeros(()).dtype)
    assert nothing.eigvalsh().tolist() == [0.0] * 4
    assert [int(n) for n in nothing.inertia()] == [0, 0, 4] and not nothing.is_positive_definite()
    assert (nothing.eigh().eigenvectors.as_matrix() == jnp.eye(4)).all()
    assert [int(n) for n in zero.inertia()] == [0, 0, 6]
    empty = identity((0, 3))
    assert empty.eigvalsh().shape == (0,) and bool(empty.is_positive_definite())
    assert identity(()).eigvalsh().tolist() == [1.0]
    assert kronecker(jnp.ones((1, 1)), 2 * jnp.ones((1, 1))).eigvalsh().tolist() == [2.0]


def test_mistakes():
    op = kronecker(jnp.eye(2), jnp.ones((2, 3)))
    for method in ("eigvalsh", "eigh", "is_positive_definite", "inertia", "extreme_eigenvalues"):
        with pytest.raises(ValueError, match=f"`{method}` needs a linear operator with equal"):
            getattr(op, method)()
    square = diagonal(jnp.arange(3.0))
    for k in (0, 4, 1.5):
        with pytest.raises(ValueError, match="k to be an integer from 1 to 3"):
            square.extreme_eigenvalues(k)
    with pytest.raises(ValueError, match='which to be "largest" or "smallest"'):
        square.extreme_eigenvalues(1, "both")
    with pytest.raises(ValueError, match="have no derivative"):
        jax.grad(lambda d: jnp.sum(diagonal(d).eigh().eigenvalues))(jnp.arange(3.0))
    n = LARGEST + 1
    big = jax.ShapeDtypeStruct((n, n), jnp.float32)
    large = jax.eval_shape(lambda M: kronecker(M, jnp.eye(2, dtype=jnp.float32)), big)
    with pytest.raises(ValueError, match=r"order at most 4096; .*extreme_eigenvalues"):
        jax.eval_shape(LinearOperator.eigvalsh, large)
