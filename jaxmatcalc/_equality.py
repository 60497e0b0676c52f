"""Equality of programs: whether two jaxprs, or two equations, compute the same.

Everything that says what is computed is compared, also inside of calls; names of variables, and how
a call is run or derived, are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxmatcalc import _jax

# Parameters that say how a call is run or derived, not what it computes
# fmt: off
_INCIDENTAL = frozenset({
    "name", "inline", "keep_unused", "in_shardings", "out_shardings", "in_layouts",
    "out_layouts", "donated_invars", "ctx_mesh", "compiler_options_kvs", "jvp_jaxpr_fun", "jvp",
    "fwd_jaxpr_thunk", "fwd", "bwd", "out_trees", "branches_platforms", "sharding",
    "out_sharding",
})
# fmt: on


def same_program(first: Any, second: Any) -> bool:
    """Whether two jaxprs are the same up to the names of their variables."""
    if [v.aval for v in first.invars] != [v.aval for v in second.invars]:
        return False
    if len(first.eqns) != len(second.eqns) or len(first.constvars) != len(second.constvars):
        return False
    renamed = dict(zip(first.invars, second.invars, strict=True))
    renamed.update(zip(first.constvars, second.constvars, strict=True))

    def agree(a: Any, b: Any) -> bool:
        if isinstance(a, _jax.Literal) or isinstance(b, _jax.Literal):
            return (
                isinstance(a, _jax.Literal)
                and isinstance(b, _jax.Literal)
                and a.aval == b.aval
                and np.array_equal(a.val, b.val, equal_nan=True)
            )
        return renamed.get(a) is b

    for left, right in zip(first.eqns, second.eqns, strict=True):
        if left.primitive is not right.primitive or len(left.invars) != len(right.invars):
            return False
        if not all(map(agree, left.invars, right.invars)):
            return False
        if not _same_params(left, right) or len(left.outvars) != len(right.outvars):
            return False
        renamed.update(zip(left.outvars, right.outvars, strict=True))
    return len(first.outvars) == len(second.outvars) and all(
        map(agree, first.outvars, second.outvars)
    )


def same_equation(left: Any, right: Any) -> bool:
    """Whether two equations do the same to equal operands; a rule of their own is not compared."""
    if left.primitive is not right.primitive or not _same_params(left, right):
        return False
    ours, theirs = _jax.body(left), _jax.body(right)
    return (ours is None) == (theirs is None) and (
        ours is None or theirs is None or list(map(id, ours[1])) == list(map(id, theirs[1]))
    )


def _same_params(left: Any, right: Any) -> bool:
    if left.primitive.name == "call_hi_primitive" or _jax.is_custom(left):
        ours, theirs = _jax.body(left), _jax.body(right)
        if ours is None or theirs is None:
            return left.params == right.params
        if rule_source(left) != rule_source(right):
            return False
        return _jax.call_name(left) == _jax.call_name(right) and same_program(ours[0], theirs[0])
    if left.params.keys() != right.params.keys():
        return False
    return all(
        _same_value(left.params[k], right.params[k]) for k in left.params if k not in _INCIDENTAL
    )


def rule_source(eqn: Any) -> str:
    """Where the rule of a custom_jvp call is written; empty where JAX does not say."""
    info = getattr(eqn.params.get("jvp_jaxpr_fun"), "debug_info", None)
    return getattr(info, "func_src_info", None) or ""


def _same_value(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if hasattr(a, "eqns") or hasattr(a, "jaxpr"):
        return (hasattr(b, "eqns") or hasattr(b, "jaxpr")) and same_program(
            _jax.opened(a)[0], _jax.opened(b)[0]
        )
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_same_value, a, b))
    try:
        return bool(a == b)
    except Exception:  # an array parameter: compare its entries
        return np.array_equal(a, b)
