"""Every method of an operator against the dense array, on random graphs of terms.

A graph is plain data (numbers for labels, shapes for arrays). It is evaluated twice: as a
`LinearOperator`, and by NumPy's einsum with an explicit identity matrix for every place of a label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxmatcalc import LinearOperator, identity
from jaxmatcalc.linear.contraction import apply, dense
from jaxmatcalc.linear.term import Factor, Label, Term

SPLITS = {1: [()], 2: [(2,)], 3: [(3,)], 4: [(4,), (2, 2)], 6: [(6,), (2, 3), (3, 2)]}


@dataclass(frozen=True)
class GraphTerm:
    factors: tuple[tuple[int, tuple[int, ...]], ...]  # (number of the array, labels of its axes)
    out: tuple[tuple[int, ...], ...]
    in_: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    terms: tuple[GraphTerm, ...]
    arrays: tuple[tuple[int, ...], ...]  # shapes
    out_shape: tuple[int, ...]
    in_shape: tuple[int, ...]
    complex: bool

    def values(self, seed):
        rng = np.random.default_rng(seed)
        values = [rng.normal(size=shape) for shape in self.arrays]
        if self.complex:
            values = [v + 1j * rng.normal(size=v.shape) for v in values]
        return values

    def dtype(self):
        return jnp.result_type(complex if self.complex else float)

    def built(self, arrays):
        terms = []
        for t in self.terms:
            labels = [Label(n) for n in t.sizes]

            def group(ks, labels=labels):
                return tuple(labels[k] for k in ks)

            factors = tuple(Factor(arrays[i], group(ks)) for i, ks in t.factors)
            terms.append(Term(factors, tuple(map(group, t.out)), tuple(map(group, t.in_))))
        return terms

    def operator(self, seed=0):
        arrays = [jnp.asarray(v, self.dtype()) for v in self.values(seed)]
        return LinearOperator(self.built(arrays), self.out_shape, self.in_shape, self.dtype())

    def dense(self, seed=0):
        values = self.values(seed)
        total = np.zeros(self.out_shape + self.in_shape)
        for t in self.terms:
            arguments, result = [], []
            for i, labels in t.factors:
                arguments += [values[i], list(labels)]
            for label in (k for group in t.out + t.in_ for k in group):
                result.append(len(t.sizes) + len(result))
                arguments += [np.eye(t.sizes[label]), [label, result[-1]]]
            total = total + (
                np.einsum(*arguments, result, optimize="greedy").reshape(total.shape)
                if arguments
                else np.ones(total.shape)
            )
        return total


@st.composite
def graphs(draw, out_shape, in_shape, complex=False, most_terms=3):
    arrays: list[tuple[int, ...]] = []
    terms = []
    for _ in range(draw(st.integers(1, most_terms))):
        sizes: list[int] = []

        def label(size, sizes=sizes):
            alike = [k for k, n in enumerate(sizes) if n == size]
            k = draw(st.sampled_from([*alike, len(sizes)]))
            if k == len(sizes):
                sizes.append(size)
            return k

        out, in_ = (
            tuple(tuple(map(label, draw(st.sampled_from(SPLITS[n])))) for n in shape)
            for shape in (out_shape, in_shape)
        )
        sizes += draw(st.lists(st.sampled_from([2, 3]), max_size=2))  # summed
        factors = []
        for _ in range(draw(st.integers(0, 3))):
            labels = draw(st.lists(st.sampled_from(range(len(sizes))), max_size=3)) if sizes else []
            shape = tuple(sizes[k] for k in labels)
            # an array may come more than once: like terms are told by it
            alike = [i for i, s in enumerate(arrays) if s == shape]
            i = draw(st.sampled_from([len(arrays), *alike]))
            if i == len(arrays):
                arrays.append(shape)
            factors.append((i, tuple(labels)))
        terms.append(GraphTerm(tuple(factors), out, in_, tuple(sizes)))
    return Graph(tuple(terms), tuple(arrays), out_shape, in_shape, complex)


shapes = st.lists(st.sampled_from([1, 2, 3, 4, 6]), max_size=2).map(tuple)


def tensordot(a, b, axes):
    return np.tensordot(a, b, axes) if axes else np.multiply.outer(a, b)


@hypothesis.settings(max_examples=20)
@hypothesis.given(data=st.data())
def test_arithmetic(close, data):
    kind = data.draw(st.booleans())
    small, middle, large = data.draw(st.tuples(shapes, shapes, shapes))
    first = data.draw(graphs(middle, small, kind))
    second = data.draw(graphs(middle, small, most_terms=2))
    left = data.draw(graphs(large, middle, most_terms=2))
    D, E, L = first.dense(), second.dense(1), left.dense(2)
    rng = np.random.default_rng(3)
    x, rows, columns = rng.normal(size=small), math.prod(middle), math.prod(small)

    @jax.jit  # one program for all: compiling is what takes the time
    def everything(op, other, before, x):
        return {
            "dense": op.to_dense(),
            "matrix": op.as_matrix(),
            "product": op @ x,
            "flat product": op @ x.reshape(-1),
            "transpose": op.T.to_dense(),
            "adjoint": op.adjoint().to_dense(),
            "sum": (op + other).to_dense(),
            "difference": (other - op).to_dense(),
            "multiple": (2.5 * op).to_dense(),
            "quotient": (op / 4).to_dense(),
            "negative": (-op).to_dense(),
            "composition": (before @ op).to_dense(),
            "composition applied": (before @ op) @ x,
            "gram": (op.adjoint() @ op).to_dense(),
        }

    composed = tensordot(L, D, len(middle))
    image = tensordot(D, x, len(small))
    expected = {
        "dense": D,
        "matrix": D.reshape(rows, columns),
        "product": image,
        # a flat vector that has the shape of the input is an input
        "flat product": image if len(small) == 1 else image.reshape(-1),
        "transpose": D.reshape(rows, columns).T.reshape(small + middle),
        "adjoint": D.reshape(rows, columns).conj().T.reshape(small + middle),
        "sum": D + E,
        "difference": E - D,
        "multiple": 2.5 * D,
        "quotient": D / 4,
        "negative": -D,
        "composition": composed,
        "composition applied": tensordot(composed, x, len(small)),
        "gram": tensordot(
            D.reshape(rows, columns).conj().T.reshape(small + middle), D, len(middle)
        ),
    }
    results = everything(first.operator(), second.operator(1), left.operator(2), x)
    for name, value in expected.items():
        hypothesis.note(name)
        close(results[name], value)
    assert first.operator().dtype == results["dense"].dtype


@hypothesis.settings(max_examples=18)
@hypothesis.given(data=st.data())
def test_square_operators(close, data):
    shape = data.draw(shapes)
    graph = data.draw(graphs(shape, shape, data.draw(st.booleans())))
    order = math.prod(shape)
    matrix = graph.dense().reshape(order, order)
    shift = 2 * np.linalg.norm(matrix, 2) + 1  # makes it well conditioned
    b = np.random.default_rng(1).normal(size=shape)

    @jax.jit
    def everything(op, b):
        moved = op + shift * identity(shape, op.dtype)
        return {
            "diagonal": op.diagonal(),
            "trace": op.trace(),
            "solve": moved.solve(b),
            "solve flat": moved.solve(b.reshape(-1)),
            "logdet": moved.logdet(),
            "inverse": moved.inv(method="dense").as_matrix(),
        }

    moved = matrix + shift * np.eye(order)
    results = everything(graph.operator(), b)
    close(results["diagonal"], np.diag(matrix).reshape(shape))
    close(results["trace"], np.trace(matrix))
    close(results["solve"], np.linalg.solve(moved, b.reshape(-1)).reshape(shape), 4)
    close(results["solve flat"], np.linalg.solve(moved, b.reshape(-1)), 4)
    close(results["logdet"], np.linalg.slogdet(moved)[1], 4)
    close(results["inverse"], np.linalg.inv(moved), 4)


@hypothesis.settings(max_examples=10)
@hypothesis.given(data=st.data())
def test_programs(close, data):
    """A tree that survives `jit`, `vmap` and `scan`; equal programs give equal trees."""
    out_shape, in_shape = data.draw(st.tuples(shapes, shapes))
    graph = data.draw(graphs(out_shape, in_shape))
    ops = [graph.operator(seed) for seed in range(2)]
    assert jax.tree.structure(ops[0]) == jax.tree.structure(ops[1])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *ops)
    assert stacked.batch_shape == (2,)
    assert stacked.in_shape == in_shape
    x = np.random.default_rng(2).normal(size=(2, *in_shape))

    @jax.jit
    def everything(stacked, op, x):
        # arithmetic brings a term to a form that further arithmetic keeps: a carry is possible
        carried, images = jax.lax.scan(lambda c, v: (-c, c @ v), 1 * op, x)
        return {
            "itself": op,
            "batch": stacked,
            "dense": stacked.to_dense(),
            "product": stacked @ x,
            "transpose": stacked.T.as_matrix(),
            "mapped": jax.vmap(lambda op, v: op @ v)(stacked, x),
            "multiple": (2 * stacked + stacked).to_dense(),
            "carried": carried,
            "images": images,
        }

    results = everything(stacked, ops[0], x)
    dense = np.stack([graph.dense(seed) for seed in range(2)])
    products = np.stack([tensordot(D, v, len(in_shape)) for D, v in zip(dense, x, strict=True)])
    order = math.prod(out_shape), math.prod(in_shape)
    assert jax.tree.structure(results["itself"]) == jax.tree.structure(ops[0])
    assert results["batch"].batch_shape == (2,)
    close(results["itself"].to_dense(), dense[0])
    close(results["batch"].to_dense(), dense)
    close(results["dense"], dense)
    close(results["product"], products)
    close(results["mapped"], products)
    close(results["transpose"], dense.reshape(2, *order).swapaxes(1, 2))
    close(results["multiple"], 3 * dense)
    close(results["carried"].to_dense(), dense[0])
    images = [tensordot(s * dense[0], v, len(in_shape)) for s, v in zip((1, -1), x, strict=True)]
    close(results["images"], np.stack(images))


@hypothesis.settings(max_examples=10)
@hypothesis.given(data=st.data())
def test_terms_themselves(close, data):
    """Terms before they are merged and packed: dense form and product."""
    out_shape, in_shape = data.draw(st.tuples(shapes, shapes))
    graph = data.draw(graphs(out_shape, in_shape, most_terms=1))
    x = np.random.default_rng(1).normal(size=in_shape)
    arrays = [jnp.asarray(v) for v in graph.values(0)]

    @jax.jit
    def everything(arrays, x):
        (term,) = graph.built(arrays)
        return dense(term, graph.dtype()), apply(term, x, graph.dtype())

    formed, image = everything(arrays, x)
    close(formed, graph.dense())
    close(image, tensordot(graph.dense(), x, len(in_shape)))


@pytest.mark.parametrize("seed", range(3))
def test_methods_outside_of_jit(close, seed):
    """The same calls as a user types them, each its own program."""
    # out (2·3, 2), in (2, 6): a delta, a merged axis, a summed label and a shared array
    term = GraphTerm(((0, (0, 2)), (1, (2, 1))), ((3, 0), (3,)), ((3,), (3, 1)), (3, 3, 2, 2))
    twice = GraphTerm(((1, (2, 0)),), ((3, 1), (3,)), ((3,), (3, 0)), (3, 3, 2, 2))
    graph = Graph((term, twice), ((3, 2), (2, 3)), (6, 2), (2, 6), seed == 1)
    op, D = graph.operator(seed), graph.dense(seed)
    x = np.random.default_rng(seed).normal(size=(2, 6))
    close(op.to_dense(), D)
    close(np.asarray(op), D)
    close(jnp.asarray(op), D)
    close(op @ x, np.tensordot(D, x, 2))
    close(op @ x.reshape(-1), np.tensordot(D, x, 2).reshape(-1))
    close(op.adjoint().as_matrix(), D.reshape(12, 12).conj().T)
    close((op.T @ op).as_matrix(), D.reshape(12, 12).T @ D.reshape(12, 12))
    close(((op - 2 * op) / 2).to_dense(), -D / 2)
    assert op.shape == D.shape
    assert len(op.terms) == 1  # alike: a matrix between 3 and 3, a delta between 2 and 2
