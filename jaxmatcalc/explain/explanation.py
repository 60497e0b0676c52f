"""What the derivative of a function is, in the notation of matrix calculus."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.arguments import Arguments, arguments, parameter_names
from jaxmatcalc.explain.checking import Check, sentence
from jaxmatcalc.explain.derivatives import Formulas, Found
from jaxmatcalc.explain.formula import Formula
from jaxmatcalc.explain.legend import legend
from jaxmatcalc.explain.measure import Cost, cost, operator
from jaxmatcalc.explain.titles import (
    code,
    gradient_left,
    hessian_left,
    jacobian_left,
    plain_shape,
    shown_shape,
)

LAYOUTS = ("mixed", "numerator", "denominator")
FORMATS = ("unicode", "latex", "python", "json")


@dataclass(frozen=True, eq=False)
class Explanation:
    """The formulas of a function and of its derivatives.

    A function of several variables (`wrt` of several names) has dicts of formulas: by name, and for
    the Hessian by pairs of names.

    Attributes:
        value: the function.
        gradient: its derivative, in the shape of the variable; None if it is not a scalar.
        jacobian: its derivative as a matrix, ∂vec F / ∂(vec X)ᵀ, or its transpose.
        hessian: its second derivative as a matrix; None if it is not a scalar.
        check: one sentence about the comparison with automatic differentiation.
        checked: whether every formula was compared, and found right.
        variables: the names of the arguments that are differentiated in.
        layout: "mixed", "numerator" or "denominator".

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> explanation = jmc.explain(lambda X: jnp.trace(X @ X), jnp.eye(2), names=("X",))
        >>> explanation.gradient.unicode, explanation.checked
        ('2Xᵀ', True)
    """

    value: Formula
    gradient: Any
    jacobian: Any
    hessian: Any
    check: str
    checked: bool
    variables: tuple[str, ...]
    layout: str
    lost: tuple[str, ...]
    _arguments: Arguments
    _positions: tuple[int, ...]

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """The function, and what derivatives are shown of it."""
        shown: list[Formula] = [self.value]
        for found in (self.gradient if self.gradient is not None else self.jacobian, self.hessian):
            if isinstance(found, dict):
                shown += found.values()
            elif found is not None:
                shown.append(found)
        return tuple(shown)

    @property
    def latex(self) -> str:
        """The formulas in LaTeX, one a line of an `aligned` environment."""
        rows = [rf"{f.left_latex} &= {f.latex}" for f in self.formulas]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    @property
    def python(self) -> str:
        """The derivative as the text of a Python function of the arguments."""
        names = [s.name for s in self._arguments.symbols]
        found = self.gradient if self.gradient is not None else self.jacobian
        several = found if isinstance(found, dict) else {"": found}
        blocks = []
        for name, formula in several.items():
            title = formula.kind + (f"_{name}" if name else "")
            text = f"def {title}({', '.join(names)}):\n    return {formula.python}\n"
            blocks.append(text)
        body = "\n\n".join(blocks)
        imports = [
            line
            for word, line in (
                ("math.", "import math"),
                ("jax.", "import jax"),
                ("jnp.", "import jax.numpy as jnp"),
                ("jaxmatcalc.", "import jaxmatcalc"),
            )
            if word in body
        ]
        return "\n".join(imports) + ("\n\n\n" if imports else "") + body

    @functools.cached_property
    def _operator(self) -> Any:
        samples = self._arguments.sample(0)
        return operator(self._arguments.function, samples, self._positions, self.value.shape)

    @functools.cached_property
    def structure(self) -> str:
        """What the Hessian, or else the Jacobian, is made of as an operator."""
        return str(getattr(self._operator, "structure", self._operator))

    @functools.cached_property
    def cost(self) -> Cost:
        """Arithmetic of a product with that operator and its storage, beside the dense one."""
        return cost(self._operator)

    @functools.cached_property
    def fallbacks(self) -> tuple[str, ...]:
        """Operations that have no matrix form, each with its source line."""
        found = dict.fromkeys(self.lost)
        for formula in self.formulas:
            found |= dict.fromkeys(_calls(formula.expression))
        return tuple(found)

    def to(self, format: str) -> Any:
        """The explanation as "unicode", "latex" or "python" text, or for "json" as a dict."""
        _checks.option("explain", "format", format, FORMATS)
        if format == "unicode":
            return str(self)
        if format == "latex":
            return self.latex
        if format == "python":
            return self.python
        return {
            "variables": list(self.variables),
            "layout": self.layout,
            "formulas": [
                {
                    "kind": f.kind,
                    "left": f.left,
                    "unicode": f.unicode,
                    "latex": f.latex,
                    "python": f.python,
                    "shape": list(f.shape),
                    "layout": f.layout,
                    "factors": [{"factor": t, "shape": list(s)} for t, s in f.shapes],
                }
                for f in self.formulas
            ],
            "checked": self.checked,
            "check": self.check,
            "fallbacks": list(self.fallbacks),
            "structure": self.structure,
        }

    def __str__(self) -> str:
        width = max(len(f.left) for f in self.formulas)
        lines = [f"{f.left:>{width}} = {f.unicode}" for f in self.formulas]
        lengths = [len(line) for line in lines]
        column = min(max(lengths), 72)
        lines = [
            f"{line:<{column}}  {shown_shape(f.shape)}"
            for line, f in zip(lines, self.formulas, strict=True)
        ]
        shapes = ", ".join(f"{s.name} {shown_shape(s.shape)}" for s in self._arguments.symbols)
        lines += ["", f"where {shapes}"]
        lines += legend(self.formulas, self._arguments.symbols)
        lines += [f"without a matrix form: {', '.join(self.fallbacks)}"] if self.fallbacks else []
        return "\n".join([*lines, self.check])

    def __repr__(self) -> str:
        return str(self)


def explain(
    f: Callable[..., Any],
    *args: Any,
    wrt: int | str | Sequence[int | str] = 0,
    symmetric: Sequence[str] = (),
    layout: str = "mixed",
    names: Sequence[str] | None = None,
) -> Explanation:
    """The derivatives of a function as formulas of matrix calculus.

    The function is traced at the shapes of its arguments, and its program read as a matrix
    expression, which is differentiated by the rules for differentials and simplified. What has no
    matrix form is written with indices, or by its name. Before it is shown, every formula is
    evaluated and compared with automatic differentiation.

    Args:
        f: function of arrays, or pytrees of them, that returns one array.
        args: example arguments: arrays, at which formulas are checked, or `jax.ShapeDtypeStruct`,
            for which arguments are drawn. Integers and what is no array stay as they are.
        wrt: the argument to differentiate in, by position or name; several for a tuple.
        symmetric: names of arguments that are symmetric matrices; Xᵀ = X is used, the derivative
            is that of a general matrix.
        layout: "mixed", a gradient in the shape of its variable and a Jacobian
            ∂vec F / ∂(vec X)ᵀ, as in most textbooks; "numerator", ∂vec F / ∂(vec X)ᵀ and the
            gradient transposed; "denominator", the transposes of these. vec stacks columns.
        names: names of the arguments; those of the function's signature by default.

    Returns:
        An `Explanation`: ``str`` in Unicode, ``.latex``, ``.python``, and the formulas ``.value``,
        ``.gradient``, ``.jacobian``, ``.hessian``.

    Raises:
        TypeError: f returns no array, or several.
        ValueError: `wrt` or `symmetric` name an argument that is not there, or a layout does not
            exist.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> X = jnp.array([[2.0, 1.0], [0.0, 3.0]])
        >>> found = jmc.explain(lambda X: jnp.linalg.slogdet(X)[1], X)
        >>> print(found.gradient)
        ∂f/∂X = X⁻ᵀ
        >>> print(found.hessian.unicode)
        −(X⁻¹ ⊗ X⁻ᵀ)K₂₂
        >>> found.checked
        True

    Source: Magnus and Neudecker, Matrix Differential Calculus (2019), chapters 5 to 10.
    """
    _checks.option("explain", "layout", layout, LAYOUTS)
    parameters = parameter_names(f, len(args), names)
    mirrored = (symmetric,) if isinstance(symmetric, str) else tuple(symmetric)
    call = arguments(f, args, parameters, mirrored)
    single = isinstance(wrt, int | str)
    chosen = (wrt,) if single else tuple(wrt)
    positions = tuple(call.position(w, parameters) for w in chosen)
    result = jax.eval_shape(call.function, *call.shapes)
    _checks.one_array("explain", result)
    return _explained(call, positions, layout, single)


def _explained(
    call: Arguments, positions: tuple[int, ...], layout: str, single: bool
) -> Explanation:
    formulas = Formulas(call)
    taken = frozenset(s.name for s in call.symbols)
    checks: list[tuple[str, Check]] = []
    scalar = formulas.shape == ()

    names = [s.name for s in call.symbols]

    def made(
        kind: str, found: Found, left: tuple[str, str], form: str, flip: bool, by_jax: str = ""
    ) -> Formula:
        checks.append((kind, found.check))
        expression = mx.transpose(found.expression) if flip else found.expression
        shape = plain_shape(expression)
        by_jax += ".T" if flip and by_jax else ""
        return Formula(kind, *left, shape, expression, form, taken, by_jax)

    value = made("value", formulas.value(), ("f", "f"), "", False, f"f({', '.join(names)})")
    gradients, jacobians, hessians = {}, {}, {}
    for k in positions:
        X = call.symbols[k]
        if scalar:
            flip = layout == "numerator" and len(X.shape) in (1, 2)
            form = "the shape of the variable" + (", transposed" if flip else "")
            left = gradient_left(X.name, flip)
            text = code(f"jax.grad(f, {k})", names, 0, len(X.shape), False)
            gradients[X.name] = made("gradient", formulas.first(k, False), left, form, flip, text)
        else:
            flip = layout == "denominator" and bool(X.shape) and len(formulas.shape) <= 2
            left, form = jacobian_left(X, formulas.shape, flip)
            matrix, rows = bool(X.shape), len(formulas.shape)
            text = code(f"jax.jacobian(f, {k})", names, rows, rows + len(X.shape), matrix)
            jacobians[X.name] = made("jacobian", formulas.first(k, matrix), left, form, flip, text)
    if scalar:
        for k in positions:
            for m in positions if len(positions) > 1 else (k,):
                X, Y = call.symbols[k], call.symbols[m]
                found = formulas.second(k, m)
                form = "∂²f / ∂vec ∂vecᵀ, vec by columns"
                rows = len(X.shape)
                twice = f"jax.jacfwd(jax.grad(f, {k}), {m})"
                text = code(twice, names, rows, rows + len(Y.shape), True)
                left = hessian_left(X, Y)
                hessians[X.name, Y.name] = made("hessian", found, left, form, False, text)
    right = [c.right for _, c in checks]
    kept = {
        "gradient": gradients,
        "jacobian": jacobians,
        "hessian": hessians,
    }
    alone = {
        kind: None if not found else next(iter(found.values())) if single else found
        for kind, found in kept.items()
    }
    return Explanation(
        value,
        **alone,
        check=sentence(checks),
        checked=all(right),
        variables=tuple(call.symbols[k].name for k in positions),
        layout=layout,
        lost=tuple(formulas.lost),
        _arguments=call,
        _positions=positions,
    )


def _calls(x: mx.Node) -> list[str]:
    own = [] if x.kind != "call" else [" at ".join(p for p in (x.data.name, x.data.line) if p)]
    return own + [c for a in x.args for c in _calls(a)]
