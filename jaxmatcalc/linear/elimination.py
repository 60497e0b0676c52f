"""Which blocks of a square block operator are solved alone, eliminated, or formed together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaxmatcalc.linear.structure import FORMED, LARGE, SMALL, formed

if TYPE_CHECKING:
    from jaxmatcalc.linear.operator import LinearOperator

# The methods that go by blocks
BY_BLOCKS = ("blocks", "eliminate")


@dataclass(frozen=True)
class Piece:
    """Blocks that hang together.

    Attributes:
        indices: their rows, which are their columns.
        eliminated: those of them that are taken out first, by their structure.
        method: "single" (one block, by its own method), "eliminate", or one of `FORMED`.
    """

    indices: tuple[int, ...]
    eliminated: tuple[int, ...]
    method: str

    @property
    def places(self) -> list[int]:
        """Where the eliminated ones stand among the piece's own."""
        return [self.indices.index(e) for e in self.eliminated]


def connected(rows: Sequence[Sequence[LinearOperator]]) -> list[tuple[int, ...]]:
    """Blocks that hang together; those without entries are left out."""
    count = range(len(rows))
    coupled = [[bool(rows[i][j].terms or rows[j][i].terms) for j in count] for i in count]
    left = [k for k in count if math.prod(rows[k][k].out_shape)]
    found = []
    while left:
        members, border = {left[0]}, [left[0]]
        while border:
            k = border.pop()
            new = [j for j in left if coupled[k][j] and j not in members]
            members.update(new)
            border += new
        left = [k for k in left if k not in members]
        found.append(tuple(sorted(members)))
    return found


def plan(
    rows: Sequence[Sequence[LinearOperator]],
    of_block: Callable[[LinearOperator], str],
    assume_a: str = "gen",
    above: int = SMALL,
) -> list[Piece]:
    """The pieces of a square operator, of which no two are coupled.

    Args:
        rows: the blocks.
        of_block: the method of a block by itself.
        assume_a: as in `solve`.
        above: the order from which on blocks are eliminated; a small matrix is formed.
    """
    order = [math.prod(row[k].out_shape) for k, row in enumerate(rows)]
    pieces = []
    for indices in connected(rows):
        if len(indices) == 1:
            pieces.append(Piece(indices, (), "single"))
            continue
        exact = [k for k in indices if of_block(rows[k][k]) not in (*FORMED, "none")]
        taken: list[int] = []
        for k in sorted(exact, key=lambda k: -order[k]):
            if not any(rows[k][e].terms or rows[e][k].terms for e in taken):
                taken.append(k)
        total, out = sum(order[k] for k in indices), sum(order[k] for k in taken)
        if taken and total > above and _fits(total - out, out):
            pieces.append(Piece(indices, tuple(sorted(taken)), "eliminate"))
        else:
            name = formed(total)
            name = "cg" if name == "gmres" and assume_a == "pos" else name
            pieces.append(Piece(indices, (), name))
    return pieces


def _fits(rest: int, out: int) -> bool:
    """Whether the complement, and what couples it, are no larger than a matrix that is formed."""
    return rest <= LARGE and rest * out <= LARGE**2


def named(pieces: Sequence[Piece]) -> list[str]:
    """The word for a plan, if blocks have a part in it."""
    kinds = {piece.method for piece in pieces}
    if kinds <= {"single"}:
        return ["blocks"]
    return ["eliminate"] if kinds <= {"single", "eliminate"} else []


def method(pieces: Sequence[Piece]) -> str:
    """The word for a plan: the least structured piece says it."""
    words = named(pieces)
    if words:
        return words[0]
    kinds = [piece.method for piece in pieces]
    return next(k for k in ("gmres", "cg", "dense") if k in kinds)
