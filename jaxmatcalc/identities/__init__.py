r"""The evidence: a catalogue of matrix-calculus identities, each with what is needed to check it.

>>> from jaxmatcalc import identities
>>> entry = identities.get("log-determinant-hessian")
>>> print(entry.statement)
\nabla^2_{X}\left[\log|\det X|\right] = -K_{nn} (X^{-\top} \otimes X^{-1})
>>> entry.source
'MN ch. 10'

Conventions: a gradient has the shape of its variable; a Jacobian or Hessian is a two-dimensional
array over column-major ``vec``, as in Magnus and Neudecker. Sources are cited as

- MC(k): Petersen and Pedersen, The Matrix Cookbook (15 November 2012), equation k;
- MN: Magnus and Neudecker, Matrix Differential Calculus (2019), chapter or table;
- WP: https://en.wikipedia.org/wiki/Matrix_calculus;
- Giles (2008): Collected matrix derivative results for forward and reverse mode algorithmic
  differentiation;
- derived: by differentials, from the identities above.
"""

from __future__ import annotations

import difflib
from types import ModuleType

from jaxmatcalc import _checks
from jaxmatcalc.identities import (
    decompositions,
    determinant,
    frobenius,
    functions,
    inverse,
    kronecker,
    norms,
    quadratic,
    spectral,
    statistics,
    structured,
    trace,
    vec,
)
from jaxmatcalc.identities.record import KINDS, LAYOUTS, Identity, Kind, Operation

__all__ = [
    "KINDS",
    "LAYOUTS",
    "Identity",
    "Kind",
    "Operation",
    "catalogue",
    "families",
    "get",
    "operations",
]

_FAMILIES = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        trace,
        determinant,
        inverse,
        quadratic,
        kronecker,
        vec,
        frobenius,
        norms,
        functions,
        spectral,
        decompositions,
        structured,
        statistics,
    )
}


def families() -> tuple[str, ...]:
    """Return the names of the catalogue's families.

    >>> families()[:3]
    ('trace', 'determinant', 'inverse')
    """
    return tuple(_FAMILIES)


def catalogue(family: str | None = None, kind: Kind | None = None) -> tuple[Identity, ...]:
    """Return the identities of the catalogue.

    Args:
        family: only those of this family, one of :func:`families`.
        kind: only those of this kind, one of ``KINDS``.

    Raises:
        ValueError: for a family or a kind that does not exist.

    Example:
        >>> [entry.name for entry in catalogue("inverse", "hessian")]
        ['trace-of-AXinv-hessian']
    """
    if kind is not None:
        _checks.option("identities", "kind", kind, KINDS)
    chosen = families() if family is None else (family,)
    entries = (entry for name in chosen for entry in _family(name).IDENTITIES)
    return tuple(entry for entry in entries if kind is None or entry.kind == kind)


def operations(family: str | None = None) -> tuple[Operation, ...]:
    """Return the operations of ``jaxmatcalc.ops`` with their plain spellings, to be compared.

    Args:
        family: only those of this family.

    Raises:
        ValueError: for a family that does not exist.
    """
    chosen = families() if family is None else (family,)
    return tuple(entry for name in chosen for entry in getattr(_family(name), "OPERATIONS", ()))


def get(name: str) -> Identity:
    r"""Return the identity of this name.

    Raises:
        ValueError: where there is none, with the nearest names.

    Example:
        >>> print(get("trace-of-XA").statement)
        \nabla_{X}\left[\operatorname{tr}(XA)\right] = A^\top
    """
    entries = {entry.name: entry for entry in catalogue()}
    if name not in entries:
        near = difflib.get_close_matches(name, entries)
        hint = f"; near are {', '.join(near)}" if near else ""
        raise ValueError(f"`identities` has no entry {name!r}{hint}.")
    return entries[name]


def _family(name: str) -> ModuleType:
    _checks.option("identities", "family", name, families())
    return _FAMILIES[name]
