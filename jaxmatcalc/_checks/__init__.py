"""The words for a user's mistake: one sentence that names the argument, the need, and what came.

Every check runs while a function is traced, on shapes and dtypes only, never on values.
"""

from jaxmatcalc._checks.arrays import (
    array,
    batches,
    cycle,
    factors,
    matrix,
    option,
    right_hand_side,
    same_matrix_shape,
    square,
    vectorised,
)
from jaxmatcalc._checks.functions import exponent, scalar_function
from jaxmatcalc._checks.operators import (
    composable,
    eigenvector_derivative,
    nonzero_operator,
    one_matrix,
    operand,
    same_columns,
    same_operator_shapes,
    scalar_factor,
    schur_platform,
    shape,
    some,
    square_operator,
    structured_inverse,
    symmetric_matrices,
)
from jaxmatcalc._checks.transforms import (
    argnums,
    differentiable,
    differentiable_results,
    has_vector,
    like_argument,
    scalar_result,
)

__all__ = [
    "array",
    "batches",
    "cycle",
    "factors",
    "matrix",
    "option",
    "right_hand_side",
    "same_matrix_shape",
    "square",
    "vectorised",
    "exponent",
    "scalar_function",
    "composable",
    "eigenvector_derivative",
    "nonzero_operator",
    "one_matrix",
    "operand",
    "same_columns",
    "same_operator_shapes",
    "scalar_factor",
    "schur_platform",
    "shape",
    "some",
    "square_operator",
    "structured_inverse",
    "symmetric_matrices",
    "argnums",
    "differentiable",
    "differentiable_results",
    "has_vector",
    "like_argument",
    "scalar_result",
]
