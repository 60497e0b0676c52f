"""The function that a command line names: a typed formula, or ``module:function`` with shapes."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from jaxmatcalc._checks import FormulaError
from jaxmatcalc.explain.grammar import parse

Shape = tuple[int, ...]
Refuse = Callable[[str], NoReturn]


class Subject(NamedTuple):
    """A function of one array for each name, and what is known of these."""

    f: Callable[..., Any]
    shapes: dict[str, Shape]
    symmetric: tuple[str, ...]
    positive: tuple[str, ...]


def add_arguments(command: argparse.ArgumentParser, verb: str) -> None:
    """Describe the arguments that name a function."""
    command.add_argument("--wrt", metavar="NAME", help=f"{verb} in this (default: {_DEFAULT})")
    for option, what in (("--sym", "symmetric"), ("--spd", "symmetric positive definite")):
        command.add_argument(
            option,
            type=_names,
            action="extend",
            default=[],
            metavar="NAMES",
            help=f"names of {what} matrices",
        )
    command.add_argument(
        "--shape",
        type=_shape,
        action="append",
        default=[],
        metavar="[NAME=]SHAPE",
        help="3x4, 3 or scalar, with ? for a size to be found; for a function also in order",
    )


_DEFAULT = "the only name, X or x; of a function the first argument"


def read(arguments: argparse.Namespace, text: str, refuse: Refuse) -> Subject:
    """The function that ``text`` is or names.

    Args:
        arguments: the parsed arguments of `add_arguments`.
        text: a formula, or module:function.
        refuse: ends the command with one sentence.

    Raises:
        FormulaError: a formula that cannot be read.
    """
    if ":" in text:
        return _function(arguments, text, refuse)
    if any(name is None for name, _ in arguments.shape):
        refuse("--shape of a formula needs a name, as in --shape X=3x4")
    formula = parse(text, dict(arguments.shape), arguments.sym, arguments.spd)
    return Subject(formula.function, formula.shapes, formula.symmetric, formula.positive)


def variable(subject: Subject, wrt: str | None, is_function: bool, refuse: Refuse) -> str:
    """The name to differentiate in."""
    names = tuple(subject.shapes)
    if wrt is None:
        likely = [name for name in ("X", "x") if name in names]
        sure = names if len(names) == 1 or is_function else likely
        wrt = sure[0] if sure else ""
    if wrt not in names:
        listing = ", ".join(names) or "none"
        refuse(f"--wrt needs one of the names, {listing}; " + (f"got {wrt}" if wrt else "give one"))
    return wrt


def refusing(command: argparse.ArgumentParser, mistake: FormulaError) -> NoReturn:
    """End the command with the sentence and the picture of a mistake in a formula."""
    picture = f"\n{mistake.picture}" if mistake.picture else ""
    command.exit(2, f"{command.prog}: {mistake.sentence}{picture}\n")


def no_sample(refuse: Refuse) -> NoReturn:
    """End the command because the function has no derivative wherever it was tried."""
    refuse("found no arrays of these shapes where the value and its derivatives are finite")


def _function(arguments: argparse.Namespace, text: str, refuse: Refuse) -> Subject:
    f = _imported(text, refuse)
    names, needed = _parameters(f, refuse)
    shapes: dict[str, Shape] = {}
    for position, (name, shape) in enumerate(arguments.shape):
        if name is None and position >= len(names):
            refuse(f"{text} has {len(names)} arguments; got a --shape for one more")
        name = names[position] if name is None else name
        if name not in names:
            refuse(f"{text} has the arguments {', '.join(names)}; got a --shape for {name}")
        if None in shape:
            refuse(f"--shape of a function needs every size as a number; got ? for {name}")
        shapes[name] = shape
    missing = [name for name in names if name in needed and name not in shapes]
    if missing:
        refuse(f"--shape is needed for {', '.join(missing)}, as in --shape {missing[0]}=3x4")
    symmetric = tuple(dict.fromkeys([*arguments.sym, *arguments.spd]))
    for name in symmetric:
        shape = shapes.get(name, ())
        if len(shape) != 2 or shape[0] != shape[1]:
            refuse(f"--sym and --spd need a name whose --shape is that of a square; got {name}")
    given = [name for name in names if name in shapes]

    def of_given(*arrays: Any) -> Any:
        return f(**dict(zip(given, arrays, strict=True)))

    return Subject(of_given, {n: shapes[n] for n in given}, symmetric, tuple(arguments.spd))


def _imported(text: str, refuse: Refuse) -> Callable[..., Any]:
    """The function, found as Python finds it in this folder."""
    module, _, path = text.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as mistake:
        refuse(f"cannot import {text}: {mistake}")
    if not callable(found):
        refuse(f"needs a function for {text}; got {type(found).__name__}")
    return found


def _parameters(f: Callable[..., Any], refuse: Refuse) -> tuple[list[str], frozenset[str]]:
    """The names of the arguments, and which of them have no default."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        refuse("needs a function whose arguments have names")
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if any(p.kind is p.POSITIONAL_ONLY and p.default is p.empty for p in parameters):
        refuse("needs a function whose arguments can be given by name")
    names = [p.name for p in parameters if p.kind in named]
    return names, frozenset(p.name for p in parameters if p.kind in named and p.default is p.empty)


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", text) if name]


def _shape(text: str) -> tuple[str | None, Sequence[int | None]]:
    name, equals, sizes = text.rpartition("=")
    if sizes in ("scalar", "()"):
        shape: tuple[int | None, ...] = ()
    elif re.fullmatch(r"(\d+|\?)([x×,](\d+|\?))*", sizes):
        shape = tuple(None if s == "?" else int(s) for s in re.split("[x×,]", sizes))
    else:
        raise argparse.ArgumentTypeError(f"needs sizes as in X=3x4; got {text!r}")
    return (name.strip() or None) if equals else None, shape
