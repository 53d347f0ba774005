"""Principal components of a descriptor, with signs that do not depend on the machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from .descriptor import Descriptor, FamilyDataError

__all__ = ["Reduction", "reduce_dimensions"]

_CONSTANT = 1e-9
"""A column whose range is below this share of its largest value is constant but for rounding."""
_TIE = 1e-6
"""Loadings of A and B have equal size in mirrored data but for rounding; they are told apart beyond this share only."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reduction:
    """A projection to C principal components.

    Attributes
    ----------
    names
        The F columns of the descriptor.
    mean, scale
        What was taken off each column and what it was divided by, shape (F,).
    components
        Loadings, shape (C, F); the largest of each component is positive.
    explained_variance_ratio
        Shape (C,).
    scores
        The projected rows, shape (N, C).
    """

    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    components: Floats
    explained_variance_ratio: Floats
    scores: Floats

    def project(self, values: Floats) -> Floats:
        """Project rows of the same descriptor, shape (M, F), to scores, shape (M, C)."""
        scores: Floats = (values - self.mean) / self.scale @ self.components.T
        return scores

    def frame(self) -> pd.DataFrame:
        """Return component (from 1), explained_variance (share), and one column of loadings per column."""
        numbers = pd.DataFrame(
            {
                "component": np.arange(1, len(self.components) + 1),
                "explained_variance": self.explained_variance_ratio,
            }
        )
        return numbers.join(pd.DataFrame(self.components, columns=list(self.names)))


def reduce_dimensions(descriptor: Descriptor, components: int = 3, standardise: bool = False) -> Reduction:
    """Project a descriptor to its principal components.

    Parameters
    ----------
    descriptor
        N rows.
    components
        How many components are kept, or all that there are if there are fewer.
    standardise
        Divide each column by its standard deviation first; constant columns stay as they are.

    Raises
    ------
    FamilyDataError
        If no column varies.
    """
    values = descriptor.values
    varies = np.ptp(values, axis=0) > _CONSTANT * np.maximum(np.abs(values).max(axis=0), np.finfo(float).tiny)
    if not varies.any():
        raise FamilyDataError("The descriptor is the same for all rows, so that there is nothing to cluster by.")
    scale = np.where(varies, values.std(axis=0), 1.0) if standardise else np.ones(values.shape[1])
    pca = PCA(min(components, int(varies.sum()), len(values) - 1), svd_solver="full").fit(values / scale)
    loadings = np.asarray(pca.components_, dtype=np.float64)
    size = np.abs(loadings)
    largest = (size >= (1 - _TIE) * size.max(axis=1, keepdims=True)).argmax(axis=1)
    loadings *= np.sign(loadings[np.arange(len(loadings)), largest])[:, None]
    mean = values.mean(axis=0)
    return Reduction(
        descriptor.names,
        mean,
        scale,
        loadings,
        np.asarray(pca.explained_variance_ratio_, dtype=np.float64),
        (values - mean) / scale @ loadings.T,
    )
