"""The Jacobian of any JAX function, as arrays or as structured linear operators."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.interpret import Program
from jaxmatcalc.transforms.arguments import Argnums, Call, is_complex, operator
from jaxmatcalc.transforms.columns import by_columns, by_rows, traced


def jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The Jacobian as arrays; takes the place of `jax.jacobian`.

    J[i…, j…] = ∂f(X)[i…] / ∂X[j…]. It is formed in one pass over its entries from the factored form
    that `jacobian_operator` returns, or column by column, as JAX does, where that costs less.

    With a `chunk_size` f is linearised once, and so many columns are computed at a time (rows,
    where there are fewer of them). Beside the result, which is held, that takes the memory of one
    pass through f and of so many tangents, whatever the structure: how much the factored form takes
    is known only when it is compiled, so a bound that was asked for does not depend on it. Complex
    arguments then need `holomorphic`.

    Args:
        f: function of arrays, or pytrees of them, with arrays or a pytree of them as its result.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (result, further data), of which the second is passed on.
        holomorphic: whether f is holomorphic, for complex arguments. If not, and its result is
            real, the Jacobian is JAX's own, ∂f/∂x - i ∂f/∂y at x + iy.
        chunk_size: how many columns or rows to compute at a time; None for all.

    Returns:
        A function of f's arguments. It returns arrays of shape ``out.shape + in.shape``: the
        result's pytree with, at each leaf, the argument's pytree (a tuple of these if `argnums` is
        one); with `has_aux` a pair (Jacobian, further data).

    Raises:
        TypeError: an argument or a result is not of a differentiable dtype, or `chunk_size` is not
            an integer.
        ValueError: `argnums` names an argument that is not there, or `chunk_size` is below 1.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> jmc.jacobian(lambda x: x**2)(jnp.array([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        >>> jmc.jacobian(jnp.cumsum, chunk_size=2)(jnp.ones(3)).tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]

    Source: Magnus and Neudecker (2019), ch. 9, for the identities that the factored form rests on.
    """
    size = _checks.positive_count("jacobian", "chunk_size", chunk_size)
    arrays = _blocks("jacobian", f, argnums, has_aux, holomorphic, formed=True)

    @functools.wraps(f)
    def jacobian_f(*args: Any, **kwargs: Any) -> Any:
        if size is not None:
            blocks, aux = in_chunks(f, argnums, has_aux, holomorphic, size, args, kwargs)
            return (blocks, aux) if has_aux else blocks
        dense = jax.jacobian(f, argnums, has_aux=has_aux, holomorphic=holomorphic)
        if not holomorphic and is_complex("jacobian", argnums, args):
            return dense(*args, **kwargs)  # linear over the reals only: JAX has a convention
        try:
            blocks, aux = arrays(args, kwargs)
        except jax.errors.ConcretizationTypeError:
            # f branches on values: only tracing at those values, as JAX does, can follow it
            return dense(*args, **kwargs)
        return (blocks, aux) if has_aux else blocks

    return jacobian_f


def jacobian_operator(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The Jacobian as structured linear operators that are never formed.

    dY = J dX, with J a `LinearOperator` from the argument's shape to the result's.

    Args:
        f: function of arrays, or pytrees of them, with arrays or a pytree of them as its result.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (result, further data), of which the second is passed on.

    Returns:
        A function of f's arguments that returns a `LinearOperator` between two arrays, and a
        `BlockOperator` between pytrees, of which indexing gives the operators where `jacobian` has
        arrays.

    Raises:
        TypeError: an argument or a result is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A, B = jnp.arange(6.0).reshape(2, 3), jnp.ones((2, 4))
        >>> J = jmc.jacobian_operator(lambda X: A @ X @ B)(jnp.ones((3, 2)))
        >>> J.structure.kind, J.shape
        ('kronecker', (2, 4, 3, 2))

    Source: Magnus and Neudecker (2019), ch. 9: D(AXB) = Bᵀ ⊗ A on column-major vectors.
    """
    operators = _blocks("jacobian_operator", f, argnums, has_aux, False)

    @functools.wraps(f)
    def jacobian_operator_f(*args: Any, **kwargs: Any) -> Any:
        blocks, aux = operators(args, kwargs)
        return (blocks, aux) if has_aux else blocks

    return jacobian_operator_f


def in_chunks(
    f: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    holomorphic: bool,
    size: int,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Any, Any]:
    """The Jacobian as arrays, so many columns or rows at a time, and the further data."""
    call = Call("jacobian", f, argnums, args, kwargs, holomorphic)
    program = traced(call, has_aux)
    _checks.differentiable_results("jacobian", program.out_avals, holomorphic)
    wide, tall = (
        sum(math.prod(jnp.shape(x)) for x in xs) for xs in (program.out_avals, call.leaves)
    )
    derive = by_rows if wide < tall or program.is_reverse_only else by_columns
    aux, blocks = derive(program.run, call.leaves, size)
    rows = [
        call.collect([b.astype(x.dtype) for b, x in zip(row, call.leaves, strict=True)])
        for row in blocks
    ]
    further = jax.tree.unflatten(program.aux_tree, aux)
    return jax.tree.unflatten(program.tree, rows), further


def _blocks(
    name: str,
    f: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    holomorphic: bool,
    formed: bool = False,
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, Any]]:
    """Operators, or arrays, in the pytrees of JAX's Jacobian, and the further data."""

    def derive(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        call = Call(name, f, argnums, args, kwargs, holomorphic)
        program = Program(call, call.leaves, has_aux)
        _checks.differentiable_results(name, program.out_avals, holomorphic)
        _, aux, blocks = program.jacobian(formed)
        if formed:  # in the dtype of the argument, as reverse mode has it
            blocks = [
                [block.astype(x.dtype) for block, x in zip(row, call.leaves, strict=True)]
                for row in blocks
            ]
            rows = [call.collect(row) for row in blocks]
            derivative = jax.tree.unflatten(program.tree, rows)
        else:
            derivative = operator(blocks, program.tree, call.tree)
        return derivative, jax.tree.unflatten(program.aux_tree, aux)

    return derive
