"""How the elements are spread over the sites, and how far two such spreads are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .space import N_ELEMENTS, SITES, encode

__all__ = ["js_distance", "site_distribution"]

Floats = NDArray[np.float64]


def site_distribution(codes: ArrayLike) -> Floats:
    """Return the share of each element on each site, shape (4, 39), of codes (N,); all 0 where there are none."""
    columns = encode(np.asarray(codes, dtype=np.int64).ravel())
    counts = [np.bincount(columns[:, site], minlength=N_ELEMENTS) for site in range(len(SITES))]
    return np.stack(counts) / max(len(columns), 1)


def js_distance(p: ArrayLike, q: ArrayLike) -> float:
    """Return the Jensen-Shannon distance of two distributions of elements over the sites, each of shape (4, 39).

    It is the mean over the sites of the square root of the divergence to base 2 (SPEC 4.3): 0 for equal distributions,
    1 where no site shares an element. It is nan if one of them is empty.
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if not p.any() or not q.any():
        return float("nan")
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return float(np.sqrt(np.maximum(divergence, 0.0)).mean())


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    """Return sum p log2(p / q) of each site; q is 0 nowhere that p is not."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    entropy: Floats = (p * np.log2(ratio)).sum(axis=-1)
    return entropy
