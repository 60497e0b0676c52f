"""The command ``jaxmatcalc``: one module per subcommand.

Each module has ``add_parser(subparsers)``, which describes the subcommand and sets ``run``, a
function of the parsed arguments that returns the exit status.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import jaxmatcalc as jmc

COMMANDS = ("demo", "explain", "verify", "identities", "bench", "info")


class Parser(argparse.ArgumentParser):
    """A parser that answers a bad value with one sentence and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, without the usage text, and leave with status 2."""
        sentence = message.rstrip(".")
        self.exit(2, f"{self.prog}: {sentence}; see {self.prog} --help.\n")


def parser() -> Parser:
    """The parser of the whole command line."""
    whole = Parser(prog="jaxmatcalc", description="Matrix calculus for JAX.")
    whole.add_argument("--version", action="version", version=f"jaxmatcalc {jmc.__version__}")
    subparsers = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}").add_parser(subparsers)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after ``jaxmatcalc``; those of the process when None.

    Returns:
        The exit status: 0 for success, 1 where a check failed, 130 when interrupted.

    Raises:
        SystemExit: with status 2, for a bad value; with 0, after ``--help`` or ``--version``.

    Example:
        >>> from jaxmatcalc.cli import main
        >>> main(["info"])  # doctest: +ELLIPSIS
        jaxmatcalc ...
        0
    """
    # Formulas have Greek letters; a terminal that cannot show one shows a question mark instead.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
