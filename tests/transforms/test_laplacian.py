"""`laplacian`, `value_grad_laplacian` and `hessian_diagonal` as transforms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxmatcalc import hessian, hessian_diagonal, laplacian, value_grad_laplacian

rng = np.random.default_rng(4)
A = jnp.asarray(rng.normal(size=(4, 4)), float)
C = jnp.asarray(rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)), complex)
x = jnp.asarray(rng.normal(size=4), float)


def network(x, W=A):
    return jnp.sum(jnp.tanh(W @ jnp.tanh(W @ x)))


def reference(f, x):
    """The diagonal of the Hessian by JAX, one unit vector after the other, on a last axis."""

    @jax.jit
    def along(v):
        return jax.jvp(lambda x: jax.jvp(f, (x,), (v,))[1], (x,), (v,))[1]

    seconds = [jax.tree.map(np.asarray, along(v)) for v in jnp.eye(x.size, dtype=x.dtype)]
    return jax.tree.map(lambda *leaves: np.stack(leaves, -1), *seconds)


def total(diagonal):
    return jax.tree.map(lambda d: d.sum(-1), diagonal)


def wave(x):
    """The logarithm of a complex wave function."""
    z = C @ x.astype(C.dtype)
    return jnp.log(jnp.sum(jnp.exp(z))) + 1j * jnp.sum(x**3)


def branching(x):
    return jnp.sum(x**3) if x[0] > 0 else jnp.prod(x)


@jax.custom_vjp
def reverse_only(x):
    return jnp.sin(x)


reverse_only.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))


def test_pytrees_of_arguments(parameters, close):
    q = jnp.asarray(rng.normal(size=3), float)

    def f(p, q):
        return jnp.sum(jnp.sin(p["a"] @ p["b"])) * p["c"] ** 3 + jnp.sum(q * p["b"] ** 2 * q)

    flat, rebuild = ravel_pytree((parameters, q))
    diagonal = reference(lambda v: f(*rebuild(v)), flat)
    expected = rebuild(jnp.asarray(diagonal))
    close(jax.jit(hessian_diagonal(f, (0, 1)))(parameters, q), expected)
    close(jax.jit(hessian_diagonal(f, -1))(parameters, q), expected[1])
    close(jax.jit(laplacian(f, (0, 1)))(parameters, q), diagonal.sum())


def test_pytrees_of_results_and_further_results(close):
    def f(x):
        return {"s": jnp.sin(x), "t": (x.sum() ** 3, x[:2] * x[2:])}

    diagonal = reference(f, x)
    with_aux = lambda x: (f(x), {"k": x * 2, "n": jnp.arange(3)})  # noqa: E731
    found = jax.jit(laplacian(with_aux, has_aux=True))(x)
    close(found, (total(diagonal), with_aux(x)[1]))
    found = jax.jit(hessian_diagonal(with_aux, has_aux=True))(x)
    close(found, (diagonal, with_aux(x)[1]))


def test_value_gradient_and_laplacian(close):
    value, gradient = jax.value_and_grad(network)(x)
    found = jax.jit(value_grad_laplacian(lambda x: (network(x), x + 1), has_aux=True))(x)
    close(found, ((value, x + 1), gradient, total(reference(network, x))))
    assert jax.eval_shape(value_grad_laplacian(network), x)[0].shape == ()


def test_a_complex_function_of_real_arguments(close):
    diagonal = reference(wave, x)
    gradient = jax.jit(jax.jacfwd(wave))(x)
    close(jax.jit(hessian_diagonal(wave))(x), diagonal)
    close(jax.jit(value_grad_laplacian(wave))(x), (wave(x), gradient, total(diagonal)))
    density = lambda x: jnp.abs(wave(x)) ** 2  # noqa: E731
    close(jax.jit(laplacian(density))(x), total(reference(density, x)))


def test_holomorphic(close):
    z = C[:, 0]
    f = lambda z: jnp.sum(jnp.exp(C[:, :3] @ z) * z)  # noqa: E731
    diagonal = jnp.diagonal(jax.hessian(f, holomorphic=True)(z))
    close(jax.jit(laplacian(f, holomorphic=True))(z), jnp.sum(diagonal))
    close(jax.jit(hessian_diagonal(f, holomorphic=True))(z), diagonal)


@pytest.mark.parametrize("point", [x, -x], ids=["one branch", "the other"])
def test_a_function_that_branches_on_values(point, close):
    diagonal = jnp.diagonal(jax.hessian(branching)(point))
    close(hessian_diagonal(branching)(point), diagonal)
    found = value_grad_laplacian(lambda x: (branching(x), 3.0), has_aux=True)(point)
    close(found, ((branching(point), 3.0), jax.grad(branching)(point), jnp.sum(diagonal)))


@pytest.mark.parametrize("scalar", [True, False], ids=["a scalar", "an array"])
def test_a_function_with_a_reverse_rule_of_its_own(scalar, close):
    f = lambda x: jnp.sum(reverse_only(x) * x) if scalar else reverse_only(x) * x[0]  # noqa: E731
    plain = lambda x: jnp.sum(jnp.sin(x) * x) if scalar else jnp.sin(x) * x[0]  # noqa: E731
    diagonal = reference(plain, x)
    close(jax.jit(hessian_diagonal(f))(x), diagonal)
    close(jax.jit(laplacian(f))(x), total(diagonal))
    if scalar:
        found = jax.jit(value_grad_laplacian(f))(x)
        close(found, (plain(x), jax.grad(plain)(x), total(diagonal)))


def test_batches(close):
    points = jnp.stack([x, -x, 2 * x])
    expected = np.stack([reference(network, p) for p in points])
    close(jax.jit(jax.vmap(laplacian(network)))(points), expected.sum(-1))
    close(jax.vmap(hessian_diagonal(network))(points), expected)  # also without jit
    close(jax.jit(laplacian(jax.vmap(network)))(points), expected.sum(-1))


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def squares(x):
    """Indices of which some repeat."""
    return jnp.arange(x.size) ** 2 % x.size


SELECTIONS = {
    "a slice": lambda x: jnp.sum(x[1:] ** 3),
    "two slices": rosenbrock,
    "of matrices": lambda x: jnp.sum(x.reshape(-1, 4)[1:, :-1] ** 2 * x.reshape(-1, 4)[:-1, 1:]),
    "strides": lambda x: jnp.sum((x[::2] * x[1::2] - x[: x.size // 2]) ** 3),
    "repeated indices": lambda x: jnp.sum(jnp.exp(x[squares(x)] * x)),
    "indices beyond": lambda x: jnp.sum(x.at[squares(x) + 3].get(mode="fill", fill_value=2) ** 3),
    "of selections": lambda x: jnp.sum(x[1:][::3][::-1] ** 2 * x[squares(x)][: x.size // 3]),
    "around": lambda x: jnp.sum((jnp.roll(x, 1) - 2 * x + jnp.roll(x, -1)) ** 4),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_selections_take_no_matrix(name, close):
    """Slices and gathers: the right values, in memory that grows with the argument only."""
    f = SELECTIONS[name]
    both = jax.jit(jax.vmap(lambda y: (hessian_diagonal(f)(y), laplacian(f)(y))))
    points = jnp.asarray(rng.uniform(0.3, 1.2, size=(2, 288)), float)
    expected = np.stack([reference(f, y) for y in points])
    close(both(points), (expected, expected.sum(-1)))
    n = 4096
    large = jax.ShapeDtypeStruct((1, n), points.dtype)
    memory = both.lower(large).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes <= 64 * n * points.dtype.itemsize  # and not n²


def test_derivatives_of_the_laplacian(close):
    """Of order three in the argument, and in parameters that the function closes over."""
    slogdet = lambda X: jnp.linalg.slogdet(X)[1]  # noqa: E731
    X = A + 3 * jnp.eye(4)
    inverse = np.linalg.inv(np.asarray(X))
    # Δ log|X| = -‖X⁻¹‖², whose gradient is 2 X⁻ᵀ X⁻¹ X⁻ᵀ
    value, gradient = jax.jit(jax.value_and_grad(laplacian(slogdet)))(X)
    close(value, -np.sum(inverse**2))
    close(gradient, 2 * inverse.T @ inverse @ inverse.T)

    def loss(W, derive):
        return derive(lambda x: network(x, W), x) ** 2

    def by_units(f, x):
        along = lambda v: jax.jvp(lambda x: jax.jvp(f, (x,), (v,))[1], (x,), (v,))[1]  # noqa: E731
        return sum(along(v) for v in jnp.eye(4))

    found = jax.jit(jax.grad(lambda W: loss(W, lambda f, x: laplacian(f)(x))))(A)
    close(found, jax.jit(jax.grad(lambda W: loss(W, by_units)))(A), digits_lost=4)


@pytest.mark.parametrize("shape", [(0,), (), (1, 1)])
def test_sizes(shape, close):
    y = jnp.full(shape, 0.7)
    found = jax.jit(hessian_diagonal(lambda y: jnp.sum(jnp.sinh(y))))(y)
    close(found, jnp.sinh(y))
    close(jax.jit(laplacian(lambda y: (jnp.sum(jnp.sinh(y)), y**3)))(y), (found.sum(), 6 * y))


def test_what_does_not_curve(close):
    close(laplacian(lambda x: (jnp.asarray(3.0), x, x @ A))(x), (jnp.asarray(0.0), 0 * x, 0 * x))
    close(hessian_diagonal(jnp.sum)(x), 0 * x)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_dtypes(dtype):
    f = lambda y: jnp.sum(jnp.tanh(y) ** 3)  # noqa: E731
    y = jnp.ones(3, dtype)
    with jax.numpy_dtype_promotion("strict"):
        for transform in (laplacian, hessian_diagonal, hessian):
            assert jax.eval_shape(transform(f), y).dtype == dtype


def test_mistakes():
    for transform in (laplacian, hessian_diagonal, value_grad_laplacian):
        name = transform.__name__
        with pytest.raises(TypeError, match=rf"`{name}` .* floating-point dtype; got dtype int"):
            transform(network)(jnp.arange(4))
        with pytest.raises(TypeError, match=rf"`{name}` .*holomorphic=True.* got dtype complex"):
            transform(jnp.sum)(C)
        with pytest.raises(TypeError, match=rf"`{name}` needs results .* got dtype int"):
            transform(jnp.argmax)(x)
        with pytest.raises(ValueError, match=rf"`{name}` needs argnums between 0 and 0"):
            transform(network, 1)(x)
    with pytest.raises(TypeError, match=r"`value_grad_laplacian` .* its result has shape \(4,\)"):
        value_grad_laplacian(jnp.sin)(x)
    with pytest.raises(TypeError, match="complex results with holomorphic=True"):
        laplacian(lambda z: jnp.sum(jnp.abs(z)), holomorphic=True)(C)
