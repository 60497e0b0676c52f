"""An eigendecomposition in the labels of the operator, and the matrices it may be made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.linear.term import Array, Factor, Group, Term, flat

# A matrix beyond this order is not decomposed: it would take minutes, and gigabytes
LARGEST = 4096


class Decomposition(NamedTuple):
    """Eigenvalues, an array of the operator's in_shape, and the terms of the eigenvectors."""

    eigenvalues: Array
    eigenvectors: list[Term]


def over(array: Array, *groups: Group) -> Factor:
    """A factor over the labels of all groups, in their order."""
    labels = flat(groups)
    return Factor(array.reshape([k.size for k in labels]), labels)


def eigenvalues(M: Array) -> Array:
    """Those of Hermitian matrices (..., n, n)."""
    _checks.decomposable_order(M.shape[-1], LARGEST)
    return jnp.linalg.eigvalsh(M)


def eigenpairs(M: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of Hermitian matrices (..., n, n)."""
    _checks.decomposable_order(M.shape[-1], LARGEST)
    values, Q = jnp.linalg.eigh(M)
    return values, Q


@jax.custom_jvp
def constant(tree: Any) -> Any:
    """What is made of eigenvectors, which are not to be differentiated."""
    return tree


@constant.defjvp
def _constant_rule(primals: Any, tangents: Any) -> Any:
    raise _checks.eigen_derivative()
