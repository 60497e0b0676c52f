"""Transforms: from a function to its derivative, one transform a file."""

from jaxmatcalc.transforms.hessian import hessian, hessian_operator, value_grad_hessian_operator
from jaxmatcalc.transforms.hvp import hvp
from jaxmatcalc.transforms.jacobian import jacobian, jacobian_operator
from jaxmatcalc.transforms.newton import newton_direction
from jaxmatcalc.transforms.rewrite import rewrite

__all__ = [
    "hessian",
    "hessian_operator",
    "hvp",
    "jacobian",
    "jacobian_operator",
    "newton_direction",
    "rewrite",
    "value_grad_hessian_operator",
]
