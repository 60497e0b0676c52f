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
from jaxmatcalc.identities.verify import verify
from jaxmatcalc.linear.constructors import commutation, diagonal, identity, kronecker
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.linear.structure import Structure
from jaxmatcalc.ops import (
    SlogdetResult,
    det,
    frobenius_inner,
    frobenius_norm,
    inv,
    kron,
    logdet,
    slogdet,
    solve,
    squared_frobenius_norm,
    trace,
    trace_product,
    unvec,
    vec,
)
from jaxmatcalc.transforms import (
    hessian,
    hessian_operator,
    hvp,
    jacobian,
    jacobian_operator,
    newton_direction,
    rewrite,
    value_grad_hessian_operator,
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
    "inv",
    "solve",
    "kron",
    "vec",
    "unvec",
    "frobenius_norm",
    "squared_frobenius_norm",
    "frobenius_inner",
    # operators
    "LinearOperator",
    "Structure",
    "identity",
    "diagonal",
    "kronecker",
    "commutation",
    # transforms
    "jacobian",
    "hessian",
    "jacobian_operator",
    "hessian_operator",
    "value_grad_hessian_operator",
    "hvp",
    "newton_direction",
    "rewrite",
    # evidence
    "identities",
    "verify",
]
