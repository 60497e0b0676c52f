import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops

X = np.ones((2, 3))
S = np.ones((3, 3))

MISTAKES = [
    (
        lambda: ops.logdet(X),
        ValueError,
        "`logdet` needs a square matrix of shape (..., n, n); got shape (2, 3).",
    ),
    (
        lambda: ops.det(np.ones(3)),
        ValueError,
        "`det` needs a square matrix of shape (..., n, n); got shape (3,).",
    ),
    (
        lambda: ops.slogdet(1.0),
        ValueError,
        "`slogdet` needs a square matrix of shape (..., n, n); got shape ().",
    ),
    (
        lambda: ops.inv(np.ones((5, 2, 3))),
        ValueError,
        "`inv` needs a square matrix of shape (..., n, n); got shape (5, 2, 3).",
    ),
    (
        lambda: ops.trace(X),
        ValueError,
        "`trace` needs a square matrix of shape (..., n, n); got shape (2, 3).",
    ),
    (lambda: ops.det([[1.0, 2.0], [3.0, 4.0]]), TypeError, "`det` needs an array for X; got list."),
    (lambda: ops.inv(None), TypeError, "`inv` needs an array for X; got NoneType."),
    (lambda: ops.vec("matrix"), TypeError, "`vec` needs an array for X; got str."),
    (
        lambda: ops.frobenius_norm(np.array([["a"]])),
        TypeError,
        "`frobenius_norm` needs an array of numbers for X; got dtype <U1.",
    ),
    (
        lambda: ops.frobenius_norm(jax.random.key(0)),
        TypeError,
        "`frobenius_norm` needs an array of numbers for X; got dtype key<fry>.",
    ),
    (
        lambda: ops.frobenius_norm(np.ones(3)),
        ValueError,
        "`frobenius_norm` needs a matrix of shape (..., m, n); got shape (3,).",
    ),
    (
        lambda: ops.squared_frobenius_norm(np.ones(3)),
        ValueError,
        "`squared_frobenius_norm` needs a matrix of shape (..., m, n); got shape (3,).",
    ),
    (
        lambda: ops.frobenius_inner(X, S),
        ValueError,
        "`frobenius_inner` needs A and B with the same last two axes; "
        "got shapes (2, 3) and (3, 3).",
    ),
    (
        lambda: ops.frobenius_inner(np.ones((2, 3, 3)), np.ones((4, 3, 3))),
        ValueError,
        "`frobenius_inner` needs leading axes that broadcast; got shapes (2, 3, 3) and (4, 3, 3).",
    ),
    (
        lambda: ops.frobenius_inner(X, np.ones(3)),
        ValueError,
        "`frobenius_inner` needs B to be a matrix of shape (..., m, n); got shape (3,).",
    ),
    (
        lambda: ops.solve(X, X),
        ValueError,
        "`solve` needs a square matrix of shape (..., n, n) for A; got shape (2, 3).",
    ),
    (
        lambda: ops.solve(S, np.ones(2)),
        ValueError,
        "`solve` needs B of shape (3,) or (..., 3, k), since A has shape (3, 3); got shape (2,).",
    ),
    (
        lambda: ops.solve(S, 1.0),
        ValueError,
        "`solve` needs B of shape (3,) or (..., 3, k), since A has shape (3, 3); got shape ().",
    ),
    (
        lambda: ops.solve(np.ones((2, 3, 3)), np.ones((4, 3, 1))),
        ValueError,
        "`solve` needs leading axes that broadcast; got shapes (2, 3, 3) and (4, 3, 1).",
    ),
    (lambda: ops.solve(S, [1.0, 2.0, 3.0]), TypeError, "`solve` needs an array for B; got list."),
    (lambda: ops.kron(), TypeError, "`kron` needs at least one matrix; got none."),
    (lambda: ops.kron(X, [1]), TypeError, "`kron` needs an array for factor 2; got list."),
    (
        lambda: ops.kron(np.ones(3), X),
        ValueError,
        "`kron` needs factor 1 to be a matrix of shape (..., m, n); got shape (3,).",
    ),
    (
        lambda: ops.kron(np.ones((2, 1, 1)), X, np.ones((3, 1, 1))),
        ValueError,
        "`kron` needs leading axes that broadcast; got shapes (2, 1, 1), (2, 3) and (3, 1, 1).",
    ),
    (
        lambda: ops.trace_product(),
        TypeError,
        "`trace_product` needs at least one matrix; got none.",
    ),
    (
        lambda: ops.trace_product(X),
        ValueError,
        "`trace_product` needs factors whose product exists and is square; got shapes (2, 3).",
    ),
    (
        lambda: ops.trace_product(X, X),
        ValueError,
        "`trace_product` needs factors whose product exists and is square; "
        "got shapes (2, 3) and (2, 3).",
    ),
    (
        lambda: ops.vec(X, "A"),
        ValueError,
        """`vec` needs order to be "F" or "C"; got 'A'.""",
    ),
    (
        lambda: ops.unvec(np.ones(6), (2, 3), "rows"),
        ValueError,
        """`unvec` needs order to be "F" or "C"; got 'rows'.""",
    ),
    (
        lambda: ops.unvec(np.ones(5), (2, 3)),
        ValueError,
        "`unvec` needs x of shape (..., m·n) for the matrix shape (2, 3); got shape (5,).",
    ),
    (
        lambda: ops.unvec(np.ones(6), (-2, -3)),
        ValueError,
        "`unvec` needs x of shape (..., m·n) for the matrix shape (-2, -3); got shape (6,).",
    ),
    (
        lambda: ops.unvec(np.ones(6), 6),
        TypeError,
        "`unvec` needs two integers (m, n) for shape; got 6.",
    ),
    (
        lambda: ops.unvec(np.ones(6), (2.0, 3)),
        TypeError,
        "`unvec` needs two integers (m, n) for shape; got (2.0, 3).",
    ),
]


@pytest.mark.parametrize(("mistake", "error", "sentence"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_a_mistake_gets_one_sentence(mistake, error, sentence):
    with pytest.raises(error) as caught:
        mistake()
    assert str(caught.value) == sentence


def test_a_mistake_is_found_while_tracing():
    with pytest.raises(ValueError, match="got shape \\(2, 3\\)"):
        jax.eval_shape(ops.logdet, jax.ShapeDtypeStruct((2, 3), jnp.float32))


def test_what_is_an_array():
    class Wrapped:
        def __jax_array__(self):
            return jnp.eye(2)

    for value in (np.eye(2), jnp.eye(2), Wrapped()):
        assert ops.trace(value) == 2
