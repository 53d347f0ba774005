"""Kernel ridge regression of energies over the space, with a Laplacian kernel that factorises over the sites.

exp(-|x - x'|_1 / sigma) on the eight numbers (row and group of each site; SPEC 4.1) is the product over the sites of a
39 x 39 matrix of elements. With the sites taken in pairs, AB and CD, a kernel of two compositions is a product of two
entries of a 1521 x 1521 matrix, and the predictions of all 39^4 codes are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from .space import GROUPS, N_CODES, N_ELEMENTS, ROWS, GenerativeError

__all__ = ["KernelRidge"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PAIRS = N_ELEMENTS**2
_BLOCK = 512  # rows of the kernel matrix built at a time: some 40 MB beside the matrix itself
_MOST_ROWS = 25_000  # 5 GB; the factorisation would take minutes


@dataclass(frozen=True, eq=False)
class KernelRidge:
    """A fitted regression.

    Attributes
    ----------
    codes, weights
        Training compositions and their weights in eV/atom, shape (N,).
    offset_ev_per_atom
        Mean training energy, which is taken off before the fit.
    sigma
        Length of the kernel, in rows or groups of the periodic table.
    symmetric
        Whether A and B are one site. That is the same regression as on a table with each row in both orders.
    """

    codes: Ints
    weights: Floats
    offset_ev_per_atom: float
    sigma: float
    symmetric: bool = False

    @classmethod
    def fit(
        cls, codes: Ints, energies_ev_per_atom: Floats, sigma: float, regularisation: float, *, symmetric: bool = False
    ) -> KernelRidge:
        """Fit energies; `regularisation` is added to the diagonal of the kernel matrix."""
        return cls._solve(codes, energies_ev_per_atom, sigma, regularisation, symmetric)[0]

    @classmethod
    def fit_with_errors(
        cls, codes: Ints, energies_ev_per_atom: Floats, sigma: float, regularisation: float, *, symmetric: bool = False
    ) -> tuple[KernelRidge, Floats]:
        """Fit, and return the exact leave-one-out errors in eV/atom as well, shape (N,), for the cost of a second fit.

        The error of a row, predicted by the regression on all others, is its weight over its diagonal entry of the
        inverse kernel matrix (the mean energy is that of all rows).
        """
        model, factor = cls._solve(codes, energies_ev_per_atom, sigma, regularisation, symmetric)
        inverse, _ = lapack.dtrtri(factor, lower=0, overwrite_c=1)
        diagonal = np.einsum("ij,ij->i", inverse, inverse)
        return model, model.weights / diagonal

    @classmethod
    def _solve(
        cls, codes: Ints, energies: Floats, sigma: float, regularisation: float, symmetric: bool
    ) -> tuple[KernelRidge, Floats]:
        """Return the model and the upper triangular factor of its kernel matrix."""
        if not 0 < len(codes) <= _MOST_ROWS:
            raise GenerativeError(f"The kernel regression takes 1 to {_MOST_ROWS} rows, not {len(codes)}.")
        matrix = _kernel_matrix(codes, sigma, symmetric)
        matrix[np.diag_indices(len(codes))] += regularisation
        # LAPACK counts by columns, so the lower triangle is its upper one, and nothing is copied.
        factor, failed = lapack.dpotrf(matrix.T, lower=0, clean=0, overwrite_a=1)
        if failed:
            raise GenerativeError(
                f"The kernel matrix with sigma {sigma:g} and regularisation {regularisation:g} is not positive "
                "definite: remove rows that occur twice, or regularise more."
            )
        offset = float(energies.mean())
        weights, _ = lapack.dpotrs(factor, energies - offset, lower=0)
        return cls(codes, weights, offset, sigma, symmetric), factor

    def predict(self, codes: Ints) -> Floats:
        """Predict energies (N,) in eV/atom of codes (N,)."""
        return self.space[codes]

    @cached_property
    def space(self) -> Floats:
        """Predicted energies in eV/atom of all codes, shape (39^4,); those of repeated elements mean nothing."""
        first, second = _pair_kernels(self.sigma, self.symmetric)
        left = first[:, self.codes // _PAIRS] * self.weights
        right = second[self.codes % _PAIRS]
        return (left @ right).reshape(N_CODES) + self.offset_ev_per_atom


def _pair_kernels(sigma: float, symmetric: bool) -> tuple[Floats, Floats]:
    """Return the kernels (1521, 1521) of the pairs AB and CD."""
    distance = np.abs(ROWS[:, None] - ROWS) + np.abs(GROUPS[:, None] - GROUPS)
    element = np.exp(-distance / sigma)
    pair = np.kron(element, element)
    swapped = pair.reshape(N_ELEMENTS, N_ELEMENTS, _PAIRS).transpose(1, 0, 2).reshape(_PAIRS, _PAIRS)
    return pair + swapped if symmetric else pair, pair


def _kernel_matrix(codes: Ints, sigma: float, symmetric: bool) -> Floats:
    """Return the lower triangle of the kernel matrix; above it is 0 (and, untouched, no memory)."""
    first, second = _pair_kernels(sigma, symmetric)
    left, right = codes // _PAIRS, codes % _PAIRS
    matrix = np.zeros((len(codes), len(codes)))
    for start in range(0, len(codes), _BLOCK):
        stop = min(start + _BLOCK, len(codes))
        block = first[left[start:stop]][:, left[:stop]]
        block *= second[right[start:stop]][:, right[:stop]]
        matrix[start:stop, :stop] = np.tril(block, start)
    return matrix
