"""What is clustered: attention and softmax weights of every compound, in both orders of A and B.

A levels frame has one row per compound: ``formula``, elements ``a`` to ``d``, ``gap_ev``, levels ``homo_a_ev`` ...,
weights of the sites in the band edges ``vbm_weight_a`` ..., and attention ``attention_{layer}_{head}_{ij}``, the
weight of site j in the update of site i. The network does not label its sites, so the row of the compound written
BAC2D6 is the same row with the names of A and B exchanged: mirrored rows are exact and cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiida_perovskite.chemistry import Composition

__all__ = [
    "SITES",
    "Descriptor",
    "FamilyDataError",
    "attention_tensor",
    "both_orders",
    "build_descriptor",
    "canonical_levels",
    "mirror_levels",
    "numeric_descriptor",
    "site_columns",
]

SITES = ("a", "b", "c", "d")
_PAIRS = tuple(i + j for i in SITES for j in SITES)
_ATTENTION = re.compile(r"attention_(\d+)_(\d+)_[abcd]{2}")
_SITED = re.compile(r"(|homo_|lumo_|vbm_weight_|cbm_weight_|class_|attention_(?:\d+_)*)([abcd]|(?<=_)[abcd]{2})(|_ev)")
_EXCHANGE = str.maketrans("ab", "ba")

Floats = NDArray[np.float64]


class FamilyDataError(ValueError):
    """A table lacks columns or rows, holds a value that is not a number, or does not vary."""


@dataclass(frozen=True)
class Descriptor:
    """Numbers that stand for compounds.

    Attributes
    ----------
    values
        Shape (N, F).
    names
        Of the F columns.
    """

    values: Floats
    names: tuple[str, ...]


def site_columns(kind: str) -> list[str]:
    """Name the four columns of a kind of weight, e.g. ``vbm_weight_a`` to ``vbm_weight_d`` of ``vbm_weight``."""
    return [f"{kind}_{site}" for site in SITES]


def mirror_levels(levels: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the compounds written BAC2D6: whatever belongs to A and to B is exchanged.

    Elements, levels, weights, and rows and columns of the attention change places; ``formula`` stays the canonical one.
    Applied twice, it gives the table back.
    """
    names = {column: _exchanged(str(column)) for column in levels.columns}
    return levels.rename(columns=names)[list(levels.columns)]


def _exchanged(column: str) -> str:
    found = _SITED.fullmatch(column)
    return column if found is None else found[1] + found[2].translate(_EXCHANGE) + found[3]


def both_orders(levels: pd.DataFrame) -> pd.DataFrame:
    """Stack N rows and their mirrored copies: row i + N is the mirror of row i; ``order`` is 'AB' or 'BA'."""
    stacked = pd.concat([levels, mirror_levels(levels)], ignore_index=True)
    return stacked.assign(order=np.repeat(["AB", "BA"], len(levels)))


def canonical_levels(levels: pd.DataFrame) -> pd.DataFrame:
    """Check a levels frame; return its rows with A before B alphabetically, sorted by formula.

    So the order of the rows, and the order in which a user wrote A and B, influence nothing.

    Raises
    ------
    FamilyDataError
        If columns are missing or hold anything but finite numbers, a compound is listed twice, or formula and sites
        contradict each other.
    CompositionError
        If a site holds what is not an element.
    """
    numeric = ["gap_ev", *site_columns("vbm_weight"), *site_columns("cbm_weight")]
    if missing := [name for name in ["formula", *SITES, *numeric] if name not in levels.columns]:
        raise FamilyDataError(
            f"The table of levels lacks the columns {', '.join(missing)}: make it with a level model."
        )
    _check_numbers(levels, numeric + [name for name in levels.columns if _ATTENTION.fullmatch(str(name))])
    sites = levels[list(SITES)].itertuples(index=False)
    compositions = [Composition(a, b, c, d) for a, b, c, d in sites]
    for written, composition in zip(levels["formula"], compositions, strict=True):
        if written != composition.formula:
            raise FamilyDataError(
                f"The formula {written} and its sites ({', '.join(composition.elements)}) contradict each other: "
                f"write {composition.formula}."
            )
    _check_distinct(levels["formula"], "compounds")
    turned = (levels["b"] < levels["a"]).to_numpy()
    rows = pd.concat([levels[~turned], mirror_levels(levels[turned])])
    # The copy joins the columns of a table that grew one by one, which pandas would warn of later.
    return rows.sort_values("formula", kind="stable", ignore_index=True).copy()


def attention_tensor(levels: pd.DataFrame) -> Floats:
    """Return the attention of N compounds, shape (N, layers, heads, 4, 4): [..., i, j] is the weight of j for i."""
    found = [match for match in map(_ATTENTION.fullmatch, map(str, levels.columns)) if match]
    layers = sorted({int(match[1]) for match in found})
    heads = sorted({int(match[2]) for match in found})
    names = [f"attention_{layer}_{head}_{pair}" for layer in layers for head in heads for pair in _PAIRS]
    missing = [name for name in names if name not in levels.columns]
    if missing or not names:
        raise FamilyDataError(
            f"The table of levels lacks attention columns ({', '.join(missing[:5]) or 'all of them'}): make it with a "
            "level model."
        )
    values = levels[names].to_numpy(dtype=np.float64)
    return values.reshape(len(levels), len(layers), len(heads), 4, 4)


def build_descriptor(levels: pd.DataFrame, layers: str = "all") -> Descriptor:
    """Join the attention, averaged over the heads, with both sets of softmax weights.

    Parameters
    ----------
    levels
        Levels frame, N rows.
    layers
        'all' layers' attention (48 + 8 columns for three layers) or only that of the 'last' layer (16 + 8); the thesis
        does not say which it took.
    """
    attention = attention_tensor(levels).mean(axis=2)
    numbers = range(1, attention.shape[1] + 1)
    if layers == "last":
        attention, numbers = attention[:, -1:], numbers[-1:]
    weights = site_columns("vbm_weight") + site_columns("cbm_weight")
    names = [f"attention_{layer}_{pair}" for layer in numbers for pair in _PAIRS] + weights
    values = np.hstack([attention.reshape(len(levels), -1), levels[weights].to_numpy(dtype=np.float64)])
    return Descriptor(values, tuple(names))


def numeric_descriptor(frame: pd.DataFrame, labels: Sequence[str] = ("formula",)) -> Descriptor:
    """Take any table of numbers as a descriptor.

    Parameters
    ----------
    frame
        One row per sample.
    labels
        Columns that only name the samples; those that the table lacks are ignored.

    Raises
    ------
    FamilyDataError
        If another column holds anything but finite numbers, or a sample occurs twice: the same labels, or the same row
        where there are no labels.
    """
    named = [name for name in labels if name in frame.columns]
    columns = [name for name in frame.columns if name not in named]
    if not columns:
        raise FamilyDataError("The table has no column of numbers to cluster by: add at least one.")
    _check_numbers(frame, columns)
    keys = frame[named] if named else frame
    _check_distinct(keys.apply(lambda row: " ".join(map(str, row)), axis=1), "rows")
    return Descriptor(frame[columns].to_numpy(dtype=np.float64), tuple(map(str, columns)))


def _check_numbers(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if not len(frame):
        raise FamilyDataError("The table has no rows: give at least one per cluster.")
    if words := [name for name in columns if not pd.api.types.is_numeric_dtype(frame[name])]:
        raise FamilyDataError(
            f"The columns {', '.join(map(str, words))} do not hold numbers: drop them, or name them as labels."
        )
    finite = np.isfinite(frame[list(columns)].to_numpy(dtype=np.float64)).all(axis=0)
    if not finite.all():
        broken = [str(name) for name, good in zip(columns, finite, strict=True) if not good]
        raise FamilyDataError(f"The columns {', '.join(broken)} hold values that are not numbers: fill or drop them.")


def _check_distinct(keys: pd.Series[str], what: str) -> None:
    doubled = keys[keys.duplicated()].unique()
    if len(doubled):
        some = ", ".join(key[:60] for key in doubled[:5]) + (", ..." if len(doubled) > 5 else "")
        raise FamilyDataError(f"{len(doubled)} {what} are listed more than once ({some}): keep one of each.")
