"""The generalised Gauss-Newton matrix as a structured linear operator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.interpret import Program
from jaxmatcalc.linear.block import BlockOperator
from jaxmatcalc.transforms.arguments import Argnums, Call, operator


def gauss_newton_operator(
    model: Callable[..., Any],
    loss: Callable[[Any], Any] | None = None,
    argnums: Argnums = 0,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """The generalised Gauss-Newton matrix of a loss of a model, never formed.

    G = Jᵀ (∇²ℓ) J for ℓ(z), z = model(X), with J = ∂z/∂X: the Hessian of ℓ(model(X)) without the
    curvature of the model. It is positive semidefinite where ℓ is convex, equal to the Hessian
    where the model is linear or fits exactly, and the Fisher information where ℓ is the negative
    log-likelihood of an exponential family in its natural parameters z.

    Args:
        model: function of arrays, or pytrees of them, with arrays or a pytree of them as its
            result z.
        loss: function of z that returns a scalar; what else it needs, such as targets, it closes
            over. None is ½‖z‖², so that z are the residuals and G = JᵀJ.
        argnums: the argument of the model to differentiate in, an integer or a tuple of them.
        has_aux: whether the model returns a pair, (z, further data), of which the second is passed
            on.

    Returns:
        A function of the model's arguments that returns G as `hessian_operator` returns H: a
        `LinearOperator` for an array argument, a `BlockOperator` for others; with `has_aux` a pair
        (G, further data).

    Raises:
        TypeError: the loss does not return a real scalar, or an argument or a result is not of a
            differentiable dtype.
        ValueError: `argnums` names an argument that is not there.

    Example:
        >>> import jax, jax.numpy as jnp, jaxmatcalc as jmc
        >>> A, y = jnp.array([[1.0, 2.0], [0.0, 1.0], [1.0, 1.0]]), jnp.array([1.0, 0.0, 1.0])
        >>> logistic = lambda z: jnp.sum(jax.nn.softplus(z) - y * z)
        >>> G = jmc.gauss_newton_operator(lambda w, A: A @ w, logistic)(jnp.zeros(2), A)
        >>> G.as_matrix().tolist()  # Aᵀ diag(σ(1 - σ)) A with σ = 1/2
        [[0.5, 0.75], [0.75, 1.5]]

    Source: Schraudolph (2002), "Fast curvature matrix-vector products for second-order gradient
    descent"; Martens (2020), "New insights and perspectives on the natural gradient method".
    """
    name = "gauss_newton_operator"

    @functools.wraps(model)
    def gauss_newton_operator_f(*args: Any, **kwargs: Any) -> Any:
        call = Call(name, model, argnums, args, kwargs)
        program = Program(call, call.leaves, has_aux)
        _checks.differentiable_results(name, program.out_avals, False)
        values, aux, rows = program.jacobian()
        z = jax.tree.unflatten(program.tree, values)
        J = BlockOperator(rows, program.tree, call.tree)
        G = J.T @ (J if loss is None else _curvature(name, loss, z) @ J)
        G = operator(G.rows, call.tree, call.tree)
        return (G, jax.tree.unflatten(program.aux_tree, aux)) if has_aux else G

    return gauss_newton_operator_f


def _curvature(name: str, loss: Callable[[Any], Any], z: Any) -> BlockOperator:
    """The Hessian of the loss."""
    call = Call(name, loss, 0, (z,), {})
    program = Program(call, call.leaves)
    _checks.scalar_result(name, program.tree, program.out_avals)
    return BlockOperator(program.hessian()[3], call.tree, call.tree)
