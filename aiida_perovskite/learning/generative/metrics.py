"""How good the samples of a generator are, exactly, against the whole space (SPEC 4.3).

Samples are counted by code, in one array over all 39^4 of them, and every metric is read from these counts. So 25
million samples cost one pass and some 50 MB, however they come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .distributions import js_distance
from .diversity import charge_neutral, mean_elmd
from .space import N_CODES, N_ELEMENTS, SITES
from .table import N_CLASSES, ElpasoliteTable, check_class
from .truth import Truth

__all__ = ["ClassMetrics", "SampleCounter", "class_metrics", "js_distance"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 5_000_000  # codes counted at a time; a block's counts are as large as the space


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of samples for one requested class. Shares of nothing are nan.

    Attributes
    ----------
    requested
        The class, 1 to 10.
    n_valid
        Number of samples in the space, N; the others do not count.
    precision, precision_neighbour
        Share of the N samples that are in the class, and in the two classes beside it.
    coverage, coverage_neighbour
        Share of the compositions of the class, and of the two classes beside it, that are among the samples; those of
        the training set count as well.
    js_distance
        From the element distributions of the class in the truth.
    unique
        Different compositions among the samples.
    rediscovered, novel
        Those of them that the training set holds, and the others.
    charge_neutral
        Share of the N samples that known oxidation states make neutral.
    elmd_diversity
        Mean element mover's distance over all pairs of samples.
    """

    requested: int
    n_valid: int
    precision: float
    precision_neighbour: float
    coverage: float
    coverage_neighbour: float
    js_distance: float
    unique: int
    rediscovered: int
    novel: int
    charge_neutral: float
    elmd_diversity: float

    def to_dict(self) -> dict[str, float]:
        """Return the metrics as a row of a table."""
        return asdict(self)


class SampleCounter:
    """Counts samples as they come, and computes metrics from the counts whenever asked.

    Parameters
    ----------
    truth
        Of the space.
    table
        What the generator was trained on.
    """

    def __init__(self, truth: Truth, table: ElpasoliteTable) -> None:
        truth.check_table(table)
        self.truth = truth
        self.in_training = np.zeros(N_CODES, dtype=bool)
        self.in_training[table.codes] = True
        self.counts: Ints = np.zeros(N_CODES, dtype=np.int64)
        """How often each code was drawn, shape (39^4,); 0 for codes that are not in the space."""
        self._outside = truth.classes == 0

    def add(self, codes: ArrayLike) -> None:
        """Count samples (N,); what is no code of the space (e.g. -1) is left out."""
        codes = np.asarray(codes)
        for start in range(0, len(codes), _BLOCK):
            block = codes[start : start + _BLOCK]
            if len(block) and (block.min() < 0 or block.max() >= N_CODES):
                block = block[(block >= 0) & (block < N_CODES)]
            self.counts += np.bincount(block, minlength=N_CODES)
        self.counts[self._outside] = 0

    def metrics(self, requested: int, *, extra: bool = True) -> ClassMetrics:
        """Return the metrics for a requested class; without `extra` neutrality and diversity are nan."""
        check_class(requested, np.ones(N_CLASSES))
        seen = np.flatnonzero(self.counts)
        drawn, classes = self.counts[seen], self.truth.classes[seen]
        n = int(drawn.sum())
        samples = np.bincount(classes, weights=drawn, minlength=N_CLASSES + 1)
        unique = np.bincount(classes, minlength=N_CLASSES + 1)
        sizes = np.concatenate([[0], self.truth.counts])
        beside = [number for number in (requested - 1, requested + 1) if 1 <= number <= N_CLASSES]
        rediscovered = int(self.in_training[seen].sum())
        return ClassMetrics(
            requested=requested,
            n_valid=n,
            precision=_share(samples[requested], n),
            precision_neighbour=_share(samples[beside].sum(), n),
            coverage=_share(unique[requested], sizes[requested]),
            coverage_neighbour=_share(unique[beside].sum(), sizes[beside].sum()),
            js_distance=js_distance(self.element_distribution(), self.truth.element_distribution(requested)),
            unique=len(seen),
            rediscovered=rediscovered,
            novel=len(seen) - rediscovered,
            charge_neutral=_share(drawn[charge_neutral()[seen]].sum(), n) if extra else float("nan"),
            elmd_diversity=mean_elmd(seen, drawn) if extra else float("nan"),
        )

    def element_distribution(self) -> Floats:
        """Return the share of each element on each site among the samples, shape (4, 39)."""
        by_site = self.counts.reshape((N_ELEMENTS,) * len(SITES))
        every = set(range(len(SITES)))
        counts = np.stack([by_site.sum(axis=tuple(every - {site})) for site in sorted(every)])
        return counts / max(int(self.counts.sum()), 1)


def class_metrics(
    codes: Ints | Iterable[Ints], requested: int, truth: Truth, table: ElpasoliteTable, *, extra: bool = True
) -> ClassMetrics:
    """Compute the metrics of samples for a requested class.

    Parameters
    ----------
    codes
        Samples: an array (N,), or an iterator of arrays, e.g. `Generator.chunks`.
    requested
        The class they are for, 1 to 10.
    truth
        Of the space.
    table
        What the generator was trained on; its classes must have the edges of the truth's.
    extra
        Whether neutrality and diversity are wanted; they take a second or two for large samples.

    Raises
    ------
    GenerativeError
        If there is no such class, or the edges differ.
    """
    counter = SampleCounter(truth, table)
    for chunk in [codes] if isinstance(codes, np.ndarray) else codes:
        counter.add(chunk)
    return counter.metrics(requested, extra=extra)


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
