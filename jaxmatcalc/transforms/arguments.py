"""The arguments of a transform: which are differentiated, and how results are put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks, _jax
from jaxmatcalc.linear.block import BlockOperator
from jaxmatcalc.linear.operator import LinearOperator

Argnums = int | Sequence[int]


class Call:
    """A call ``f(*args, **kwargs)`` as a function of the arrays it is differentiated in.

    Attributes:
        leaves: those arrays, flat.
        tree: the pytree they make: of the argument if `argnums` is an integer, else of a tuple.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        argnums: Argnums,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        holomorphic: bool = False,
    ):
        self._f, self._args, self._kwargs = f, args, kwargs
        self._single = isinstance(argnums, int | np.integer)
        self._positions = _checks.argnums(name, argnums, len(args))
        chosen = [args[i] for i in self._positions]
        leaves, self.tree = jax.tree.flatten(chosen[0] if self._single else tuple(chosen))
        self.leaves = [_checks.differentiable(name, leaf, holomorphic) for leaf in leaves]

    def __call__(self, *leaves: Any) -> Any:
        """The result of f at other values of those arrays."""
        given = jax.tree.unflatten(self.tree, leaves)
        args = list(self._args)
        for i, value in zip(self._positions, (given,) if self._single else given, strict=True):
            args[i] = value
        return self._f(*args, **self._kwargs)

    def collect(self, values: Sequence[Any], like: Any = None) -> Any:
        """One value for each differentiated array, in the arguments' pytree.

        A derivative of a weakly typed array, as a Python number is, is weakly typed too, as in JAX;
        of which array it is, `like` says where that is one and the same.
        """
        avals = [jax.typeof(x if like is None else like) for x in self.leaves]
        typed = [as_weak_as(v, aval) for v, aval in zip(values, avals, strict=True)]
        return jax.tree.unflatten(self.tree, typed)


def as_weak_as(value: Any, aval: Any) -> Any:
    """An array, weakly typed where `aval` is and has the same dtype; what is no array stays."""
    if isinstance(value, jax.Array | np.ndarray) and value.dtype == aval.dtype:
        return _jax.retyped(jnp.asarray(value), aval)
    return value


def operator(blocks: Sequence[Sequence[LinearOperator]], out_tree: Any, in_tree: Any) -> Any:
    """The operator between two pytrees: a block operator, or the one block between two arrays."""
    leaf = jax.tree.structure(0)
    if out_tree == in_tree == leaf:
        return blocks[0][0]
    return BlockOperator(blocks, out_tree, in_tree)


def is_complex(name: str, argnums: Argnums, args: tuple[Any, ...]) -> bool:
    """Whether an array that is differentiated in is complex."""
    chosen = [args[i] for i in _checks.argnums(name, argnums, len(args))]
    return any(np.iscomplexobj(leaf) for leaf in jax.tree.leaves(chosen))
