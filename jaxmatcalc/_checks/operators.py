"""Mistakes in the use of linear operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc._checks.arrays import _ARRAY_LIKE, Shape, array


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


def right_hand_sides(operation: str, value: Any, shape: Shape, batch: Shape) -> jax.Array:
    """``value`` as arrays of ``shape``, or flat ones, after axes that count them and the batch."""
    b = array(operation, value, "b")
    flat = (int(np.prod(shape)),)
    tail = next((s for s in (shape, flat) if b.shape[b.ndim - len(s) :] == s), None)
    if tail is not None and b.ndim >= len(tail):
        lead = b.shape[: b.ndim - len(tail)]
        if lead[: len(batch)] == batch:
            return b
        if not lead:
            return jnp.broadcast_to(b, batch + b.shape)
    before = f", after batch axes {batch}" if batch else ""
    raise ValueError(
        f"`{operation}` of a factored operator needs arrays of shape (..., "
        f"{', '.join(map(str, shape))}), or flat (..., {flat[0]}){before}; got {b.shape}."
    )


def square_blocks(operation: str, is_square: bool) -> None:
    """The block operator maps pytrees of one structure and shapes to such pytrees."""
    if not is_square:
        raise ValueError(
            f"`{operation}` needs a block operator from pytrees of one structure to the same; "
            "got different structures or shapes of argument and result."
        )


def same_block_trees(operation: str, same: bool) -> None:
    """Two block operators fit each other."""
    if not same:
        raise ValueError(
            f"`BlockOperator {operation}` needs operators whose pytrees and shapes fit; got others."
        )


def tree_operand(
    operation: str, value: Any, tree: Any, shapes: Sequence[Shape], batch: Shape
) -> tuple[list[jax.Array], bool]:
    """The leaves of ``value``, a pytree of ``shapes`` or a flat array; and whether it was flat."""
    if jax.tree.structure(value) == tree:
        leaves = jax.tree.leaves(value)
        found = [array(operation, leaf, "each leaf of x") for leaf in leaves]
        if all(x.shape in (s, batch + s) for x, s in zip(found, shapes, strict=True)):
            return [
                jnp.broadcast_to(x, batch + s) for x, s in zip(found, shapes, strict=True)
            ], False
    sizes = [int(np.prod(shape)) for shape in shapes]
    if hasattr(value, "shape") and value.shape in ((sum(sizes),), (*batch, sum(sizes))):
        flat = array(operation, value, "x")
        flat = jnp.broadcast_to(flat, (*batch, sum(sizes)))
        parts = jnp.split(flat, [int(n) for n in np.cumsum(sizes)[:-1]], axis=-1)
        return [x.reshape(batch + s) for x, s in zip(parts, shapes, strict=True)], True
    got = jax.tree.map(jnp.shape, value)
    before = f" after batch axes {batch}" if batch else ""
    raise ValueError(
        f"`{operation}` needs a pytree {tree} with leaves of shapes {list(shapes)}, "
        f"or a flat array ({sum(sizes)},){before}; got {got}."
    )


def tree_right_hand_sides(
    operation: str, value: Any, tree: Any, shapes: Sequence[Shape], batch: Shape
) -> tuple[list[jax.Array], bool]:
    """The leaves of right-hand sides, after axes that count them; and whether they were flat."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    if hasattr(value, "shape") and np.shape(value)[-1:] == (sum(sizes),) != ((),):
        flat = right_hand_sides(operation, value, (sum(sizes),), batch)
        parts = jnp.split(flat, [int(n) for n in np.cumsum(sizes)[:-1]], axis=-1)
        lead = flat.shape[:-1]
        return [x.reshape(lead + s) for x, s in zip(parts, shapes, strict=True)], True
    if jax.tree.structure(value) == tree:
        found = jax.tree.leaves(value)
        found = [array(operation, leaf, "each leaf of b") for leaf in found]
        leads = {
            x.shape[: x.ndim - len(s)] if x.shape[x.ndim - len(s) :] == s else None
            for x, s in zip(found, shapes, strict=True)
        }
        lead = leads.pop() if len(leads) == 1 else None
        if lead is not None and lead[: len(batch)] == batch:
            return found, False
        if lead == ():
            return [jnp.broadcast_to(x, batch + x.shape) for x in found], False
    raise ValueError(
        f"`{operation}` of a factored operator needs a pytree {tree} with leaves of shapes "
        f"{list(shapes)}, or flat arrays ({sum(sizes)},), after the same axes for every leaf; "
        f"got {jax.tree.map(jnp.shape, value)}."
    )


def zero_block(index: int) -> ValueError:
    """The error for a leaf that a block operator maps to zero."""
    return ValueError(
        "`solve` needs every leaf to be in a block that is not identically zero; "
        f"got zero blocks alone in row and column {index}."
    )


def missing_extra(operation: str, package: str) -> ImportError:
    """The error where an optional package is not installed."""
    return ImportError(
        f"`{operation}` needs the package {package}, which the extra of that name installs: "
        f"pip install 'jaxmatcalc[{package}]'."
    )


def no_batch(operation: str, batch: Shape) -> None:
    """The operator has no batch axes."""
    if batch:
        raise ValueError(
            f"`{operation}` needs a single operator; got batch axes {batch}: map it over them by "
            "`jax.vmap`."
        )


def not_an_array(symbol: str, value: Any) -> None:
    """``value``, which stands beside an operator, is not an array or a number."""
    if isinstance(value, _ARRAY_LIKE):
        wanted = {
            "@": "`op.T @ array` multiplies from the left",
            "+": "`diagonal(array)` makes an operator of weights, `op.to_dense()` an array",
        }
        raise TypeError(
            f"`LinearOperator` has no {symbol} with an array or number there ({wanted[symbol]}); "
            f"got shape {jnp.shape(value)}."
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
        'assume_a="sym" to say that they are, or method="dense"; '
        f"got {kind} with general factors."
    )


def iterated_inverse(order: int) -> ValueError:
    """The error for an inverse of an operator that is solved by products."""
    return ValueError(
        "`inv` needs structure, or an order of at most 4,096, where `solve` alone iterates; "
        f'got order {order:,} (method="dense" forms the inverse).'
    )


def eigenvector_derivative() -> ValueError:
    """The error for a derivative that would go through eigenvectors."""
    return ValueError(
        "`inv` in eigenvectors, and `logdet` beyond the first order where a commutation is "
        'crossed, have no derivative; use `solve`, or method="dense".'
    )


def decomposable_order(order: int, largest: int) -> None:
    """A matrix is small enough for a dense decomposition."""
    if order > largest:
        raise ValueError(
            "the eigenvalues of an operator need structure, and matrices or Kronecker factors of "
            f"order at most {largest}; got order {order} (`extreme_eigenvalues` works on products "
            "alone)."
        )


def eigen_derivative() -> ValueError:
    """The error for a derivative of eigenvectors."""
    return ValueError(
        "`eigh`, and the second derivative of `extreme_eigenvalues` and of `eigvalsh` for low rank "
        "+ identity, have no derivative, since eigenvectors have none where eigenvalues repeat; "
        "use `eigvalsh` to first order, or `jaxmatcalc.eigvalsh` of the dense matrix."
    )


def eigenvalue_count(k: Any, order: int) -> int:
    """``k`` is an integer from 1 to the order of the operator."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= order:
        raise ValueError(
            f"`extreme_eigenvalues` needs k to be an integer from 1 to {order}, the order of the "
            f"operator; got {k!r}."
        )
    return int(k)


def few_eigenvalues(k: int, order: int, dtype: Any) -> None:
    """LOBPCG admits the number of eigenvalues and the dtype."""
    if 5 * k >= order or np.issubdtype(dtype, np.complexfloating):
        raise ValueError(
            "`extreme_eigenvalues` by iteration needs a real operator and 5 k less than its order; "
            f"got dtype {np.dtype(dtype).name}, k = {k} and order {order}."
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


def one_matrix(operation: str, value: Any, name: str) -> jax.Array:
    """``value`` as an array with two axes."""
    X = array(operation, value, name)
    if X.ndim != 2:
        raise ValueError(f"`{operation}` needs {name} to be a matrix (m, n); got shape {X.shape}.")
    return X


def columns(operation: str, value: Any, name: str) -> jax.Array:
    """``value`` as an array of columns, which are vectors or have more axes."""
    X = array(operation, value, name)
    if X.ndim < 2:
        raise ValueError(
            f"`{operation}` needs {name} to have two axes or more, (m, r); got shape {X.shape}."
        )
    return X


def same_columns(operation: str, U: jax.Array, V: jax.Array) -> None:
    """Two arrays have the same number of columns."""
    if U.shape[-1] != V.shape[-1]:
        raise ValueError(
            f"`{operation}` needs U and V with the same number of columns; "
            f"got shapes {U.shape} and {V.shape}."
        )


def symmetric_matrices(operation: str, in_shape: Shape) -> None:
    """The operator acts on square matrices."""
    if len(in_shape) != 2 or in_shape[0] != in_shape[1]:
        raise ValueError(
            f"`{operation}` with symmetric=True needs an operator on matrices (n, n); "
            f"got in_shape {in_shape}."
        )
