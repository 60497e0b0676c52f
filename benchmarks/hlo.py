"""Launches and memory traffic of a compiled program, counted in its HLO text.

The compiler for GPUs offers no cost analysis without a GPU, and that for TPUs counts memory on the
chip too. What is counted here is what a launch must read from main memory and write to it at least:
operands and results, of a slice only the part that is taken. A call of a library counts once,
whatever it does inside, so the counts are lower bounds for programs that call libraries.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

_BYTES = {
    "pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s32": 4, "u32": 4,
    "f32": 4, "s64": 8, "u64": 8, "f64": 8, "c64": 8, "c128": 16, "token": 0, "s4": 1, "u4": 1,
}  # fmt: skip
_NOTHING = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id",
    "replica-id", "opt-barrier", "copy-done", "async-done", "fusion-done", "slice-done",
    }  # fmt: skip
_INSTRUCTION = re.compile(r"^\s*(?P<root>ROOT )?%?(?P<name>[\w.\-]+) = (?P<rest>.*)$")
_OPCODE = re.compile(
    r"(?:^|\s)(?P<opcode>[a-z][\w\-]*)\((?P<operands>[^()]*(?:\([^()]*\)[^()]*)*)\)"
)
_PREFETCHES = {"copy-start", "slice-start", "dynamic-slice-start"}
_SLICES = {"dynamic-slice", "slice", "gather"}


@dataclass
class Instruction:
    """One line of HLO."""

    type: str
    opcode: str
    operands: list[str]
    text: str
    root: bool


@dataclass
class Traffic:
    """What a program costs: launches, bytes, and the names of the kernels of jaxmatcalc in it."""

    launches: int = 0
    bytes: int = 0
    kernels: set[str] = field(default_factory=set)

    def add(self, other: Traffic, times: int = 1) -> None:
        """Add what runs some number of times."""
        self.launches += times * other.launches
        self.bytes += times * other.bytes
        self.kernels |= other.kernels


def traffic(text: str) -> Traffic:
    """The traffic of a module; loops count as often as they run where the compiler knows it."""
    programs, entry = parse(text)
    return _run(programs, entry)


def parse(text: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """The computations of a module by name, and the name of the one that runs."""
    programs: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if line.endswith("{") and " -> " in line and " = " not in line.partition("(")[0]:
            name = line.removeprefix("ENTRY ").lstrip("%").split(" ")[0].split("(")[0]
            current = programs.setdefault(name, {})
            entry = name if line.startswith("ENTRY") else entry
        elif current is not None and (found := _INSTRUCTION.match(line)):
            type_, rest = _typed(found["rest"])
            if call := _OPCODE.match(rest):
                names = re.findall(r"%([\w.\-]+)", call["operands"])
                if call["opcode"] == "parameter":
                    names = [call["operands"]]  # its number
                current[found["name"]] = Instruction(
                    type_, call["opcode"], names, rest[call.end() :], bool(found["root"])
                )
    return programs, entry


def _typed(rest: str) -> tuple[str, str]:
    """The type at the start of a definition, and what follows it."""
    if not rest.startswith("("):
        type_, _, after = rest.partition(" ")
        return type_, after
    depth = 0
    for place, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return rest[: place + 1], rest[place + 1 :].lstrip()
    return rest, ""


def size(type_: str) -> int:
    """Bytes of an array or tuple type in main memory; S(1) is memory on the chip of a TPU."""
    found = re.findall(r"(\w+)\[([\d,]*)\](\{[^}]*\})?", type_)
    return sum(
        _BYTES.get(dtype, 4) * math.prod(int(n) for n in dims.split(",") if n)
        for dtype, dims, layout in found
        if "S(1)" not in layout
    )


def _run(programs: dict[str, dict[str, Instruction]], name: str) -> Traffic:
    total = Traffic()
    program = programs[name]
    for called in program.values():
        inner = {
            key: value
            for key, value in re.findall(r"(\w+)=%?([\w.\-]+)", called.text)
            if value in programs
        }
        if called.opcode in _NOTHING:
            continue
        if called.opcode == "while":
            times = re.search(r'"known_trip_count":\{"n":"(\d+)"', called.text)
            total.add(_run(programs, inner["body"]), int(times[1]) if times else 1)
        elif called.opcode in ("call", "async-start", "conditional"):
            branches = re.findall(r"branch_computations=\{([^}]*)\}", called.text)
            names = re.findall(r"%([\w.\-]+)", branches[0]) if branches else list(inner.values())
            costs = [_run(programs, inside) for inside in names] or [Traffic()]
            total.add(max(costs, key=lambda cost: cost.bytes))
        else:
            total.launches += called.opcode not in _PREFETCHES
            body = programs.get(inner.get("calls", ""), {}) if called.opcode == "fusion" else {}
            total.bytes += _moved(program, called, body)
            total.kernels |= set(re.findall(r"/jaxmatcalc_(\w+)/", called.text))
    return total


def _moved(
    program: dict[str, Instruction], called: Instruction, body: dict[str, Instruction]
) -> int:
    """Bytes that one launch reads and writes."""
    if called.opcode in _SLICES:
        return 2 * size(called.type)
    if called.opcode in _PREFETCHES:  # their result names the source too
        return size(called.type)
    # A library's workspace is bytes; no array of ours is.
    written = size(re.sub(r"s8\[[\d,]*\]", "", called.type))
    root = next((i for i in body.values() if i.root), None)
    updated = root.operands[0] if root and root.opcode == "dynamic-update-slice" else None
    if updated is not None:  # in its place
        written = size(body[root.operands[1]].type) if root else 0
    parameters = {i.operands[0]: name for name, i in body.items() if i.opcode == "parameter"}
    read = 0
    for place, operand in enumerate(called.operands):
        whole = size(program[operand].type) if operand in program else 0
        name = parameters.get(str(place))
        users = [i for i in body.values() if name is not None and name in i.operands]
        if users and all(i.opcode in _SLICES for i in users):
            whole = min(whole, sum(size(i.type) for i in users))
        if name is not None and name == updated:
            whole = 0
        read += whole
    return read + written
