"""The Hessian of any JAX function, as arrays or as structured linear operators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.interpret import Program
from jaxmatcalc.transforms.arguments import Argnums, Call, operator
from jaxmatcalc.transforms.columns import Flat, by_columns, traced
from jaxmatcalc.transforms.jacobian import in_chunks, jacobian


def hessian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The Hessian as arrays; takes the place of `jax.hessian`.

    H[i…, j…] = ∂²f(X) / ∂X[i…] ∂X[j…]. It is formed in one pass over its entries from the factored
    form that `hessian_operator` returns, or column by column, as JAX does, where that costs less.

    With a `chunk_size` the gradient is linearised once, and so many columns are computed at a time,
    as in `jacobian`: beside the result, which is held, that takes the memory of one pass through
    the gradient and of so many tangents.

    Args:
        f: function of arrays, or pytrees of them. Like `jax.hessian` it may return more than a
            scalar; each result then has its own Hessian.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (result, further data), of which the second is passed on.
        holomorphic: whether f is holomorphic, for complex arguments.
        chunk_size: how many columns to compute at a time; None for all. Of a function with more
            than a scalar, columns of the Jacobian of all their gradients.

    Returns:
        A function of f's arguments. It returns an array of shape ``in.shape + in.shape`` for an
        array argument, and pytrees of pytrees of such blocks, as `jax.hessian` does, for others;
        with `has_aux` a pair (Hessian, further data).

    Raises:
        TypeError: an argument or a result is not of a differentiable dtype, or `chunk_size` is not
            an integer.
        ValueError: `argnums` names an argument that is not there, or `chunk_size` is below 1.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> A = jnp.array([[2.0, 1.0], [0.0, 3.0]])
        >>> jmc.hessian(lambda x: x @ A @ x)(jnp.ones(2)).tolist()
        [[4.0, 1.0], [1.0, 6.0]]
        >>> jmc.hessian(lambda x: x @ A @ x, chunk_size=1)(jnp.ones(2)).tolist()
        [[4.0, 1.0], [1.0, 6.0]]

    Source: Magnus and Neudecker (2019), ch. 10: the Hessian is the Jacobian of the gradient.
    """
    size = _checks.positive_count("hessian", "chunk_size", chunk_size)

    @functools.wraps(f)
    def hessian_f(*args: Any, **kwargs: Any) -> Any:
        if size is not None:
            formed, aux = _in_chunks(f, argnums, has_aux, holomorphic, size, args, kwargs)
            return (formed, aux) if has_aux else formed
        try:
            call = Call("hessian", f, argnums, args, kwargs, holomorphic)
            program = Program(call, call.leaves, has_aux)
            _checks.differentiable_results("hessian", program.out_avals, holomorphic)
            if not _is_scalar(program):
                # each entry of the result has a Hessian: the Jacobian of all their gradients
                rows = jax.jacrev(f, argnums, has_aux=has_aux, holomorphic=holomorphic)
                return jacobian(rows, argnums, has_aux, holomorphic)(*args, **kwargs)
            _, _, aux, blocks = program.hessian(formed=True)
        except jax.errors.ConcretizationTypeError:
            # f branches on values: only tracing at those values, as JAX does, can follow it
            dense = jax.hessian(f, argnums, has_aux=has_aux, holomorphic=holomorphic)
            return dense(*args, **kwargs)
        formed = _nested(program, call, blocks)
        return (formed, jax.tree.unflatten(program.aux_tree, aux)) if has_aux else formed

    return hessian_f


def hessian_operator(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The Hessian as a structured linear operator that is never formed.

    d∇f = H dX, with H a `LinearOperator` on arrays of the argument's shape.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (scalar, further data), of which the second is passed on.

    Returns:
        A function of f's arguments that returns a `LinearOperator` for an array argument, and a
        `BlockOperator` for a pytree, or several arguments, of which indexing gives the operators
        where `hessian` has arrays.

    Raises:
        TypeError: f does not return a real scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> H = jmc.hessian_operator(lambda X: jnp.linalg.slogdet(X)[1])(2 * jnp.eye(3))
        >>> H.structure.kind
        'kronecker+commutation'
        >>> H.solve(jnp.eye(3)).diagonal().tolist()
        [-4.0, -4.0, -4.0]

    Source: Magnus and Neudecker (2019), ch. 10: the Hessian is the Jacobian of the gradient.
    """
    derive = value_grad_hessian_operator(f, argnums, has_aux, _name="hessian_operator")

    @functools.wraps(f)
    def hessian_operator_f(*args: Any, **kwargs: Any) -> Any:
        value, _, operators = derive(*args, **kwargs)
        return (operators, value[1]) if has_aux else operators

    return hessian_operator_f


def value_grad_hessian_operator(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    _name: str = "value_grad_hessian_operator",
) -> Callable[..., Any]:
    """Value, gradient and Hessian operator of a function from one program.

    f(X), ∇f(X) and H with d∇f = H dX: the forward pass and every factorisation are shared.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (scalar, further data), of which the second is passed on.

    Returns:
        A function of f's arguments that returns (value, gradient, operator); with `has_aux` the
        value is the pair (value, further data), as in `jax.value_and_grad`.

    Raises:
        TypeError: f does not return a real scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> value, grad, H = jmc.value_grad_hessian_operator(lambda x: x @ x)(jnp.array([1.0, 2.0]))
        >>> value.item(), grad.tolist(), H.structure.kind
        (5.0, [2.0, 4.0], 'identity')

    Source: Magnus and Neudecker (2019), ch. 10.
    """

    @functools.wraps(f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        call = Call(_name, f, argnums, args, kwargs)
        program = Program(call, call.leaves, has_aux)
        _checks.scalar_result(_name, program.tree, program.out_avals)
        value, grads, aux, blocks = program.hessian()
        if has_aux:
            value = (value, jax.tree.unflatten(program.aux_tree, aux))
        H = jax.tree.unflatten(program.tree, [operator(blocks, call.tree, call.tree)])
        return value, call.collect(grads), H

    return derived


def _in_chunks(
    f: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    holomorphic: bool,
    size: int,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Any, Any]:
    """The Hessian as arrays, so many columns at a time, and the further data."""
    call = Call("hessian", f, argnums, args, kwargs, holomorphic)
    program = traced(call, has_aux)
    _checks.differentiable_results("hessian", program.out_avals, holomorphic)
    if not _is_scalar(program):
        rows = jax.jacrev(f, argnums, has_aux=has_aux, holomorphic=holomorphic)
        return in_chunks(rows, argnums, has_aux, holomorphic, size, args, kwargs)

    def scalar(*xs: Any) -> tuple[Any, list[Any]]:
        (value,), aux = program.run(*xs)
        return value, aux

    derivative = jax.grad(
        scalar, tuple(range(len(call.leaves))), has_aux=True, holomorphic=holomorphic
    )
    aux, blocks = by_columns(lambda *xs: derivative(*xs), call.leaves, size)
    return _nested(program, call, blocks), jax.tree.unflatten(program.aux_tree, aux)


def _is_scalar(program: Program | Flat) -> bool:
    return len(program.out_avals) == 1 and program.out_avals[0].shape == ()


def _nested(program: Program | Flat, call: Call, blocks: Any) -> Any:
    """Blocks in JAX's pytrees: the result's, of the argument's, of the argument's."""
    rows = [call.collect(row, x) for row, x in zip(blocks, call.leaves, strict=True)]
    return jax.tree.unflatten(program.tree, [call.collect(rows)])
