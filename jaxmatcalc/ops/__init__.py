"""Functions of matrices with closed-form differentials: one family a file.

A public function checks and promotes its arguments and calls a `jax.custom_jvp` core. The rule of a
core is written in products, sums and transposes of tangents, with coefficients that are
differentiable functions of the primals, so derivatives of every order follow from the first.
"""

from jaxmatcalc.ops.decompositions import cholesky
from jaxmatcalc.ops.determinant import SlogdetResult, adjugate, det, logdet, slogdet
from jaxmatcalc.ops.frobenius import frobenius_inner, frobenius_norm, squared_frobenius_norm
from jaxmatcalc.ops.functions import expm, logm, matrix_power, sqrtm
from jaxmatcalc.ops.inverse import inv, pinv, solve
from jaxmatcalc.ops.kronecker import khatri_rao, kron, kron_sum
from jaxmatcalc.ops.norms import nuclear_norm, spectral_norm
from jaxmatcalc.ops.quadratic import (
    InvQuadLogdetResult,
    inv_quad,
    inv_quad_logdet,
    quadratic_form,
)
from jaxmatcalc.ops.spectral import eigvalsh, spectral_function
from jaxmatcalc.ops.structured import symmetric
from jaxmatcalc.ops.trace import trace, trace_product
from jaxmatcalc.ops.vec import unvec, unvech, vec, vech

__all__ = [
    # trace
    "trace",
    "trace_product",
    # determinant
    "det",
    "slogdet",
    "SlogdetResult",
    "logdet",
    "adjugate",
    # inverse
    "inv",
    "solve",
    "pinv",
    # quadratic
    "quadratic_form",
    "inv_quad",
    "inv_quad_logdet",
    "InvQuadLogdetResult",
    # kronecker
    "kron",
    "kron_sum",
    "khatri_rao",
    # vec
    "vec",
    "unvec",
    "vech",
    "unvech",
    # structured
    "symmetric",
    # frobenius
    "frobenius_norm",
    "squared_frobenius_norm",
    "frobenius_inner",
    # norms
    "nuclear_norm",
    "spectral_norm",
    # functions
    "matrix_power",
    "expm",
    "logm",
    "sqrtm",
    # spectral
    "spectral_function",
    "eigvalsh",
    # decompositions
    "cholesky",
]
