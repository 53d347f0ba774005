"""How discoveries and repetitions grow with the sample (figures 7.5 and 7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .metrics import SampleCounter
from .space import GenerativeError
from .table import ElpasoliteTable
from .truth import Truth

__all__ = ["saturation_curve"]


def saturation_curve(
    chunks: Iterable[NDArray[np.int64]], requested: int, truth: Truth, table: ElpasoliteTable, sizes: Sequence[int]
) -> pd.DataFrame:
    """Count novel, rediscovered and repeated samples after the first `sizes` of them.

    Parameters
    ----------
    chunks
        Arrays of codes, e.g. `Generator.chunks`; valid ones only, so that a size is a number of valid samples.
    requested
        The class they are for, 1 to 10.
    truth, table
        As for `class_metrics`.
    sizes
        Ascending sample sizes.

    Returns
    -------
    pandas.DataFrame
        One row per size: n_valid; novel, rediscovered, repeated (samples of any class; their sum is n_valid); and the
        same of samples in the requested class: novel_right, rediscovered_right, repeated_right; coverage.

    Raises
    ------
    GenerativeError
        If the sizes do not ascend, or the chunks end before the last size.
    """
    if not sizes or sizes[0] < 1 or any(b <= a for a, b in pairwise(sizes)):
        raise GenerativeError("The sample sizes of a saturation curve must be positive and ascend.")
    counter, rows, waiting = SampleCounter(truth, table), [], list(sizes)
    done = 0
    for chunk in chunks:
        codes = chunk
        while waiting and done + len(codes) >= waiting[0]:
            wanted = waiting.pop(0) - done
            counter.add(codes[:wanted])
            codes, done = codes[wanted:], done + wanted
            rows.append(_row(counter, requested))
        if not waiting:
            return pd.DataFrame(rows)
        counter.add(codes)
        done += len(codes)
    raise GenerativeError(f"There are {done} samples, fewer than the last size {sizes[-1]} of the saturation curve.")


def _row(counter: SampleCounter, requested: int) -> dict[str, float]:
    row: dict[str, float] = {"n_valid": int(counter.counts.sum())}
    right = counter.truth.classes == requested
    for suffix, where in (("", slice(None)), ("_right", right)):
        counts, known = counter.counts[where], counter.in_training[where]
        found = counts > 0
        row[f"novel{suffix}"] = int((found & ~known).sum())
        row[f"rediscovered{suffix}"] = int((found & known).sum())
        row[f"repeated{suffix}"] = int(counts.sum() - found.sum())
    size = int(right.sum())
    row["coverage"] = (row["novel_right"] + row["rediscovered_right"]) / size if size else float("nan")
    return row
