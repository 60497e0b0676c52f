"""The library calls that have an operation here: what each is written as, and what replaces it.

Options that are fixed while tracing (an axis, a norm's order, an exponent) do not show in the call,
only in its body. So an entry names, for a call at hand, the variants it may be: each a reference,
whose body decides, and a replacement. An option that is in no variant leaves the call alone.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl

from jaxmatcalc import _jax, ops
from jaxmatcalc._precision import matmul
from jaxmatcalc.interpret.matching import Entry, Function, Site, Variant

linalg = jnp.linalg


def only(*variants: Variant) -> Callable[[Site], Iterable[Variant]]:
    """These variants at every call."""
    return lambda site: variants


# --- linear systems -------------------------------------------------------------------------------


def _inverse_times(A: Any, B: Any) -> jax.Array:
    """solve, with the inverse as a factor that the derivative can name."""
    return matmul(ops.inv(A), B)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _as_read(lower: bool, A: Any) -> Any:
    """The Hermitian matrix of which JAX reads one triangle of A; the differential is dA's.

    That is how `jax.scipy.linalg.solve` differentiates: A is taken to be Hermitian already.
    """
    off = jnp.tril(A, -1) if lower else jnp.triu(A, 1)
    diagonal = jnp.where(jnp.eye(A.shape[-1], dtype=bool), A, 0)
    return off + diagonal + jnp.conj(jnp.swapaxes(off, -1, -2))


@_as_read.defjvp
def _as_read_jvp(lower: bool, primals: Any, tangents: Any) -> Any:
    return _as_read(lower, *primals), tangents[0]


def _positive_solve(lower: bool, A: Any, B: Any) -> jax.Array:
    return ops.solve(_as_read(lower, A), B, assume_a="pos")


def _positive_inverse_times(lower: bool, A: Any, B: Any) -> jax.Array:
    return matmul(ops.inv(_as_read(lower, A), assume_a="pos"), B)


def _solves(*variants: Variant) -> Callable[[Site], Iterable[Variant]]:
    def found(site: Site) -> Iterable[Variant]:
        if len(site.shapes) != 2:
            return ()
        A, B = site.shapes
        if len(B) == 1:
            return variants if site.gives(A[:-1]) else ()
        axes = max(len(A), len(B)) + len(site.sizes)
        fits = A[-1] == B[-2] and site.eqn.outvars[0].aval.ndim == axes
        return variants if fits else ()

    return found


_POSITIVE = [
    Variant(
        functools.partial(jsl.solve, lower=lower, assume_a="pos"),
        functools.partial(_positive_solve, lower),
        functools.partial(_positive_inverse_times, lower),
    )
    for lower in (False, True)
]


def _pinv(site: Site) -> Iterator[Variant]:
    """The tolerance is an operand before or after X, or, in JAX 0.10, a number in the body."""
    first = len(site.shapes) == 2 and len(site.shapes[0]) < len(site.shapes[1])
    for fixed, hermitian in itertools.product([None, *_numbers(site.eqn)], (False, True)):
        options = (first, fixed, hermitian)
        yield Variant(
            functools.partial(_library_pinv, *options), functools.partial(_our_pinv, *options)
        )


def _library_pinv(first: bool, fixed: Any, hermitian: bool, *operands: Any) -> jax.Array:
    X, *rtol = operands[::-1] if first else operands
    return linalg.pinv(X, *(rtol or [fixed]), hermitian=hermitian)


def _our_pinv(first: bool, fixed: Any, hermitian: bool, *operands: Any) -> jax.Array:
    X, *rtol = operands[::-1] if first else operands
    return ops.pinv(ops.symmetric(X) if hermitian else X, *(rtol or [fixed]))


def _numbers(eqn: Any) -> list[float]:
    """The numbers that a call passes on to the calls in its body."""
    body = _jax.body(eqn)
    calls = body[0].eqns if body else []
    return [float(v.val) for call in calls for v in call.invars if isinstance(v, _jax.Literal)]


# --- decompositions -------------------------------------------------------------------------------


def _upper_cholesky(X: Any) -> jax.Array:
    return jnp.conj(jnp.swapaxes(ops.cholesky(X), -1, -2))


def _eigenvaluesonly(reference: Function) -> Variant:
    """A decomposition whose eigenvectors are not used."""
    return Variant(reference, lambda X: (ops.eigvalsh(X), None), without=(1,))


_EIGH = [_eigenvaluesonly(functools.partial(linalg.eigh, UPLO=side)) for side in "LU"]
_EIGVALSH = [Variant(functools.partial(linalg.eigvalsh, UPLO=s), ops.eigvalsh) for s in "LU"]
_SCIPY_EIGH = [
    Variant(functools.partial(jsl.eigh, lower=lower, eigvals_only=True), ops.eigvalsh)
    for lower in (True, False)
] + [_eigenvaluesonly(functools.partial(jsl.eigh, lower=lower)) for lower in (True, False)]


# --- norms and traces -----------------------------------------------------------------------------


def _norms(site: Site) -> Iterator[Variant]:
    """Of all entries, of vectors along an axis, and of matrices along a pair of axes."""
    (shape,) = site.shapes
    d = len(shape)
    body = _jax.body(site.eqn)
    assert body is not None
    inside = {e.primitive.name for p in _jax.subprograms(body[0]) for e in p.eqns}
    pairs = list(itertools.permutations(range(d), 2))
    if "svd" in inside:
        kinds = [
            (order, axes, axes, op)
            for order, op in (("nuc", ops.nuclear_norm), (2, ops.spectral_norm))
            for axes in pairs
        ]
    elif "sqrt" in inside:
        named = [(None, tuple(range(d))), *[(a, a) for a in [(a,) for a in range(d)] + pairs]]
        kinds = [(None, axis, axes, ops.frobenius_norm) for axis, axes in named]
    else:
        return
    for order, axis, axes, op in kinds:
        for keepdims in (False, True):
            kept = [1] * len(axes) if keepdims else []
            if site.gives([n for a, n in enumerate(shape) if a not in axes] + kept):
                yield _norm(order, axis, keepdims, axes, op)


def _norm(order: Any, axis: Any, keepdims: bool, axes: tuple[int, ...], op: Function) -> Variant:
    return Variant(
        functools.partial(linalg.norm, ord=order, axis=axis, keepdims=keepdims),
        functools.partial(_over, op, axes, keepdims),
        squared=(
            functools.partial(_over, ops.squared_frobenius_norm, axes, keepdims)
            if op is ops.frobenius_norm
            else None
        ),
    )


def _over(op: Function, axes: tuple[int, ...], keepdims: bool, X: Any) -> jax.Array:
    """An operation on matrices, along axes of X: two of them, or any that are one row."""
    kept = [a for a in range(X.ndim) if a not in axes]
    Y = X if [*kept, *axes] == list(range(X.ndim)) else jnp.transpose(X, [*kept, *axes])
    if len(axes) != 2:
        Y = jnp.reshape(Y, (*Y.shape[: len(kept)], 1, -1 if X.size else 0))
    result = op(Y)
    return jnp.expand_dims(result, axes) if keepdims else result


def _traces(site: Site) -> Iterator[Variant]:
    """Along any two axes; an offset that comes with the call is zero, or it is another call."""
    first, *offset = site.eqn.invars
    if not all(map(_jax.is_zero, offset)):
        return
    shape, dtype = site.shapes[0], site.eqn.outvars[0].aval.dtype
    for axes in itertools.permutations(range(len(shape)), 2):
        if not site.gives([n for a, n in enumerate(shape) if a not in axes]):
            continue
        for given in (None, dtype) if dtype != first.aval.dtype else (None,):
            yield Variant(
                functools.partial(_library_trace, axes, given),
                functools.partial(_trace, axes, given),
            )


def _library_trace(axes: tuple[int, int], dtype: Any, X: Any, *offset: Any) -> jax.Array:
    given = {"offset": offset[0]} if offset else {}
    return jnp.trace(X, axis1=axes[0], axis2=axes[1], dtype=dtype, **given)


def _trace(axes: tuple[int, int], dtype: Any, X: Any, *offset: Any) -> jax.Array:
    return _over(ops.trace, axes, False, X if dtype is None else X.astype(dtype))


# --- products and functions of matrices -----------------------------------------------------------


def _kron(A: Any, B: Any) -> jax.Array:
    """The product of two matrices; a vector, or a number, is a row."""
    rows = ops.kron(jnp.atleast_2d(A), jnp.atleast_2d(B))
    return jnp.reshape(rows, rows.shape[2 - max(A.ndim, B.ndim) :])


def _krons(site: Site) -> Iterator[Variant]:
    ranks = [len(shape) for shape in site.shapes]
    if len(ranks) != 2 or max(ranks) > 2:
        return
    A, B = ((1, 1, *shape)[-2:] for shape in site.shapes)
    if site.gives([m * n for m, n in zip(A, B, strict=True)][2 - max(ranks) :]):
        yield Variant(jnp.kron, _kron)


def _powers(site: Site) -> Iterator[Variant]:
    """The exponent is read from the products in the body."""
    body = _jax.body(site.eqn)
    assert body is not None
    exponents = {body[0].invars[0]: 1}
    for e in body[0].eqns:
        known = [exponents.get(v) for v in e.invars if not isinstance(v, _jax.Literal)]
        if e.primitive.name == "dot_general" and None not in known:
            exponents[e.outvars[0]] = sum(k for k in known if k is not None)
        elif known and known[0] is not None:
            sign = -1 if _jax.call_name(e) == "inv" else 1
            exponents[e.outvars[0]] = sign * known[0]
    k = exponents.get(body[0].outvars[0], 0)
    yield Variant(
        functools.partial(linalg.matrix_power, n=k), functools.partial(ops.matrix_power, k=k)
    )


@jax.custom_jvp
def _complex_root(X: Any) -> jax.Array:
    """The root that SciPy gives, also where an eigenvalue is 0 or negative; its rule is ours."""
    return jsl.sqrtm(X)


@_complex_root.defjvp
def _complex_root_jvp(primals: Any, tangents: Any) -> Any:
    S = _complex_root(*primals)
    return S, jax.jvp(lambda X: ops.sqrtm(X.astype(S.dtype)), primals, tangents)[1]


# --- the table ------------------------------------------------------------------------------------

_SLOGDET = [Variant(functools.partial(linalg.slogdet, method=m), ops.slogdet) for m in (None, "qr")]

_CHOLESKY = [
    Variant(linalg.cholesky, ops.cholesky, factored=ops.symmetric),
    Variant(
        functools.partial(linalg.cholesky, upper=True),
        _upper_cholesky,
        factored=ops.symmetric,
        lower=False,
    ),
]

# fmt: off
LIBRARY: dict[str, Entry] = {
    "slogdet": Entry(("jnp.linalg.slogdet",), ("slogdet",), (2,), only(*_SLOGDET)),
    "det": Entry(("jnp.linalg.det", "jax.scipy.linalg.det"), ("det",), (2,),
                 only(Variant(linalg.det, ops.det))),
    "inv": Entry(("jnp.linalg.inv", "jax.scipy.linalg.inv"), ("inv",), (2,),
                 only(Variant(linalg.inv, ops.inv))),
    "solve": Entry(("jnp.linalg.solve", "jax.scipy.linalg.solve"), ("solve",), (2, 1),
                   _solves(Variant(linalg.solve, ops.solve, _inverse_times))),
    "_solve": Entry(("jax.scipy.linalg.solve",), ("solve",), (2, 1), _solves(*_POSITIVE)),
    "_pinv": Entry(("jnp.linalg.pinv",), ("pinv",), (0, 0), _pinv, square=False),
    "cholesky": Entry(("jnp.linalg.cholesky",), ("cholesky",), (2,), only(*_CHOLESKY)),
    "eigvalsh": Entry(("jnp.linalg.eigvalsh",), ("eigvalsh",), (2,), only(*_EIGVALSH)),
    "eigh": Entry(("jnp.linalg.eigh",), ("eigvalsh",), (2,), only(*_EIGH)),
    "_eigh": Entry(("jax.scipy.linalg.eigh",), ("eigvalsh",), (2,), only(*_SCIPY_EIGH)),
    "norm": Entry(("jnp.linalg.norm", "jnp.linalg.matrix_norm"),
                  ("frobenius_norm", "squared_frobenius_norm", "nuclear_norm", "spectral_norm"),
                  (0,), _norms, square=False),
    "trace": Entry(("jnp.trace", "jnp.linalg.trace"), ("trace",), (2, 0), _traces, square=False),
    "kron": Entry(("jnp.kron",), ("kron",), (0, 0), _krons, square=False),
    "matrix_power": Entry(("jnp.linalg.matrix_power",), ("matrix_power",), (2,), _powers),
    "expm": Entry(("jax.scipy.linalg.expm",), ("expm",), (2,), only(Variant(jsl.expm, ops.expm))),
    "_sqrtm": Entry(("jax.scipy.linalg.sqrtm",), ("sqrtm",), (2,),
                    only(Variant(jsl.sqrtm, _complex_root))),
}
# fmt: on
