"""The arguments of an explained function: which are symbols, what they are called, and samples."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.explain.atoms import Symbol
from jaxmatcalc.explain.checking import drawn


@dataclass(frozen=True)
class Arguments:
    """A call of a function, as one of the arrays in it.

    Attributes:
        function: takes the arrays and returns what the function returns.
        symbols: their names, shapes and symmetry.
        shapes: their shapes and dtypes.
        given: the arrays, where they were given.
        owners: for each array the name of the parameter that it is, or is in.
        source: a line of Python that defines the function as `f`, or a comment about it.
    """

    function: Callable[..., Any]
    symbols: tuple[Symbol, ...]
    shapes: tuple[jax.ShapeDtypeStruct, ...]
    given: tuple[jax.Array, ...] | None
    owners: tuple[str, ...]
    source: str

    def sample(self, seed: int) -> list[jax.Array]:
        """The arrays that were given, or such as the seed draws."""
        if self.given is not None:
            return list(self.given)
        return drawn(self.shapes, [s.symmetric for s in self.symbols], seed)

    def positions(self, wrt: int | str, parameters: Sequence[str]) -> tuple[int, ...]:
        """Which arrays an argument is, by its name or its place: one, or those of a pytree."""
        found = [s.name for s in self.symbols]
        name = _checks.array_argument("explain", wrt, parameters, [*found, *self.owners])
        if name in found:
            return (found.index(name),)
        return tuple(k for k, owner in enumerate(self.owners) if owner == name)


def parameter_names(f: Callable[..., Any], count: int, names: Sequence[str] | None) -> list[str]:
    """What the positional arguments of a call are named, by the signature or as given."""
    if names is not None:
        _checks.one_name_each("explain", names, count)
        return list(names)
    found: list[str] = []
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            found += [f"{p.name}{k + 1}" for k in range(count - len(found))]
        elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            found.append(p.name)
    found += [f"x{k + 1}" for k in range(len(found), count)]
    return found[:count]


def arguments(
    f: Callable[..., Any], args: Sequence[Any], parameters: Sequence[str], symmetric: Sequence[str]
) -> Arguments:
    """The arrays of a call with names; other arguments stay as they are."""
    paths, tree = jax.tree_util.tree_flatten_with_path(
        tuple(args), is_leaf=lambda x: isinstance(x, jax.ShapeDtypeStruct)
    )
    leaves = [leaf for _, leaf in paths]
    names: list[str] = []
    for path, _ in paths:
        name = _name(path, parameters)
        while name in names:
            name += "_"
        names.append(name)
    moving = [k for k, leaf in enumerate(leaves) if _is_array(leaf)]
    abstract = any(isinstance(leaves[k], jax.ShapeDtypeStruct) for k in moving)

    def function(*arrays: Any) -> Any:
        full = list(leaves)
        for k, array in zip(moving, arrays, strict=True):
            full[k] = array
        return f(*jax.tree.unflatten(tree, full))

    symbols, shapes, given = [], [], []
    for k in moving:
        leaf = leaves[k]
        array = leaf if isinstance(leaf, jax.ShapeDtypeStruct) else jnp.asarray(leaf)
        symbols.append(Symbol(names[k], array.shape, names[k] in symmetric))
        shapes.append(jax.ShapeDtypeStruct(array.shape, array.dtype))
        given.append(array)
    found = dict(zip([s.name for s in symbols], given, strict=True))
    _checks.symmetric_arguments("explain", symmetric, found)
    whole = None if abstract else tuple(given)
    owners = tuple(str(parameters[paths[k][0][0].idx]) for k in moving)
    plain = len(moving) == len(args) and owners == tuple(names)
    source = _source(f) if plain else _UNKNOWN
    return Arguments(function, tuple(symbols), tuple(shapes), whole, owners, source)


_UNKNOWN = "# f is the function that was explained, of these arrays"


def _source(f: Callable[..., Any]) -> str:
    """A line that defines a function as `f`: an import, or the formula that was typed."""
    text = getattr(f, "source", None)
    if isinstance(text, str):
        return text
    module, name = getattr(f, "__module__", None), getattr(f, "__qualname__", "")
    if module in (None, "__main__") or getattr(sys.modules.get(module), name, None) is not f:
        return _UNKNOWN
    return f"from {module} import {name}" + (" as f" if name != "f" else "")


def _is_array(leaf: Any) -> bool:
    if isinstance(leaf, float):
        return True
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.floating)


def _name(path: Sequence[Any], parameters: Sequence[str]) -> str:
    first, *rest = path
    parts = [str(parameters[first.idx])]
    for key in rest:
        part = getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))
        parts.append(str(part))
    return "_".join(parts)
