"""Identities of vector and quadratic forms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import softmax

from jaxmatcalc.identities.conventions import eye
from jaxmatcalc.identities.record import family, gradient, hessian, jacobian, operation

kron, outer, norm = jnp.kron, jnp.outer, jnp.linalg.norm
power = jnp.linalg.matrix_power
logsumexp = jax.scipy.special.logsumexp


def _quadratic_form(x, A):
    return x @ A @ x


def _squared_residual(x, A, b):
    return jnp.sum((A @ x - b) ** 2)


def _weighted_residual(s, x, A, W):
    return (x - A @ s) @ W @ (x - A @ s)


def _inner_product_gradient(x, A, B):
    r = jnp.tanh(B @ x)
    return jnp.cos(x) * (A @ r) + B.T @ ((1 - r**2) * (A.T @ jnp.sin(x)))


def _matrix_quadratic_form(X, b, c, D):
    return (X @ b + c) @ D @ (X @ b + c)


def _inverse_form(A, y):
    return y @ jnp.linalg.solve(A, y)


def _inverse_form_and_logdet(A, y):
    return jnp.stack([_inverse_form(A, y), jnp.linalg.slogdet(A)[1]])


def _stacked(operation, A, y):
    return jnp.stack(operation(A, y))


# fmt: off
IDENTITIES = family(
    "quadratic",
    gradient(
        "linear-form", r"a^\top x", r"a",
        lambda x, a: a @ x,
        lambda x, a: a,
        "MC(69); WP", key="A01", x="n", a="n",
    ),
    gradient(
        "squared-length", r"x^\top x", r"2x",
        lambda x: x @ x,
        lambda x: 2 * x,
        "MC(131); WP", key="A02", x="n",
    ),
    hessian(
        "squared-length-hessian", r"x^\top x", r"2I",
        lambda x: x @ x,
        lambda x: 2 * eye(len(x)),
        "MN ch. 10", structure="identity", x="n",
    ),
    gradient(
        "quadratic-form", r"x^\top A x", r"(A + A^\top) x",
        _quadratic_form,
        lambda x, A: (A + A.T) @ x,
        "MC(81); WP; MN T9", key="A03", x="n", A="n n",
    ),
    hessian(
        "quadratic-form-hessian", r"x^\top A x", r"A + A^\top",
        _quadratic_form,
        lambda x, A: A + A.T,
        "MC(98); MN ch. 10", key="A04", x="n", A="n n",
    ),
    gradient(
        "quadratic-form-plus-linear-form", r"x^\top A x + b^\top x", r"(A + A^\top) x + b",
        lambda x, A, b: x @ A @ x + b @ x,
        lambda x, A, b: (A + A.T) @ x + b,
        "MC(96)-(97)", x="n", A="n n", b="n",
    ),
    hessian(
        "quadratic-form-plus-linear-form-hessian", r"x^\top A x + b^\top x", r"A + A^\top",
        lambda x, A, b: x @ A @ x + b @ x,
        lambda x, A, b: A + A.T,
        "MC(98)", x="n", A="n n", b="n",
    ),
    gradient(
        "bilinear-form-of-two-affine-maps", r"(Bx + b)^\top C (Dx + d)",
        r"B^\top C (Dx + d) + D^\top C^\top (Bx + b)",
        lambda x, B, b, C, D, d: (B @ x + b) @ C @ (D @ x + d),
        lambda x, B, b, C, D, d: B.T @ C @ (D @ x + d) + D.T @ C.T @ (B @ x + b),
        "MC(78); WP", key="A06", x="n", B="p n", b="p", C="p m", D="m n", d="m",
    ),
    gradient(
        "Rayleigh-quotient", r"\frac{x^\top A x}{x^\top x}",
        r"\frac{1}{x^\top x}\left((A + A^\top) x - 2 \frac{x^\top A x}{x^\top x} x\right)",
        lambda x, A: (x @ A @ x) / (x @ x),
        lambda x, A: ((A + A.T) @ x - 2 * x * (x @ A @ x) / (x @ x)) / (x @ x),
        "derived; WP", conditions="x ≠ 0", key="A12", x="n", A="n n",
    ),
    gradient(
        "ratio-of-two-squared-lengths", r"\frac{(Ax)^\top(Ax)}{(Bx)^\top(Bx)}",
        r"2 \frac{A^\top A x}{x^\top B^\top B x}"
        r" - 2 \frac{x^\top A^\top A x \; B^\top B x}{(x^\top B^\top B x)^2}",
        lambda x, A, B: ((A @ x) @ (A @ x)) / ((B @ x) @ (B @ x)),
        lambda x, A, B: (
            2 * A.T @ (A @ x) / (x @ B.T @ B @ x)
            - 2 * (x @ A.T @ A @ x) * (B.T @ (B @ x)) / (x @ B.T @ B @ x) ** 2
        ),
        "MC(95), misprint corrected", conditions="Bx ≠ 0",
        note="MC(95) and MC(252) print x'BBx where x'B'Bx is meant.", x="n", A="p n", B="n n",
    ),
    gradient(
        "least-squares", r"\|Ax - b\|_2^2", r"2A^\top (Ax - b)",
        _squared_residual,
        lambda x, A, b: 2 * A.T @ (A @ x - b),
        "MC(84)-(87); WP", key="A13", x="n", A="p n", b="p",
    ),
    hessian(
        "least-squares-hessian", r"\|Ax - b\|_2^2", r"2A^\top A",
        _squared_residual,
        lambda x, A, b: 2 * A.T @ A,
        "derived", key="A14", x="n", A="p n", b="p",
    ),
    gradient(
        "weighted-residual-in-the-coefficients", r"(x - As)^\top W (x - As)",
        r"-2A^\top W (x - As)",
        _weighted_residual,
        lambda s, x, A, W: -2 * A.T @ W @ (x - A @ s),
        "MC(84)", conditions="W symmetric", key="A17", s="m", x="n", A="n m", W="n n sym",
    ),
    gradient(
        "weighted-residual-in-the-data", r"(x - As)^\top W (x - As)", r"2W (x - As)",
        lambda x, s, A, W: _weighted_residual(s, x, A, W),
        lambda x, s, A, W: 2 * W @ (x - A @ s),
        "MC(87)", conditions="W symmetric", key="A20", x="n", s="m", A="n m", W="n n sym",
    ),
    gradient(
        "weighted-residual-in-the-matrix", r"(x - As)^\top W (x - As)", r"-2W (x - As) s^\top",
        lambda A, x, s, W: _weighted_residual(s, x, A, W),
        lambda A, x, s, W: -2 * outer(W @ (x - A @ s), s),
        "MC(88)", conditions="W symmetric", A="n m", x="n", s="m", W="n n sym",
    ),
    gradient(
        "weighted-distance", r"(x - s)^\top W (x - s)", r"2W (x - s)",
        lambda x, s, W: (x - s) @ W @ (x - s),
        lambda x, s, W: 2 * W @ (x - s),
        "MC(85)", conditions="W symmetric", key="A18", x="n", s="n", W="n n sym",
    ),
    gradient(
        "inner-product-of-two-functions", r"s(x)^\top A r(x)",
        r"\left(\frac{\partial s}{\partial x}\right)^\top A r"
        r" + \left(\frac{\partial r}{\partial x}\right)^\top A^\top s",
        lambda x, A, B: jnp.sin(x) @ A @ jnp.tanh(B @ x),
        _inner_product_gradient,
        "MC(93)", conditions="s = sin x, r = tanh Bx are checked", x="n", A="n p", B="p n",
    ),
    gradient(
        "log-sum-exp", r"\log \textstyle\sum_i e^{x_i}", r"p = \operatorname{softmax}(x)",
        lambda x: logsumexp(x),
        lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x)),
        "derived", x="n",
    ),
    hessian(
        "log-sum-exp-hessian", r"\log \textstyle\sum_i e^{x_i}",
        r"\operatorname{diag}(p) - pp^\top, \quad p = \operatorname{softmax}(x)",
        lambda x: logsumexp(x),
        lambda x: jnp.diag(softmax(x)) - outer(softmax(x), softmax(x)),
        "derived", key="A25", x="n",
    ),
    jacobian(
        "softmax", r"p = \operatorname{softmax}(x)", r"\operatorname{diag}(p) - pp^\top",
        lambda x: softmax(x),
        lambda x: jnp.diag(softmax(x)) - outer(softmax(x), softmax(x)),
        "derived", key="A26", x="n",
    ),
    gradient(
        "sum-of-an-elementwise-function", r"\mathbf{1}^\top \phi(Ax + b)",
        r"A^\top \phi'(Ax + b)",
        lambda x, A, b: jnp.sum(jnp.tanh(A @ x + b)),
        lambda x, A, b: A.T @ (1 - jnp.tanh(A @ x + b) ** 2),
        "chain rule", conditions="φ elementwise; tanh is checked", key="A29", x="n", A="p n",
        b="p",
    ),
    jacobian(
        "linear-map", r"Ax", r"A",
        lambda x, A: A @ x,
        lambda x, A: A,
        "WP", key="A32", x="n", A="p n",
    ),
    jacobian(
        "outer-product-of-a-vector-with-itself", r"xx^\top", r"x \otimes I + I \otimes x",
        lambda x: outer(x, x),
        lambda x: kron(eye(len(x)), x[:, None]) + kron(x[:, None], eye(len(x))),
        "MN ch. 9", key="A34", x="n",
    ),
    jacobian(
        "Kronecker-product-of-a-vector-with-itself", r"x \otimes x", r"I \otimes x + x \otimes I",
        lambda x: kron(x, x),
        lambda x: kron(eye(len(x)), x[:, None]) + kron(x[:, None], eye(len(x))),
        "MN ch. 9", key="A33", x="n",
    ),
    hessian(
        "exponential-of-a-linear-form-hessian", r"e^{a^\top x}", r"e^{a^\top x} aa^\top",
        lambda x, a: jnp.exp(a @ x),
        lambda x, a: jnp.exp(a @ x) * outer(a, a),
        "derived", structure="low-rank", key="A36", x="n", a="n",
    ),
    gradient(
        "bilinear-form-with-a-diagonal", r"(Ax)^\top \operatorname{diag}(d) (Bx)",
        r"A^\top (d \circ Bx) + B^\top (d \circ Ax)",
        lambda x, A, B, d: (A @ x) @ jnp.diag(d) @ (B @ x),
        lambda x, A, B, d: A.T @ (d * (B @ x)) + B.T @ (d * (A @ x)),
        "MC(78), special case", key="A37", x="n", A="p n", B="p n", d="p",
    ),
    gradient(
        "bilinear-form-in-the-matrix", r"a^\top X b", r"ab^\top",
        lambda X, a, b: a @ X @ b,
        lambda X, a, b: outer(a, b),
        "MC(70); WP", key="B01", X="n m", a="n", b="m",
    ),
    gradient(
        "bilinear-form-in-the-transposed-matrix", r"a^\top X^\top b", r"ba^\top",
        lambda X, a, b: a @ X.T @ b,
        lambda X, a, b: outer(b, a),
        "MC(71); WP", X="n m", a="m", b="n",
    ),
    gradient(
        "quadratic-form-in-the-matrix", r"a^\top X a = a^\top X^\top a", r"aa^\top",
        lambda X, a: a @ X @ a,
        lambda X, a: outer(a, a),
        "MC(72)", key="B03", X="n n", a="n",
    ),
    gradient(
        "squared-sum-of-all-entries", r"\left(\textstyle\sum_{kl} X_{kl}\right)^2",
        r"2 \left(\textstyle\sum_{kl} X_{kl}\right) \mathbf{1}\mathbf{1}^\top",
        lambda X: jnp.sum(X) ** 2,
        lambda X: 2 * jnp.sum(X) * jnp.ones_like(X),
        "MC(76)", key="B04", X="n m",
    ),
    hessian(
        "squared-sum-of-all-entries-hessian", r"\left(\textstyle\sum_{kl} X_{kl}\right)^2",
        r"2\, \mathbf{1}\mathbf{1}^\top",
        lambda X: jnp.sum(X) ** 2,
        lambda X: 2 * jnp.ones((X.size, X.size), X.dtype),
        "derived from MC(76)", X="n m",
    ),
    gradient(
        "inner-product-of-two-images", r"b^\top X^\top X c", r"X (bc^\top + cb^\top)",
        lambda X, b, c: b @ X.T @ X @ c,
        lambda X, b, c: X @ (outer(b, c) + outer(c, b)),
        "MC(77)", key="B05", X="n m", b="m", c="m",
    ),
    gradient(
        "weighted-inner-product-of-two-images", r"b^\top X^\top D X c",
        r"D^\top X bc^\top + D X cb^\top",
        lambda X, b, c, D: b @ X.T @ D @ X @ c,
        lambda X, b, c, D: D.T @ X @ outer(b, c) + D @ X @ outer(c, b),
        "MC(82); WP", key="B06", X="n m", b="m", c="m", D="n n",
    ),
    gradient(
        "bilinear-form-of-two-images", r"(Xa)^\top C (Xb)", r"CXba^\top + C^\top Xab^\top",
        lambda X, a, b, C: (X @ a) @ C @ (X @ b),
        lambda X, a, b, C: C @ X @ outer(b, a) + C.T @ X @ outer(a, b),
        "WP", key="B11", X="n m", a="m", b="m", C="n n",
    ),
    gradient(
        "quadratic-form-of-an-image", r"(Xb + c)^\top D (Xb + c)", r"(D + D^\top)(Xb + c) b^\top",
        _matrix_quadratic_form,
        lambda X, b, c, D: outer((D + D.T) @ (X @ b + c), b),
        "MC(83); WP", key="B07", X="n m", b="m", c="n", D="n n",
    ),
    hessian(
        "quadratic-form-of-an-image-hessian", r"(Xb + c)^\top D (Xb + c)",
        r"bb^\top \otimes (D + D^\top)",
        _matrix_quadratic_form,
        lambda X, b, c, D: kron(outer(b, b), D + D.T),
        "derived from MC(83)", key="B08", X="n m", b="m", c="n", D="n n",
    ),
    gradient(
        "inner-product-of-two-images-of-a-power", r"a^\top (X^k)^\top X^k b",
        r"\sum_{r=0}^{k-1} (X^r)^\top X^k (ab^\top + ba^\top) (X^{k-1-r})^\top",
        lambda X, a, b: a @ power(X, 3).T @ power(X, 3) @ b,
        lambda X, a, b: sum(
            power(X, r).T @ power(X, 3) @ (outer(a, b) + outer(b, a)) @ power(X, 2 - r).T
            for r in range(3)
        ),
        "MC(92), misprint corrected", conditions="X square; k = 3 is checked",
        note="MC(92) prints the first of its two summands transposed: k = 1 must give MC(77).",
        key="B10", X="n n", a="n", b="n",
    ),
    jacobian(
        "matrix-times-vector-in-the-matrix", r"Xa", r"a^\top \otimes I",
        lambda X, a: X @ a,
        lambda X, a: kron(a[None, :], eye(X.shape[0])),
        "MN ch. 9; WP", key="B13", X="n m", a="m",
    ),
)

OPERATIONS = family(
    "quadratic",
    operation("quadratic_form", lambda x, A: x @ A @ x, x="n", A="n n"),
    operation("inv_quad", _inverse_form, A="m m inv", y="m"),
    operation("inv_quad", _inverse_form, assume_a="pos", A="m m spd", y="m"),
    operation("inv_quad_logdet", _inverse_form_and_logdet, _stacked, A="m m inv", y="m"),
    operation(
        "inv_quad_logdet", _inverse_form_and_logdet, _stacked, assume_a="pos", A="m m spd", y="m"
    ),
)
# fmt: on
