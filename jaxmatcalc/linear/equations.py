"""Solving with an operator: the methods that take it apart by structure."""

from __future__ import annotations

import math
from typing import Any, Self

import jax

from jaxmatcalc import _checks
from jaxmatcalc.linear import arithmetic
from jaxmatcalc.linear.arithmetic import compiled
from jaxmatcalc.linear.factor import Factored, factor
from jaxmatcalc.linear.term import Term, fresh
from jaxmatcalc.linear.termsum import TermSum


class Equations(TermSum):
    """The methods of an operator A for A x = b."""

    __slots__ = ()

    @property
    def _nonempty(self) -> Self:
        """The operator; the identity where there are no unknowns, and so nothing to factor."""
        if math.prod(self.in_shape):
            return self
        groups = fresh(self.in_shape)
        return self.rebuilt([Term((), groups, groups)])

    def solve(
        self, b: Any, method: str | None = None, symmetric: bool = False, assume_a: str = "gen"
    ) -> jax.Array:
        """The x with ``A @ x = b``.

        Args:
            b: array of `out_shape`, or flat.
            method: None chooses by structure; `structure.method` says which. "dense" forms the
                matrix; "kronecker", "eigen" and "schur" force that way, "eigen" taking the
                Kronecker factors to be symmetric (Hermitian). "cg", "gmres" and "bicgstab" use
                products alone, with what structure solves as preconditioner; without structure
                "gmres" is the choice above 4,096 unknowns, and "cg" for assume_a="pos".
            symmetric: whether b and x are symmetric matrices, and A maps such to such. Commutations
                then drop out, and A need not be invertible on other matrices.
            assume_a: "gen", or "sym" or "pos" where A is symmetric (Hermitian), or positive
                definite too. The Kronecker factors of sums are then taken to be symmetric.

        Returns:
            An array shaped as b. A singular operator gives inf or NaN, as `jnp.linalg.solve` does;
            an iteration that ends far from a solution gives NaN.

        Raises:
            ValueError: the operator is not square, b does not fit, or the structure does not
                admit the method.
        """
        _checks.square_operator("solve", *self._shapes)
        _checks.assumption("solve", assume_a)
        b = _checks.operand("solve", b, self.out_shape, self.batch_shape)
        if symmetric:
            _checks.symmetric_matrices("solve", self.in_shape)
        return compiled(arithmetic.solve)((method, symmetric, assume_a), self._nonempty, b)

    def factor(self, method: str | None = None, assume_a: str = "gen") -> Factored:
        """The operator with its factorisations done, for many solves.

        Args:
            method: as in `solve`.
            assume_a: as in `solve`.

        Returns:
            A `Factored`, a pytree with the methods `solve`, `logdet` and `inv_quad`, none of which
            factors again.

        Raises:
            ValueError: as for `solve`.

        Example:
            >>> import jax, jax.numpy as jnp, jaxmatcalc as jmc
            >>> A = jnp.array([[2.0, 1.0], [1.0, 3.0]])
            >>> factored = (jmc.kronecker(A, A, assume_a="pos") + jmc.identity((2, 2))).factor()
            >>> factored.method
            'eigen'
            >>> step = jax.jit(lambda factored, b: factored.solve(b))
            >>> step(factored, jnp.ones((5, 2, 2))).shape
            (5, 2, 2)
        """
        _checks.square_operator("factor", *self._shapes)
        _checks.assumption("factor", assume_a)
        return compiled(factor)((method, assume_a), self._nonempty)

    def inv(self, method: str | None = None, assume_a: str = "gen") -> Self:
        """The inverse, in structured form where there is one."""
        _checks.square_operator("inv", *self._shapes)
        _checks.assumption("inv", assume_a)
        return compiled(arithmetic.inv)((method, assume_a), self._nonempty)

    def logdet(self, method: str | None = None, assume_a: str = "gen") -> jax.Array:
        """log |det A|; -inf for a singular operator."""
        _checks.square_operator("logdet", *self._shapes)
        _checks.assumption("logdet", assume_a)
        return compiled(arithmetic.logabsdet)((method, assume_a), self._nonempty)

    def inv_quad(self, y: Any, assume_a: str = "gen") -> jax.Array:
        """The quadratic form yᴴ A⁻¹ y, for y as in `solve`."""
        _checks.square_operator("inv_quad", *self._shapes)
        _checks.assumption("inv_quad", assume_a)
        y = _checks.operand("inv_quad", y, self.out_shape, self.batch_shape)
        return compiled(arithmetic.inv_quad)((assume_a,), self._nonempty, y)

    def inv_quad_logdet(self, y: Any, assume_a: str = "gen") -> tuple[jax.Array, jax.Array]:
        """yᴴ A⁻¹ y and log |det A|, from one decomposition of the factors."""
        _checks.square_operator("inv_quad_logdet", *self._shapes)
        _checks.assumption("inv_quad_logdet", assume_a)
        y = _checks.operand("inv_quad_logdet", y, self.out_shape, self.batch_shape)
        return compiled(arithmetic.inv_quad_logdet)((assume_a,), self._nonempty, y)
