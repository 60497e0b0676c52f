"""Transforms: from a function to its derivative, one transform a file."""

from jaxmatcalc.transforms.batched import batched
from jaxmatcalc.transforms.critical_point import CriticalPoint, critical_point
from jaxmatcalc.transforms.derivative import derivative
from jaxmatcalc.transforms.directional import directional_derivative
from jaxmatcalc.transforms.gauss_newton import gauss_newton_operator
from jaxmatcalc.transforms.hessian import hessian, hessian_operator, value_grad_hessian_operator
from jaxmatcalc.transforms.hessian_diagonal import hessian_diagonal
from jaxmatcalc.transforms.hvp import hvp
from jaxmatcalc.transforms.jacobian import jacobian, jacobian_operator
from jaxmatcalc.transforms.laplacian import laplacian, value_grad_laplacian
from jaxmatcalc.transforms.newton import newton_direction
from jaxmatcalc.transforms.rewrite import rewrite

__all__ = [
    "CriticalPoint",
    "batched",
    "critical_point",
    "derivative",
    "directional_derivative",
    "gauss_newton_operator",
    "hessian",
    "hessian_diagonal",
    "hessian_operator",
    "hvp",
    "jacobian",
    "jacobian_operator",
    "laplacian",
    "newton_direction",
    "rewrite",
    "value_grad_hessian_operator",
    "value_grad_laplacian",
]
