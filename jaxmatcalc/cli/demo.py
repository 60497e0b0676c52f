"""``jaxmatcalc demo``: a precision matrix by Newton's method with the exact structured Hessian."""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import jaxmatcalc as jmc
from jaxmatcalc.cli import plot, precision

DESCRIPTION = """\
Estimate the regularised precision matrix of 1,797 handwritten digits: minimise

    f(Θ) = -log|Θ| + tr(SΘ) + ρ/2 ‖Θ‖²_F

over the positive definite matrices Θ, where S is the correlation matrix of the
pixels, by Newton's method. f is plain jax.numpy; its Hessian comes back as a
structured operator that is solved exactly and never formed. The result is
compared with the known optimum, the Hessian with jax.hessian, and the time of a
Newton step with jax.hessian and a dense solve.
"""
MAX_ITERATIONS = 100
MAX_SIZE = 64
RHO_RANGE = (1e-6, 1e6)
BLOCK = 12


class Fit(NamedTuple):
    """Where Newton's method stopped."""

    theta: jax.Array
    gradient_norm: float
    iterations: int
    converged: bool


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe ``jaxmatcalc demo``."""
    command = subparsers.add_parser(
        "demo",
        help="a Newton method with 4,096 unknowns on real data",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--size",
        type=size,
        default=MAX_SIZE,
        metavar="N",
        help=f"how many pixels, those that vary most; 2 to {MAX_SIZE} (default: {MAX_SIZE})",
    )
    command.add_argument(
        "--rho",
        type=rho,
        default=0.1,
        metavar="RHO",
        help="the weight ρ of the penalty, 1e-6 to 1e6 (default: 0.1)",
    )
    command.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="precision; float64 is turned on for this command only (default: float32)",
    )
    command.add_argument(
        "--plot",
        type=plot.file,
        metavar="FILE",
        help="draw the partial correlations of the pixels (.png, .svg, .pdf); needs matplotlib",
    )
    command.set_defaults(run=run)


def size(text: str) -> int:
    """Read the value of ``--size``."""
    if not (text.isdecimal() and 2 <= int(text) <= MAX_SIZE):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 2 to {MAX_SIZE}; got {text!r}"
        )
    return int(text)


def rho(text: str) -> float:
    """Read the value of ``--rho``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not RHO_RANGE[0] <= value <= RHO_RANGE[1]:
        raise argparse.ArgumentTypeError(f"must be a number from 1e-6 to 1e6; got {text!r}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Fit, check, time, and draw."""
    console = Console(highlight=False, soft_wrap=True)
    # The settings last as long as this block: a caller's own stay as they were.
    with (
        jax.enable_x64(arguments.dtype == "float64"),
        jax.default_matmul_precision("highest"),
    ):
        return demonstrate(console, arguments)


def demonstrate(console: Console, arguments: argparse.Namespace) -> int:
    """The demonstration, in the precision that is set."""
    n, weight = arguments.size, arguments.rho
    data = precision.correlations(n)
    S = jnp.asarray(data.matrix, arguments.dtype)
    f = precision.objective(S, weight)
    start = jnp.eye(n, dtype=S.dtype)

    describe(console, data, f, start, weight)
    fit = minimise(console, f, start)
    error = relative_error(fit.theta, precision.optimum(np.asarray(S), weight))
    hessian_error = cross_check(S, weight, fit.theta)

    console.print(f"\ngradient norm         {fit.gradient_norm:.1e} after {fit.iterations} steps")
    console.print(f"error of Θ            {error:.1e} relative to the closed-form optimum")
    console.print(
        f"error of the Hessian  {hessian_error:.1e} relative to jax.hessian, leading "
        f"{min(n, BLOCK)} × {min(n, BLOCK)} block of S"
    )
    # Half-way, where the gradient is not made of rounding errors.
    compare(console, f, (start + fit.theta) / 2)
    if arguments.plot:
        plot.partial_correlations(arguments.plot, np.asarray(fit.theta), data.pixels, weight)
        console.print(f"\npartial correlations drawn to {arguments.plot}", markup=False)

    tolerance = math.sqrt(jnp.finfo(S.dtype).eps)
    if fit.converged and max(error, hessian_error) < tolerance:
        return 0
    console.print("\nThe fit or the cross-check missed its tolerance.")
    return 1


def describe(
    console: Console,
    data: precision.Correlations,
    f: precision.Objective,
    start: jax.Array,
    weight: float,
) -> None:
    """Print the problem, and the structure that was found in it."""
    n, unknowns = len(start), start.size
    structure = jax.jit(jmc.hessian_operator(f))(start).structure
    device = start.devices().pop()
    console.print(f"[bold]Precision matrix of 1,797 handwritten digits[/]   {device.device_kind}\n")
    console.print("minimise   f(Θ) = -log|Θ| + tr(SΘ) + ρ/2 ‖Θ‖²_F   over positive definite Θ")
    console.print(
        f"with       S the correlations of {n} pixels ({data.constant} are constant: rows of 0)"
    )
    console.print(f"           ρ = {weight:g}, {start.dtype}")
    console.print(f"unknowns   {unknowns:,}; a dense Hessian would have {unknowns**2:,} entries")
    console.print(f"Hessian    {structure}; solved by method {structure.method!r}\n", markup=False)


def minimise(console: Console, f: precision.Objective, theta: jax.Array) -> Fit:
    """Newton's method until the gradient is made of rounding errors; one line per iteration."""
    step = precision.newton_step(f)
    eps = float(jnp.finfo(theta.dtype).eps)
    tty = console.is_terminal
    columns = (TextColumn("Newton's method"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not tty) as progress:
        task = progress.add_task("", total=None)
        console.print(f"{'iteration':>9}  {'f(Θ)':>15}  {'gradient':>9}  {'step':>7}  {'ms':>7}")
        iteration, last, whole = 0, math.inf, 0.0
        while True:
            began = time.perf_counter()
            here = jax.block_until_ready(step(theta))
            elapsed = 1e3 * (time.perf_counter() - began)
            norm, goal = float(here.gradient_norm), float(here.tolerance)
            # The bar measures digits of the gradient still to be gained.
            left = math.log(max(norm / goal, 1))
            whole = left if iteration == 0 else whole
            progress.update(task, total=whole, completed=whole - left)
            # Below this f is constant to rounding: a gradient that no longer falls is rounding too.
            flat = float(here.decrement) <= 8 * eps * (abs(float(here.value)) + len(theta))
            converged = norm <= goal or (flat and norm > last / 2)
            stop = converged or iteration == MAX_ITERATIONS
            length = "" if stop else f"{float(here.length):.3g}"
            note = "  with compilation" if iteration == 0 else ""
            console.print(
                f"{iteration:>9}  {float(here.value):>15.9g}  {norm:>9.1e}  {length:>7}"
                f"  {elapsed:>7.1f}{note}"
            )
            if stop:
                return Fit(theta, norm, iteration, converged)
            iteration, theta, last = iteration + 1, here.theta, norm


def relative_error(value: jax.Array | np.ndarray, truth: jax.Array | np.ndarray) -> float:
    """Distance over length of the truth, in the Frobenius norm and in float64."""
    exact = np.asarray(truth, np.float64)
    return float(np.linalg.norm(np.asarray(value, np.float64) - exact) / np.linalg.norm(exact))


def cross_check(S: jax.Array, weight: float, theta: jax.Array) -> float:
    """Error of the Hessian against ``jax.hessian`` on the leading block of the problem."""
    f = precision.objective(S[:BLOCK, :BLOCK], weight)
    block = theta[:BLOCK, :BLOCK]
    ours = jax.jit(lambda x: jmc.hessian_operator(f)(x).to_dense())(block)
    return relative_error(ours, jax.jit(jax.hessian(f))(block))


def compare(console: Console, f: precision.Objective, theta: jax.Array) -> None:
    """Time a Newton direction both ways, in turns in one process, and print the ratio."""
    structured = jax.jit(precision.structured_direction(f)).lower(theta).compile()
    dense = jax.jit(precision.dense_direction(f)).lower(theta).compile()
    agreement = relative_error(structured(theta), dense(theta))
    fast, slow = [], []
    for _ in range(5):
        fast += [seconds(partial(structured, theta)) for _ in range(20)]
        slow.append(seconds(partial(dense, theta)))
    ours, theirs = statistics.median(fast), statistics.median(slow)
    n = len(theta)
    console.print(f"\nNewton direction at {n} × {n}, compiled, medians of one run")
    console.print(f"  structured Hessian, exact solve    {1e3 * ours:>10.3f} ms")
    console.print(f"  jax.hessian, dense solve           {1e3 * theirs:>10.3f} ms")
    console.print(f"  ratio [bold]{theirs / ours:,.0f}[/]; the two differ by {agreement:.1e}")


def seconds(compute: Callable[[], jax.Array]) -> float:
    """Time of one call, until its result is there."""
    began = time.perf_counter()
    jax.block_until_ready(compute())
    return time.perf_counter() - began
