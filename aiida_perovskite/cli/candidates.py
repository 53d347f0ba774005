"""Compounds that are handed over to `aiida-perovskite screen`: where they come from, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiida_perovskite.data.table import CompositionTableData

SHOWN = 10  # formulas that a sentence names; the node has all


def candidates(given: str, first: int | None) -> CompositionTableData:
    """Return the table of the compounds: a node, that of a `generate` run, or, not stored, a file's.

    Raises
    ------
    ValueError
        If it is none of these, or nothing of its first rows can be screened.
    """
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import ProcessNode, load_node

    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.datasets import load_table
    from aiida_perovskite.workflows.screening import candidates_fault

    path = Path(given)
    table: Any
    if path.is_file():
        table = CompositionTableData.from_frame(load_table(path, None), name=path.stem)
    else:
        try:
            table = load_node(given)
        except (MultipleObjectsError, NotExistent, ValueError) as error:
            raise ValueError(f"{given!r} is neither a file nor one node of this profile") from error
        if isinstance(table, ProcessNode) and "compositions" in table.outputs:
            table = table.outputs.compositions
    if not isinstance(table, CompositionTableData):
        raise ValueError(f"--from-table {given} is not a table but a {type(table).__name__}")
    if fault := candidates_fault(table, table.n_rows if first is None else first):
        raise ValueError(fault)
    return table


def left_out(dropped: list[dict[str, Any]]) -> list[str]:
    """Return one sentence per reason why compounds that were handed over left the funnel."""
    by_reason: dict[str, list[str]] = {}
    for row in dropped:
        by_reason.setdefault(row["reason"], []).append(row["formula"])
    sentences = []
    for reason, formulas in by_reason.items():
        more = f" and {len(formulas) - SHOWN} more" if len(formulas) > SHOWN else ""
        sentences.append(f"left out because {reason}: {', '.join(formulas[:SHOWN])}{more}")
    return sentences
