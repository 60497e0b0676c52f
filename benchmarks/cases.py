"""The cases: a function in plain jax.numpy, the arrays it is taken at, and why it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import functions as fun
from benchmarks.samples import (
    Sample,
    digit_correlations,
    mask,
    normal,
    one_hot,
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
        function: what it is computed fun.
        inputs: how each argument is drawn.
        sizes: the value of each letter in the shapes.
        why: what the case shows.
        wanted: how many times faster than the baseline it is to be, where a figure is set.
        compile_limit: how many times the baseline's trace and compile time it may take.
        family: whether it is a row of the table of all operations, measured briefly.
        curve: whether it is a point of a plot of time against n, measured briefly.
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
    curve: bool = False

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


PRECISION = (positive_definite("n"), digit_correlations("n"))
FACTORS = (normal("n", "k"), normal("n", "n"), normal("n", "k"))
LOGISTIC = (normal("d"), normal("m", "d"), signs("m"))
NETWORK = (normal("n"), weights("l", "n", "n"))
BATCH = (weights("n", "n"), normal("b", "n"), normal("b", "n"), weights("l", "n", "n"))

SQUARES = (normal("n", "n"), normal("n", "n"))
DEFINITE = (positive_definite("n"), positive_definite("n"))
DESIGN = (regular("n"), normal("n", "n"))
MATRIX_NORMAL = (normal("n", "p"), positive_definite("n"), positive_definite("p"))
STEPS = (normal("n"), positive_definite("n"), weights("n", "n"), positive_definite("n"),
         weights("p", "n"), positive_definite("p"), normal("t", "p"))  # fmt: skip
VECTOR = (normal("n", "n"), normal("n", "n"), normal("v"))
FAMILY = (
    (fun.traces, regular),
    (fun.determinants, regular),
    (fun.logdets, regular),
    (fun.positive_logdets, positive_definite),
    (fun.inverses, regular),
    (fun.solutions, regular),
    (fun.pseudo_inverses, regular),
    (fun.frobenius_norms, regular),
    (fun.nuclear_norms, regular),
    (fun.spectral_norms, regular),
    (fun.cubes, regular),
    (fun.exponentials, regular),
    (fun.eigenvalues, positive_definite),
    (fun.cholesky_factors, positive_definite),
)
# What many small matrices are to gain, by order, where they are factored
SMALL = {4: 10, 8: 4.5, 16: 2, 32: 1.5}
FACTORED = (fun.logdets, fun.positive_logdets, fun.inverses, fun.solutions)

STRUCTURED = (
    ("logdet", fun.logdet, (regular("n"),),
     "Kronecker product and commutation; autodiff solves once for every entry"),
    ("trace-inverse", fun.trace_inverse, DESIGN,
     "two Kronecker products and commutation"),
    ("precision", fun.precision, (positive_definite("n"), positive_definite("n")),
     "the logdet's, and a multiple of the identity"),
    ("logdet-product", fun.logdet_product, (regular("n"), regular("n")),
     "a chain of products about the inverse"),
    ("trace-quadratic", fun.trace_quadratic, (normal("n", "n"),) * 3,
     "A ⊗ Bᵀ + Aᵀ ⊗ B: nothing to compute, only memory"),
)  # fmt: skip
DENSE = (
    ("logistic", fun.logistic, LOGISTIC, {"m": 1000, "d": 200}, 1.7,
     "AᵀDA: one matrix product, and no structure beyond it"),
    ("softmax", fun.softmax_regression, (normal("d", "c"), normal("m", "d"), one_hot("m", "c")),
     {"m": 500, "d": 30, "c": 10}, 0.95, "a block of classes for each pair of features"),
    ("masked-factorisation", fun.masked_factorisation, (*FACTORS, mask("n", "n")),
     {"n": 100, "k": 5}, 0.95, "a block a row: the mask ties rows to their columns"),
    ("relu-network", fun.relu_network, (weights("n", "n"), normal("n"), weights("l", "n", "n")),
     {"l": 9, "n": 32}, 0.95, "ten layers in the first one's weights"),
    ("mlp-input", fun.network, NETWORK, {"l": 5, "n": 64}, 0.95,
     "a deep network: there is no structure, and no time may be lost"),
    ("mlp-weights", fun.network_loss, BATCH, {"l": 4, "b": 32, "n": 64}, 0.95,
     "the same in the first layer's weights, over a batch"),
    ("attention", fun.attention, (normal("t", "d"), *(weights("d", "d"),) * 3),
     {"t": 16, "d": 24}, 0.95, "every token on every other"),
    ("gaussian-process", fun.gaussian_process, (weights("p"), normal("m", "q"), normal("m")),
     {"p": 3, "q": 1, "m": 100}, 0.95, "a Cholesky factor, in three parameters"),
    ("gaussian-process", fun.gaussian_process, (weights("p"), normal("m", "q"), normal("m")),
     {"p": 10, "q": 8, "m": 100}, 0.95, "the same in ten"),
)  # fmt: skip
SPARSE = ("masked-factorisation",)  # where peers that colour a sparse Hessian apply
LAPLACIANS = (
    ("perceptron", fun.perceptron,
     (normal("b", "i"), weights("i", "n"), weights("l", "n", "n"), normal("n")),
     {"b": 32, "i": 32, "n": 256, "l": 3}),
    ("set-network", fun.set_network,
     (normal("b", "s", "i"), weights("i", "n"), weights("l", "n", "n"), normal("n")),
     {"b": 20, "s": 100, "i": 4, "n": 100, "l": 9}),
    ("determinant-ansatz", fun.determinant_ansatz,
     (normal("b", "e", "i"), weights("f", "n"), weights("g", "n"), weights("n", "e"), normal("e")),
     {"b": 32, "e": 8, "i": 3, "f": 8, "n": 64, "g": 128}),
    ("factorisation", fun.factorisation, (normal("b", "n", "k"), *FACTORS[1:]),
     {"b": 4, "n": 50, "k": 5}),
    ("logdet", fun.logdet, (regular("b", "n"),), {"b": 4, "n": 32}),
)  # fmt: skip
MODELS = (
    *(
        ("graphical-lasso", task, fun.graphical_lasso, DEFINITE, {"n": n}, why)
        for task, n, why in (
            ("value", 256, "its smooth part: a triangular factor, and no product for the trace"),
            ("gradient", 256, "the inverse from the same factor"),
            ("hvp", 32, "Θ⁻¹ V Θ⁻¹"),
            ("hessian", 32, "Θ⁻¹ ⊗ Θ⁻¹"),
        )
    ),
    ("trace-inverse", "gradient", fun.trace_inverse, DESIGN, {"n": 256},
     "optimal design: one inverse for value and gradient"),
    ("trace-inverse", "hvp", fun.trace_inverse, DESIGN, {"n": 32}, "one product of its Hessian"),
    ("matrix-normal", "gradient", fun.matrix_normal, MATRIX_NORMAL, {"n": 128, "p": 96},
     "a likelihood with a covariance of rows and one of columns: a factor of each"),
    ("matrix-normal", "hessian", fun.matrix_normal, MATRIX_NORMAL, {"n": 32, "p": 24},
     "U⁻¹ ⊗ V⁻¹: the inverses of two small matrices"),
    ("kalman", "gradient", fun.kalman, STEPS, {"t": 8, "n": 32, "p": 16},
     "Kalman steps in a scan, in all that they are made of"),
    ("grid-process", "gradient", fun.grid_process, (weights("p"), normal("n"), normal("n", "n")),
     {"p": 2, "n": 32}, "a Gaussian process on a grid: matrices of order n for one of order n²"),
)  # fmt: skip
# Published experiments of tensor calculus: time against n, as far as the baseline takes less than
# 2 GB and 3 s a call
CURVES = (
    ("quadratic-form", "large-forms", fun.quadratic_form, (normal("n"), normal("n", "n")),
     [{"n": n} for n in (16, 32, 64, 128, 256, 512, 1024, 2048)], "A + Aᵀ"),
    ("logistic", "large-forms", fun.logistic, (normal("n"), weights("m", "n"), signs("m")),
     [{"m": 2 * n, "n": n} for n in (16, 32, 64, 128, 256, 512, 1024, 2048)],
     "AᵀDA, with twice as many samples as unknowns"),
    ("factorisation", "forms", fun.factorisation, FACTORS,
     [{"k": 5, "n": n} for n in (16, 32, 64, 128, 256)], "I ⊗ VᵀV, in a factor of n × 5"),
    ("masked-factorisation", "sparse-forms", fun.masked_factorisation, (*FACTORS, mask("n", "n")),
     [{"k": 5, "n": n} for n in (16, 32, 64, 128, 256)], "a block a row, in a factor of n × 5"),
    ("relu-network", "forms", fun.relu_network,
     (weights("n", "n"), normal("n"), weights("l", "n", "n")),
     [{"l": 9, "n": n} for n in (8, 16, 32, 64)], "ten layers in the first one's weights"),
    ("logdet", "forms", fun.logdet, (regular("n"),),
     [{"n": n} for n in (8, 12, 16, 24, 32, 48)], "(X⁻ᵀ ⊗ X⁻¹) K"),
    ("two-sided", "forms", fun.two_sided, (normal("n", "n"),) * 4,
     [{"n": n} for n in (8, 12, 16, 24, 32, 48)], "AᵀA ⊗ BBᵀ"),
)  # fmt: skip

CASES = (
    *(
        Case(key, "hessian", function, inputs, {"n": n}, wanted=wanted, why=why)
        for n, wanted in ((16, None), (32, 15), (48, 15))
        for key, function, inputs, why in STRUCTURED
    ),
    Case("factorisation", "hessian", fun.factorisation, FACTORS, {"n": 200, "k": 5}, wanted=100,
         why="I ⊗ VᵀV: nearly all entries are zero"),
    Case("factorisation", "hessian", fun.factorisation, FACTORS, {"n": 400, "k": 5}, wanted=300,
         why="the same, four times the unknowns squared"),
    Case("quadratic-form", "hessian", fun.quadratic_form, (normal("n"), normal("n", "n")),
         {"n": 1024}, wanted=10, why="A + Aᵀ: nothing to compute, only memory"),
    Case("two-sided", "hessian", fun.two_sided, (normal("n", "n"),) * 4, {"n": 32}, wanted=10,
         why="AᵀA ⊗ BBᵀ: a full Kronecker product"),
    Case("logdet-batch", "batch", fun.logdet, (regular("b", "n"),), {"b": 4096, "n": 8}, wanted=5,
         why="many small Hessians: a batch of factorisations, and the entries written once"),
    *(
        Case(key, "sparse-forms" if key in SPARSE else "forms", function, inputs, sizes,
             wanted=wanted, compile_limit=1.5, why=why)
        for key, function, inputs, sizes, wanted, why in DENSE
    ),
    Case("newton", "newton", fun.precision, PRECISION, {"n": 64}, wanted=1000,
         why="the Newton step of the demonstration, 4,096 unknowns"),
    Case("newton-solve", "solve", fun.precision, PRECISION, {"n": 64},
         why="the solve of that step alone, the Hessian being there"),
    Case("newton-product", "product", fun.precision, PRECISION, {"n": 64},
         why="the Hessian times a matrix, the Hessian being there"),
    Case("newton-hvp", "operator-hvp", fun.precision, PRECISION, {"n": 64},
         why="the same product from the function, against forward-over-reverse"),
    Case("newton-logdet", "logdet", fun.precision, PRECISION, {"n": 64},
         why="the Hessian's log-determinant, as a Laplace approximation takes it"),
    Case("newton-general", "newton-in-gradients", fun.precision,
         (regular("n"), positive_definite("n")), {"n": 500}, wanted=0.025,
         why="250,000 unknowns, no symmetry: Stein's equation; the baseline is one gradient"),
    Case("newton-symmetric", "symmetric-newton-in-gradients", fun.precision,
         (positive_definite("n"), positive_definite("n")), {"n": 500}, wanted=0.067,
         why="the same among symmetric matrices"),
    Case("logdet-solve", "solve", fun.logdet, (regular("n"),), {"n": 32},
         why="the solve with a Kronecker Hessian, beside LU of the dense one"),
    *(
        Case(f"{key}-{task}", task, function, inputs, sizes, wanted=wanted, why=why)
        for task, wanted, why in (
            ("hvp", 0.91, "one product, against forward over reverse"),
            ("hvps", 2.5, "64 products at one point, against one after the other"),
        )
        for key, function, inputs, sizes in (
            ("logdet", fun.logdet, (regular("n"),), {"n": 32}),
            ("logistic", fun.logistic, LOGISTIC, {"m": 1000, "d": 200}),
            ("mlp", fun.network, NETWORK, {"l": 5, "n": 64}),
        )
    ),
    *(
        Case(f"{key}-diagonal", "diagonal", function, inputs, sizes, wanted=wanted,
             why="the Hessian's diagonal, against that of the dense one")
        for key, function, inputs, sizes, wanted in (
            ("logdet", fun.logdet, (regular("n"),), {"n": 32}, 200),
            ("logistic", fun.logistic, LOGISTIC, {"m": 1000, "d": 200}, 25),
            ("factorisation", fun.factorisation, FACTORS, {"n": 50, "k": 5}, 250),
        )
    ),
    *(
        Case(f"{key}-laplacian", "laplacian", function, inputs, sizes, wanted=1,
             why="a batch of Laplacians, beside folx and the trace of the dense Hessian")
        for key, function, inputs, sizes in LAPLACIANS
    ),
    *(
        Case(f"{key}-gradient", "gradient", function, (draw("n"),), {"n": n}, wanted=wanted,
             why=f"one {kind} factorisation for value and gradient")
        for n in (512, 1024)
        for key, function, draw, wanted, kind in (
            ("logdet", fun.logdet, regular, 1.3, "LU"),
            ("logdet-pos", fun.positive_logdet, positive_definite, 2, "Cholesky"),
        )
    ),
    Case("inv-quad-logdet", "gradient", fun.inverse_quadratic_form,
         (positive_definite("n"), normal("n")), {"n": 512}, wanted=2,
         why="one Cholesky factorisation for both and their gradients"),
    Case("trace-product", "value", fun.trace_of_product, SQUARES, {"n": 1024}, wanted=5,
         why="no product of the matrices is formed"),
    Case("trace-product-gradient", "gradient", fun.trace_of_product, SQUARES, {"n": 1024},
         wanted=3.5, why="the same; two transposes are written"),
    Case("kronecker-product", "value", fun.kronecker_product, VECTOR, {"n": 64, "v": 4096},
         wanted=100, why="two products of 64 × 64 matrices for one of 4,096 × 4,096"),
    Case("kronecker-product-gradient", "gradient", fun.kronecker_product, VECTOR,
         {"n": 64, "v": 4096}, wanted=100, why="the same, with gradients in the factors"),
    Case("kronecker-logdet-gradient", "gradient", fun.kronecker_logdet, DEFINITE, {"n": 64},
         wanted=400, why="factor by factor"),
    Case("kronecker-solve", "value", fun.kronecker_solve, (*DEFINITE, normal("v")),
         {"n": 64, "v": 4096}, wanted=400, why="factor by factor"),
    Case("kronecker-sum-logdet-gradient", "gradient", fun.kronecker_sum_logdet,
         (*DEFINITE, positive()), {"n": 64}, wanted=1000,
         why="eigenvalues of the factors, and no eigenvector differentiated"),
    Case("kronecker-sum-solve", "value", fun.kronecker_sum_solve,
         (*DEFINITE, positive(), normal("v")), {"n": 64, "v": 4096}, wanted=1000,
         why="Sylvester's equation in eigenvectors"),
    *(
        Case(f"{key}-{task}" if task != "hessian" else key, task, function, inputs, sizes, why=why)
        for key, task, function, inputs, sizes, why in MODELS
    ),
    *(
        Case(f"{key}-curve", task, function, inputs, sizes, curve=True, why=why)
        for key, task, function, inputs, points, why in CURVES
        for sizes in points
    ),
    *(
        Case(function.__name__.replace("_", "-"), "gradient", function, (draw("b", "n"),),
             {"b": b, "n": n}, wanted=SMALL.get(n, 1) if function in FACTORED else 1, family=True,
             why="no operation may lose to plain JAX")
        for function, draw in FAMILY
        for b, n in ((4096, 4), (4096, 8), (1024, 16), (256, 32), (1, 256))
    ),
)  # fmt: skip
