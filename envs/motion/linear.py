"""Linear algebra whose bits do not depend on the number of threads, as those of LAPACK do."""

import mujoco
import numpy as np
from numpy.typing import NDArray


def solve(matrix: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the solution (n,) of a symmetric positive definite system, by Cholesky's factors.

    Args:
        matrix: (n, n).
        vector: (n,).
    """
    factor, result = matrix.copy(), np.zeros(len(vector))
    mujoco.mju_cholFactor(factor, 0.0)
    mujoco.mju_cholSolve(result, factor, vector)
    return result
