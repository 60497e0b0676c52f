"""The Laplacian of any JAX function, without its Hessian."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks, _jax
from jaxmatcalc.interpret import Program, second_order
from jaxmatcalc.transforms.arguments import Argnums, Call, as_weak_as


def laplacian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Laplacian: the trace of the Hessian, without the Hessian.

    ΔF = Σᵢ ∂²f(X) / ∂X[i]², over all entries of the differentiated arguments. The function is
    differentiated twice along a direction, and that program is run once for all unit vectors
    together: the Laplacian of a matrix operation comes from its closed form, that of a network from
    one pass of value, Jacobian and second-order sum. What an output does not depend on is not
    pushed: a network applied to each row by itself costs the columns of one row.

    For a batch of arguments take ``jax.vmap(laplacian(f))``.

    Args:
        f: function of arrays, or pytrees of them. Each entry of its result has a Laplacian. It may
            be complex, as the logarithm of a wave function is.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (result, further data), of which the second is passed on.
        holomorphic: whether f is holomorphic, for complex arguments.

    Returns:
        A function of f's arguments that returns the pytree and the shapes of f's result; with
        `has_aux` a pair (Laplacian, further data).

    Raises:
        TypeError: an argument or a result is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> X = jnp.diag(jnp.array([1.0, 2.0]))
        >>> jmc.laplacian(lambda X: jnp.linalg.slogdet(X)[1])(X).item()
        -1.25

    Source: Li et al. (2023), "Forward Laplacian", arXiv:2307.08214, for the pass through a network.
    """

    @functools.wraps(f)
    def laplacian_f(*args: Any, **kwargs: Any) -> Any:
        call = SecondOrderCall("laplacian", f, argnums, args, kwargs, has_aux, holomorphic)
        found = call.run(summed=True)
        result = jax.tree.unflatten(found.tree, found.seconds)
        return (result, found.aux) if has_aux else result

    return laplacian_f


def value_grad_laplacian(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Value, gradient and Laplacian of a function from one pass.

    f(X), ∇f(X) and Δf(X). With f = log|ψ| they make the local kinetic energy of a wave function,
    -(Δf + ‖∇f‖²) / 2.

    Args:
        f: function of arrays, or pytrees of them, that returns a scalar. It may be complex; its
            gradient then is too, ∂f/∂X without a conjugate.
        argnums: the argument to differentiate in, an integer or a tuple of them.
        has_aux: whether f returns a pair, (scalar, further data), of which the second is passed on.

    Returns:
        A function of f's arguments that returns (value, gradient, Laplacian); with `has_aux` the
        value is the pair (value, further data), as in `jax.value_and_grad`.

    Raises:
        TypeError: f does not return a scalar, or an argument is not of a differentiable dtype.
        ValueError: `argnums` names an argument that is not there.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> f = lambda x: -x @ x / 2
        >>> value, gradient, laplacian = jmc.value_grad_laplacian(f)(jnp.array([1.0, 2.0]))
        >>> value.item(), gradient.tolist(), laplacian.item()
        (-2.5, [-1.0, -2.0], -2.0)

    Source: Li et al. (2023), "Forward Laplacian", arXiv:2307.08214.
    """

    @functools.wraps(f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        call = SecondOrderCall("value_grad_laplacian", f, argnums, args, kwargs, has_aux)
        found = call.run(summed=True, first=True)
        (value,), (gradient,), (second,) = found.values, found.firsts, found.seconds
        return (value, found.aux) if has_aux else value, call.collect(gradient), second

    return derived


class Found(NamedTuple):
    """Second derivatives, flat as in `second_order`, and the pytrees they belong to."""

    tree: Any
    values: list[Any]
    aux: Any
    firsts: list[list[Any]]
    seconds: list[Any]


class SecondOrderCall(Call):
    """A call as a function of the arrays it is differentiated in twice."""

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        argnums: Argnums,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        has_aux: bool = False,
        holomorphic: bool = False,
    ):
        super().__init__(name, f, argnums, args, kwargs, holomorphic)
        self._name, self._has_aux, self._holomorphic = name, has_aux, holomorphic

    def run(self, summed: bool, first: bool = False) -> Found:
        """Laplacians if `summed`, else diagonals, and the Jacobians too if `first`."""
        try:
            program = Program(self, self.leaves, self._has_aux)
        except jax.errors.ConcretizationTypeError:
            # f branches on values: only differentiating at those values, as JAX does, can follow it
            return self._dense(summed, first)
        _checks.inexact_results(self._name, program.out_avals, self._holomorphic)
        if first:
            _checks.scalar_result(self._name, program.tree, program.out_avals, real=False)
        if _jax.has_custom_vjp(program.jaxpr):
            return self._reverse(program, summed, first)
        derive = second_order.laplacian if summed else second_order.diagonal
        found = derive(program, first)
        aux = jax.tree.unflatten(program.aux_tree, found.aux)
        seconds = list(map(self._weak, found.seconds)) if summed else found.seconds
        return Found(program.tree, found.values, aux, found.firsts, seconds)

    def _weak(self, laplacian: Any) -> Any:
        """A Laplacian, weakly typed where all arguments are, as the Hessian is."""
        weak = [x for x in map(jax.typeof, self.leaves) if x.weak_type]
        all_weak = bool(weak) and len(weak) == len(self.leaves)
        return as_weak_as(laplacian, weak[0]) if all_weak else laplacian

    def _reverse(self, program: Program, summed: bool, first: bool) -> Found:
        """Of a function with its own reverse rule, which cannot be differentiated forward."""
        if [a.shape for a in program.out_avals] != [()]:
            return self._dense(summed, first, jax.jacrev)
        value, gradient, aux, blocks = program.hessian()
        operators = [row[k] for k, row in enumerate(blocks)]
        seconds: list[Any] = (
            [functools.reduce(jnp.add, [H.trace() for H in operators])]
            if summed
            else [[H.diagonal() for H in operators]]
        )
        aux = jax.tree.unflatten(program.aux_tree, aux)
        return Found(program.tree, [value], aux, [gradient], seconds)

    def _dense(self, summed: bool, first: bool, jacobian: Callable[..., Any] = jax.jacfwd) -> Found:
        """Direction by direction, at the values themselves."""
        result = self(*self.leaves)
        out, aux = result if self._has_aux else (result, ())
        outs, tree = jax.tree.flatten(out)
        outs = [jnp.asarray(y) for y in outs]
        _checks.inexact_results(self._name, [jax.typeof(y) for y in outs], self._holomorphic)
        if first:
            _checks.scalar_result(self._name, tree, [jax.typeof(y) for y in outs], real=False)

        def flat(*xs: Any) -> list[Any]:
            result = self(*xs)
            return jax.tree.leaves(result[0] if self._has_aux else result)

        numbers = tuple(range(len(self.leaves)))
        slopes = jacobian(flat, numbers, holomorphic=self._holomorphic)
        firsts = [list(row) for row in slopes(*self.leaves)]
        rows: list[list[Any]] = [[] for _ in outs]
        for k, x in enumerate(self.leaves):

            def along(v: Any, k: int = k, x: Any = x) -> list[Any]:
                def slope(x: Any) -> list[Any]:
                    moved = [*self.leaves[:k], x, *self.leaves[k + 1 :]]
                    return [jnp.sum(row[k] * v, range(-v.ndim, 0)) for row in slopes(*moved)]

                return jax.jvp(slope, (x,), (v,))[1]

            units = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
            for row, y, seconds in zip(
                rows, outs, jax.vmap(along, out_axes=-1)(units), strict=True
            ):
                dtype = seconds.dtype if jnp.iscomplexobj(y) else x.dtype
                row.append(seconds.reshape(*y.shape, *x.shape).astype(dtype))
        sums = [
            functools.reduce(
                jnp.add, [jnp.sum(d, range(y.ndim, d.ndim)).astype(y.dtype) for d in row]
            )
            for row, y in zip(rows, outs, strict=True)
        ]
        return Found(tree, outs, aux, firsts, sums if summed else rows)
