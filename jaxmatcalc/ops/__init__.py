"""Functions of matrices with closed-form differentials: one family a file.

A public function checks and promotes its arguments and calls a `jax.custom_jvp` core. The rule of a
core is written in products, sums and transposes of tangents, with coefficients that are
differentiable functions of the primals, so derivatives of every order follow from the first.
"""

from jaxmatcalc.ops.determinant import SlogdetResult, det, logdet, slogdet
from jaxmatcalc.ops.frobenius import frobenius_inner, frobenius_norm, squared_frobenius_norm
from jaxmatcalc.ops.inverse import inv, solve
from jaxmatcalc.ops.kronecker import kron
from jaxmatcalc.ops.trace import trace, trace_product
from jaxmatcalc.ops.vec import unvec, vec

__all__ = [
    "trace",
    "trace_product",
    "det",
    "slogdet",
    "logdet",
    "SlogdetResult",
    "inv",
    "solve",
    "kron",
    "vec",
    "unvec",
    "frobenius_norm",
    "squared_frobenius_norm",
    "frobenius_inner",
]
