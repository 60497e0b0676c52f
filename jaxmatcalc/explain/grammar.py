"""Formulas typed as on matrixcalculus.org, as functions of named arrays with shapes that fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.explain import syntax
from jaxmatcalc.explain.dimensions import Dimensions
from jaxmatcalc.explain.parts import Part
from jaxmatcalc.explain.reading import Reading
from jaxmatcalc.explain.vocabulary import FUNCTIONS

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ParsedFormula:
    """A formula that was read.

    Attributes:
        function: takes one array for each name, in the order of `names`; plain `jax.numpy` and
            operations of jaxmatcalc, so it can be differentiated, compiled and batched.
        names: the names, in the order of their first use.
        shapes: the shape of each: (), (n,) for a column vector, (m, n).
        symmetric: the names declared symmetric, those declared positive definite among them.
        positive: the names declared positive definite.
        tree: the formula as a tree.
    """

    function: Callable[..., jax.Array]
    names: tuple[str, ...]
    shapes: dict[str, Shape]
    symmetric: tuple[str, ...]
    positive: tuple[str, ...]
    tree: syntax.Node

    def __str__(self) -> str:
        """The formula in the spelling of matrixcalculus.org."""
        return syntax.spelled(self.tree)


def parse(
    text: str,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    symmetric: Sequence[str] = (),
    positive: Sequence[str] = (),
) -> ParsedFormula:
    """Read a formula; nothing in it is evaluated as code.

    A name that begins with a to g is a scalar, with h to z a column vector, with a capital letter a
    matrix, with a small Greek letter a scalar; ``shapes``, ``symmetric`` and ``positive`` say
    otherwise. `*` is the product of matrices, `.*` that of entries; so are `./`, `.^` and
    NumPy's `**` entry by entry, as are exp, log and the like, while expm, logm and sqrtm are
    functions of matrices. `'` and `.T` transpose. `@` is NumPy's product, in which a vector left of
    a matrix is a row; a formula with `@` cannot use `*` between arrays, which NumPy reads
    differently. vector(c) and matrix(c) have equal entries and `eye` is the identity, of whatever
    size fits. Sizes that are not given follow from each other; those that do not are distinct
    small numbers.

    Args:
        text: the formula, such as ``"tr(A*X'*B*X*C)"``.
        shapes: shapes by name: (), (n,) or (m, n), with None for a size that is to be found.
        symmetric: names of symmetric matrices.
        positive: names of symmetric positive definite matrices.

    Returns:
        The formula as a function, with the names and shapes of its arguments.

    Raises:
        FormulaError: a `ValueError`: the formula cannot be read, its shapes do not fit, or a name
            is not in it. It shows the place.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxmatcalc.explain.grammar import parse
        >>> formula = parse("norm2(A*x - y)^2", shapes={"A": (3, 2)})
        >>> formula.names, formula.shapes
        (('A', 'x', 'y'), {'A': (3, 2), 'x': (2,), 'y': (3,)})
        >>> A, x, y = jnp.ones((3, 2)), jnp.ones(2), jnp.zeros(3)
        >>> jax.grad(formula.function, argnums=1)(A, x, y).tolist()
        [12.0, 12.0]

    Source: the language is that of matrixcalculus.org (Laue, Mitterreiter and Giesen, 2018).
    """
    tree = syntax.tree(text, FUNCTIONS)
    names = tuple(dict.fromkeys(_names(tree)))
    symmetric = tuple(dict.fromkeys((*symmetric, *positive)))
    _checks.unused(shapes or {}, names, "shape")
    _checks.unused(symmetric, names, "symmetric")
    reading = Reading(text, Dimensions(), shapes or {}, frozenset(symmetric), names)
    whole = reading.whole(tree)
    found = {name: reading.shape(name) for name in names}
    function = _function(whole, names, found)
    parse_again = f"jaxmatcalc.explain.grammar.parse({text!r}, {found!r}, {symmetric!r})"
    function.__dict__["source"] = f"import jaxmatcalc.explain.grammar\n\nf = {parse_again}.function"
    return ParsedFormula(function, names, found, symmetric, tuple(positive), tree)


def _function(whole: Part, names: tuple[str, ...], shapes: dict[str, Shape]) -> Callable[..., Any]:
    def formula(*arrays: Any) -> jax.Array:
        """The value of the formula."""
        values = {}
        for name, value in zip(names, arrays, strict=True):
            array = _checks.array("formula", value, name)
            _checks.matching_shape(name, array.shape, shapes[name])
            values[name] = array
        return jnp.asarray(whole.run(values))

    return formula


def _names(node: syntax.Node) -> list[str]:
    if node.kind == "name":
        return [] if node.value in ("eye", "pi") else [str(node.value)]
    return [name for operand in node.operands for name in _names(operand)]
