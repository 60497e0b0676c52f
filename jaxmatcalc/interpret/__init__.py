"""The tangent program of a function, run once with its tangents standing for lazy identities."""

from jaxmatcalc.interpret.cost import cheapest
from jaxmatcalc.interpret.program import Program

__all__ = ["Program", "cheapest"]
