"""Write the report of an interpretation to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aiida_perovskite.report.interpret_collect import collect_interpretation
from aiida_perovskite.report.interpret_render import render_interpretation
from aiida_perovskite.report.write import write_page

if TYPE_CHECKING:
    from aiida.orm import ProcessNode


def write_interpretation(node: ProcessNode, path: str | Path) -> Path:
    """Write the report of an interpretation as one HTML file.

    Parameters
    ----------
    node
        The InterpretWorkChain, finished, failed or still running.
    path
        Where to write; an existing report is replaced in one step, so that a reader never sees half of one.

    Returns
    -------
    path
        Of the report, absolute.

    Raises
    ------
    ValueError
        If ``node`` is not an interpretation.
    OSError
        If the file cannot be written; nothing is left behind then.
    """
    return write_page(render_interpretation(collect_interpretation(node)), path)
