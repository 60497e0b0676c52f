"""Formulas as text: from the spelling of matrixcalculus.org, or of NumPy, to a tree and back.

Grammar, loosest first; operators of one line group to the left:

    sum      product (("+" | "-") product)*
    product  unary (("*" | "/" | ".*" | "./" | "@") unary)*
    unary    ("+" | "-")* power
    power    primary ("'" | ("^" | ".^" | "**") ("+" | "-")* primary)*
    primary  (number | name | name "(" sum ("," sum)* ")" | "(" sum ")") ".T"*

As in MATLAB, `'` and powers bind equally: A^2' is (A^2)'. A tower a^b^c, which MATLAB and Python
read differently, needs parentheses. Nothing is ever evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from jaxmatcalc import _checks

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+(?:\.(?![*/^'T])\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?:(?:numpy|np|jax\.numpy|jnp|jax\.nn|jax\.scipy|scipy|jmc)\.(?:linalg\.)?(?!T\b))?
        (?P<name>[^\W\dᵀ⁰¹²³⁴-⁹][^\Wᵀ⁰¹²³⁴-⁹]*)
      | (?P<symbol>\*\*|\.[*/^]|\.T\b|[-+*/@^'(),−·⊙∘⊘ᵀ′’])
    )""",
    re.VERBOSE,
)
_SPELLINGS = {
    "**": ".^",
    "−": "-",
    "·": "*",
    "⊙": ".*",
    "∘": ".*",
    "⊘": "./",
    "ᵀ": "'",
    "′": "'",
    "’": "'",
}
SUMS, PRODUCTS, POWERS = ("+", "-"), ("*", "/", ".*", "./", "@"), ("^", ".^")
_OPERATOR = "an operator"
_OPERAND = "a number, a name or `(`"
# Far below what Python's stack holds, of which a level of parentheses takes nine frames.
_DEEPEST, _LONGEST = 40, 400


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a formula.

    Attributes:
        kind: "number", "name", "call", "negative", "transpose", or an operator's symbol.
        operands: the parts it is made of.
        value: of a number, the number; of a name or a call, the name.
        span: where it stands in the text.
    """

    kind: str
    operands: tuple[Node, ...]
    value: float | str
    span: tuple[int, int]


def tree(text: str, functions: dict[str, str]) -> Node:
    """The tree of a formula.

    Args:
        text: the formula.
        functions: the names that may stand before a parenthesis, each with its one true name.
    """
    return _Reader(text, functions).whole()


class _Reader:
    def __init__(self, text: str, functions: dict[str, str]):
        self._text, self._functions = text, functions
        self._tokens = _tokens(text)
        self._next, self._depth = 0, 0

    def whole(self) -> Node:
        if len(self._tokens) > _LONGEST:
            self._next = _LONGEST
            self._refuse(f"The formula needs at most {_LONGEST} symbols.")
        node = self._sum()
        if self._kind != "end":
            self._fail(f"{_OPERATOR} or the end")
        return node

    @property
    def _kind(self) -> str:
        return self._tokens[self._next][0]

    @property
    def _symbol(self) -> str:
        kind, value, _ = self._tokens[self._next]
        return value if kind == "symbol" else ""

    def _take(self) -> tuple[str, str, tuple[int, int]]:
        self._next += 1
        return self._tokens[self._next - 1]

    def _fail(self, what: str) -> NoReturn:
        _checks.expected(self._text, self._tokens[self._next][2], what)

    def _refuse(self, sentence: str) -> NoReturn:
        _checks.formula(self._text, self._tokens[self._next][2], sentence)

    def _sum(self) -> Node:
        return self._left_to_right(self._product, SUMS)

    def _product(self) -> Node:
        return self._left_to_right(self._unary, PRODUCTS)

    def _left_to_right(self, operand: Callable[[], Node], symbols: tuple[str, ...]) -> Node:
        node = operand()
        while self._symbol in symbols:
            _, symbol, _ = self._take()
            right = operand()
            node = Node(symbol, (node, right), "", (node.span[0], right.span[1]))
        return node

    def _unary(self) -> Node:
        signs = self._signs()
        return _signed(self._power(), signs)

    def _signs(self) -> list[tuple[str, int]]:
        signs = []
        while self._symbol in SUMS:
            _, symbol, span = self._take()
            signs.append((symbol, span[0]))
        return signs

    def _power(self) -> Node:
        node, is_power = self._primary(), False
        while self._symbol in ("'", *POWERS):
            _, symbol, span = self._take()
            start = node.span[0]
            if symbol == "'":
                node, is_power = Node("transpose", (node,), "", (start, span[1])), False
                continue
            if is_power:
                self._next -= 1
                self._refuse("A power of a power needs parentheses: `(a^b)^c` or `a^(b^c)`.")
            signs = self._signs()
            exponent = _signed(self._primary(), signs)
            node = Node(symbol, (node, exponent), "", (start, exponent.span[1]))
            is_power = True
        return node

    def _primary(self) -> Node:
        kind, value, span = self._tokens[self._next]
        if kind == "number":
            self._take()
            node = Node("number", (), float(value), span)
        elif kind == "name":
            self._take()
            called = self._symbol == "("
            node = self._call(value, span) if called else Node("name", (), value, span)
        elif value == "(" and kind == "symbol":
            self._take()
            inner = self._inside()
            node = Node(inner.kind, inner.operands, inner.value, (span[0], self._close()))
        else:
            self._fail(_OPERAND)
        while self._symbol == ".T":
            end = self._take()[2][1]
            node = Node("transpose", (node,), "", (node.span[0], end))
        return node

    def _call(self, name: str, span: tuple[int, int]) -> Node:
        if name not in self._functions:
            _checks.unknown_function(self._text, span, name, self._functions)
        self._take()
        operands = [self._inside()]
        while self._symbol == ",":
            self._take()
            operands.append(self._inside())
        return Node("call", tuple(operands), self._functions[name], (span[0], self._close()))

    def _inside(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse(f"The formula needs at most {_DEEPEST} parentheses inside of each other.")
        node = self._sum()
        self._depth -= 1
        return node

    def _close(self) -> int:
        if self._symbol != ")":
            self._fail(f"{_OPERATOR}, `,` or `)`")
        return self._take()[2][1]


def _tokens(text: str) -> list[tuple[str, str, tuple[int, int]]]:
    tokens, place = [], 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            _checks.expected(text, (start, start + 1), "a number, a name or an operator")
        kind = str(match.lastgroup)
        value = match[kind]
        start = match.end() - len(match[0].lstrip())
        tokens.append((kind, _SPELLINGS.get(value, value), (start, match.end())))
        place = match.end()
    return [*tokens, ("end", "", (end, end + 1))]


def _signed(node: Node, signs: list[tuple[str, int]]) -> Node:
    for symbol, start in reversed(signs):
        if symbol == "-":
            node = Node("negative", (node,), "", (start, node.span[1]))
    return node


_SUM, _PRODUCT, _UNARY, _POWER, _PRIMARY = range(5)


def spelled(node: Node) -> str:
    """The formula of a tree, in the spelling of matrixcalculus.org, with the fewest parentheses."""
    return _spelled(node)[0]


def _spelled(node: Node) -> tuple[str, int]:
    """The text, and how tightly it binds."""
    operands = node.operands
    match node.kind:
        case "number":
            return f"{node.value!r}".removesuffix(".0"), _PRIMARY
        case "name":
            return str(node.value), _PRIMARY
        case "call":
            return f"{node.value}({', '.join(map(spelled, operands))})", _PRIMARY
        case "negative":
            return f"-{_at_least(_POWER, operands[0])}", _UNARY
        case "transpose":
            text, level = _spelled(operands[0])
            bare = level == _PRIMARY or operands[0].kind == "transpose"
            return f"{text}'" if bare else f"({text})'", _POWER
    left, right = operands
    if node.kind in SUMS:
        return f"{_at_least(_SUM, left)} {node.kind} {_at_least(_PRODUCT, right, True)}", _SUM
    if node.kind in PRODUCTS:
        return f"{_at_least(_PRODUCT, left)}{node.kind}{_at_least(_POWER, right)}", _PRODUCT
    base = _at_least(_POWER if left.kind == "transpose" else _PRIMARY, left)
    if right.kind == "negative":
        return f"{base}{node.kind}-{_at_least(_PRIMARY, right.operands[0])}", _POWER
    return f"{base}{node.kind}{_at_least(_PRIMARY, right)}", _POWER


def _at_least(lowest: int, node: Node, right_of_sum: bool = False) -> str:
    text, level = _spelled(node)
    bare = level >= lowest and not (right_of_sum and text.startswith("-"))
    return text if bare else f"({text})"
