"""From a function to the formulas of its derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.arguments import Arguments, arguments, parameter_names
from jaxmatcalc.explain.captions import code, gradient_left, hessian_left, jacobian_left
from jaxmatcalc.explain.checking import Check, sentence
from jaxmatcalc.explain.derivatives import Formulas, Found
from jaxmatcalc.explain.explanation import Explanation
from jaxmatcalc.explain.formula import Formula

LAYOUTS = ("mixed", "numerator", "denominator")


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
    alone = isinstance(wrt, int | str)
    found = [call.positions(w, parameters) for w in ((wrt,) if alone else wrt)]
    positions = tuple(dict.fromkeys(k for group in found for k in group))
    single = alone and len(positions) == 1
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

    thin = frozenset(s.name for s in call.symbols if len(s.full) == 2 and 1 in s.full)

    def made(
        kind: str,
        found: Found,
        left: tuple[str, str],
        form: str,
        shape: tuple[int, ...],
        by_jax: str,
        flip: bool = False,
    ) -> Formula:
        checks.append((kind, found.check))
        expression = mx.transpose(found.expression) if flip else found.expression
        if flip:
            shape, by_jax = (1, *shape)[-2:][::-1] if len(shape) > 1 else (1, *shape), by_jax + ".T"
        return Formula(kind, *left, shape, expression, form, taken, by_jax, thin)

    text = f"f({', '.join(names)})"
    value = made("value", formulas.value(), ("f", "f"), "", formulas.shape, text)
    rows, size = len(formulas.shape), math.prod(formulas.shape)
    gradients, jacobians, hessians = {}, {}, {}
    for k in positions:
        X = call.symbols[k]
        if scalar:
            flip = layout == "numerator" and len(X.full) in (1, 2)
            form = "the shape of the variable" + (", transposed" if flip else "")
            left = gradient_left(X.name, flip)
            text = code(f"jax.grad(f, {k})", names, 0, len(X.full), False)
            first = formulas.first(k, False)
            gradients[X.name] = made("gradient", first, left, form, X.full, text, flip)
        else:
            flip = layout == "denominator" and rows <= 2
            left, form = jacobian_left(X, formulas.shape, flip)
            matrix = bool(X.full)
            text = code(f"jax.jacobian(f, {k})", names, rows, rows + len(X.full), matrix)
            shape = (size, math.prod(X.full)) if matrix else formulas.shape
            first = formulas.first(k, matrix)
            jacobians[X.name] = made("jacobian", first, left, form, shape, text, flip)
    if scalar:
        for k in positions:
            for m in positions if len(positions) > 1 else (k,):
                X, Y = call.symbols[k], call.symbols[m]
                found = formulas.second(k, m)
                form = "∂²f / ∂vec ∂vecᵀ, vec by columns"
                twice = f"jax.jacfwd(jax.grad(f, {k}), {m})"
                text = code(twice, names, len(X.full), len(X.full) + len(Y.full), True)
                left = hessian_left(X, Y)
                shape = tuple(math.prod(s.full) for s in (X, Y) if s.full)
                hessians[X.name, Y.name] = made("hessian", found, left, form, shape, text)
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
