"""What the derivative of a function is, in the notation of matrix calculus."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from jaxmatcalc import _checks
from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.arguments import Arguments
from jaxmatcalc.explain.captions import legend, shown_shape
from jaxmatcalc.explain.fitting import JOINED, JOINT, fitting
from jaxmatcalc.explain.formula import Formula
from jaxmatcalc.explain.measure import Cost, cost, operator

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
        held = dict.fromkeys(c for formula in several.values() for c in formula.held)
        taking = ", ".join([*names, *(["*", *held] if held else [])])
        blocks = []
        for name, formula in several.items():
            title = formula.kind + (f"_{name}" if name else "")
            blocks.append(f"def {title}({taking}):\n    return {formula.python}\n")
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
        if any(word in body for word in ("(f)", "(f, ")):
            imports.append(self._arguments.source)
        return "\n".join(imports) + ("\n\n\n" if imports else "") + body

    @property
    def constants(self) -> dict[str, Any]:
        """The arrays that the function holds, by the names that formulas give them."""
        found: dict[str, Any] = {}
        for formula in self.formulas:
            found |= formula.constants
        return found

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
            "cost": self.cost._asdict(),
        }

    def text(self, shapes: bool = False) -> str:
        r"""The explanation in Unicode.

        Args:
            shapes: whether the factors of each formula stand below it with their shapes.

        Returns:
            Lines for a terminal; ``str`` gives the same without the shapes of factors.

        Example:
            >>> import jax.numpy as jnp, jaxmatcalc as jmc
            >>> explanation = jmc.explain(lambda x, A: A @ (x * x), jnp.ones(2), jnp.ones((3, 2)))
            >>> print("\n".join(explanation.text(shapes=True).splitlines()[3:6]))
            ∂f/∂xᵀ = 2A·diag(x)  (3, 2)
                     A     diag(x)
                     3×2 ─ 2×2
        """
        width = max(len(f.left) for f in self.formulas)
        lines = [f"{f.left:>{width}} = {f.unicode}" for f in self.formulas]
        lengths = [len(line) for line in lines]
        column = min(max(lengths), 72)
        lines = [
            f"{line:<{column}}  {shown_shape(f.shape)}"
            for line, f in zip(lines, self.formulas, strict=True)
        ]
        factors = [fitting(f) if shapes else [] for f in self.formulas]
        lines = [
            row
            for line, below in zip(lines, factors, strict=True)
            for row in (line, *(" " * (width + 3) + text for text in below))
        ]
        arguments = ", ".join(f"{s.name} {shown_shape(s.full)}" for s in self._arguments.symbols)
        lines += ["", f"where {arguments}"]
        lines += legend(self.formulas, self._arguments.symbols)
        lines += [JOINED] if any(JOINT in text for below in factors for text in below) else []
        lines += [f"without a matrix form: {', '.join(self.fallbacks)}"] if self.fallbacks else []
        return "\n".join([*lines, self.check])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()


def _calls(x: mx.Node) -> list[str]:
    own = [] if x.kind != "call" else [" at ".join(p for p in (x.data.name, x.data.line) if p)]
    return own + [c for a in x.args for c in _calls(a)]
