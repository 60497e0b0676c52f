"""``jaxmatcalc identities``: the catalogue, or one of its entries, in the terminal."""

from __future__ import annotations

import argparse
import functools
import re

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxmatcalc.identities import Identity, catalogue, families, get


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe ``jaxmatcalc identities``."""
    command = subparsers.add_parser(
        "identities",
        help="print the catalogue of identities, or one of them",
        description="Print the catalogue of matrix-calculus identities, or one entry of it.",
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="print this entry whole")
    command.add_argument("--family", choices=families(), help="only this family")
    command.add_argument("--latex", action="store_true", help="print the statements in LaTeX")
    command.set_defaults(run=functools.partial(run, command))


def run(command: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Print what was asked for."""
    if arguments.name is not None:
        try:
            entry = get(arguments.name)
        except ValueError as error:
            command.error(str(error))
        _print_entry(entry, arguments.latex)
        return 0
    entries = catalogue(arguments.family)
    if arguments.latex:
        for entry in entries:
            print(f"{entry.name}: ${entry.statement}$")
        return 0
    table = Table("name", "kind", "identity", "source")
    for entry in entries:
        cells = (entry.name, entry.kind, readable(entry.statement), entry.source)
        table.add_row(*map(escape, cells))
    console = Console()
    console.print(table)
    console.print(f"{len(entries)} identities; jaxmatcalc verify checks them on this device")
    return 0


def _print_entry(entry: Identity, latex: bool) -> None:
    facts = {
        "identity": entry.statement if latex else readable(entry.statement),
        "family": entry.family,
        "kind": f"{entry.kind}: {entry.layout}",
        "conditions": entry.conditions,
        "structure": entry.structure,
        "source": entry.source,
        "note": entry.note,
        "sample": ", ".join(map(str, entry.sample)),
        "checked by": entry.reference,
    }
    print(entry.name)
    for label, fact in facts.items():
        if fact:
            print(f"  {label:<10}  {fact}")


def readable(latex: str) -> str:
    r"""Return a LaTeX formula of the catalogue in Unicode.

    >>> readable(r"-K_{nn} (X^{-\top} \otimes X^{-1})")
    '-Kₙₙ (X⁻ᵀ ⊗ X⁻¹)'
    """
    text = re.sub(r"\\(?:operatorname|math[a-z]+){(\w+)}", r"\1", latex)
    text = re.sub(r"\\text{([^{}]*)}", r"\1", text)
    text = re.sub(r"\\begin{pmatrix}(.*?)\\end{pmatrix}", _matrix, text)
    text = re.sub(r"\\(?:left|right|textstyle)(?![a-z])", "", text)
    text = re.sub(r"\\quad|\\[,;]", " ", text).replace(r"\tfrac12", "½").replace(r"\|", "‖")
    for name, symbol in _SYMBOLS.items():
        text = re.sub(rf"\\{name}(?![A-Za-z])", symbol, text)
    text = re.sub(r"\\(bar|dot|ddot){(\w)}", lambda m: m[2] + _ACCENTS[m[1]], text)
    for script in (r"([^{])", r"{([^{}]*)}"):  # the scripts of scripts first
        text = re.sub(rf"\^{script}", lambda m: _script(m[1], _SUPERSCRIPTS, "^"), text)
        text = re.sub(rf"_{script}", lambda m: _script(m[1], _SUBSCRIPTS, "_"), text)
    while (plain := re.sub(r"\\t?frac{([^{}]*)}{([^{}]*)}", _fraction, text)) != text:
        text = plain
    text = re.sub(r"\s+", " ", text.replace("{", "").replace("}", "")).strip()
    return re.sub(r"(?<=[(\[]) |(?<=log|det|exp) (?=[(])", "", text)


def _matrix(match: re.Match[str]) -> str:
    return f"[{match[1].strip()}]".replace(" & ", ", ").replace(r" \\", ";")


def _fraction(match: re.Match[str]) -> str:
    above, below = (part if len(part) == 1 else f"({part})" for part in match.groups())
    return f"{above}/{below}"


def _script(body: str, alphabet: dict[int, int], mark: str) -> str:
    if all(ord(letter) in alphabet for letter in body):
        return body.translate(alphabet)
    return f"{mark}{body}" if len(body) == 1 else f"{mark}({body})"


_SYMBOLS = {
    "nabla": "∇", "otimes": "⊗", "odot": "⊙", "circ": "∘", "top": "ᵀ", "sum": "∑", "log": "log ",
    "det": "det ", "cdot": "·", "Theta": "Θ", "Sigma": "Σ", "mu": "μ", "nu": "ν", "sigma": "σ",
    "alpha": "α", "phi": "φ", "langle": "⟨", "rangle": "⟩", "Rightarrow": "⇒",
    "oplus": "⊕", "prod": "∏", "neq": "≠", "int": "∫", "infty": "∞", "partial": "∂", "exp": "exp ",
    "Lambda": "Λ", "Omega": "Ω", "Phi": "Φ", "Psi": "Ψ",
    "in": "∈", "lambda": "λ", "kappa": "κ",
}  # fmt: skip
_ACCENTS = {"bar": "\u0304", "dot": "\u0307", "ddot": "\u0308"}
_SUPERSCRIPTS = str.maketrans("0123456789+-=()ᵀTijklmnprt", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵀᵀⁱʲᵏˡᵐⁿᵖʳᵗ")
_SUBSCRIPTS = str.maketrans("0123456789+-=()aijklmnprstx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐᵢⱼₖₗₘₙₚᵣₛₜₓ")
