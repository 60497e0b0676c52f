"""Loops, choices and solves inside of a function: what of their structure is kept."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmatcalc import hessian_operator, jacobian_operator
from jaxmatcalc.interpret import derive

rng = np.random.default_rng(6)
A = jnp.asarray(rng.normal(size=(3, 3)), float)
S = A @ A.T + jnp.eye(3)
B = jnp.asarray(rng.normal(size=(3, 4)), float)
x = jnp.asarray(rng.normal(size=3), float)


def until(x):  # only forward mode can follow it
    return lax.while_loop(lambda h: jnp.sum(h**2) < 50, lambda h: 1.5 * h + 1, x)


def rotate(x, steps):
    """Explicit Euler steps of a pendulum for each entry."""
    step = lambda c, t: ((c[0] + 0.1 * c[1], c[1] - 0.1 * jnp.sin(c[0]) * t), c[0])  # noqa: E731
    return lax.scan(step, (x, jnp.zeros_like(x)), jnp.arange(1.0, steps + 1))


def kalman(m):
    """Means and covariances of a filter; linear in the first mean."""

    def step(state, y):
        m, P = state
        P = A @ P @ A.T + jnp.eye(3)
        gain = jnp.linalg.solve(P + jnp.eye(3), P)
        m = A @ m + gain.T @ (y - A @ m)
        return (m, P - gain.T @ P), m

    return lax.scan(step, (m, S), B.T)[1]


# name: (function, point, kind of the Jacobian)
LOOPS = {
    "steps": (lambda x: rotate(x, 4)[0][0], x, "diagonal"),
    "all steps": (lambda x: rotate(x, 3)[1], x, None),
    "over rows": (lambda X: lax.scan(lambda c, r: (c + r**2, c * r), x, X.T)[1], B, None),
    "in reverse": (
        lambda y: lax.scan(lambda c, t: (c / 2 + t, c * t), 1.0, y, reverse=True),
        x,
        None,
    ),
    "filter": (kalman, x, None),
    "map": (lambda X: lax.map(lambda r: r * jnp.sum(r**2), X), B, None),
    "counted": (lambda x: lax.fori_loop(0, 3, lambda i, h: jnp.sin(h) + i, x), x, "diagonal"),
}


def columns(f, point):
    """The Jacobian of a flat function a column at a time, by a program without `vmap`."""
    push = jax.jit(lambda v: jax.jvp(f, (point,), (v,))[1])
    basis = np.eye(point.size).reshape(point.size, *point.shape)
    images = zip(*(push(jnp.asarray(e, point.dtype)) for e in basis), strict=True)
    return [jnp.stack(im, -1).reshape(*im[0].shape, *point.shape) for im in images]


@pytest.mark.parametrize("name", LOOPS)
def test_a_short_loop_is_written_out(name, close):
    f, point, kind = LOOPS[name]
    flat = lambda x: jax.tree.leaves(f(x))  # noqa: E731

    @jax.jit
    def both(x):
        found = [
            [row[0] for row in differentiate(lambda x: (flat(x), []), [x])[2]]
            for differentiate in (derive.forward, derive.reverse)
        ]
        return [[(J, J.to_dense()) for J in Js] for Js in found]

    reference = columns(flat, point)
    for Js in both(point):
        for (J, array), expected in zip(Js, reference, strict=True):
            close(array, expected, 4)
            assert J.fallbacks == ()
            assert kind is None or J.structure.kind == kind


def test_a_long_loop_is_not(close):
    g = lambda x: jnp.sum(rotate(x, 40)[0][0] ** 2)  # noqa: E731
    H, array = jax.jit(lambda x: (H := hessian_operator(g)(x), H.to_dense()))(x)
    close(array, columns(lambda x: [jax.grad(g)(x)], x)[0])
    assert any(lost.startswith("scan (test_control.py:") for lost in H.fallbacks)


def test_a_loop_that_is_followed_forwards(close):
    f = lambda x: jnp.concatenate([until(x), x])  # noqa: E731
    J = jacobian_operator(f)(x)
    close(J.to_dense(), jax.jacfwd(f)(x))
    assert any(lost.startswith("while (test_control.py:") for lost in J.fallbacks)


def alike(x):
    return lax.cond(x[0] > 0, lambda x: jnp.sum(x**3), lambda x: jnp.sum(jnp.sin(x)), x)


def unlike(x):
    return lax.switch(
        jnp.where(x[0] > 0, 2, 0),
        [
            lambda x: jnp.sum(x) ** 3,
            lambda x: jnp.sum(x),
            lambda x: jnp.sum(jnp.log(x) ** 2),  # infinite where it is not taken
        ],
        x,
    )


@pytest.mark.parametrize(("f", "kind"), [(alike, "diagonal"), (unlike, "diagonal + low-rank")])
def test_a_choice_keeps_the_structure_of_its_branches(f, kind, close):
    derivative = jax.jit(lambda x: (H := hessian_operator(f)(x), H.to_dense()))
    point = jnp.abs(x) + 0.5
    for at in (point, -point):
        H, array = derivative(at)
        close(array, columns(lambda x: [jax.grad(f)(x)], at)[0])
        assert H.structure.kind == kind
        assert H.fallbacks == ()


def test_only_the_branch_that_is_taken_runs():
    derivative = lambda x: hessian_operator(alike)(x).to_dense()  # noqa: E731
    names = [e.primitive.name for e in jax.make_jaxpr(derivative)(x).jaxpr.eqns]
    assert "cond" in names
    assert not {"sin", "cos"} & set(names)


def test_systems_solved_by_the_users_rule(close):
    """The solve acts on what carries its axes; those its matrix leaves alone stay Kronecker."""

    def solved(b):
        solve = lambda matvec, b: jnp.linalg.inv(S) @ b  # noqa: E731
        return lax.custom_linear_solve(lambda v: S @ v, b, solve, solve)

    J, array = jax.jit(lambda b: (J := jacobian_operator(solved)(b), J.to_dense()))(B)
    close(array, columns(lambda b: [solved(b)], B)[0], 4)
    assert J.structure.kind == "kronecker"
    assert J.fallbacks == ()

    def implicit(b):  # the system depends on b as well
        matrix = S + jnp.diag(b**2)
        cg = lambda matvec, b: jax.scipy.sparse.linalg.cg(matvec, b, tol=1e-12)[0]  # noqa: E731
        return lax.custom_linear_solve(lambda v: matrix @ v, b, cg, symmetric=True)

    J, array = jax.jit(lambda b: (J := jacobian_operator(implicit)(b), J.to_dense()))(x)
    close(array, columns(lambda b: [jnp.linalg.solve(S + jnp.diag(b**2), b)], x)[0], 5)
    assert J.fallbacks == ()


def test_a_sharded_map_inside(close):
    auto = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((1,), ("i",), axis_types=auto, devices=jax.devices()[:1])
    spec = jax.sharding.PartitionSpec("i")
    mapped = jax.shard_map(lambda x: jnp.sin(x) * 2, mesh=mesh, in_specs=spec, out_specs=spec)
    f = lambda x: jnp.sum(mapped(x) ** 2)  # noqa: E731
    array = jax.jit(lambda x: hessian_operator(f)(x).to_dense())(x)
    close(array, jnp.diag(8 * jnp.cos(2 * x)))
