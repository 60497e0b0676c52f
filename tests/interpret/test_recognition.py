"""Plain `jax.numpy.linalg` calls are recognised wherever they stand, and the user's own are not."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import hessian_operator, ops, rewrite, value_grad_hessian_operator
from jaxmatcalc.interpret import Program
from jaxmatcalc.interpret.library import LIBRARY

n = 3
rng = np.random.default_rng(1)
X = jnp.asarray(rng.normal(size=(n, n)) + 3 * np.eye(n), float)
Y = jnp.asarray(rng.normal(size=(n, n)), float)
S = X @ X.T
v = jnp.asarray(rng.normal(size=n), float)
W = Y[:2]
batch = jnp.stack([X, 2 * X + Y])
linalg = jnp.linalg
scipy = jax.scipy.linalg
call = functools.partial

CALLS = {
    "slogdet": (linalg.slogdet, (X,)),
    "slogdet of a batch": (linalg.slogdet, (batch,)),
    "slogdet by QR": (call(linalg.slogdet, method="qr"), (X,)),
    "det": (linalg.det, (X,)),
    "scipy det": (scipy.det, (X,)),
    "inv": (linalg.inv, (X,)),
    "scipy inv": (scipy.inv, (X,)),
    "inv of integers": (linalg.inv, (jnp.array([[2, 1], [0, 4]]),)),
    "solve with a vector": (linalg.solve, (X, v)),
    "solve with a matrix": (linalg.solve, (X, Y)),
    "solve of a batch": (linalg.solve, (batch, batch)),
    "solve of a batch with a matrix": (linalg.solve, (batch, Y)),
    "scipy solve": (scipy.solve, (X, v)),
    "scipy solve, symmetric": (call(scipy.solve, assume_a="sym"), (S, Y)),
    "scipy solve, positive": (call(scipy.solve, assume_a="pos"), (S, v)),
    "scipy solve, lower triangle": (call(scipy.solve, assume_a="pos", lower=True), (S + W[0], Y)),
    "scipy solve, upper triangle": (call(scipy.solve, assume_a="pos"), (S + 1j * (Y - Y.T), Y)),
    "tensorinv": (call(linalg.tensorinv, ind=1), (X,)),
    "pinv": (linalg.pinv, (W,)),
    "pinv with a tolerance": (call(linalg.pinv, rtol=0.5), (X,)),
    "pinv with tolerances": (lambda X, r: linalg.pinv(X, rtol=r), (batch, jnp.array([0.1, 0.9]))),
    "pinv, Hermitian": (call(linalg.pinv, hermitian=True), (X,)),
    "cholesky": (linalg.cholesky, (S + W[0],)),
    "cholesky, upper": (call(linalg.cholesky, upper=True), (S + 1j * (Y - Y.T),)),
    "eigvalsh": (linalg.eigvalsh, (X,)),
    "eigvalsh, upper": (call(linalg.eigvalsh, UPLO="U"), (X,)),
    "eigenvalues of eigh": (lambda X: linalg.eigh(X)[0], (X,)),
    "scipy eigenvalues": (call(scipy.eigh, eigvals_only=True, lower=False), (X,)),
    "scipy eigenvalues of eigh": (lambda X: scipy.eigh(X)[0], (X,)),
    "expm": (scipy.expm, (X,)),
    "sqrtm": (scipy.sqrtm, (S,)),
    "sqrtm with a negative eigenvalue": (scipy.sqrtm, (jnp.diag(jnp.array([-4.0, 9.0])),)),
    "trace": (jnp.trace, (X,)),
    "trace of integers": (jnp.trace, (jnp.arange(9).reshape(3, 3),)),
    "trace in another dtype": (call(jnp.trace, dtype=complex), (X,)),
    "trace of the last axes": (call(jnp.trace, axis1=2, axis2=1), (batch,)),
    "linalg.trace": (linalg.trace, (X,)),
    "linalg.trace of a batch": (linalg.trace, (batch,)),
    "norm of a vector": (linalg.norm, (v,)),
    "norm of a vector by name": (call(linalg.norm, ord=2), (v,)),
    "norm of a matrix": (linalg.norm, (W,)),
    "norm of a matrix by name": (call(linalg.norm, ord="fro", axis=(0, 2)), (batch,)),
    "norm of three axes": (linalg.norm, (batch,)),
    "norm of a number": (linalg.norm, (jnp.asarray(-2.0),)),
    "norm of a Python number": (lambda: linalg.norm(-2.0), ()),
    "norms of rows": (call(linalg.norm, axis=-1), (batch,)),
    "norms of columns, kept": (call(linalg.norm, axis=0, keepdims=True), (W,)),
    "nuclear norm": (call(linalg.norm, ord="nuc"), (W,)),
    "spectral norm": (call(linalg.norm, ord=2, axis=(2, 0), keepdims=True), (batch,)),
    "matrix_norm": (linalg.matrix_norm, (batch,)),
    "matrix_norm, nuclear": (call(linalg.matrix_norm, ord="nuc"), (batch,)),
    "kron": (jnp.kron, (X, W)),
    "kron of vectors": (jnp.kron, (v, 2 * v)),
    "kron of a vector and a matrix": (jnp.kron, (v, Y)),
    "kron with a number": (jnp.kron, (jnp.asarray(2.0), W)),
    **{f"matrix_power {k}": (call(linalg.matrix_power, n=k), (batch,)) for k in (-5, 0, 1, 7)},
    "in a jit": (jax.jit(lambda X: linalg.inv(X) + jax.jit(linalg.det)(X)), (X,)),
    "in two vmaps": (lambda X: jax.vmap(jax.vmap(linalg.slogdet))(X[None]), (batch,)),
    "in two vmaps, one by two axes": (
        jax.vmap(jax.vmap(linalg.solve, in_axes=(None, 1)), in_axes=(0, None)),
        (batch, Y),
    ),
    "beside what is differentiated": (jax.grad(lambda v, X: v @ linalg.inv(X) @ v), (v, X)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_recognised_and_keeps_its_value(name):
    f, args = CALLS[name]
    assert Program(f, args).has_calls or not args
    found, expected = jax.jit(rewrite(f))(*args), f(*args)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    tolerance = 100 * float(jnp.finfo(X.dtype).eps)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert x.weak_type == y.weak_type
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * max(1, abs(y).max()))


def maps(shapes, sizes=(2, 5)):
    """Every choice of axes in one and in two vmaps, with the shapes of the operands they take."""

    def once(shapes, size):
        for axes in itertools.product(*[[*range(len(s) + 1), None] for s in shapes]):
            if axes != (None,) * len(shapes):
                yield (
                    axes,
                    [
                        s if a is None else (*s[:a], size, *s[a:])
                        for s, a in zip(shapes, axes, strict=True)
                    ],
                )

    for inner, one in once(shapes, sizes[0]):
        yield (inner,), one
        for outer, two in once(one, sizes[1]):
            yield (inner, outer), two


MAPPED = {
    "inv": (linalg.inv, (X,)),
    "slogdet": (linalg.slogdet, (X,)),
    "norm": (linalg.norm, (W,)),
    "solve": (linalg.solve, (X, v)),
}


@pytest.mark.parametrize("name", MAPPED)
def test_a_call_is_recognised_under_every_map(name):
    """In one and in two, along any axes; what replaces it has results of the same shapes."""
    f, cores = MAPPED[name]
    choices = list(maps([x.shape for x in cores]))
    for levels, shapes in choices[:: 11 if len(cores) > 1 else 1]:
        g = functools.reduce(lambda g, axes: jax.vmap(g, in_axes=axes), levels, f)
        program = Program(g, [jax.ShapeDtypeStruct(s, X.dtype) for s in shapes])
        assert program.has_calls, levels
        results = jax.eval_shape(lambda *xs, p=program: p.run(*xs)[0], *program.args)
        assert [r.shape for r in results] == [r.shape for r in program.out_avals]


@pytest.mark.parametrize("name", ["slogdet", "solve"])
def test_a_mapped_call_keeps_its_value(name):
    """Mapped along its last axes, so that results come out in another order."""
    f, cores = MAPPED[name]
    inner = jax.vmap(f, in_axes=tuple(x.ndim for x in cores))
    g = jax.vmap(inner, in_axes=tuple(x.ndim - 1 for x in cores))
    args = [jnp.stack([x, 2 * x], axis=-1) for x in cores]
    args = [jnp.stack([x, 3 * x, 7 * x], axis=x.ndim - 2) for x in args]
    for x, y in zip(*map(jax.tree.leaves, (rewrite(g)(*args), g(*args))), strict=True):
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def named(name, function):
    """A jitted function that goes by another's name."""
    function.__name__ = function.__qualname__ = name
    return jax.jit(function)


IMPOSTORS = {
    "trace": lambda X: jnp.sum(X) - 2,
    "inv": lambda X: X.T @ X,
    "det": lambda X: X[0, 0] * X[1, 1],
    "slogdet": lambda X: (jnp.sum(X), jnp.sum(X**2)),
    "norm": lambda X: jnp.sum(X**4) ** 0.25,
    "solve": lambda X: X @ X.T + 1,
    "kron": lambda X: X * X,
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_a_user_function_of_the_same_name_is_left_alone(name, second_order):
    f = named(name, IMPOSTORS[name])
    assert not Program(f, (X,)).has_calls
    jax.tree.map(np.testing.assert_array_equal, rewrite(f)(X), f(X))
    second_order(lambda X: jnp.sum(jax.tree.leaves(f(X))[-1] ** 2), X)


LEFT = [
    lambda X: linalg.norm(X, 1),
    lambda X: linalg.norm(X, -2),
    lambda X: linalg.norm(X[0], 3),
    lambda X: jnp.trace(X, offset=1),
    lambda X: linalg.trace(X, offset=-1),
    lambda X: jnp.trace(X[:2]),
    lambda X: linalg.cholesky(S + X, symmetrize_input=False),
    lambda X: linalg.eigvalsh(X, symmetrize_input=False),
    lambda X: linalg.eigh(X)[1] ** 2,
    lambda X: scipy.cholesky(S + X),
    lambda X: scipy.expm(X, upper_triangular=True),
    lambda X: jnp.kron(batch, X),
    lambda X: linalg.matrix_power(X > 0, 3),
    lambda X: jnp.trace(X.astype("int8")),
    lambda X: jnp.sqrt(jnp.sum(X * X)),
]


@pytest.mark.parametrize("f", LEFT)
def test_a_library_call_with_other_options_is_left_alone(f):
    assert not Program(f, (X,)).has_calls
    np.testing.assert_array_equal(rewrite(f)(X), f(X))


def test_recognition_looks_at_the_shapes():
    """A body that is `trace` at one shape is not at another: the call is compared at its own."""
    f = named("trace", lambda X: jnp.trace(X[:2, :2]))
    assert Program(f, (X,)).jaxpr.eqns[0].params["name"] == "trace"
    np.testing.assert_allclose(rewrite(f)(X), X[0, 0] + X[1, 1], rtol=1e-6)
    H = hessian_operator(lambda X: f(X) ** 2)(X)
    reference = jax.hessian(lambda X: (X[0, 0] + X[1, 1]) ** 2)(X)
    np.testing.assert_allclose(H.to_dense(), reference, rtol=1e-6, atol=1e-6)


def test_a_function_with_a_rule_of_its_own_is_not_entered():
    @jax.custom_jvp
    def twice_the_slope(X):
        return jnp.trace(X)

    twice_the_slope.defjvp(lambda p, t: (jnp.trace(p[0]), 2 * jnp.trace(t[0])))
    assert not Program(twice_the_slope, (X,)).has_calls
    f = rewrite(lambda X: twice_the_slope(X) + linalg.slogdet(X)[1])
    expected = 2 * np.eye(n) + np.linalg.inv(X).T
    np.testing.assert_allclose(jax.grad(f)(X), expected, rtol=1e-5, atol=1e-5)


SQUARES = [
    lambda x: linalg.norm(x) ** 2.0,
    lambda x: linalg.norm(x) ** 2,
    lambda x: jnp.square(linalg.norm(x)),
    lambda x: (lambda r: r * r)(linalg.norm(x)),
    jax.jit(lambda x: 1.0 * linalg.norm(x) ** 2),
]


@pytest.mark.parametrize(
    ("f", "shape"), [*((f, (2, 3)) for f in SQUARES), (SQUARES[0], (3,)), (SQUARES[0], (2, 2, 2))]
)
def test_the_square_of_a_norm_is_smooth_at_zero(f, shape):
    """jax.hessian gives NaN here."""
    zero = jnp.zeros(shape)
    H = hessian_operator(f)(zero)
    assert H.structure.kind == "identity"
    order = int(np.prod(shape))
    np.testing.assert_array_equal(H.as_matrix(), 2 * np.eye(order))
    np.testing.assert_array_equal(jax.grad(rewrite(f))(zero), np.zeros(shape))


def test_special_points_of_plain_calls():
    """The derivatives that JAX gets wrong, through functions that name nothing of this library."""
    D = jnp.diag(jnp.array([1.0, 0.0, 2.0]))
    gradient = jax.grad(rewrite(linalg.det))(D)
    np.testing.assert_allclose(gradient, np.diag([0.0, 2.0, 0.0]), atol=1e-6)
    H = hessian_operator(linalg.det)(jnp.zeros((2, 2)))
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1
    expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1
    np.testing.assert_allclose(H.to_dense(), expected, atol=1e-6)
    np.testing.assert_array_equal(jax.grad(rewrite(linalg.norm))(jnp.zeros((2, 2))), 0)


def test_rules_of_the_same_body_are_told_apart():
    """A function under a rule of the user's is not the library's, whatever its name and body."""
    inside = jax.make_jaxpr(linalg.pinv)(X).jaxpr.eqns[0].params["call_jaxpr"].eqns[0]

    @jax.custom_jvp
    def _pinv(X):
        return inside.primitive.bind(X, **inside.params)[0]

    _pinv.defjvp(lambda p, t: (p[0].T, 7 * t[0].T))
    ours, theirs = (Program(f, (X,)).jaxpr.eqns[0] for f in (_pinv, linalg.pinv))
    assert ours.primitive is theirs.primitive
    assert str(ours.params["call_jaxpr"]) == str(theirs.params["call_jaxpr"])
    assert not Program(_pinv, (X,)).has_calls


def test_every_operation_that_the_library_has_is_in_the_table():
    """Operations that JAX has no function for, or writes out, and calls, by name and operation."""
    missing = {"adjugate", "frobenius_inner", "inv_quad", "inv_quad_logdet", "khatri_rao"}
    missing |= {"kron_sum", "logdet", "logm", "quadratic_form", "spectral_function", "symmetric"}
    missing |= {"trace_product", "unvec", "unvech", "vec", "vech"}
    missing |= {"SlogdetResult", "InvQuadLogdetResult"}
    found = {name for entry in LIBRARY.values() for name in entry.operations}
    assert found | missing == set(ops.__all__)
    assert not found & missing
    for entry in LIBRARY.values():
        for path in entry.public:
            module, name = path.rsplit(".", 1)
            assert callable(getattr({"jnp": jnp, "jnp.linalg": linalg}.get(module, scipy), name))


def half(L, b, lower=True):
    return scipy.solve_triangular(L, b, lower=lower, trans=0 if lower else 1)


# what is made of z = L⁻¹ b, and whether it is bᵀ A⁻¹ b
SQUARES = {
    "z @ z": (lambda A: (lambda z: z @ z)(half(linalg.cholesky(A), v)), True),
    "sum of squares": (lambda A: jnp.sum(half(linalg.cholesky(A), Y) ** 2), True),
    "upper factor": (
        lambda A: jnp.sum(jnp.square(half(linalg.cholesky(A, upper=True), v, False))),
        True,
    ),
    "sum of products": (lambda A: (lambda z: jnp.sum(z * z))(half(linalg.cholesky(A), v)), True),
    "another product": (lambda A: half(linalg.cholesky(A), v) @ v, False),
    "rows alone": (lambda A: jnp.sum(half(linalg.cholesky(A), Y) ** 2, 0)[0], False),
    "the wrong triangle": (
        lambda A: jnp.sum(scipy.solve_triangular(linalg.cholesky(A), v, trans=1, lower=True) ** 2),
        False,
    ),
}


@pytest.mark.parametrize("name", SQUARES)
def test_the_squared_length_of_a_half_solve_is_a_quadratic_form(name, close):
    """Its Hessian has Kronecker factors A⁻¹ and A⁻¹ b bᵀ A⁻¹, and no factor is differentiated."""
    f, recognised = SQUARES[name]
    A = S + jnp.eye(n)
    value, _, H = jax.jit(value_grad_hessian_operator(f))(A)
    assert ("dense" in H.structure.kind) != recognised
    close(value, f(A))
    close(H @ Y, jax.jvp(jax.grad(f), (A,), (Y,))[1])
    close(rewrite(f)(A), f(A))
