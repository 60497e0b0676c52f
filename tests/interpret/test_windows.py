"""Pools, convolutions, Fourier transforms, and the parts of complex values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmatcalc import hessian_operator

rng = np.random.default_rng(5)
x = jnp.asarray(rng.normal(size=6), float)
X = jnp.asarray(rng.normal(size=(4, 6)), float)
images = jnp.asarray(rng.normal(size=(2, 4, 3, 2)), float)  # NHWC
kernel = jnp.asarray(rng.normal(size=(3, 2, 2, 3)), float)  # HWIO
depthwise = jnp.asarray(rng.normal(size=(3, 3, 1, 4)), float)
z = jnp.asarray([1 + 2j, -1j, 3.0])


def pool(operation, start, window, strides, padding="VALID"):
    return lambda x: lax.reduce_window(x, start, operation, window, strides, padding)


def convolve(x, w, strides=(1, 1), **options):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=numbers, **options)


biggest = pool(lax.max, -jnp.inf, (1, 2, 2, 1), (1, 2, 2, 1))

# name: (function, point, kind of the Jacobian)
CASES = {
    "max pool": (biggest, images, "sparse"),
    "max pool, overlapping": (pool(lax.max, -jnp.inf, (3, 2), (1, 1), "SAME"), X, None),
    "min pool": (pool(lax.min, jnp.inf, (1, 2), (1, 1)), X, "sparse"),
    "max pool, ties": (lambda x: biggest(jax.nn.relu(x)), images, None),
    "average pool": (pool(lax.add, 0.0, (2, 3), (1, 2), "SAME"), X, "kronecker"),
    "convolution": (lambda x: convolve(x, kernel), images, "kronecker"),
    "its kernel": (lambda w: convolve(images, w), kernel, "kronecker"),
    "strides": (lambda x: convolve(x, kernel, (2, 1), rhs_dilation=(1, 2)), images, "kronecker"),
    "in groups": (lambda x: convolve(x, depthwise, feature_group_count=2), images, None),
    "kernels in groups": (
        lambda w: convolve(images, w, feature_group_count=2),
        depthwise,
        None,
    ),
    "transposed": (lambda x: lax.conv_transpose(x, kernel, (2, 2), "SAME"), images, "kronecker"),
    "power spectrum": (lambda x: jnp.abs(jnp.fft.fft(x)) ** 2, x, None),
    "spectrum of an image": (lambda X: jnp.real(jnp.fft.fft2(X) * (1 + 2j)), X, None),
    "real spectrum": (lambda X: jnp.imag(jnp.fft.rfft2(X)), X, None),
    "low pass": (lambda x: jnp.fft.irfft(jnp.fft.rfft(x) * jnp.arange(4)), x, None),
    "odd length": (lambda X: jnp.fft.irfft2(jnp.fft.rfft2(X[:3, :5]), s=(3, 5)), X, None),
    "product": (lambda x: jnp.real((x[:3] + 1j * x[3:]) ** 2 * z), x, None),
    "parts": (lambda x: jnp.abs(lax.complex(x[:3], x[3:])), x, None),
    "modulus": (lambda x: jnp.abs(z[0] * x), x, "diagonal"),
}


@pytest.mark.parametrize("name", CASES)
def test_jacobians(name, close, columns, operators):
    f, point, kind = CASES[name]
    reference = columns(f, point)
    for J, array in operators(f, point):
        close(array, reference, 4)
        assert J.fallbacks == ()
        assert kind is None or J.structure.kind == kind


@pytest.mark.parametrize(
    ("f", "point", "kind"),
    [
        (lambda x: jnp.sum(jnp.tanh(biggest(x)) ** 2), images, "diagonal"),
        (lambda x: jnp.sum(jnp.tanh(convolve(x, kernel)) ** 2), images, "block diagonal"),
        (lambda w: jnp.sum(jnp.tanh(convolve(images, w)) ** 2), kernel, "block diagonal"),
        (lambda w: jnp.sum(convolve(images, w) ** 2), kernel, "kronecker"),
    ],
)
def test_hessians(f, point, kind, close, columns):
    H, array = jax.jit(lambda x: (H := hessian_operator(f)(x), H.to_dense()))(point)
    close(array, columns(jax.grad(f), point), 4)
    assert H.structure.kind == kind
    assert H.fallbacks == ()


def test_a_convolutional_network(close, columns):
    labels = jnp.array([0, 2])

    def loss(w):
        h = biggest(jax.nn.relu(convolve(images, w)))
        h = jnp.tanh(convolve(h, kernel[:2, :1].repeat(2, 2)[:, :, :3]))
        scores = jax.nn.log_softmax(jnp.mean(h, (1, 2)))
        return -jnp.mean(scores[jnp.arange(2), labels])

    H, array = jax.jit(lambda x: (H := hessian_operator(loss)(x), H.to_dense()))(kernel)
    close(array, columns(jax.grad(loss), kernel), 4)
    assert H.fallbacks == ()
