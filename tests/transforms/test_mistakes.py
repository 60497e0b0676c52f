"""A user's mistake is one sentence that names the transform, the need and what came."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from jaxmatcalc import (
    critical_point,
    directional_derivative,
    gauss_newton_operator,
    hessian,
    hessian_operator,
    hvp,
    jacobian,
    jacobian_operator,
    newton_direction,
    value_grad_hessian_operator,
)

x = jnp.ones(3)
OPERATORS = [hessian_operator, value_grad_hessian_operator, newton_direction, critical_point]


@pytest.mark.parametrize("transform", OPERATORS)
def test_a_result_that_is_not_a_scalar(transform):
    name = transform.__name__
    with pytest.raises(TypeError, match=rf"`{name}` .* its result has shape \(3,\)\."):
        transform(jnp.sin)(x)
    with pytest.raises(TypeError, match=rf"`{name}` .* returns a scalar; it returned "):
        transform(lambda x: (x[0], x[1]))(x)
    with pytest.raises(TypeError, match=rf"`{name}` .* real scalar; its result has dtype int"):
        transform(lambda x: jnp.argmax(x))(x)


def test_a_result_that_is_not_a_scalar_to_hvp():
    with pytest.raises(TypeError, match=r"`hvp` .* its result has shape \(3,\)\."):
        hvp(jnp.sin)(x, x)


@pytest.mark.parametrize(
    "transform", [jacobian, hessian, jacobian_operator, gauss_newton_operator, *OPERATORS]
)
def test_arguments_of_other_dtypes(transform):
    name = transform.__name__
    with pytest.raises(TypeError, match=rf"`{name}` .* real floating-point dtype; got dtype int"):
        transform(lambda x: jnp.sum(x * 1.0))(jnp.arange(3))
    if transform is not jacobian:  # of which JAX has one, by convention
        with pytest.raises(TypeError, match=rf"`{name}` .*holomorphic=True.* got dtype complex"):
            transform(lambda z: jnp.sum(jnp.abs(z)))(x + 1j)
    with pytest.raises(TypeError, match=rf"`{name}` needs an array .*; got str"):
        transform(lambda x: jnp.sum(x["a"]))({"a": x, "b": "no"})
    with pytest.raises(ValueError, match=rf"`{name}` needs argnums between 0 and 0, .* got 1"):
        transform(jnp.sum, argnums=1)(x)
    with pytest.raises(TypeError, match=rf"`{name}` needs argnums to be an integer .* got 'x'"):
        transform(jnp.sum, argnums="x")(x)


@pytest.mark.parametrize("transform", [jacobian, hessian])
def test_holomorphic_needs_complex_arrays(transform):
    with pytest.raises(TypeError, match="needs complex arguments with holomorphic=True"):
        transform(lambda z: jnp.sum(z), holomorphic=True)(x)
    with pytest.raises(TypeError, match="complex"):
        transform(lambda z: jnp.sum(jnp.abs(z)), holomorphic=True)(x + 1j)


def test_vectors_that_do_not_fit():
    f = lambda p: jnp.sum(p["a"] ** 2)  # noqa: E731
    with pytest.raises(ValueError, match="`hvp` needs a vector with the pytree of the argument"):
        hvp(f)({"a": x}, x)
    with pytest.raises(ValueError, match=r"vector of the argument's shape \(3,\); got \(2,\)"):
        hvp(f)({"a": x}, {"a": x[:2]})
    with pytest.raises(TypeError, match="followed by the vector; got 1 argument"):
        hvp(f)({"a": x})


def test_mistakes_in_a_directional_derivative():
    f = lambda x: jnp.sum(x**2)  # noqa: E731
    for order in (1.5, "two", None, [1]):
        with pytest.raises(TypeError, match="needs order to be an integer or a tuple of them; got"):
            directional_derivative(f, order)  # type: ignore[arg-type]
    for order in (-1, (0, -2), ()):
        with pytest.raises(
            ValueError, match=r"`directional_derivative` needs orders of at least 0"
        ):
            directional_derivative(f, order)
    with pytest.raises(TypeError, match=r"`directional_derivative` .* real .* got dtype int"):
        directional_derivative(f)(jnp.arange(3), jnp.arange(3))
    with pytest.raises(ValueError, match=r"vector of the argument's shape \(3,\); got \(2,\)"):
        directional_derivative(f)(x, x[:2])
    with pytest.raises(TypeError, match="followed by the vector; got 1 argument"):
        directional_derivative(f)(x)


def test_a_method_that_the_structure_does_not_admit():
    with pytest.raises(ValueError, match=r'structure identity, to be .*"dense".*; got .schur.'):
        newton_direction(lambda x: x @ x, method="schur")(x)


def test_mistakes_are_found_while_tracing():
    with pytest.raises(TypeError, match="its result has shape"):
        jax.eval_shape(hessian_operator(jnp.sin), x)


def test_errors_of_the_function_itself_come_through():
    def f(x):
        raise KeyError("mine")

    for transform in (jacobian, hessian, hessian_operator, newton_direction):
        with pytest.raises(KeyError, match="mine"):
            transform(f)(x)
    with pytest.raises(TypeError, match=r"incompatible shapes|dot_general"):
        hessian(lambda x: x @ jnp.ones(4))(x)
