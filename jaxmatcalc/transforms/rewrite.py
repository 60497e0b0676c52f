"""A function with its library calls replaced by operations of better derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxmatcalc.interpret import Program

# What says that f cannot be traced at arrays of these shapes: it looks at their entries.
_LOOKS_AT_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


def rewrite(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with its library calls replaced by operations.

    Same values; closed-form derivatives, right where autodiff is not. Recognised are calls of

    - `jnp.linalg.slogdet`, `jnp.linalg.det`, `jnp.linalg.inv`, `jnp.linalg.solve`,
      `jnp.linalg.pinv`, `jnp.linalg.matrix_power`, `jnp.linalg.eigvalsh`; `jnp.linalg.cholesky`
      where the input is symmetrised; `jnp.linalg.eigh` where the eigenvectors are not used;
    - `jnp.linalg.norm` and `jnp.linalg.matrix_norm`: of vectors and of all entries the 2-norm; of
      matrices the Frobenius, nuclear and spectral norm; along any axes;
    - `jnp.linalg.trace` and `jnp.trace` along any axes, of the main diagonal; `jnp.kron` of
      matrices and vectors;
    - `jax.scipy.linalg.det`, `jax.scipy.linalg.inv`, `jax.scipy.linalg.solve`,
      `jax.scipy.linalg.expm`, `jax.scipy.linalg.sqrtm`; `jax.scipy.linalg.eigh` where the
      eigenvectors are not used.

    The square of a norm is taken as one, and of a factor L of `jnp.linalg.cholesky` what is solved
    by `jax.scipy.linalg.cho_solve`, the squared length of L⁻¹ b by
    `jax.scipy.linalg.solve_triangular`, and the sum of the logarithms of the diagonal: no
    derivative goes through the norm or the factor.

    A call is recognised by its name and because its body is what that function traces to at these
    shapes; a function of the user's that is also called ``trace`` is left alone, and so is an
    option that no operation has. Calls are found in `jit`, in up to two `vmap`, and in the bodies
    of `scan`, `while_loop`, `cond` and `checkpoint`. Functions with a derivative rule of their own
    (`custom_jvp`, `custom_vjp`) are not entered. What f itself differentiates is differentiated by
    JAX before anything can be recognised: write ``jax.grad(rewrite(g))``, not
    ``rewrite(jax.grad(g))``. JAX writes `jnp.linalg.vector_norm` and `jnp.linalg.multi_dot` out, so
    nothing says that they were called.

    f is traced once a call, at its arrays; other arguments it gets as they are. A function without
    such calls, and one that looks at the entries of its arguments or returns objects that are no
    pytrees, is called as it is.

    Args:
        f: function of arrays, or pytrees of them.

    Returns:
        A function with the arguments and the result of f.

    Example:
        >>> import jax, jax.numpy as jnp, jaxmatcalc as jmc
        >>> norm = lambda x: jnp.linalg.norm(x)
        >>> jax.grad(norm)(jnp.zeros(2)).tolist()
        [nan, nan]
        >>> jax.grad(jmc.rewrite(norm))(jnp.zeros(2)).tolist()
        [0.0, 0.0]
    """

    @functools.wraps(f)
    def rewritten(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, kwargs))
        moving = [k for k, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
        results: list[Any] = []  # the leaves of the result, those that are no arrays among them
        result_tree: Any = None

        def flat(*arrays: Any) -> Any:
            nonlocal result_tree
            given = list(leaves)
            for k, array in zip(moving, arrays, strict=True):
                given[k] = array
            args_, kwargs_ = jax.tree.unflatten(tree, given)
            results[:], result_tree = jax.tree.flatten(f(*args_, **kwargs_))
            return [leaf for leaf in results if isinstance(leaf, jax.Array)]

        try:
            program = Program(flat, [leaves[k] for k in moving])
        except _LOOKS_AT_VALUES:
            return f(*args, **kwargs)
        if not program.has_calls or not all(map(_is_plain, results)):
            return f(*args, **kwargs)
        arrays = iter(program.run(*(leaves[k] for k in moving))[0])
        found = [next(arrays) if isinstance(leaf, jax.Array) else leaf for leaf in results]
        return jax.tree.unflatten(result_tree, found)

    return rewritten


def _is_plain(leaf: Any) -> bool:
    """Whether a result is an array, or cannot hold one."""
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex | str)
