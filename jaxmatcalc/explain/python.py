"""Expressions as Python code of `jax.numpy`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction

import numpy as np

from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.matrices import constant_value
from jaxmatcalc.explain.tensor import Number

_SUM, _TIMES, _POWER, _ATOM = range(4)
Code = tuple[str, int]

_JAX_NN = {"sigmoid", "softplus", "relu", "softmax"}
_SPECIAL = {"erf", "erfc", "digamma", "lgamma", "erf_inv"}
_SCIPY_NAMES = {"lgamma": "gammaln", "erf_inv": "erfinv"}
_FUNCTIONS = {
    "expm": "jax.scipy.linalg.expm", "sqrtm": "jaxmatcalc.sqrtm", "logm": "jaxmatcalc.logm",
    "pinv": "jnp.linalg.pinv", "adj": "jaxmatcalc.adjugate",
    "cholesky": "jnp.linalg.cholesky",
}  # fmt: skip
_NUMPY_NAMES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh",
}  # fmt: skip
LITERAL = 64  # entries of a constant that is written out


class Python:
    """Writes expressions as code, in which vectors have one axis.

    Args:
        shape: shape of the array that the code gives.
        thin: names of matrices of one row or one column, which become vectors.
    """

    def __init__(self, shape: Sequence[int], thin: Collection[str] = ()):
        self.shape, self._thin = tuple(shape), thin

    def write(self, x: Node) -> str:
        """The code of a whole expression."""
        if x.kind == "zero" or (x.kind == "number" and self.shape):
            entry = "" if x.kind == "zero" else f", {float(x.data)}"
            return f"jnp.{'full' if entry else 'zeros'}({self.shape}{entry})"
        text, level = self.code(x)
        natural = tuple(n for n in x.shape if n != 1) if _is_flat(x) else x.shape
        if natural == self.shape or (_is_flat(x) and len(self.shape) == 1):
            return text
        text = text if level == _ATOM else f"({text})"
        if _is_flat(x) and len(self.shape) == 2 and self.shape != (1, 1):
            return text + ("[:, None]" if self.shape[1] == 1 else "[None, :]")
        return f"jnp.reshape({text}, {self.shape})"

    def code(self, x: Node) -> Code:
        """The code of an expression, and how strongly it holds together."""
        return getattr(self, f"_{x.kind.replace('-', '_')}")(x)

    def inside(self, x: Node, level: int) -> str:
        """The code of a part, in brackets if it holds together less than the whole."""
        text, own = self.code(x)
        return text if own >= level else f"({text})"

    def plain(self, x: Node) -> str:
        """The code of an argument."""
        return self.code(x)[0]

    def matrix(self, x: Node) -> str:
        """The code of a matrix of two axes, also where it is a row or a column."""
        if not _is_flat(x):
            return self.plain(x)
        return self.inside(x, _ATOM) + ("[:, None]" if x.shape[1] == 1 else "[None, :]")

    def _symbol(self, x: Node) -> Code:
        thin = (".ravel()" if x.shape else "[0, 0]") if x.data in self._thin else ""
        return x.data + thin, _ATOM

    def _constant(self, x: Node) -> Code:
        value = constant_value(x)
        if value.size > LITERAL:
            return x.data[0], _ATOM
        return f"jnp.array({np.asarray(value).tolist()})", _ATOM

    def _zero(self, x: Node) -> Code:
        return f"jnp.zeros({x.shape[0] if _is_flat(x) else x.shape})", _ATOM

    def _number(self, x: Node) -> Code:
        return _number(x.data)

    def _identity(self, x: Node) -> Code:
        return f"jnp.eye({x.data})", _ATOM

    def _ones(self, x: Node) -> Code:
        return f"jnp.ones({x.data})", _ATOM

    def _commutation(self, x: Node) -> Code:
        m, n = x.data
        order = f"jnp.arange({m * n}).reshape({n}, {m}).T.ravel()"
        return f"jnp.eye({m * n})[{order}]", _ATOM

    def _sum(self, x: Node) -> Code:
        text = ""
        for k, term in enumerate(x.args):
            part = self.inside(term, _TIMES)
            if k and part.startswith("-"):
                text += " - " + part[1:]
            else:
                text += (" + " if k else "") + part
        return text, _SUM

    def _product(self, x: Node) -> Code:
        outer = [f for f in x.args if not f.shape]
        chain = [f for f in x.args if f.shape]
        parts = [self.inside(f, _TIMES + (k > 0)) for k, f in enumerate(outer) if not _divides(f)]
        under = [self.inside(_flipped(f), _POWER) for f in outer if _divides(f)]
        if parts and parts[0] == "-1" and (len(parts) > 1 or chain):
            parts.pop(0)
            sign = "-"
        else:
            sign = ""
        if chain:
            text, level = self._chain(chain)
            parts.append(text if level >= _ATOM or not parts else f"({text})")
            if not parts[:-1] and level < _ATOM and (under or sign):
                parts = [f"({text})"]
        text = sign + (" * ".join(parts) or "1.0")
        for f in under:
            text += f" / {f}"
        return text, _TIMES

    def _chain(self, chain: Sequence[Node]) -> Code:
        """A product of matrices and vectors."""
        cut = next(
            (k for k, f in enumerate(chain[:-1]) if f.shape[1] == 1 and chain[k + 1].shape[0] == 1),
            None,
        )
        if cut is not None:
            left, right = self._chain(chain[: cut + 1])[0], self._chain(chain[cut + 1 :])[0]
            return f"jnp.outer({left}, {right})", _ATOM
        if len(chain) == 2 and chain[0].kind == "transpose" and chain[0].args[0].kind == "ones":
            return f"jnp.sum({self.plain(chain[1])}{_axis(chain[1])})", _ATOM
        if len(chain) == 1:
            return self.code(chain[0])
        return " @ ".join(self.inside(f, _POWER) for f in chain), _TIMES

    def _transpose(self, x: Node) -> Code:
        (inner,) = x.args
        if _is_flat(inner):
            return self.code(inner)
        return self.inside(inner, _ATOM) + ".T", _ATOM

    def _hadamard(self, x: Node) -> Code:
        over = [self.inside(f, _TIMES + (k > 0)) for k, f in enumerate(
            [f for f in x.args if not _divides(f)])]  # fmt: skip
        text = " * ".join(over) or "1.0"
        for f in x.args:
            if _divides(f):
                text += f" / {self.inside(_flipped(f), _POWER)}"
        return text, _TIMES

    def _kron(self, x: Node) -> Code:
        write = self.plain if x.shape[1] == 1 or x.shape[0] == 1 else self.matrix
        text = ", ".join(map(write, x.args))
        if len(x.args) > 2:
            text = write(x.args[-1])
            for a in x.args[-2::-1]:
                text = f"{write(a)}, jnp.kron({text})" if "," in text else f"{write(a)}, {text}"
        return f"jnp.kron({text})", _ATOM

    def _khatri_rao(self, x: Node) -> Code:
        return f"jaxmatcalc.khatri_rao({', '.join(map(self.matrix, x.args))})", _ATOM

    def _power(self, x: Node) -> Code:
        base = x.args[0]
        if x.data == Fraction(1, 2):
            return f"jnp.sqrt({self.plain(base)})", _ATOM
        exponent = str(x.data) if isinstance(x.data, float) or x.data.denominator == 1 else (
            f"({x.data})"
        )  # fmt: skip
        if x.data < 0 and base.shape:
            flipped = self.inside(_flipped(x), _POWER)
            return f"1.0 / {flipped}", _TIMES
        return f"{self.inside(base, _ATOM)} ** {exponent}", _POWER

    def _entries(self, x: Node) -> Code:
        if x.data == "power":
            base, exponent = (self.inside(a, _ATOM) for a in x.args)
            return f"{base} ** {exponent}", _POWER
        return f"{entry_function(x.data)}({self.plain(x.args[0])})", _ATOM

    def _inverse(self, x: Node) -> Code:
        return f"jnp.linalg.inv({self.plain(x.args[0])})", _ATOM

    def _diag(self, x: Node) -> Code:
        return f"jnp.diag({self.plain(x.args[0])})", _ATOM

    def _diagonal(self, x: Node) -> Code:
        return f"jnp.diagonal({self.plain(x.args[0])})", _ATOM

    def _vec(self, x: Node) -> Code:
        return self.inside(x.args[0], _ATOM) + '.ravel(order="F")', _ATOM

    def _trace(self, x: Node) -> Code:
        return f"jnp.trace({self.matrix(x.args[0])})", _ATOM

    def _det(self, x: Node) -> Code:
        return f"jnp.linalg.det({self.matrix(x.args[0])})", _ATOM

    def _logdet(self, x: Node) -> Code:
        return f"jnp.linalg.slogdet({self.matrix(x.args[0])})[1]", _ATOM

    def _norm(self, x: Node) -> Code:
        return f"jnp.linalg.norm({self.plain(x.args[0])})", _ATOM

    def _function(self, x: Node) -> Code:
        return f"{_FUNCTIONS[x.data]}({self.matrix(x.args[0])})", _ATOM

    def _frechet(self, x: Node) -> Code:
        at, along = map(self.matrix, x.args)
        return f"jax.jvp({_FUNCTIONS[x.data]}, ({at},), ({along},))[1]", _ATOM

    def _frechet_matrix(self, x: Node) -> Code:
        derivative = f"jax.jacfwd({_FUNCTIONS[x.data]})({self.matrix(x.args[0])})"
        return f"{derivative}.transpose(1, 0, 3, 2).reshape{x.shape}", _ATOM

    def _einsum(self, x: Node) -> Code:
        operands = []
        for a, shape in zip(x.args, x.data.shapes, strict=True):
            natural = (a.shape[0],) if _is_flat(a) and a.shape[1] == 1 else a.shape
            text = self.inside(a, _ATOM)
            operands.append(text if natural == shape else f"{text}.reshape{shape}")
        text = f'jnp.einsum("{x.data.subscripts}", {", ".join(operands)})'
        if any(len(g) > 1 for g in x.data.groups[-1]):
            text += f".reshape{x.shape}"
        return text, _ATOM


def entry_function(name: str) -> str:
    """The name in Python of a function of every entry."""
    if name.endswith("'"):
        return f"jnp.vectorize(jax.grad({entry_function(name[:-1])}))"
    if name in _JAX_NN:
        return f"jax.nn.{name}"
    if name in _SPECIAL:
        return f"jax.scipy.special.{_SCIPY_NAMES.get(name, name)}"
    if name == "step":
        return "(lambda u: jnp.heaviside(u, 0.0))"
    return f"jnp.{_NUMPY_NAMES.get(name, name)}"


def _is_flat(x: Node) -> bool:
    """Whether an expression is a row or a column, whose code has one axis."""
    return len(x.shape) == 2 and 1 in x.shape


def _axis(x: Node) -> str:
    return "" if _is_flat(x) else ", axis=0"


def _number(value: Number) -> Code:
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value), _ATOM if value >= 0 else _TIMES
    if isinstance(value, Fraction) and float(value) != round(float(value), 4):
        return f"{value.numerator} / {value.denominator}", _SUM
    return repr(float(value)), _ATOM if value >= 0 else _TIMES


def _divides(x: Node) -> bool:
    return x.kind == "power" and x.data < 0


def _flipped(x: Node) -> Node:
    if x.data == -1:
        return x.args[0]
    return Node("power", x.args, x.shape, -x.data, x.symmetric)
