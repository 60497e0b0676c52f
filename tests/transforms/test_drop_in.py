"""`jacobian` and `hessian` take the place of JAX's: values, pytrees, dtypes, arguments."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import (
    critical_point,
    directional_derivative,
    gauss_newton_operator,
    hessian,
    hessian_diagonal,
    hessian_operator,
    hvp,
    jacobian,
    jacobian_operator,
    laplacian,
    newton_direction,
    rewrite,
    value_grad_hessian_operator,
    value_grad_laplacian,
)

rng = np.random.default_rng(2)
a = jnp.asarray(rng.normal(size=(2, 3)), float)
b = jnp.asarray(rng.normal(size=3), float)

PAIRS = [
    pytest.param(jacobian, jax.jacobian, id="jacobian"),
    pytest.param(hessian, jax.hessian, id="hessian"),
]
pairs = pytest.mark.parametrize(("ours", "theirs"), PAIRS)


def scalar(x, y):
    return jnp.sum(jnp.sin(x @ y)) * y[0] ** 2 + jnp.sum(x)


def many(x, y):
    return {"product": x @ y, "rest": (jnp.sum(x), y**2)}


@pairs
@pytest.mark.parametrize("argnums", [0, 1, -1, (0, 1), (1, 0), (-1,), [1]])
def test_argnums(ours, theirs, argnums, close):
    close(ours(scalar, argnums)(a, b), theirs(scalar, argnums)(a, b))


@pairs
@pytest.mark.parametrize("argnums", [0, (1, 0)])
def test_pytrees_of_results(ours, theirs, argnums, close):
    """Also a Hessian of more than a scalar: each entry of the result has one."""
    close(ours(many, argnums)(a, b), theirs(many, argnums)(a, b))


@pairs
def test_pytrees_of_arguments(ours, theirs, parameters, close):
    def f(p, q, *, power):
        return jnp.sum(jnp.sin(p["a"] @ p["b"])) * p["c"] ** power + jnp.sum(q[0] * p["b"])

    q = (b, [jnp.asarray(0.5, float)])
    for argnums in (0, (0, 1)):
        found = ours(f, argnums)(parameters, q, power=2)
        close(found, theirs(f, argnums)(parameters, q, power=2))


@pairs
def test_further_results(ours, theirs, close):
    def f(x, y):
        return scalar(x, y), {"k": x.sum(), "n": jnp.arange(3), "input": y}

    close(ours(f, (0, 1), has_aux=True)(a, b), theirs(f, (0, 1), has_aux=True)(a, b))

    def g(x, y):
        return many(x, y), x * 2

    close(ours(g, has_aux=True)(a, b), theirs(g, has_aux=True)(a, b))


@pairs
def test_holomorphic(ours, theirs, close):
    z = b + 1j * b[::-1]
    g = lambda z: jnp.sum(z**3) * z[0] + 1j * jnp.linalg.det(jnp.diag(z) + 1)  # noqa: E731
    close(ours(g, holomorphic=True)(z), theirs(g, holomorphic=True)(z))
    h = lambda z: jnp.exp(z) * 1j  # noqa: E731
    close(ours(h, holomorphic=True)(z), theirs(h, holomorphic=True)(z))


@pairs
def test_branches_on_values(ours, theirs, close):
    def f(x):
        return x if x > 0 else x**3

    for point in (2.0, -2.0):
        close(ours(f)(point), theirs(f)(point))

    def g(x):
        return (x**2, x > 0) if x > 0 else (x**3, x > 0)

    close(ours(g, has_aux=True)(-2.0), theirs(g, has_aux=True)(-2.0))


@pairs
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16])
def test_dtypes(ours, theirs, dtype, close):
    """The result has the dtype that JAX gives it, from the arguments' own."""
    if dtype is jnp.float64 and not jax.config.jax_enable_x64:
        pytest.skip("64-bit types are off in this pass")
    x = jnp.asarray([0.5, -1.0, 2.0], dtype)
    f = lambda x: jnp.sum(2 * x**3 + x)  # noqa: E731
    found, expected = ours(f)(x), theirs(f)(x)
    assert found.dtype == expected.dtype == dtype
    np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=1e-2)
    g = lambda x: (x.astype(jnp.float32) * 2).sum()  # noqa: E731
    assert ours(g)(x).dtype == theirs(g)(x).dtype


@pairs
def test_python_numbers_and_numpy_arrays(ours, theirs, close):
    close(ours(lambda x: x**3)(2.0), theirs(lambda x: x**3)(2.0))
    f = lambda x: jnp.sum(jnp.sin(x)) ** 2  # noqa: E731
    close(ours(f)(np.asarray(b)), theirs(f)(np.asarray(b)))


def test_composition_with_each_other_and_with_jax(close):
    f = lambda x: jnp.sum(jnp.sin(x) * x[::-1] ** 2)  # noqa: E731
    close(jacobian(jax.grad(f))(b), jax.hessian(f)(b))
    close(jacobian(jacobian(f))(b), jax.hessian(f)(b))
    third = jax.jacfwd(jax.hessian(f))(b)
    close(jax.jacfwd(hessian(f))(b), third)
    close(jax.jacrev(hessian(f))(b), third)
    close(jacobian(hessian(f))(b), third)
    close(hessian(rewrite(f))(b), jax.hessian(f)(b))
    batch = jnp.stack([b, 2 * b])
    expected = jnp.stack([jax.hessian(f)(x) for x in batch])
    close(jax.vmap(hessian(f))(batch), expected)
    close(jax.jit(jax.vmap(jacobian(jax.grad(f))))(batch), expected)
    summed = jax.grad(lambda xs: jnp.sum(jax.vmap(hessian(f))(xs) ** 2))(batch)
    reference = [jax.grad(lambda x: jnp.sum(jax.hessian(f)(x) ** 2))(x) for x in batch]
    close(summed, jnp.stack(reference))


def test_methods_and_partials(close):
    class Model:
        def __init__(self, weights):
            self.weights = weights

        def loss(self, x, scale=1.0):
            return scale * jnp.sum((self.weights @ x) ** 2)

    model = Model(a)
    close(hessian(model.loss)(b), 2 * a.T @ a)
    close(hessian(functools.partial(model.loss, scale=3.0))(b), 6 * a.T @ a)
    close(hessian(model.loss)(b, scale=2.0), 4 * a.T @ a)


def test_a_transform_keeps_the_functions_name():
    def volume(X):
        """Says what."""
        return jnp.sum(X)

    transforms = (
        jacobian,
        hessian,
        jacobian_operator,
        hessian_operator,
        hvp,
        rewrite,
        value_grad_hessian_operator,
        newton_direction,
        gauss_newton_operator,
        directional_derivative,
        critical_point,
    )
    for transform in transforms:
        assert transform(volume).__doc__ == "Says what."


def test_operators_come_in_the_same_pytrees(parameters, close):
    def f(p):
        return jnp.sum(jnp.sin(p["a"] @ p["b"])) * p["c"] ** 2

    H = hessian_operator(f)(parameters)
    expected = jax.hessian(f)(parameters)
    for i in "abc":
        for j in "abc":
            close(H[i][j].to_dense(), expected[i][j])
    J = jacobian_operator(many, (0, 1))(a, b)
    close(J["rest"][1][1].to_dense(), jnp.diag(2 * b))
    assert J["rest"][1][0].structure.kind == "zero"
    assert J["product"][0].structure.kind == "kronecker"


def test_value_gradient_and_hessian(objective, covariance, close):
    value, gradient, H = value_grad_hessian_operator(objective)(covariance)
    close(value, objective(covariance))
    close(gradient, jax.grad(objective)(covariance))
    close(H.to_dense(), jax.hessian(objective)(covariance))
    (value, aux), gradient, H = value_grad_hessian_operator(
        lambda X, k: (jnp.sum(X**2) * k, {"k": k}), has_aux=True
    )(covariance, 3)
    close((value, aux), (jnp.sum(covariance**2) * 3, {"k": jnp.asarray(3)}))
    assert H.structure.kind == "identity"
    H, aux = hessian_operator(lambda x: (x @ x, [x]), has_aux=True)(b)
    close(aux, [b])


def test_a_hessian_is_symmetric(objective, covariance, close):
    """Of any function with continuous second derivatives (Schwarz)."""
    functions = [
        objective,
        lambda X: jnp.sum(jnp.tanh(X @ covariance @ X)),
        jnp.linalg.det,
        lambda X: jnp.sum(jnp.linalg.inv(X) ** 2),
    ]
    for f in functions:
        H = hessian_operator(f)(covariance + 0.1 * jnp.arange(9.0).reshape(3, 3))
        close(H.T.to_dense(), H.to_dense(), 4)


@pairs
def test_empty_arrays_and_results_that_do_not_vary(ours, theirs, close):
    empty = jnp.zeros((0, 3))
    for f, x in (
        (lambda x: jnp.sum(x**2, 0), empty),
        (jnp.sin, empty),
        (lambda x: x[:0] ** 2, b),
        (lambda x: jnp.ones(2), b),
        (lambda x: 3.0, b),
    ):
        close(ours(f)(x), theirs(f)(x))


@pairs
def test_leaves_that_are_not_differentiated(ours, theirs, close):
    """Integers, random keys, functions, None and objects beside the differentiated argument."""

    def f(x, n, key, g, options):
        noise = jax.random.normal(key, x[0].shape, x[0].dtype)
        return jnp.sum(g(x[0]) * noise) * n.sum() ** options["power"]

    rest = (jnp.arange(3), jax.random.key(0), jnp.cosh, {"power": 2, "none": None})
    close(ours(f)((b, None), *rest), theirs(f)((b, None), *rest))


@pairs
def test_arguments_that_jax_refuses(ours, theirs):
    """The same type of error, for what neither takes."""
    cases = (
        (lambda x: jnp.sum(x * 1.0), (jnp.arange(3),), {}),
        (lambda p: jnp.sum(p["a"] * p["n"]), ({"a": b, "n": jnp.arange(3)},), {}),
        (lambda x: x**2.0, (2,), {}),
        (lambda x: x * 3.0, (True,), {}),
        (lambda x: 1.0, ("s",), {}),
        (lambda x: (x > 0).astype(int), (b,), {}),
        (lambda x: {"x": x, "n": jnp.argmax(x)}, (b,), {}),
        (lambda x: x * 1j, (b,), {}),
        (lambda x: x, (b,), {"argnums": 1}),
        (lambda x, y: x, (b,), {}),
        (lambda x: x**3, (b,), {"holomorphic": True}),
    )
    for f, args, options in cases:
        with pytest.raises((TypeError, ValueError)) as expected:
            theirs(f, **options)(*args)
        with pytest.raises(expected.type):
            ours(f, **options)(*args)


def test_real_functions_of_complex_arrays(close):
    """The Jacobian by JAX's convention; NumPy's integers are integers."""
    f = lambda x, z: {"a": jnp.abs(z) ** 2, "b": jnp.sum(jnp.real(z) * x)}  # noqa: E731
    z = b + 1j
    for argnums in (1, np.int64(1), (0, 1)):
        close(jacobian(f, argnums)(b, z), jax.jacobian(f, argnums)(b, z))
    g = lambda x, y: jnp.sum(x * y**3)  # noqa: E731
    close(hessian(g, np.int64(1))(b, b), jax.hessian(g, 1)(b, b))


def test_functions_with_a_reverse_rule_only():
    """`custom_vjp`: a Jacobian as under JAX, and JAX's refusal of a second derivative."""

    @jax.custom_vjp
    def f(x):
        return jnp.sum(x**2)

    f.defvjp(lambda x: (jnp.sum(x**2), x), lambda x, g: (3 * g * x,))
    np.testing.assert_allclose(jacobian(f)(b), 3 * b)
    with pytest.raises(TypeError, match="forward-mode"):
        directional_derivative(f)(b, b)


# Weak types: what is derived in a Python number promotes as one

NUMBERS = {
    "power": lambda x: x**3 * jnp.sin(x),
    "linear": lambda x: 2 * x,
    "with a strong number": lambda x: x**2 * jnp.ones(()),
}
GRADIENTS = {
    "gradient": lambda f: lambda x: value_grad_hessian_operator(f)(x)[1],
    "product": lambda f: lambda x: hvp(f)(x, 1.0),
    "direction": lambda f: newton_direction(f, damping=1.0),
    "damped": lambda f: newton_direction(f, damping="auto"),
    "diagonal": hessian_diagonal,
    "laplacian": laplacian,
    "gradient beside the Laplacian": lambda f: lambda x: value_grad_laplacian(f)(x)[1],
}


def types(tree):
    return [(x.dtype, x.weak_type) for x in map(jax.typeof, jax.tree.leaves(tree))]


@pytest.mark.parametrize("name", NUMBERS)
def test_weak_types_of_numbers(name, float_dtype):
    f = NUMBERS[name]
    for x in (0.5, np.asarray(0.5, float_dtype)[()]):
        for ours, theirs in ((jacobian, jax.jacobian), (hessian, jax.hessian)):
            assert types(ours(f)(x)) == types(theirs(f)(x))
            assert types(jax.eval_shape(ours(f), x)) == types(jax.eval_shape(theirs(f), x))
        expected = types(jax.grad(f)(x))
        found = {key: types(jax.eval_shape(made(f), x)) for key, made in GRADIENTS.items()}
        assert found == dict.fromkeys(GRADIENTS, expected)
        value = jax.eval_shape(lambda x: value_grad_hessian_operator(f)(x)[0], x)
        assert types(value) == types(jax.eval_shape(f, x))
    assert isinstance(laplacian(f)(0.5), jax.Array)


def test_weak_types_of_pytrees():
    p = {"a": 0.5, "b": jnp.float32(2), "c": jnp.arange(3, dtype=jnp.float16)}
    f = lambda p: p["a"] ** 2 * p["b"] + jnp.sum(p["c"]) * p["a"]  # noqa: E731
    for ours, theirs in ((jacobian, jax.jacobian), (hessian, jax.hessian)):
        assert types(jax.eval_shape(ours(f), p)) == types(jax.eval_shape(theirs(f), p))
    for made in (GRADIENTS["gradient"], hessian_diagonal):
        found = types(jax.eval_shape(made(lambda p: f({**p, "c": jnp.zeros(3)})), p))
        assert found == types(jax.eval_shape(jax.grad(f), p))
