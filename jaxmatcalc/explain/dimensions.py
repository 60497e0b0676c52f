"""Sizes of axes as unknowns: equations between products of them, solved by unification."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_NAMES = "mnpqrskl"
_SIZES = range(3, 10_000)  # what an axis without a size gets: 1 and 2 would hide mistakes
_TRIES = 20_000


class Dimension(NamedTuple):
    """A number times unknowns, in the order of the axes that they come from."""

    number: int
    unknowns: tuple[int, ...] = ()


Equation = tuple[Dimension, Dimension]


class Dimensions:
    """The unknown sizes of one formula, and what is known of them."""

    def __init__(self) -> None:
        self._bound: dict[int, Dimension] = {}
        self._waiting: list[tuple[Equation, object]] = []
        self._count = 0
        self._given: set[int] = set()

    def size(self, given: int | None = None) -> Dimension:
        """A given size, or a new unknown."""
        if given is not None:
            self._given.add(given)
            return Dimension(given)
        self._count += 1
        return Dimension(1, (self._count - 1,))

    def product(self, a: Dimension, b: Dimension) -> Dimension:
        """The size of an axis that merges two."""
        return Dimension(a.number * b.number, a.unknowns + b.unknowns)

    def resolved(self, a: Dimension) -> Dimension:
        """The same size by unknowns of which nothing is known yet."""
        while any(unknown in self._bound for unknown in a.unknowns):
            known = [self._bound.get(u, Dimension(1, (u,))) for u in a.unknowns]
            number = a.number * math.prod(d.number for d in known)
            a = Dimension(number, tuple(u for d in known for u in d.unknowns))
        return Dimension(0) if a.number == 0 else a

    def equal(self, a: Dimension, b: Dimension, blame: object) -> bool:
        """Make two sizes equal; False where they cannot be.

        An equation between products waits for `solve`, which returns its `blame` if nothing fits.
        """
        a, b = self._cancelled(a, b)
        younger_first = sorted((a, b), key=lambda side: side.unknowns, reverse=True)
        for left, right in (younger_first, younger_first[::-1]):
            if left.number == 1 and len(left.unknowns) == 1:
                if left.unknowns[0] not in right.unknowns:
                    self._bound[left.unknowns[0]] = right
                    return True
            elif left.number == 1 and left.unknowns and right == (1, ()):
                return all(self.equal(Dimension(1, (u,)), right, blame) for u in left.unknowns)
        if not a.unknowns and not b.unknowns:
            return a == b
        for left, right in ((a, b), (b, a)):
            if not left.unknowns and right.number and left.number % right.number:
                return False
        self._waiting.append(((a, b), blame))
        return True

    def solve(self) -> object | None:
        """Give every unknown a size; the blame of an equation that no sizes satisfy, else None."""
        while self._waiting:
            before = len(self._waiting), len(self._bound)
            waiting, self._waiting = self._waiting, []
            for (a, b), blame in waiting:
                if not self.equal(a, b, blame):
                    return blame
            if (len(self._waiting), len(self._bound)) == before:
                (a, b), blame = self._waiting[0]
                if a.number == b.number and len(a.unknowns) == len(b.unknowns):
                    pairs = zip(a.unknowns, b.unknowns, strict=True)  # axis by axis
                    alike = Dimensions()
                    alike._bound, alike._waiting = dict(self._bound), list(self._waiting[1:])
                    alike._count, alike._given = self._count, self._given
                    fits = all(
                        alike.equal(Dimension(1, (u,)), Dimension(1, (v,)), blame) for u, v in pairs
                    )
                    if fits and alike.solve() is None:
                        self._bound, self._waiting = alike._bound, []
                        return None
                return self._search()
        self._fill()
        return None

    def value(self, a: Dimension) -> int:
        """A size after `solve`."""
        return self.resolved(a).number

    def shown(self, a: Dimension) -> str:
        """A size for a message: a number, a letter, or a product of them."""
        a = self.resolved(a)
        parts = [] if a.number == 1 and a.unknowns else [str(a.number)]
        return "·".join([*parts, *map(_name, a.unknowns)])

    def _cancelled(self, a: Dimension, b: Dimension) -> Equation:
        """Both sides without the unknowns they share; sizes are not zero but where given so."""
        a, b = self.resolved(a), self.resolved(b)
        shared = Counter(a.unknowns) & Counter(b.unknowns)
        number = math.gcd(a.number, b.number) or 1
        sides = []
        for side in (a, b):
            left = Counter(shared)
            kept = []
            for unknown in side.unknowns:
                if left[unknown]:
                    left[unknown] -= 1
                else:
                    kept.append(unknown)
            sides.append(Dimension(side.number // number, tuple(kept)))
        return sides[0], sides[1]

    def _search(self) -> object | None:
        """Try sizes for the unknowns of the equations that wait."""
        equations = [(self.resolved(a), self.resolved(b)) for (a, b), _ in self._waiting]
        unknowns = sorted({u for equation in equations for side in equation for u in side.unknowns})
        numbers = {side.number for equation in equations for side in equation}
        divisors = {d for n in numbers for d in range(1, min(n, 1000) + 1) if n % d == 0}
        sizes = sorted({*range(1, 8), *divisors}, key=lambda d: (d < 3, d))
        tries = itertools.islice(itertools.product(sizes, repeat=len(unknowns)), _TRIES)
        for attempt in tries:
            values = dict(zip(unknowns, attempt, strict=True))
            if all(_at(a, values) == _at(b, values) for a, b in equations):
                self._bound.update({u: Dimension(v) for u, v in values.items()})
                self._waiting = []
                self._fill()
                return None
        return self._waiting[0][1]

    def _fill(self) -> None:
        """Distinct small sizes for unknowns of which nothing is known."""
        fresh = self._fresh()
        for unknown in range(self._count):
            if unknown not in self._bound:
                self._bound[unknown] = Dimension(next(fresh))

    def _fresh(self) -> Iterator[int]:
        return (size for size in _SIZES if size not in self._given)


def _at(a: Dimension, values: dict[int, int]) -> int:
    return a.number * math.prod(values[u] for u in a.unknowns)


def _name(unknown: int) -> str:
    letter = _NAMES[unknown % len(_NAMES)]
    return letter if unknown < len(_NAMES) else f"{letter}{unknown // len(_NAMES)}"
