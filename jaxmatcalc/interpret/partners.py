"""Library calls that mean something here only with a Cholesky factor, or with a triangle of it.

Solving with the factor, solving with one triangle, and taking the diagonal: with what comes after
they are a solution, a quadratic form and a log-determinant of the matrix that was factored.
"""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
import jax.scipy.linalg as jsl

from jaxmatcalc import ops
from jaxmatcalc.interpret.library import only
from jaxmatcalc.interpret.matching import Entry, Variant


def _diagonal(L: Any) -> Any:
    return jnp.diagonal(L, axis1=-2, axis2=-1)


_DIAGONAL = [Variant(reference, reference) for reference in (jnp.diagonal, _diagonal)]
_CHO_SOLVE = [
    Variant(
        functools.partial(lambda lower, c, b: jsl.cho_solve((c, lower), b), lower),
        functools.partial(ops.solve, assume_a="pos"),
        lower=lower,
    )
    for lower in (True, False)
]

# L⁻¹ b, for a lower factor and for an upper one
_HALF_SOLVES = [
    Variant(
        functools.partial(jsl.solve_triangular, lower=lower, trans=0 if lower else 1),
        ops.solve,
        lower=lower,
    )
    for lower in (True, False)
]

# fmt: off
PARTNERS: dict[str, Entry] = {
    "_cho_solve": Entry(("jax.scipy.linalg.cho_solve",), ("solve",), (2, 1), only(*_CHO_SOLVE)),
    "_solve_triangular": Entry(("jax.scipy.linalg.solve_triangular",), ("inv_quad",), (2, 1),
                               only(*_HALF_SOLVES)),
    "diagonal": Entry(("jnp.diagonal",), ("logdet",), (2,), only(*_DIAGONAL)),
    "_diag": Entry(("jnp.diag",), ("logdet",), (2,), only(Variant(jnp.diag, _diagonal))),
}
# fmt: on
