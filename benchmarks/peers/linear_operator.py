"""linear_operator, the algebra of GPyTorch: its Kronecker products, on PyTorch."""

from __future__ import annotations

import torch
from linear_operator.operators import DenseLinearOperator, KroneckerProductLinearOperator
from torch import Tensor

from benchmarks.peers import torch as plain

Framework = plain.Framework
TASKS = {name: plain.TASKS[name] for name in ("value", "gradient")}


def _kronecker(A: Tensor, B: Tensor) -> KroneckerProductLinearOperator:
    return KroneckerProductLinearOperator(DenseLinearOperator(A), DenseLinearOperator(B))


def kronecker_product(A: Tensor, B: Tensor, x: Tensor) -> Tensor:
    return torch.sum((_kronecker(A, B) @ x) ** 2)


def kronecker_solve(A: Tensor, B: Tensor, x: Tensor) -> Tensor:
    return torch.sum(_kronecker(A, B).solve(x) ** 2)


def kronecker_logdet(A: Tensor, B: Tensor) -> Tensor:
    return _kronecker(A, B).logdet()


def grid_process(theta: Tensor, x: Tensor, Y: Tensor) -> Tensor:
    K = torch.exp(-((x[:, None] - x) ** 2) / (2 * torch.exp(2 * theta[0])))
    covariance = _kronecker(K, K).add_diagonal(torch.exp(theta[1]) + 0.1)
    quadratic, logdet = covariance.inv_quad_logdet(Y.reshape(-1, 1), logdet=True)
    return (quadratic + logdet) / 2


def matrix_normal(X: Tensor, U: Tensor, V: Tensor) -> Tensor:
    quadratic, logdet = _kronecker(U, V).inv_quad_logdet(X.reshape(-1, 1), logdet=True)
    return (quadratic + logdet) / 2
