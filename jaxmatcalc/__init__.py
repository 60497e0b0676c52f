"""Matrix calculus for JAX.

Operations whose derivative rules are the closed-form identities; Jacobians and Hessians of any JAX
function as structured linear operators; and the evidence, checked against JAX's own autodiff.

>>> import jax.numpy as jnp
>>> import jaxmatcalc as jmc
>>> X = jnp.array([[2.0, 1.0], [1.0, 3.0]])
>>> H = jmc.hessian_operator(lambda X: jnp.linalg.slogdet(X)[1])(X)
>>> print(H.structure)
kronecker+commutation
>>> bool(jnp.allclose(H.solve(H @ X), X))
True
"""

from jaxmatcalc import identities
from jaxmatcalc.explain import Explanation, explain
from jaxmatcalc.identities.verify import verify
from jaxmatcalc.linear.block import BlockOperator
from jaxmatcalc.linear.blockfactor import BlockFactored
from jaxmatcalc.linear.constructors import (
    commutation,
    diagonal,
    duplication,
    elimination,
    identity,
    kronecker,
    kronecker_sum,
    low_rank,
)
from jaxmatcalc.linear.definite import Inertia
from jaxmatcalc.linear.factor import Factored
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.linear.spectrum import EighResult
from jaxmatcalc.linear.structure import Structure
from jaxmatcalc.ops import (
    InvQuadLogdetResult,
    SlogdetResult,
    adjugate,
    cholesky,
    det,
    eigvalsh,
    expm,
    frobenius_inner,
    frobenius_norm,
    inv,
    inv_quad,
    inv_quad_logdet,
    khatri_rao,
    kron,
    kron_sum,
    logdet,
    logm,
    matrix_power,
    nuclear_norm,
    pinv,
    quadratic_form,
    slogdet,
    solve,
    spectral_function,
    spectral_norm,
    sqrtm,
    squared_frobenius_norm,
    symmetric,
    trace,
    trace_product,
    unvec,
    unvech,
    vec,
    vech,
)
from jaxmatcalc.transforms import (
    CriticalPoint,
    batched,
    critical_point,
    derivative,
    directional_derivative,
    gauss_newton_operator,
    hessian,
    hessian_diagonal,
    hessian_operator,
    hvp,
    jacobian,
    jacobian_operator,
    laplacian,
    newton_direction,
    rewrite,
    value_grad_hessian_operator,
    value_grad_laplacian,
)

__version__ = "0.1.0"

__all__ = [
    # operations
    "trace",
    "trace_product",
    "det",
    "slogdet",
    "SlogdetResult",
    "logdet",
    "adjugate",
    "inv",
    "solve",
    "pinv",
    "quadratic_form",
    "inv_quad",
    "inv_quad_logdet",
    "InvQuadLogdetResult",
    "kron",
    "kron_sum",
    "khatri_rao",
    "vec",
    "unvec",
    "vech",
    "unvech",
    "symmetric",
    "frobenius_norm",
    "squared_frobenius_norm",
    "frobenius_inner",
    "nuclear_norm",
    "spectral_norm",
    "matrix_power",
    "expm",
    "logm",
    "sqrtm",
    "spectral_function",
    "eigvalsh",
    "cholesky",
    # operators
    "LinearOperator",
    "BlockOperator",
    "Structure",
    "EighResult",
    "Inertia",
    "Factored",
    "BlockFactored",
    "identity",
    "diagonal",
    "kronecker",
    "kronecker_sum",
    "low_rank",
    "commutation",
    "duplication",
    "elimination",
    # transforms
    "jacobian",
    "hessian",
    "jacobian_operator",
    "hessian_operator",
    "value_grad_hessian_operator",
    "hessian_diagonal",
    "laplacian",
    "value_grad_laplacian",
    "hvp",
    "directional_derivative",
    "derivative",
    "gauss_newton_operator",
    "newton_direction",
    "batched",
    "critical_point",
    "CriticalPoint",
    "rewrite",
    # evidence
    "explain",
    "Explanation",
    "identities",
    "verify",
]
