"""How discoveries and repetitions grow with the sample (figures 7.4 and 7.7)."""

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
    chunks: Iterable[NDArray[np.int64]],
    requested: int,
    truth: Truth,
    table: ElpasoliteTable,
    sizes: Sequence[int],
    *,
    counter: SampleCounter | None = None,
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
    counter
        Counts the samples, an empty one; give it where it is to be asked for more afterwards.

    Returns
    -------
    pandas.DataFrame
        One row per size: n_valid; novel, rediscovered, repeated (samples of any class; their sum is n_valid); and the
        same of samples in the requested class: novel_right, rediscovered_right, repeated_right; novel_neighbour (of the
        two classes beside it); coverage.

    Raises
    ------
    GenerativeError
        If the sizes do not ascend, or the chunks end before the last size.
    """
    if not sizes or sizes[0] < 1 or any(b <= a for a, b in pairwise(sizes)):
        raise GenerativeError("The sample sizes of a saturation curve must be positive and ascend.")
    counter = SampleCounter(truth, table) if counter is None else counter
    rows, waiting = [], list(sizes)
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
    seen = np.flatnonzero(counter.counts)
    drawn, known, classes = counter.counts[seen], counter.in_training[seen], counter.truth.classes[seen]
    row: dict[str, float] = {"n_valid": int(drawn.sum())}
    right = classes == requested
    for suffix, where in (("", np.ones(len(seen), dtype=bool)), ("_right", right)):
        row[f"novel{suffix}"] = int((where & ~known).sum())
        row[f"rediscovered{suffix}"] = int((where & known).sum())
        row[f"repeated{suffix}"] = int(drawn[where].sum() - where.sum())
    beside = (classes == requested - 1) | (classes == requested + 1)
    row["novel_neighbour"] = int((beside & ~known).sum())
    size = int(counter.truth.counts[requested - 1])
    row["coverage"] = int(right.sum()) / size if size else float("nan")
    return row
