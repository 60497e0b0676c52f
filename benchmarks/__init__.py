"""Benchmarks: plain JAX, jaxmatcalc and their peers side by side, checked, then timed in turns.

``python -m benchmarks run`` measures, ``report`` writes tables, ``compare`` sets two results side
by side. A case is a line of `cases.py`, a contender a few lines of `ways.py` or `peers`.
"""
