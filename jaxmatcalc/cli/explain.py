"""``jaxmatcalc explain``: the derivative of a typed formula, or of a function, as a formula."""

from __future__ import annotations

import argparse
import json

import jax

from jaxmatcalc._checks import FormulaError
from jaxmatcalc.cli import subject
from jaxmatcalc.cli.sampling import sample
from jaxmatcalc.explain import explain
from jaxmatcalc.explain.explaining import LAYOUTS
from jaxmatcalc.explain.explanation import FORMATS


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe ``jaxmatcalc explain``."""
    command = subparsers.add_parser(
        "explain",
        help="the derivative of a formula or a function, as a formula",
        description=(
            "Print the derivatives of a formula, typed as on matrixcalculus.org or as in NumPy, or "
            "of a function of your own, as formulas that were compared with automatic "
            "differentiation. Names from a to g are scalars, from h to z column vectors, capitals "
            "matrices, unless --shape says otherwise. Sizes that are not given follow from each "
            "other or are small numbers."
        ),
        epilog='example: jaxmatcalc explain "tr(A*X\'*B*X*C)" --wrt X --sym B',
    )
    command.add_argument("formula", help="a formula, or module:function")
    subject.add_arguments(command, "differentiate")
    command.add_argument(
        "--layout",
        choices=LAYOUTS,
        default="mixed",
        help="default: mixed, a gradient in its variable's shape and a Jacobian one row a result",
    )
    command.add_argument("--format", choices=FORMATS, default="unicode", help="default: unicode")
    command.add_argument(
        "--shapes", action="store_true", help="print the factors of each formula with their shapes"
    )
    command.set_defaults(run=run, command=command)


def run(arguments: argparse.Namespace) -> int:
    """Explain, print, and return 0."""
    command, text = arguments.command, arguments.formula
    if arguments.shapes and arguments.format != "unicode":
        command.error(f"--shapes needs --format unicode; got {arguments.format}")
    try:
        found = subject.read(arguments, text, command.error)
    except FormulaError as mistake:
        subject.refusing(command, mistake)
    with jax.enable_x64(jax.default_backend() != "tpu"):
        wrt = subject.variable(found, arguments.wrt, ":" in text, command.error)
        values = sample(found.f, found.shapes, found.symmetric, found.positive)
        if values is None:
            subject.no_sample(command.error)
        explanation = explain(
            found.f,
            *values,
            wrt=wrt,
            symmetric=found.symmetric,
            names=tuple(found.shapes),
            layout=arguments.layout,
        )
        shown = explanation.text(shapes=True) if arguments.shapes else None
        shown = shown or explanation.to(arguments.format)
    print(json.dumps(shown, indent=1, ensure_ascii=False) if arguments.format == "json" else shown)
    return 0
