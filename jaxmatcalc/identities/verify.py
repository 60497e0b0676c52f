"""Check the catalogue, the transforms and the rules of the operations on the default device."""

from __future__ import annotations

import functools
import importlib
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.identities import catalogue, families, operations
from jaxmatcalc.identities.engine import transformed
from jaxmatcalc.identities.record import Identity, Operation
from jaxmatcalc.identities.reference import closed_form, plain_jax, probe
from jaxmatcalc.identities.report import Report, Row, relative_error, worst_error
from jaxmatcalc.identities.sample import draw
from jaxmatcalc.identities.special_points import SPECIAL_POINTS
from jaxmatcalc.identities.special_points import check as check_point

Array = jax.Array


def verify(
    family: str | None = None,
    dtype: str | None = None,
    seeds: int = 1,
    *,
    platform: str | None = None,
    identities: Iterable[Identity] | None = None,
    on_check: Callable[[str, int], None] | None = None,
) -> Report:
    """Check the identities, the transforms and the operations against JAX's own autodiff.

    Every closed form of the catalogue is compared with the derivative that plain JAX gives of the
    plain ``jax.numpy`` function; ``jacobian``, ``hessian`` and the operators of jaxmatcalc, and
    their structure where it is stated, likewise; then the value and the first and second
    derivatives of every operation. Where JAX is known to be wrong, both are compared with the
    truth. All of it runs on one device, with matrix products at the highest precision.

    Args:
        family: only this family of the catalogue.
        dtype: "float32" or "float64"; the default is float64 where JAX has it on. References are
            in float64 where it is on.
        seeds: number of random points for each entry.
        platform: "cpu", "gpu", "tpu" or another that JAX has here: check on its first device. The
            default is JAX's default device.
        identities: check these instead of the catalogue and the operations.
        on_check: called before each check with its name and the number of checks.

    Returns:
        A report: ``.passed``, ``.rows``, ``.points``, ``.failures``, and a readable ``str``.

    Raises:
        ValueError: for a family or dtype that does not exist, float64 where JAX has it off, or a
            platform that is not here.

    Example:
        >>> import jaxmatcalc as jmc
        >>> report = jmc.verify(identities=[jmc.identities.get("trace-of-XA")])
        >>> report.passed
        True
    """
    if family is not None:
        _checks.option("verify", "family", family, families())
    wide = jnp.zeros(()).dtype.name
    dtype = wide if dtype is None else dtype
    _checks.option("verify", "dtype", dtype, ("float32", "float64"))
    if dtype == "float64" != wide:
        raise ValueError("`verify` needs jax_enable_x64 to be on for float64; it is off.")
    device = jax.devices()[0] if platform is None else _device(platform)
    entries = catalogue(family) if identities is None else tuple(identities)
    rules = operations(family) if identities is None else ()
    cases = [c for c in SPECIAL_POINTS if identities is None and family in (None, c.family)]
    count = len(entries) + len(rules) + len(cases)

    def announced(names: Iterable[Any]) -> Iterable[Any]:
        for entry in names:
            if on_check is not None:
                on_check(getattr(entry, "name", str(entry)), count)
            yield entry

    with jax.default_device(device), jax.default_matmul_precision("highest"):
        rows = [
            *(row for e in announced(entries) for row in check_identity(e, dtype, wide, seeds)),
            *(row for r in announced(rules) for row in check_operation(r, dtype, wide, seeds)),
        ]
        points = [check_point(case, dtype, tolerance(dtype)) for case in announced(cases)]
    return Report(
        tuple(rows),
        tuple(points),
        dtype=dtype,
        reference_dtype=wide,
        seeds=seeds,
        device=f"{device.platform} ({device.device_kind})",
        jax=jax.__version__,
    )


def _device(platform: str) -> Any:
    try:
        return jax.devices(platform)[0]
    except RuntimeError:
        raise ValueError(f"`verify` finds no device of platform {platform!r} here.") from None


def tolerance(dtype: Any) -> float:
    """Return the relative error that passes: 1024 units of rounding, 2e-13 in float64.

    >>> tolerance("float32")
    0.0001220703125
    """
    return 1024 * float(jnp.finfo(dtype).eps)


def finite_difference_tolerance(dtype: Any) -> float:
    """Return the relative error that passes against central differences in ``dtype``."""
    return 16 * float(jnp.finfo(dtype).eps) ** (2 / 3)


def check_identity(identity: Identity, dtype: Any, reference_dtype: Any, seeds: int) -> list[Row]:
    """Compare an identity and the transforms with plain JAX, and structures where stated."""
    return [
        check_closed_form(identity, dtype, reference_dtype, seeds),
        *check_transforms(identity, dtype, reference_dtype, seeds),
    ]


def check_closed_form(
    identity: Identity, dtype: Any, reference_dtype: Any, seeds: int, *, batched: bool = False
) -> Row:
    """Compare an identity with plain JAX: point by point, or ``batched``, all under ``vmap``."""
    points = _points(identity, dtype, seeds)
    truths, values = _stated(identity, points, reference_dtype)
    if batched or dtype != reference_dtype:
        values = _each(functools.partial(closed_form, identity), points, batched)
    return _row(identity, "closed form", values, truths, dtype, reference_dtype)


def check_transforms(
    identity: Identity, dtype: Any, reference_dtype: Any, seeds: int, *, batched: bool = False
) -> list[Row]:
    """Compare what the transforms of jaxmatcalc give with plain JAX, and their structure."""
    points = _points(identity, dtype, seeds)
    truths, _ = _stated(identity, points, reference_dtype)
    structures: list[str] = []

    @jax.jit
    def computed(args: tuple[Array, ...], probes: tuple[Array, ...]) -> dict[str, Array]:
        derivatives, found = transformed(identity, args, probes)
        if found is not None and identity.structure:
            structures.append(found.structure.kind)
        return derivatives

    try:
        values = _each(computed, points, batched)
    except Exception as error:  # a table must be complete: what does not run has failed
        allowed = _allowed(identity, dtype, reference_dtype)
        return [_crashed(identity.name, identity.family, "transforms", allowed, error)]
    rows = [
        _row(identity, check, [v[check] for v in values], truths, dtype, reference_dtype)
        for check in values[0]
    ]
    return rows + [_structure_row(identity, kind) for kind in structures[:1]]


Points = list[tuple[tuple[Array, ...], tuple[Array, ...]]]


def _points(identity: Identity, dtype: Any, seeds: int) -> Points:
    return [
        (draw(identity.sample, identity.name, seed, dtype), probe(identity, seed, dtype))
        for seed in range(seeds)
    ]


def _stated(identity: Identity, points: Points, dtype: Any) -> tuple[list[Array], list[Array]]:
    """Return the derivatives of plain JAX and the closed forms in ``dtype``."""
    program = _program(identity)
    truths, values = zip(*(program(*_cast(at, dtype)) for at in points), strict=True)
    return list(truths), list(values)


@functools.lru_cache(maxsize=8)
def _program(identity: Identity) -> Callable[..., tuple[Array, Array]]:
    """Return the compiled derivative and closed form, kept for the next check of the entry."""
    return jax.jit(lambda *at: (plain_jax(identity, *at), closed_form(identity, *at)))


def _each(program: Callable[..., Any], points: Points, batched: bool) -> list[Any]:
    """Return the results of a program at each point."""
    if not batched:
        compiled = jax.jit(program)
        return [compiled(*at) for at in points]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *points)
    results = jax.vmap(program)(*stacked)
    return [jax.tree.map(operator.itemgetter(seed), results) for seed in range(len(points))]


def _allowed(identity: Identity, dtype: Any, reference_dtype: Any) -> float:
    if identity.reference == "autodiff":
        return tolerance(dtype)
    return max(tolerance(dtype), finite_difference_tolerance(reference_dtype))


def _row(
    identity: Identity,
    check: str,
    values: list[Array],
    truths: list[Array],
    dtype: Any,
    reference_dtype: Any,
) -> Row:
    errors = (relative_error(*pair) for pair in zip(values, truths, strict=True))
    allowed = _allowed(identity, dtype, reference_dtype)
    return Row(identity.name, identity.family, check, worst_error(errors), allowed)


def check_operation(
    operation: Operation, dtype: Any, reference_dtype: Any, seeds: int
) -> list[Row]:
    """Compare the value and two orders of derivatives of an operation with its plain spelling."""
    module = importlib.import_module(f"jaxmatcalc.ops.{operation.family}")
    implementation = getattr(module, operation.name)

    @jax.jit
    def plain(args: tuple[Array, ...]) -> list[Array]:
        return _orders(operation.plain, _cast(args, reference_dtype))

    @jax.jit
    def ours(args: tuple[Array, ...]) -> list[Array]:
        return _orders(lambda *args: operation.apply(implementation, *args), args)

    samples = [draw(operation.sample, operation.name, seed, dtype) for seed in range(seeds)]
    truths = [plain(sample) for sample in samples]
    name, allowed = str(operation), tolerance(dtype)
    try:
        results = [ours(sample) for sample in samples]
    except Exception as error:  # as above
        return [_crashed(name, operation.family, "rule", allowed, error)]
    rows = []
    for order, check in enumerate(("value", "first order", "second order")):
        errors = (
            relative_error(result[order], truth[order])
            for result, truth in zip(results, truths, strict=True)
        )
        rows.append(Row(name, operation.family, check, worst_error(errors), allowed))
    return rows


def _orders(f: Callable[..., Array], args: tuple[Array, ...]) -> list[Array]:
    """Return the value, all first and all second derivatives, each as one flat array."""
    every = tuple(range(len(args)))
    trees = f(*args), jax.jacobian(f, every)(*args), jax.hessian(f, every)(*args)
    return [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in trees]


def _cast(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)


def _structure_row(identity: Identity, found: str) -> Row:
    right = found == identity.structure
    error = 0.0 if right else math.inf
    detail = "" if right else f"found {found}, stated {identity.structure}"
    return Row(identity.name, identity.family, "structure", error, 0.0, detail)


def _crashed(name: str, family: str, check: str, allowed: float, error: Exception) -> Row:
    first_line = str(error).partition("\n")[0]
    return Row(name, family, check, math.inf, allowed, f"{type(error).__name__}: {first_line}")
