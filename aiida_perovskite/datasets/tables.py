"""Reading and checking tables of compositions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_perovskite.limits import listed, read_frame

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5  # rows that a message names before it counts the rest


class DatasetError(ValueError):
    """A table or dataset that cannot be used; the message says why and what to do."""


def load_table(path: Path, target: str | None) -> pd.DataFrame:
    """Read a user's own table (CSV or Parquet) and check it.

    Parameters
    ----------
    path
        File with a column ``formula``.
    target
        Column of numbers that must be there and complete; None if only the formulas matter.

    Returns
    -------
    DataFrame
        With canonical ``formula`` and the sites ``a`` to ``d``.

    Raises
    ------
    DatasetError
        If the file cannot be read or its content will not do.
    """
    return canonical(read_file(path), required=[target] if target else [])


def read_file(path: Path) -> pd.DataFrame:
    """Return what a CSV or Parquet file holds; raise `DatasetError` if it cannot be read."""
    try:
        return read_frame(path)
    except (OSError, ValueError) as error:
        # Readers end their messages with a line break, or write several lines.
        why = " ".join(str(error).split())
        raise DatasetError(f"{path} cannot be read as {path.suffix or 'CSV'}: {why}") from error


def canonical(frame: pd.DataFrame, required: Iterable[str] = ()) -> pd.DataFrame:
    """Return the table with canonical ``formula`` and sites ``a`` to ``d`` in front, checked by `validate_table`."""
    import pandas as pd

    from aiida_perovskite.chemistry import Composition

    required = list(required)
    validate_table(frame, required)
    compositions = [Composition.parse(formula) for formula in frame["formula"]]
    sites: dict[str, Any] = {"formula": [composition.formula for composition in compositions]}
    sites |= {site: [getattr(composition, site) for composition in compositions] for site in "abcd"}
    rest = frame.drop(columns=[name for name in sites if name in frame.columns]).reset_index(drop=True)
    # A Parquet file may hold numbers as text.
    rest = rest.assign(**{column: pd.to_numeric(rest[column]) for column in required})
    return rest.assign(**sites)[[*sites, *rest.columns]]


def validate_table(frame: pd.DataFrame, required: Sequence[str]) -> None:
    """Check that a table has the columns it needs, complete, and each compound once.

    Parameters
    ----------
    frame
        Table with a column ``formula``.
    required
        Columns that must hold a finite number in each row.

    Raises
    ------
    DatasetError
        Naming the columns that are missing or whose name is taken, or in one message all the rows (as a text editor
        counts them, the header being row 1) with a formula that is not ABC2D6, without a finite number, or with a
        compound that came before.
    """
    missing = [column for column in ["formula", *required] if column not in frame.columns]
    if missing:
        raise DatasetError(f"the table has no column {', '.join(missing)}; its columns are {listed(frame.columns)}")
    if frame.empty:
        raise DatasetError("the table has no rows")
    taken = [site for site in "abcd" if site in frame.columns and not _holds_elements(frame[site])]
    if taken:
        raise DatasetError(
            f"the table's column {', '.join(taken)} does not hold elements, but a, b, c and d are the elements of the "
            "four sites: give it another name"
        )
    faults = [*_formula_faults(frame["formula"]), *_number_faults(frame, required)]
    if faults:
        raise DatasetError("; and ".join(faults))


def _holds_elements(column: pd.Series[Any]) -> bool:
    from aiida_perovskite.chemistry.composition import ELEMENTS

    return all(isinstance(value, str) and value in ELEMENTS for value in column)


def _formula_faults(formulas: pd.Series[Any]) -> list[str]:
    """Say which rows have a formula that is not ABC2D6, and which the compound of another row."""
    from aiida_perovskite.chemistry import Composition, CompositionError

    bad: list[str] = []
    first: dict[str, int] = {}
    repeated: list[str] = []
    for row, text in enumerate(formulas, start=2):
        if not isinstance(text, str):
            bad.append(f"row {row}: no formula")
            continue
        try:
            formula = Composition.parse(text).formula
        except CompositionError as error:
            bad.append(f"row {row}: {error}")
            continue
        if formula in first:
            repeated.append(f"{formula} in rows {first[formula]} and {row}")
        first.setdefault(formula, row)
    faults = []
    if bad:
        faults.append(f"formulas that are not ABC2D6: {_listing(bad)}")
    if repeated:
        faults.append(f"compounds that occur twice (A and B are interchangeable): {_listing(repeated)}")
    return faults


def _number_faults(frame: pd.DataFrame, required: Sequence[str]) -> list[str]:
    """Say in which rows a required column has no finite number."""
    import numpy as np
    import pandas as pd

    faults = []
    for column in required:
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        gaps = [f"row {row + 2} ({frame['formula'].iloc[row]})" for row in np.flatnonzero(~np.isfinite(values))]
        if gaps:
            faults.append(f"column {column} has no number in {_listing(gaps)}")
    return faults


def _listing(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return "; ".join(items[:SHOWN]) + more
