"""The cases: a function in plain jax.numpy, the arrays it is taken at, and why it is measured.

Nothing here is from jaxmatcalc. A function is differentiated in its first argument; the others are
data, passed to the compiled program as arguments so that nothing is folded into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.samples import (
    Sample,
    digit_correlations,
    normal,
    positive,
    positive_definite,
    regular,
    signs,
    weights,
)


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        key: its name without the sizes.
        task: what is computed, a key of `contenders.TASKS`; the baseline is that task's "jax".
        function: what it is computed of.
        inputs: how each argument is drawn.
        sizes: the value of each letter in the shapes.
        why: what the case shows.
        wanted: how many times faster than the baseline it is to be, where a figure is set.
        compile_limit: how many times the baseline's trace and compile time it may take.
        family: whether it is a row of the table of all operations, measured briefly.
    """

    key: str
    task: str
    function: Callable[..., jax.Array]
    inputs: tuple[Sample, ...]
    sizes: Mapping[str, int]
    why: str
    wanted: float | None = None
    compile_limit: float | None = None
    family: bool = False

    @property
    def name(self) -> str:
        """Key and sizes: two measurements of one name in one dtype are of the same thing."""
        return "-".join([self.key, *(f"{letter}{size}" for letter, size in self.sizes.items())])

    def at(self, **sizes: int) -> Case:
        """The same case at other sizes."""
        return replace(self, sizes={**self.sizes, **sizes})

    def arguments(self, dtype: str) -> tuple[jax.Array, ...]:
        """The arrays, the same in every run."""
        rng = np.random.default_rng(0)
        return tuple(jnp.asarray(draw(rng, self.sizes), dtype) for draw in self.inputs)


def logdet(X: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(X)[1]


def quadratic_form(x: jax.Array, A: jax.Array) -> jax.Array:
    return x @ A @ x


def factorisation(U: jax.Array, T: jax.Array, V: jax.Array) -> jax.Array:
    return jnp.sum((T - U @ V.T) ** 2)


def two_sided(X: jax.Array, A: jax.Array, B: jax.Array, C: jax.Array) -> jax.Array:
    return jnp.sum((A @ X @ B - C) ** 2)


def precision(theta: jax.Array, S: jax.Array) -> jax.Array:
    penalty = 0.05 * jnp.sum(theta**2)
    return -jnp.linalg.slogdet(theta)[1] + jnp.trace(S @ theta) + penalty


def logistic(w: jax.Array, A: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum(jnp.logaddexp(0, -y * (A @ w)))


def network(x: jax.Array, layers: jax.Array) -> jax.Array:
    for W in layers:
        x = jnp.tanh(W @ x)
    return jnp.sum(x**2)


def network_loss(W: jax.Array, X: jax.Array, Y: jax.Array, layers: jax.Array) -> jax.Array:
    H = jnp.tanh(X @ W)
    for layer in layers:
        H = jnp.tanh(H @ layer)
    return jnp.mean((H - Y) ** 2)


# The operations, as they are written without jaxmatcalc


def inverse_quadratic_form(A: jax.Array, y: jax.Array) -> jax.Array:
    return y @ jnp.linalg.solve(A, y) + jnp.linalg.slogdet(A)[1]


def trace_of_product(A: jax.Array, B: jax.Array) -> jax.Array:
    return jnp.trace(A @ B)


def kronecker_product(A: jax.Array, B: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum((jnp.kron(A, B) @ x) ** 2)


def kronecker_solve(A: jax.Array, B: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.solve(jnp.kron(A, B), x) ** 2)


def kronecker_logdet(A: jax.Array, B: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(jnp.kron(A, B))[1]


def _kronecker_sum(A: jax.Array, B: jax.Array, s: jax.Array) -> jax.Array:
    eye = jnp.eye(len(A), dtype=A.dtype)
    return jnp.kron(A, eye) + jnp.kron(eye, B) + s * jnp.eye(A.size, dtype=A.dtype)


def kronecker_sum_logdet(A: jax.Array, B: jax.Array, s: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(_kronecker_sum(A, B, s))[1]


def kronecker_sum_solve(A: jax.Array, B: jax.Array, s: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.solve(_kronecker_sum(A, B, s), x) ** 2)


def positive_logdet(X: jax.Array) -> jax.Array:
    return jnp.linalg.slogdet(X)[1]


def logdets(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.slogdet(X)[1])


def positive_logdets(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.slogdet(X)[1])


def determinants(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.det(X / 2))


def inverses(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.inv(X) ** 2)


def solutions(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.solve(X, jnp.swapaxes(X, -1, -2)) ** 2)


def pseudo_inverses(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.pinv(X) ** 2)


def traces(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.trace(X, axis1=-2, axis2=-1) ** 2)


def frobenius_norms(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.norm(X, axis=(-2, -1)))


def nuclear_norms(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.norm(X, "nuc", axis=(-2, -1)))


def spectral_norms(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.norm(X, 2, axis=(-2, -1)))


def cubes(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.matrix_power(X, 3) ** 2)


def exponentials(X: jax.Array) -> jax.Array:
    return jnp.sum(jax.scipy.linalg.expm(X) ** 2)


def eigenvalues(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.eigvalsh(X) ** 3)


def cholesky_factors(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.linalg.cholesky(X) ** 3)


PRECISION = (positive_definite("n"), digit_correlations("n"))
FACTORS = (normal("n", "k"), normal("n", "n"), normal("n", "k"))
LOGISTIC = (normal("d"), normal("m", "d"), signs("m"))
NETWORK = (normal("n"), weights("l", "n", "n"))
BATCH = (weights("n", "n"), normal("b", "n"), normal("b", "n"), weights("l", "n", "n"))

SQUARES = (normal("n", "n"), normal("n", "n"))
DEFINITE = (positive_definite("n"), positive_definite("n"))
VECTOR = (normal("n", "n"), normal("n", "n"), normal("v"))
FAMILY = (
    (traces, regular),
    (determinants, regular),
    (logdets, regular),
    (positive_logdets, positive_definite),
    (inverses, regular),
    (solutions, regular),
    (pseudo_inverses, regular),
    (frobenius_norms, regular),
    (nuclear_norms, regular),
    (spectral_norms, regular),
    (cubes, regular),
    (exponentials, regular),
    (eigenvalues, positive_definite),
    (cholesky_factors, positive_definite),
)

CASES = (
    Case("logdet", "hessian", logdet, (regular("n"),), {"n": 32}, wanted=15,
         why="Kronecker product and commutation; autodiff solves once for every entry"),
    Case("factorisation", "hessian", factorisation, FACTORS, {"n": 200, "k": 5}, wanted=100,
         why="I ⊗ VᵀV: nearly all entries are zero"),
    Case("quadratic-form", "hessian", quadratic_form, (normal("n"), normal("n", "n")), {"n": 1024},
         wanted=10, why="A + Aᵀ: nothing to compute, only memory"),
    Case("two-sided", "hessian", two_sided, (normal("n", "n"),) * 4, {"n": 32}, wanted=10,
         why="AᵀA ⊗ BBᵀ: a full Kronecker product"),
    Case("logistic", "hessian", logistic, LOGISTIC, {"m": 1000, "d": 200}, wanted=1,
         compile_limit=2, why="AᵀDA: one matrix product, and no structure beyond it"),
    Case("mlp-input", "hessian", network, NETWORK, {"l": 5, "n": 64}, wanted=1,
         compile_limit=2, why="a deep network: there is no structure, and no time may be lost"),
    Case("mlp-weights", "hessian", network_loss, BATCH, {"l": 4, "b": 32, "n": 64}, wanted=1,
         compile_limit=2, why="the same in the first layer's weights, over a batch"),
    Case("newton", "newton", precision, PRECISION, {"n": 64}, wanted=1000,
         why="the Newton step of the demonstration, 4,096 unknowns"),
    Case("newton-solve", "solve", precision, PRECISION, {"n": 64},
         why="the solve of that step alone, the Hessian being there"),
    Case("newton-product", "product", precision, PRECISION, {"n": 64},
         why="the Hessian times a matrix, the Hessian being there"),
    Case("newton-hvp", "hvp", precision, PRECISION, {"n": 64},
         why="the same product from the function, against forward-over-reverse"),
    Case("newton-logdet", "logdet", precision, PRECISION, {"n": 64},
         why="the Hessian's log-determinant, as a Laplace approximation takes it"),
    *(
        Case(f"{key}-gradient", "gradient", function, (draw("n"),), {"n": n}, wanted=wanted,
             why=f"one {kind} factorisation for value and gradient")
        for n in (512, 1024)
        for key, function, draw, wanted, kind in (
            ("logdet", logdet, regular, 1.3, "LU"),
            ("logdet-pos", positive_logdet, positive_definite, 2, "Cholesky"),
        )
    ),
    Case("inv-quad-logdet", "gradient", inverse_quadratic_form,
         (positive_definite("n"), normal("n")), {"n": 512}, wanted=2,
         why="one Cholesky factorisation for both and their gradients"),
    Case("trace-product", "value", trace_of_product, SQUARES, {"n": 1024}, wanted=5,
         why="no product of the matrices is formed"),
    Case("trace-product-gradient", "gradient", trace_of_product, SQUARES, {"n": 1024},
         wanted=3.5, why="the same; two transposes are written"),
    Case("kronecker-product", "value", kronecker_product, VECTOR, {"n": 64, "v": 4096},
         wanted=100, why="two products of 64 × 64 matrices for one of 4,096 × 4,096"),
    Case("kronecker-product-gradient", "gradient", kronecker_product, VECTOR,
         {"n": 64, "v": 4096}, wanted=100, why="the same, with gradients in the factors"),
    Case("kronecker-logdet-gradient", "gradient", kronecker_logdet, DEFINITE, {"n": 64},
         wanted=400, why="factor by factor"),
    Case("kronecker-solve", "value", kronecker_solve, (*DEFINITE, normal("v")),
         {"n": 64, "v": 4096}, wanted=400, why="factor by factor"),
    Case("kronecker-sum-logdet-gradient", "gradient", kronecker_sum_logdet,
         (*DEFINITE, positive()), {"n": 64}, wanted=1000,
         why="eigenvalues of the factors, and no eigenvector differentiated"),
    Case("kronecker-sum-solve", "value", kronecker_sum_solve,
         (*DEFINITE, positive(), normal("v")), {"n": 64, "v": 4096}, wanted=1000,
         why="Sylvester's equation in eigenvectors"),
    *(
        Case(function.__name__.replace("_", "-"), "gradient", function, (draw("b", "n"),),
             {"b": b, "n": n}, wanted=1, family=True, why="no operation may lose to plain JAX")
        for function, draw in FAMILY
        for b, n in ((4096, 4), (256, 16), (1, 256))
    ),
)  # fmt: skip
