"""PyTorch, eagerly, by `torch.func`: the functions in its words, and what it does for each task."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch._dynamo  # which `torch.func` imports with its first call
from torch import Tensor

from benchmarks.apart import Frame

Function = Callable[..., Any]
WORDS = torch


class Framework(Frame):
    """Tensors on the device that JAX computes on."""

    def __init__(self, platform: str) -> None:
        if platform not in ("cpu", "gpu") or (platform == "gpu" and not torch.cuda.is_available()):
            raise RuntimeError(f"this build of PyTorch has no {platform}")
        self.device = torch.device("cuda" if platform == "gpu" else "cpu")

    def enter(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, device=self.device)

    def leave(self, part: Tensor) -> np.ndarray:
        return part.detach().cpu().numpy()

    def wait(self, answer: Any) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def peak(self, call: Callable[[], Any]) -> tuple[Any, int | None, str]:
        if self.device.type == "cpu":
            return super().peak(call)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        answer = call()
        return answer, torch.cuda.max_memory_allocated() - before, ""


def _values(f: Function) -> Function:
    return f


def _gradient(f: Function) -> Function:
    """Value and gradient in every argument."""

    def both(*args: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        variables = [a.detach().requires_grad_() for a in args]
        value = f(*variables)
        return value, torch.autograd.grad(value, variables)

    return both


def _newton(f: Function) -> Function:
    def direction(x: Tensor, *data: Tensor) -> Tensor:
        matrix = torch.func.hessian(f)(x, *data).reshape(x.numel(), x.numel())
        gradient = torch.func.grad(f)(x, *data)
        return -torch.linalg.solve(matrix, gradient.reshape(-1)).reshape(x.shape)

    return direction


@functools.cache
def _directions(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Those of `ways`: the input of a timed call, made by the first, which is not timed."""
    steps = torch.arange(1.0, math.prod(shape) + 1, dtype=dtype, device=device)
    return torch.sin(steps).reshape(shape)


def _along(x: Tensor, count: int) -> Tensor:
    return _directions(torch.Size([count, *x.shape]), x.dtype, x.device)


def _product(f: Function) -> Function:
    """Hessian times a direction, forward over reverse."""

    def product(x: Tensor, *data: Tensor) -> Tensor:
        return torch.func.jvp(lambda x: torch.func.grad(f)(x, *data), (x,), (_along(x, 1)[0],))[1]

    return product


def _products(f: Function) -> Function:
    """The same along 64 directions at once."""

    def products(x: Tensor, *data: Tensor) -> Tensor:
        def one(v: Tensor) -> Tensor:
            return torch.func.jvp(lambda x: torch.func.grad(f)(x, *data), (x,), (v,))[1]

        return torch.func.vmap(one)(_along(x, 64))

    return products


def _diagonal(f: Function) -> Function:
    def diagonal(x: Tensor, *data: Tensor) -> Tensor:
        matrix = torch.func.hessian(f)(x, *data).reshape(x.numel(), x.numel())
        return torch.diagonal(matrix).reshape(x.shape)

    return diagonal


def _batch(f: Function) -> Function:
    # Forward over reverse of a determinant is wrong in a batch (PyTorch 2.13).
    return torch.func.vmap(torch.func.jacrev(torch.func.jacrev(f)))


TASKS: dict[str, Callable[[Function], Function]] = {
    "hessian": torch.func.hessian,
    "newton": _newton,
    "hvp": _product,
    "hvps": _products,
    "diagonal": _diagonal,
    "batch": _batch,
    "value": _values,
    "gradient": _gradient,
}


def logistic(w: Tensor, A: Tensor, y: Tensor) -> Tensor:
    margins = -y * (A @ w)
    return torch.sum(torch.logaddexp(torch.zeros_like(margins), margins))


def softmax_regression(W: Tensor, A: Tensor, Y: Tensor) -> Tensor:
    return -torch.sum(Y * torch.log_softmax(A @ W, dim=-1))


def relu_network(W: Tensor, x: Tensor, layers: Tensor) -> Tensor:
    h = torch.relu(W @ x)
    for layer in layers:
        h = torch.relu(layer @ h)
    return torch.logsumexp(h, 0)


def attention(X: Tensor, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    scores = torch.softmax((X @ Q) @ (X @ K).T / Q.shape[1] ** 0.5, dim=-1)
    return torch.sum((scores @ (X @ V)) ** 2)


def gaussian_process(theta: Tensor, X: Tensor, y: Tensor) -> Tensor:
    Z = X * torch.exp(-theta[:-2])
    squared = torch.sum((Z[:, None] - Z[None]) ** 2, dim=-1)
    noise = (torch.exp(theta[-1]) + 0.1) * torch.eye(len(X), dtype=X.dtype, device=X.device)
    L = torch.linalg.cholesky(torch.exp(theta[-2] - squared / 2) + noise)
    z = torch.linalg.solve_triangular(L, y[:, None], upper=False)[:, 0]
    return z @ z / 2 + torch.sum(torch.log(torch.diagonal(L)))


def grid_process(theta: Tensor, x: Tensor, Y: Tensor) -> Tensor:
    K = torch.exp(-((x[:, None] - x) ** 2) / (2 * torch.exp(2 * theta[0])))
    noise = (torch.exp(theta[1]) + 0.1) * torch.eye(Y.numel(), dtype=x.dtype, device=x.device)
    L = torch.linalg.cholesky(torch.kron(K, K) + noise)
    z = torch.linalg.solve_triangular(L, Y.reshape(-1, 1), upper=False)[:, 0]
    return z @ z / 2 + torch.sum(torch.log(torch.diagonal(L)))
