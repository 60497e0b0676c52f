"""The words for a user's mistake: one sentence that names the argument, the need, and what came.

Every check runs while a function is traced, on shapes and dtypes only, never on values.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Shape = tuple[int, ...]

_ARRAY_LIKE = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


def array(operation: str, value: Any, name: str = "X") -> jax.Array:
    """``value`` as an array of numbers; a list is refused, as `jax.numpy.linalg` refuses it."""
    if not isinstance(value, _ARRAY_LIKE) and not hasattr(value, "__jax_array__"):
        raise TypeError(f"`{operation}` needs an array for {name}; got {type(value).__name__}.")
    dtype = getattr(value, "dtype", None)
    if dtype is not None and not _numeric(dtype):
        raise TypeError(f"`{operation}` needs an array of numbers for {name}; got dtype {dtype}.")
    return jnp.asarray(value)


def matrix(operation: str, value: Any, name: str = "X") -> jax.Array:
    """``value`` as an array of shape (..., m, n)."""
    X = array(operation, value, name)
    if X.ndim < 2:
        raise ValueError(
            f"`{operation}` needs {_article(name)}matrix of shape (..., m, n); got shape {X.shape}."
        )
    return X


def square(operation: str, value: Any, name: str = "X") -> jax.Array:
    """``value`` as an array of shape (..., n, n)."""
    X = array(operation, value, name)
    if X.ndim < 2 or X.shape[-1] != X.shape[-2]:
        raise ValueError(
            f"`{operation}` needs a square matrix of shape (..., n, n)"
            f"{'' if name == 'X' else f' for {name}'}; got shape {X.shape}."
        )
    return X


def factors(operation: str, values: Sequence[Any]) -> list[jax.Array]:
    """One or more matrices whose leading axes broadcast against each other."""
    if not values:
        raise TypeError(f"`{operation}` needs at least one matrix; got none.")
    matrices = [matrix(operation, value, f"factor {i}") for i, value in enumerate(values, 1)]
    batches(operation, matrices)
    return matrices


def batches(operation: str, matrices: Iterable[jax.Array]) -> None:
    """The leading axes of the matrices broadcast against each other."""
    shapes = [X.shape for X in matrices]
    try:
        np.broadcast_shapes(*(shape[:-2] for shape in shapes))
    except ValueError:
        raise ValueError(
            f"`{operation}` needs leading axes that broadcast; got shapes {_listed(shapes)}."
        ) from None


def cycle(operation: str, matrices: Sequence[jax.Array]) -> None:
    """The product of the matrices, in their order, exists and is square."""
    shapes = [X.shape for X in matrices]
    followers = [*shapes[1:], shapes[0]]
    if any(left[-1] != right[-2] for left, right in zip(shapes, followers, strict=True)):
        raise ValueError(
            f"`{operation}` needs factors whose product exists and is square; "
            f"got shapes {_listed(shapes)}."
        )


def same_matrix_shape(operation: str, A: jax.Array, B: jax.Array) -> None:
    """A and B have the same last two axes, and leading axes that broadcast."""
    if A.shape[-2:] != B.shape[-2:]:
        raise ValueError(
            f"`{operation}` needs A and B with the same last two axes; "
            f"got shapes {_listed([A.shape, B.shape])}."
        )
    batches(operation, [A, B])


def right_hand_side(operation: str, A: jax.Array, value: Any) -> jax.Array:
    """``value`` as the right-hand side of A X = B: of shape (n,) or (..., n, k)."""
    B = array(operation, value, "B")
    n = A.shape[-1]
    if B.ndim == 0 or B.shape[-2:][0] != n:
        raise ValueError(
            f"`{operation}` needs B of shape ({n},) or (..., {n}, k), since A has shape {A.shape}; "
            f"got shape {B.shape}."
        )
    if B.ndim > 1:
        batches(operation, [A, B])
    return B


def vectorised(operation: str, value: Any, shape: Any) -> tuple[jax.Array, tuple[int, int]]:
    """``value`` as an array of shape (..., m·n), and (m, n) as two integers."""
    x = array(operation, value, "x")
    try:
        m, n = map(operator.index, shape)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{operation}` needs two integers (m, n) for shape; got {shape!r}."
        ) from None
    if m < 0 or n < 0 or x.ndim == 0 or x.shape[-1] != m * n:
        raise ValueError(
            f"`{operation}` needs x of shape (..., m·n) for the matrix shape {(m, n)}; "
            f"got shape {x.shape}."
        )
    return x, (m, n)


def option(operation: str, name: str, value: Any, allowed: Sequence[str]) -> None:
    """``value`` is one of the allowed words."""
    if value not in allowed:
        words = " or ".join(f'"{word}"' for word in allowed)
        raise ValueError(f"`{operation}` needs {name} to be {words}; got {value!r}.")


def _numeric(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)


def _article(name: str) -> str:
    return "a " if name == "X" else f"{name} to be a "


def _listed(shapes: Sequence[Shape]) -> str:
    return " and ".join(filter(None, [", ".join(map(str, shapes[:-1])), str(shapes[-1])]))


# Linear operators


def square_operator(operation: str, out_shape: Shape, in_shape: Shape) -> None:
    """The operator maps arrays of one shape to arrays of that shape."""
    if out_shape != in_shape:
        raise ValueError(
            f"`{operation}` needs a linear operator with equal in_shape and out_shape; "
            f"got {in_shape} → {out_shape}."
        )


def composable(in_shape: Shape, out_shape: Shape) -> None:
    """The right operator's values are what the left one takes."""
    if in_shape != out_shape:
        raise ValueError(
            f"`LinearOperator @` needs a right operator with out_shape {in_shape}, "
            f"the left one's in_shape; got {out_shape}."
        )


def same_operator_shapes(operation: str, left: tuple[Shape, Shape], right: Any) -> None:
    """Two operators are between the same shapes."""
    if left != right:
        raise ValueError(
            f"`LinearOperator {operation}` needs operators of the same shapes; "
            f"got {left[1]} → {left[0]} and {right[1]} → {right[0]}."
        )


def operand(operation: str, value: Any, shape: Shape, batch: Shape) -> jax.Array:
    """``value`` as an array of ``shape``, or flat, after the batch axes of the operator."""
    x = array(operation, value, "x")
    flat = (int(np.prod(shape)),)
    if x.shape in (shape, flat):
        return jnp.broadcast_to(x, batch + x.shape)
    if x.shape in (batch + shape, batch + flat):
        return x
    before = f" after batch axes {batch}" if batch else ""
    raise ValueError(
        f"`{operation}` needs an array of shape {shape}, or flat {flat}{before}; got {x.shape}."
    )


def scalar_factor(value: Any) -> None:
    """``value`` is a number or an array without axes."""
    if jnp.ndim(array("LinearOperator *", value, "the factor")):
        raise ValueError(
            "`LinearOperator *` needs a scalar; for an array of weights compose with "
            f"`diagonal(weights)`; got shape {jnp.shape(value)}."
        )


def nonzero_operator(operation: str, terms: Sequence[Any]) -> None:
    """The operator has terms."""
    if not terms:
        raise ValueError(
            f"`{operation}` needs an operator that is not identically zero; got the zero operator."
        )


def structured_inverse(kind: str) -> ValueError:
    """The error for an inverse that has no short form."""
    return ValueError(
        "`inv` and the derivative of `logdet` need symmetric Kronecker factors, "
        f'method="eigen" to say that they are, or method="dense"; got {kind} with general factors.'
    )


def schur_platform(platform: str) -> None:
    """JAX has a Schur decomposition on this platform."""
    if platform != "cpu":
        raise ValueError(
            'the method "schur" needs a CPU, where JAX has a Schur decomposition; '
            f'got {platform} (method="eigen" for symmetric factors, or "dense", run there).'
        )


def shape(operation: str, value: Any) -> Shape:
    """``value`` as a tuple of sizes."""
    sizes = value if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(n, int | np.integer) and n >= 0 for n in sizes):
        raise TypeError(f"`{operation}` needs a shape of integers ≥ 0; got {value!r}.")
    return tuple(int(n) for n in sizes)


def some(operation: str, values: Sequence[Any]) -> Sequence[Any]:
    """One or more values."""
    if not values:
        raise TypeError(f"`{operation}` needs at least one matrix; got none.")
    return values


def one_matrix(operation: str, value: Any, position: int) -> jax.Array:
    """``value`` as an array with two axes."""
    X = array(operation, value, f"factor {position}")
    if X.ndim != 2:
        raise ValueError(
            f"`{operation}` needs factor {position} to be a matrix (m, n); got shape {X.shape}."
        )
    return X


# Transforms


def argnums(operation: str, value: Any, count: int) -> tuple[int, ...]:
    """``argnums`` as positions among ``count`` arguments."""
    numbers = (value,) if isinstance(value, int | np.integer) else value
    if not isinstance(numbers, Sequence) or not all(
        isinstance(n, int | np.integer) for n in numbers
    ):
        raise TypeError(
            f"`{operation}` needs argnums to be an integer or a tuple of them; got {value!r}."
        )
    if not numbers or not all(-count <= n < count for n in numbers):
        raise ValueError(
            f"`{operation}` needs argnums between 0 and {count - 1}, since {count} positional "
            f"arguments were given; got {value!r}."
        )
    return tuple(int(n) % count for n in numbers)


def differentiable(operation: str, value: Any, holomorphic: bool) -> jax.Array:
    """``value`` as an array of a dtype that can be differentiated."""
    x = array(operation, value, "every differentiated argument")
    _differentiable_dtype(operation, x.dtype, holomorphic, "arguments")
    return x


def differentiable_results(operation: str, avals: Sequence[Any], holomorphic: bool) -> None:
    """Results are of a dtype that can be differentiated."""
    for aval in avals:
        _differentiable_dtype(operation, aval.dtype, holomorphic, "results")


def _differentiable_dtype(operation: str, dtype: Any, holomorphic: bool, what: str) -> None:
    if holomorphic and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"`{operation}` needs complex {what} with holomorphic=True; got dtype {dtype}."
        )
    if not holomorphic and not jnp.issubdtype(dtype, jnp.floating):
        hint = (
            " (holomorphic=True is for complex ones)"
            if jnp.issubdtype(dtype, jnp.complexfloating)
            else ""
        )
        raise TypeError(
            f"`{operation}` needs {what} of a real floating-point dtype{hint}; got dtype {dtype}."
        )


def scalar_result(operation: str, tree: Any, avals: Sequence[Any]) -> None:
    """The function returned one real scalar."""
    if len(avals) != 1 or not jax.tree_util.treedef_is_leaf(tree):
        raise TypeError(
            f"`{operation}` needs a function that returns a scalar; it returned {tree}."
        )
    (aval,) = avals
    if aval.shape != ():
        raise TypeError(
            f"`{operation}` needs a function that returns a scalar; "
            f"its result has shape {tuple(aval.shape)}."
        )
    if not jnp.issubdtype(aval.dtype, jnp.floating):
        raise TypeError(
            f"`{operation}` needs a function that returns a real scalar; "
            f"its result has dtype {aval.dtype}."
        )


def has_vector(operation: str, args: Sequence[Any]) -> None:
    """At least one argument and a vector were given."""
    if len(args) < 2:
        raise TypeError(
            f"`{operation}` needs the function's arguments followed by the vector; "
            f"got {len(args)} arguments."
        )


def like_argument(
    operation: str, value: Any, tree: Any, leaves: Sequence[jax.Array]
) -> list[jax.Array]:
    """``value`` as a flat list of arrays shaped as the differentiated argument."""
    given, given_tree = jax.tree.flatten(value)
    if given_tree != tree:
        raise ValueError(
            f"`{operation}` needs a vector with the pytree of the argument, {tree}; "
            f"got {given_tree}."
        )
    vectors = [array(operation, v, "the vector") for v in given]
    shapes = [x.shape for x in leaves]
    if [v.shape for v in vectors] != shapes:
        raise ValueError(
            f"`{operation}` needs a vector of the argument's shape {_listed(shapes)}; "
            f"got {_listed([v.shape for v in vectors])}."
        )
    return [v.astype(x.dtype) for v, x in zip(vectors, leaves, strict=True)]


def symmetric_matrices(operation: str, in_shape: Shape) -> None:
    """The operator acts on square matrices."""
    if len(in_shape) != 2 or in_shape[0] != in_shape[1]:
        raise ValueError(
            f"`{operation}` with symmetric=True needs an operator on matrices (n, n); "
            f"got in_shape {in_shape}."
        )
