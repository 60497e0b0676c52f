"""Linear operators as sums of einsum terms, and their solves by structure."""
