r"""log |det A| of A = Σₜ sₜ ⊗ᵢ Mᵢ^eₜᵢ, with Hermitian Mᵢ and eₜᵢ ∈ {0, 1}, and all its derivatives.

Every term is diagonal in the eigenvectors of the Mᵢ, so that log |det A| is a sum over a grid of
eigenvalues. Its derivatives are traces of *chains*,

    tr(A⁻¹ D₁ A⁻¹ D₂ ⋯ A⁻¹ D_k),   with Kronecker products Dₗ = ⊗ᵢ Dₗᵢ,

since d log |det A| = tr(A⁻¹ dA) and dA⁻¹ = -A⁻¹ dA A⁻¹. A chain is linear in every Dₗᵢ, and its
gradient in one of them is the chain with a *hole* in that place. So chains are closed under
differentiation and transposition: no eigenvector is differentiated, eigenvalues may repeat, and a
matrix over the whole product is never formed.

Sources: d log|det A| = tr(A⁻¹ dA), d A⁻¹ = -A⁻¹ dA A⁻¹: Magnus and Neudecker, Matrix Differential
Calculus (2019), ch. 8; eigenvectors of Kronecker products and sums: Horn and Johnson, Topics in
Matrix Analysis (1991), ch. 4.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxmatcalc._multilinear import Multilinear, over_batch
from jaxmatcalc._precision import einsum, matmul
from jaxmatcalc.linear.schur import combined
from jaxmatcalc.linear.term import Array

# What stands in a place of a chain, where it is not the number of an operand
_IDENTITY, _ITSELF, _HOLE = -3, -2, -1

Letter = tuple[int, ...]
Word = tuple[Letter, ...]
Hole = tuple[int, int] | None


class Form(NamedTuple):
    """What is static about A.

    Attributes:
        exponents: for each term, whether each Mᵢ stands in it.
        diagonal: for each Mᵢ, whether it is diagonal, and given as a vector.
    """

    exponents: tuple[tuple[int, ...], ...]
    diagonal: tuple[bool, ...]

    def letter(self, term: int) -> Letter:
        """The Kronecker product of a term, without its scale."""
        return tuple(_ITSELF if e else _IDENTITY for e in self.exponents[term])


def spectra(form: Form, matrices: Sequence[Array]) -> list[tuple[Array, Array | None]]:
    """Eigenvalues and eigenvectors of each Mᵢ, once for each array; no vectors for a diagonal."""
    pairs = list(zip(matrices, form.diagonal, strict=True))
    once = {id(M): jnp.linalg.eigh(M) for M, diagonal in pairs if not diagonal}
    return [(M, None) if diagonal else once[id(M)] for M, diagonal in pairs]


class Point(NamedTuple):
    """Where a chain is taken: A, and its decomposition, which is not differentiated.

    Attributes:
        scales: the sₜ.
        matrices: the Mᵢ.
        weights: the eigenvalues of A⁻¹, an axis for each Mᵢ.
        spectra: the eigenvalues of each Mᵢ.
        vectors: the eigenvectors of each Mᵢ that is not diagonal.
    """

    scales: Sequence[Array]
    matrices: Sequence[Array]
    weights: Array
    spectra: Sequence[Array]
    vectors: Sequence[Array]

    @classmethod
    def at(cls, form: Form, scales: Sequence[Array], matrices: Sequence[Array]) -> Point:
        """The point, decomposed."""
        fixed = lax.stop_gradient((scales, matrices))
        found = spectra(form, fixed[1])
        values = [w for w, _ in found]
        weights = 1 / combined(values, fixed[0], form.exponents)
        return cls(scales, matrices, weights, values, [Q for _, Q in found if Q is not None])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def logabsdet(
    form: Form, vectors: bool, scales: tuple[Array, ...], matrices: tuple[Array, ...]
) -> Array:
    """log |det A|; -inf where A is singular, and no derivative there.

    Args:
        form: the exponents, and which matrices are diagonal.
        vectors: whether the eigenvectors are wanted elsewhere in the program: the value then comes
            from the decomposition that gives them.
        scales: the sₜ.
        matrices: the Mᵢ.
    """
    if vectors:
        values = [w for w, _ in spectra(form, matrices)]
    else:
        pairs = zip(matrices, form.diagonal, strict=True)
        values = [M if diagonal else jnp.linalg.eigvalsh(M) for M, diagonal in pairs]
    return jnp.sum(jnp.log(jnp.abs(combined(values, scales, form.exponents))))


@functools.partial(logabsdet.defjvp, symbolic_zeros=True)
def _logabsdet_jvp(form: Form, vectors: bool, primals: Any, tangents: Any) -> Any:
    (scales, matrices), (dscales, dmatrices) = primals, tangents
    value = logabsdet(form, True, scales, matrices)
    point = Point.at(form, scales, matrices)
    tangent = jnp.zeros_like(value)
    for t, (scale, dscale) in enumerate(zip(scales, dscales, strict=True)):
        letter = form.letter(t)
        if not isinstance(dscale, SymbolicZero):
            tangent += jnp.real(dscale * _chain(form, (letter,), None, point))
        for i, dM in enumerate(dmatrices):
            if form.exponents[t][i] and not isinstance(dM, SymbolicZero):
                word = (_placed(letter, i, 0),)
                tangent += jnp.real(scale * _chain(form, word, None, point, dM))
    return value, tangent


def _placed(letter: Letter, i: int, entry: int) -> Letter:
    return (*letter[:i], entry, *letter[i + 1 :])


def _chain(form: Form, word: Word, hole: Hole, point: Point, *operands: Array) -> Array:
    """The chain of a word; with a hole, its gradient in what is left out."""
    slots = [1 if diagonal else 2 for diagonal in form.diagonal]
    places = {entry: i for letter in word for i, entry in enumerate(letter) if entry >= 0}
    ranks = [0] * len(point.scales) + slots + [len(slots)] + [1] * len(slots)
    ranks += [2] * len(point.vectors) + [slots[places[k]] for k in range(len(operands))]
    arrays = (*point.scales, *point.matrices, point.weights, *point.spectra, *point.vectors)
    return _CHAIN(ranks, *arrays, *operands, form=form, word=word, hole=hole)


def _split(form: Form, operands: Sequence[Any]) -> tuple[Point, list[Any]]:
    """The point and the operands of a flat list."""
    rest = iter(operands)
    q = len(form.diagonal)

    def taken(count: int) -> list[Any]:
        return list(itertools.islice(rest, count))

    scales, matrices, (weights,) = taken(len(form.exponents)), taken(q), taken(1)
    point = Point(scales, matrices, weights, taken(q), taken(q - sum(form.diagonal)))
    return point, list(rest)


def _evaluate(*arrays: Array, form: Form, word: Word, hole: Hole) -> Array:
    depth = arrays[0].ndim  # of the batch: a scale has no axes of its own
    one = functools.partial(_evaluate_one, form, word, hole)
    return over_batch(one, *arrays, ranks=[X.ndim - depth for X in arrays])


def _evaluate_one(form: Form, word: Word, hole: Hole, *arrays: Array) -> Array:
    """The sum over the grid of eigenvalues, one grid for each A⁻¹ of the chain.

    Along a matrix that a letter leaves diagonal, its two grids share their index.
    """
    point, operands = _split(form, arrays)
    vectors = iter(point.vectors)
    basis = [None if diagonal else next(vectors) for diagonal in form.diagonal]
    index = _indices(form, word)
    parts: list[Any] = []
    for place, letter in enumerate(word):
        parts += [point.weights, index[place]]
        for i, entry in enumerate(letter):
            pair = [index[place][i], index[(place + 1) % len(word)][i]]
            Q = basis[i]
            if entry == _ITSELF:
                parts += [point.spectra[i], pair[:1]]
            elif entry >= 0 and Q is None:
                parts += [operands[entry], pair[:1]]
            elif entry >= 0 and Q is not None:
                parts += [_product(Q.conj().T, operands[entry], Q), pair]
    if hole is None:
        return einsum(*parts, [])
    place, i = hole
    ends = list(dict.fromkeys([index[place][i], index[(place + 1) % len(word)][i]]))
    G = einsum(*parts, ends)
    Q = basis[i]
    if Q is None:
        return G
    left = Q.conj() * G if len(ends) == 1 else _product(Q.conj(), G)
    return _product(left, Q.T)


def _indices(form: Form, word: Word) -> list[list[int]]:
    """The einsum index of each grid along each matrix."""
    length, slots = len(word), len(form.diagonal)
    index = [[place * slots + i for i in range(slots)] for place in range(length)]
    for place, letter in enumerate(word):
        after = index[(place + 1) % length]
        for i, entry in enumerate(letter):
            if form.diagonal[i] or entry in (_IDENTITY, _ITSELF):
                old, new = after[i], index[place][i]
                for grid in index:
                    grid[i] = new if grid[i] == old else grid[i]
    return index


def _product(*factors: Array) -> Array:
    return functools.reduce(matmul, factors)


def _differential(
    primals: list[Any], tangents: list[Any], form: Form, word: Word, hole: Hole
) -> Array | None:
    point, operands = _split(form, primals)
    dpoint, doperands = _split(form, tangents)
    pieces: list[Array] = []

    def chain(word: Word, hole: Hole, *operands: Array) -> Array:
        return _chain(form, word, hole, point, *operands)

    for k, dD in enumerate(doperands):
        if dD is not None:
            pieces.append(chain(word, hole, *operands[:k], dD, *operands[k + 1 :]))
    new = len(operands)
    for i, dM in enumerate(dpoint.matrices):
        for place, letter in enumerate(word):
            if dM is not None and letter[i] == _ITSELF:
                changed = (*word[:place], _placed(letter, i, new), *word[place + 1 :])
                pieces.append(chain(changed, hole, *operands, dM))
    for place in range(len(word)):  # A⁻¹ before this letter becomes -A⁻¹ dA A⁻¹
        moved = (hole[0] + (hole[0] >= place), hole[1]) if hole else None
        for t, (scale, dscale) in enumerate(zip(point.scales, dpoint.scales, strict=True)):
            letter = form.letter(t)
            if dscale is not None:
                longer = (*word[:place], letter, *word[place:])
                pieces.append(-_times(dscale, chain(longer, moved, *operands)))
            for i, dM in enumerate(dpoint.matrices):
                if dM is not None and form.exponents[t][i]:
                    longer = (*word[:place], _placed(letter, i, new), *word[place:])
                    pieces.append(-_times(scale, chain(longer, moved, *operands, dM)))
    return sum(pieces[1:], pieces[0]) if pieces else None


def _times(scale: Array, X: Array) -> Array:
    return scale.reshape(scale.shape + (1,) * (X.ndim - scale.ndim)) * X


def _transpose(
    cotangent: Array, arrays: list[Any], k: int, form: Form, word: Word, hole: Hole
) -> Array:
    point, operands = _split(form, arrays)
    k -= len(arrays) - len(operands)
    place, i = next((p, letter.index(k)) for p, letter in enumerate(word) if k in letter)
    opened = [*word]
    opened[place] = _placed(opened[place], i, _HOLE)
    if hole is not None:  # the cotangent goes where the hole was
        opened[hole[0]] = _placed(opened[hole[0]], hole[1], k)
        operands[k] = cotangent
        return _chain(form, tuple(opened), (place, i), point, *operands)
    # the operand is gone, and those after it move up
    renumbered = tuple(tuple(e - (e > k) for e in letter) for letter in opened)
    del operands[k]
    return _times(cotangent, _chain(form, renumbered, (place, i), point, *operands))


_CHAIN = Multilinear("resolvent_chain", _evaluate, _differential, _transpose)
