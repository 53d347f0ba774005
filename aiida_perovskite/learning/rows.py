"""Training rows: compounds in canonical spelling, each once, in an order of their own, dealt into folds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .representation import as_compositions

__all__ = ["TrainingDataError", "assign_folds", "canonical_rows", "data_hash", "seen_elements"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class TrainingDataError(ValueError):
    """The training rows hold a value that is not a number, a compound twice, or too few rows."""


def assign_folds(n_rows: int, folds: int, seed: int) -> Ints:
    """Deal rows into folds of equal size (to one) at random; return each row's fold."""
    if n_rows < 2 * folds:
        raise TrainingDataError(f"{n_rows} rows are too few for {folds} folds: give at least {2 * folds}.")
    fold = np.arange(n_rows) % folds
    return np.random.default_rng([seed, folds]).permutation(fold).astype(np.int64)


def canonical_rows(formulas: Iterable[str], targets_ev: Iterable[float]) -> tuple[list[str], Floats]:
    """Return sorted canonical formulas and their targets; `TrainingDataError` for a bad target or a double compound."""
    names = [composition.formula for composition in as_compositions(formulas)]
    targets = np.array(list(targets_ev), dtype=np.float64)
    if len(names) != len(targets):
        raise TrainingDataError(f"There are {len(names)} formulas, but {len(targets)} targets.")
    if broken := [name for name, value in zip(names, targets, strict=True) if not math.isfinite(value)]:
        raise TrainingDataError(f"{len(broken)} targets are not numbers: {_some(broken)}.")
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise TrainingDataError(f"{len(doubled)} compounds are listed more than once: {_some(doubled)}.")
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[index] for index in order], targets[order]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def seen_elements(formulas: Sequence[str]) -> dict[str, list[str]]:
    """Return site (ab, c, d) -> elements that stand there."""
    compositions = as_compositions(formulas)
    return {
        "ab": sorted({symbol for item in compositions for symbol in (item.a, item.b)}),
        "c": sorted({item.c for item in compositions}),
        "d": sorted({item.d for item in compositions}),
    }


def data_hash(formulas: Sequence[str], targets: Floats, target: str) -> str:
    """Return the SHA-256 of canonical rows and the name of their target."""
    lines = [target, *(f"{name},{value!r}" for name, value in zip(formulas, targets.tolist(), strict=True))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
