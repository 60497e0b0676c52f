"""Solves, inverses and log-determinants for every structure and method, and their derivatives.

The reference forms the matrix by an explicit einsum with identity matrices and uses NumPy, or, for
derivatives, JAX's autodiff of the dense solve.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import LinearOperator, identity, kronecker
from jaxmatcalc.linear.structure import SMALL

LARGE = 17
assert LARGE**2 > SMALL

SIZES = {"e": 3, "a": 3, "b": 3, "c": 3, "d": 3, "i": 3, "j": 3, "k": 2, "l": 2, "p": 2, "q": 2}


@dataclass(frozen=True)
class Case:
    """A sum of einsum terms over named arrays."""

    kind: str
    method: str
    terms: tuple[tuple[str, ...], ...]
    others: tuple[str, ...] = ()  # the further methods that the structure admits
    sizes: tuple[tuple[str, int], ...] = ()

    @property
    def letters(self):
        return SIZES | dict(self.sizes)


large = tuple((k, LARGE) for k in "abcdij")
CASES = {
    "identity": Case("identity", "scale", ((":ij|ij",),), ("kronecker", "dense")),
    "scaled identity": Case("identity", "scale", ((".,.:ik|ik", "s", "r"),), ("dense",)),
    "diagonal": Case("diagonal", "divide", (("ik,.:ik|ik", "W", "s"),), ("kronecker", "dense")),
    "diagonal of vectors": Case("diagonal", "divide", (("i,k:ik|ik", "u", "w"),), ("dense",)),
    "permutation": Case("permutation", "permute", ((".:ji|ij", "s"),), ("kronecker", "dense")),
    "permutation of merged axes": Case(
        "permutation", "permute", ((".:(kp)i|(pk)i", "s"),), ("dense",)
    ),
    "kronecker": Case("kronecker", "kronecker", (("ab,kl,.:ak|bl", "A", "P", "s"),), ("dense",)),
    "one side": Case("kronecker", "kronecker", (("kl:ik|il", "P"),), ("dense",)),
    "three": Case("kronecker", "kronecker", (("ab,kl,i:aki|bli", "A", "P", "u"),), ("dense",)),
    "merged": Case("kronecker", "kronecker", (("ab,kl:(ak)|(bl)", "A", "P"),), ("dense",)),
    "crossed": Case(
        "kronecker+commutation", "kronecker", (("ad,bc,.:ab|cd", "A", "B", "s"),), ("dense",)
    ),
    "blocks": Case("block diagonal", "kronecker", (("kab:ka|kb", "T"),), ("dense",)),
    "blocks and a matrix": Case(
        "kronecker", "kronecker", (("iab,kl:iak|ibl", "F", "P"),), ("dense",)
    ),
    "matrix": Case("dense", "dense", (("kabl:ka|lb", "G"),)),
    "low rank + identity": Case(
        "low-rank + identity", "woodbury", (("i,j:i|j", "u", "v"), (".:i|i", "s"))
    ),
    "two kroneckers": Case(
        "sum of 2 kronecker",
        "dense",
        (("ab,kl:ak|bl", "A", "P"), ("ab,kl:ak|bl", "B", "Q")),
        ("schur",),
    ),
    "kronecker + identity": Case(
        "kronecker + identity",
        "dense",
        (("ab,kl:ak|bl", "A", "P"), (".:ak|ak", "s")),
        ("schur",),
    ),
    "one side + identity": Case(
        "kronecker + identity", "dense", (("ab:ak|bk", "A"), (".:ak|ak", "s")), ("schur",)
    ),
    "diagonal and matrix + identity": Case(
        "kronecker + identity", "dense", (("i,ab:ia|ib", "u", "A"), (".:ia|ia", "s")), ("schur",)
    ),
    "large kronecker + identity": Case(
        "kronecker + identity",
        "schur",
        (("ab,cd,.:ac|bd", "L", "M", "r"), (".:ac|ac", "s")),
        ("dense",),
        sizes=large,
    ),
    "crossed + identity": Case(
        "kronecker+commutation + identity",
        "dense",
        (("ad,bc:ab|cd", "A", "B"), (".:ab|ab", "s")),
        ("schur",),
    ),
    "large crossed + identity": Case(
        "kronecker+commutation + identity",
        "schur",
        (("ad,bc,.:ab|cd", "L", "M", "r"), (".:ab|ab", "s")),
        ("dense",),
        sizes=large,
    ),
    # the second matrix is the first one transposed, as in the Hessian of log|det X|
    "crossed with itself + identity": Case(
        "kronecker+commutation + identity",
        "eigen",
        (("ad,cb,.:ab|cd", "A", "A", "r"), (".:ab|ab", "s")),
        ("schur", "dense"),
    ),
}


def draw(complex=False, seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        value = rng.normal(size=shape)
        return value + 1j * rng.normal(size=shape) if complex else value

    def matrix(n):
        return normal(n, n) / np.sqrt(n) + 2 * np.eye(n)

    arrays = {"s": normal() + 4, "r": normal() + 1.5, "u": normal(3) + 3, "v": normal(3)}
    arrays |= {"w": normal(2) + 3, "W": normal(3, 2) + 4, "A": matrix(3), "B": matrix(3)}
    arrays |= {"P": matrix(2), "Q": matrix(2), "L": matrix(LARGE), "M": matrix(LARGE)}
    arrays |= {"T": np.stack([matrix(3) for _ in range(2)])}
    arrays |= {"F": np.stack([matrix(3) for _ in range(3)])}
    arrays |= {"G": matrix(6).reshape(2, 3, 2, 3).transpose(0, 1, 3, 2)}
    dtype = jnp.result_type(arrays["A"].dtype.type(0))
    return {k: jnp.asarray(v, dtype) for k, v in arrays.items()}


def named(case, arrays):
    return [(spec, *(arrays[k] for k in keys)) for spec, *keys in case.terms]


COMPLEX = (
    "scaled identity",
    "diagonal of vectors",
    "permutation",
    "kronecker",
    "crossed",
    "blocks and a matrix",
    "diagonal and matrix + identity",
    "crossed + identity",
)


def reference(case, arrays, einsum_matrix):
    exact = {k: np.asarray(v) for k, v in arrays.items()}
    return np.asarray(einsum_matrix(case.letters, *named(case, exact)))


@pytest.fixture(scope="module")
def solved(einsum_operator):
    """Everything that a case is asked for, in one compiled program."""

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def everything(name, differentiate, arrays, b, w):
        case = CASES[name]
        methods = (None, *case.others)
        used = {k: arrays[k] for _, *keys in case.terms for k in keys}

        def operator(used):
            return einsum_operator(case.letters, *named(case, used))

        def total(used, b):
            op = operator(used)
            return jnp.sum(w * op.solve(b)) + op.logdet()

        op = operator(used)
        return {
            "solves": [op.solve(b, method) for method in methods],
            "flat": op.solve(b.reshape(-1)),
            "logdets": [op.logdet(method) for method in methods],
            "inverse": op.inv(),
            "gradients": jax.grad(total, (0, 1))(used, b) if differentiate else None,
        }

    return everything


@pytest.mark.parametrize("name", CASES)
def test_real(name, einsum_operator, einsum_matrix, solved, close):
    """Solves, inverse, log-determinant; and their gradients in the factors and the right side."""
    case, arrays = CASES[name], draw()
    op = einsum_operator(case.letters, *named(case, arrays))
    assert (op.structure.kind, op.structure.method) == (case.kind, case.method)
    matrix = reference(case, arrays, einsum_matrix)
    b, w = np.random.default_rng(1).normal(size=(2, *op.out_shape))
    found = solved(name, True, arrays, b, w)
    check_values(case, found, matrix, b, close)

    # d(wᵀM⁻¹b + log|M|) = tr((M⁻¹ - M⁻¹ b wᵀ M⁻¹) dM)
    inverse = np.linalg.inv(matrix)
    G = -np.outer(inverse @ b.reshape(-1), w.reshape(-1) @ inverse)
    G = (G + inverse).T
    used, in_b = found["gradients"]
    close(in_b, (inverse.T @ w.reshape(-1)).reshape(b.shape), 4)
    _, pull = jax.vjp(
        lambda used: einsum_matrix(case.letters, *named(case, used)),
        {k: arrays[k] for k in used},
    )
    (expected,) = pull(jnp.asarray(G, op.dtype))
    for k in used:
        close(used[k], expected[k], 4)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name, einsum_matrix, solved, close):
    case, arrays = CASES[name], draw(complex=True)
    matrix = reference(case, arrays, einsum_matrix)
    b = np.random.default_rng(1).normal(size=len(matrix)).reshape(solved_shape(case))
    found = solved(name, False, arrays, b, b)
    check_values(case, found, matrix, b, close)
    assert not any(np.iscomplexobj(value) for value in found["logdets"])


def solved_shape(case):
    """The shape that a case acts on."""
    groups = re.findall(r"\(([a-z]*)\)|([a-z])", case.terms[0][0].split("|")[1])
    return tuple(int(np.prod([case.letters[k] for k in a or b])) for a, b in groups)


def check_values(case, found, matrix, b, close):
    x = np.linalg.solve(matrix, b.reshape(-1))
    for value in found["solves"]:
        close(value, x.reshape(b.shape), 4)
    close(found["flat"], x, 4)
    for value in found["logdets"]:
        close(value, np.linalg.slogdet(matrix)[1], 4)
    inverse = found["inverse"]
    close(inverse.as_matrix(), np.linalg.inv(matrix), 4)
    if case.method not in ("dense", "eigen", "schur"):  # of the same structure
        assert inverse.structure.kind == case.kind


def gram(n, seed=0, spectrum=None):
    """A matrix L, and LᵀL, whose eigenvalues are `spectrum`."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    w = rng.uniform(1, 3, n) if spectrum is None else np.asarray(spectrum, float)
    root = np.sqrt(w)[:, None] * q.T
    return jnp.asarray(root), root.T @ root


@pytest.mark.parametrize("n", [3, LARGE])
@pytest.mark.parametrize("repeated", [False, True])
def test_symmetric_factors(n, repeated, einsum_operator, close):
    """AᵀA is symmetric by the way it is made: eigenvectors, also at repeated eigenvalues."""
    spectrum = np.repeat([2.0, 3.0], [n - 1, 1]) if repeated else None
    A, AtA = gram(n, 0, spectrum)
    B, BtB = gram(2, 1, [2.0, 2.0] if repeated else None)
    sizes = {"a": n, "b": n, "e": n, "k": 2, "l": 2, "f": 2}

    def made(A, B, rho):
        # AᵀA as a sum that is carried out when the term is next touched
        op = einsum_operator(sizes, ("ea,eb,fk,fl:ak|bl", A, A, B, B))
        return 1 * op + rho * identity((n, 2))

    op = made(A, B, 0.7)
    assert op.structure.kind == "kronecker + identity"
    assert op.structure.method == "eigen"
    matrix = np.kron(AtA, BtB) + 0.7 * np.eye(2 * n)
    b, w = np.random.default_rng(2).normal(size=(2, n, 2))
    close(op.solve(b), np.linalg.solve(matrix, b.reshape(-1)).reshape(n, 2), 4)
    close(op.logdet(), np.linalg.slogdet(matrix)[1], 4)
    close(op.inv().as_matrix(), np.linalg.inv(matrix), 4)

    def ours(A, B, rho):
        op = made(A, B, rho)
        return jnp.sum(w * op.solve(b)) + op.logdet()

    found = jax.jit(jax.grad(ours, (0, 1, 2)))(A, B, 0.7)
    # d(wᵀM⁻¹b + log|M|) = tr((M⁻¹ - M⁻¹ b wᵀ M⁻¹) dM)
    inverse = np.linalg.inv(matrix)
    G = (inverse - np.outer(inverse @ b.reshape(-1), w.reshape(-1) @ inverse)).T
    G4 = G.reshape(n, 2, n, 2)
    in_A = np.einsum("akbl,kl->ab", G4, BtB)
    in_B = np.einsum("akbl,ab->kl", G4, AtA)
    close(found[0], np.asarray(A) @ (in_A + in_A.T), 4)
    close(found[1], np.asarray(B) @ (in_B + in_B.T), 4)
    close(found[2], np.trace(G), 4)


def test_a_transpose_shares_its_arrays(einsum_operator, close):
    """Aᵀ @ A is seen to be symmetric where it is written with operators."""
    A = draw()["A"]
    half = einsum_operator(SIZES, ("ea:ek|ak", A))
    op = half.T @ half + 2 * identity((3, 2))
    assert op.structure.method == "eigen"
    matrix = np.kron(np.asarray(A).T @ np.asarray(A), np.eye(2)) + 2 * np.eye(6)
    close(op.as_matrix(), matrix)
    close(op.solve(np.ones(6)), np.linalg.solve(matrix, np.ones(6)))
    assert half.T.T.arrays[0] is half.arrays[0]
    assert jax.tree.structure(half.T.T) == jax.tree.structure(half)


def test_eigen_by_request(einsum_operator, close):
    """Symmetric factors that nothing shows to be so: the caller says it."""
    (_, S), (_, R) = gram(3, 0), gram(2, 1)
    sizes = {"a": 3, "b": 3, "k": 2, "l": 2}
    op = einsum_operator(
        sizes, ("ab,kl:ak|bl", jnp.asarray(S), jnp.asarray(R)), (".:ak|ak", jnp.asarray(0.5))
    )
    assert op.structure.method == "dense"
    matrix = np.kron(S, R) + 0.5 * np.eye(6)
    b = np.arange(6.0).reshape(3, 2)
    close(op.solve(b, "eigen"), np.linalg.solve(matrix, b.reshape(-1)).reshape(3, 2), 4)
    close(op.logdet("eigen"), np.linalg.slogdet(matrix)[1])
    close(op.inv("eigen").as_matrix(), np.linalg.inv(matrix))
    rate = jax.grad(lambda s: (op * s).logdet("eigen"))(2.0)
    close(rate, 6 / 2.0)


def test_eigen_by_request_of_a_crossed_pair(einsum_operator, close):
    """K (S ⊗ R) + ρI with different symmetric factors: right, or refused, but never wrong."""
    (_, S), (_, R) = gram(3, 0), gram(3, 1)
    sizes = {"a": 3, "b": 3, "c": 3, "d": 3}
    op = einsum_operator(
        sizes, ("ad,bc:ab|cd", jnp.asarray(S), jnp.asarray(R)), (".:ab|ab", jnp.asarray(0.5))
    )
    matrix = np.einsum("ad,bc->abcd", S, R).reshape(9, 9) + 0.5 * np.eye(9)
    b = np.arange(9.0).reshape(3, 3)
    try:
        found, logdet = op.solve(b, "eigen"), op.logdet("eigen")
    except ValueError as refusal:
        assert "eigen" in str(refusal)
    else:
        close(found, np.linalg.solve(matrix, b.reshape(-1)).reshape(3, 3), 4)
        close(logdet, np.linalg.slogdet(matrix)[1], 4)


@pytest.mark.parametrize("crossed", [False, True])
def test_complex_symmetry(crossed, einsum_operator, close):
    """AᵀA of a complex A is symmetric and not Hermitian: its eigenvectors are not orthogonal."""
    A = draw(complex=True)["A"]
    sizes = {"a": 3, "b": 3, "c": 3, "d": 3, "e": 3}
    if crossed:
        op = einsum_operator(sizes, ("ad,cb:ab|cd", A, A)) + 2 * identity((3, 3), A.dtype)
        dense = np.einsum("ad,cb->abcd", A, A).reshape(9, 9)
    else:
        op = 1 * einsum_operator(sizes, ("ea,eb:ac|bc", A, A)) + 2 * identity((3, 3), A.dtype)
        dense = np.kron(np.asarray(A).T @ np.asarray(A), np.eye(3))
    matrix = dense + 2 * np.eye(9)
    b = np.random.default_rng(1).normal(size=(3, 3))
    close(op.solve(b), np.linalg.solve(matrix, b.reshape(-1)).reshape(3, 3), 4)
    close(op.logdet(), np.linalg.slogdet(matrix)[1], 4)
    close(op.inv().as_matrix(), np.linalg.inv(matrix), 4)


def duplication(n):
    """The matrix D with vec(V) = D v for symmetric V and v its lower triangle."""
    columns = []
    for i in range(n):
        for j in range(i + 1):
            V = np.zeros((n, n))
            V[i, j] = V[j, i] = 1
            columns.append(V.reshape(-1))
    return np.stack(columns, 1)


@pytest.mark.parametrize("rho", [1.5, 1.0])
def test_among_symmetric_matrices(rho, einsum_operator, close):
    """ρV + Vᵀ is singular on skew matrices at ρ = 1, and still solved on symmetric ones."""
    n = 3
    A = jnp.eye(n) if rho == 1.0 else jnp.asarray(gram(n)[1])
    sizes = {"a": n, "b": n, "c": n, "d": n}
    op = einsum_operator(sizes, ("ad,cb:ab|cd", A, A), (".:ab|ab", jnp.asarray(rho)))
    matrix = np.asarray(op.as_matrix(), float)
    if rho == 1.0:
        assert np.linalg.matrix_rank(matrix) == 6
    D = duplication(n)
    B = np.random.default_rng(0).normal(size=(n, n))
    B = B + B.T
    expected = D @ np.linalg.lstsq(matrix @ D, B.reshape(-1))[0]
    found = op.solve(B, symmetric=True)
    close(found, expected.reshape(n, n), 4)
    np.testing.assert_array_equal(found, found.T)
    close(op.solve(B.reshape(-1), symmetric=True), expected, 4)


def test_singular_operators(einsum_operator):
    """As in NumPy's log-determinant and jnp's solve: -inf, and entries that are not finite."""
    singular = jnp.diag(jnp.array([1.0, 0.0, 2.0]))
    sizes = {"a": 3, "b": 3, "k": 2, "l": 2}
    op = einsum_operator(sizes, ("ab,kl:ak|bl", singular, jnp.eye(2)))
    assert op.logdet() == -jnp.inf
    assert not np.all(np.isfinite(op.solve(np.ones((3, 2)))))
    assert (op - op).logdet() == -jnp.inf


def test_wrong_requests(einsum_operator):
    arrays = draw()
    single = einsum_operator(SIZES, ("ab,kl:ak|bl", arrays["A"], arrays["P"]))
    with pytest.raises(
        ValueError, match='structure kronecker, to be "dense" or "kronecker" or "cg"'
    ):
        single.solve(np.ones((3, 2)), "eigen")
    with pytest.raises(ValueError, match=r'`logdet` needs method.* "dense" or "kronecker"; got'):
        single.logdet("qr")
    with pytest.raises(ValueError, match=r"`inv` needs method"):
        single.inv("schur")
    one = jnp.ones((65, 65))  # above 4,096 unknowns no inverse is formed unasked
    with pytest.raises(ValueError, match="need symmetric Kronecker factors"):
        (kronecker(one, one) + identity((65, 65), one.dtype)).inv()
    rectangular = einsum_operator(SIZES, ("ak:a|k", jnp.ones((3, 2))))
    for name, call in [
        ("solve", lambda: rectangular.solve(np.ones(3))),
        ("inv", rectangular.inv),
        ("logdet", rectangular.logdet),
        ("trace", rectangular.trace),
        ("diagonal", rectangular.diagonal),
    ]:
        with pytest.raises(ValueError, match=rf"`{name}` needs .* equal in_shape and out_shape"):
            call()
    with pytest.raises(
        ValueError, match=r"`solve` needs an array of shape \(3, 2\), or flat \(6,\)"
    ):
        single.solve(np.ones(3))
    with pytest.raises(ValueError, match=r"symmetric=True needs an operator on matrices \(n, n\)"):
        single.solve(np.ones((3, 2)), symmetric=True)
    zero = LinearOperator([], (3, 3), (3, 3), single.dtype)
    with pytest.raises(ValueError, match="not identically zero"):
        zero.solve(np.ones((3, 3)))
    with pytest.raises(ValueError, match="not identically zero"):
        zero.inv()


def test_solves_of_a_batch(einsum_operator, close):
    """Under `vmap`, and by the methods of the operator that a `vmap` returned."""
    rng = np.random.default_rng(0)
    A = jnp.asarray(rng.normal(size=(2, 3, 3)) + 3 * np.eye(3))
    s = jnp.asarray([0.5, 0.7])
    sizes = {"a": 3, "b": 3, "c": 3, "d": 3}

    def made(A, s):
        return einsum_operator(sizes, ("ad,cb:ab|cd", A, A), (".:ab|ab", s))

    ops = jax.jit(jax.vmap(made))(A, s)
    assert ops.batch_shape == (2,)
    assert ops.structure.method == "eigen"
    assert "batch (2,)" in repr(ops)
    dense = [np.asarray(made(*pair).as_matrix()) for pair in zip(A, s, strict=True)]
    b = rng.normal(size=(2, 3, 3))
    expected = np.stack([np.linalg.solve(D, v.ravel()) for D, v in zip(dense, b, strict=True)])
    close(ops.solve(b), expected.reshape(2, 3, 3), 4)
    close(ops.solve(b[0])[0], expected[0].reshape(3, 3), 4)
    close(ops.logdet(), np.linalg.slogdet(np.stack(dense))[1], 4)
    close(ops.trace(), np.trace(np.stack(dense), axis1=1, axis2=2))
    close(ops.inv().as_matrix(), np.linalg.inv(np.stack(dense)), 4)
