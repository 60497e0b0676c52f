"""Real and imaginary parts of a tangent.

A part is linear over the reals only. A term says where each unit vector goes, and the part is taken
of each column, as `jax.jacfwd` does; so it is right for real inputs, and for others as JAX has it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.linear.contraction import close, contract, densified, is_static
from jaxmatcalc.linear.term import Factor, Term, extent


def is_complex(dtype: Any) -> bool:
    """Whether a dtype is complex."""
    return np.issubdtype(dtype, np.complexfloating)


def part(operand: Tangent, aval: Any, which: str) -> Tangent:
    """The "real" or "imag" part of a tangent: taken of the one factor that is complex.

    Where several are, they are multiplied first.
    """

    def rule(t: Term) -> Term:
        if sum(is_complex(f.array.dtype) for f in t.factors) > 1:
            t = _one_complex(t, operand.dtype)
        host = next((f for f in t.factors if is_complex(f.array.dtype)), None)
        if host is None:
            return t if which == "real" else t.times(np.asarray(0.0))
        array = getattr(host.array, which)  # a static array stays one: no JAX function of it
        array = np.asarray(array) if is_static(host.array) else array
        factors = tuple(f._replace(array=array) if f is host else f for f in t.factors)
        return close(replace(t, factors=factors))

    parts = operand.map(rule, aval)
    terms = {k: tuple(t for t in ts if not _vanishes(t)) for k, ts in parts.terms.items()}
    return Tangent(parts.shape, aval.dtype, {k: ts for k, ts in terms.items() if ts})


def _one_complex(term: Term, dtype: Any) -> Term:
    """The complex factors as one, if that is smaller than the dense array; else the dense array."""
    ours = [f for f in term.factors if is_complex(f.array.dtype)]
    rest = [f for f in term.factors if not is_complex(f.array.dtype)]
    needed = term.external | dict.fromkeys(k for f in rest for k in f.labels)
    labels = tuple(k for k in dict.fromkeys(k for f in ours for k in f.labels) if k in needed)
    if extent(labels) > extent(term.external):
        return densified(term, dtype)
    return replace(term, factors=(*rest, Factor(contract(ours, labels), labels)))


def _vanishes(term: Term) -> bool:
    return any(is_static(f.array) and not f.array for f in term.factors)
