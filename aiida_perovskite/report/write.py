"""Write the report of a campaign to a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aiida_perovskite.report.collect import collect_campaign
from aiida_perovskite.report.render import render

if TYPE_CHECKING:
    from aiida.orm import ProcessNode


def write_report(node: ProcessNode, path: str | Path) -> Path:
    """Write the report of a campaign as one HTML file.

    Parameters
    ----------
    node
        The ScreeningWorkChain, finished or still running.
    path
        Where to write; an existing report is replaced in one step, so that a reader never sees half of one.

    Returns
    -------
    path
        Of the report, absolute.

    Raises
    ------
    ValueError
        If ``node`` is not a screening.
    OSError
        If the file cannot be written; nothing is left behind then.
    """
    return write_page(render(collect_campaign(node)), path)


def write_page(page: str, path: str | Path) -> Path:
    """Write a page whole or not at all; return the absolute path."""
    return write_bytes(page.encode(), path)


def write_bytes(content: bytes, path: str | Path) -> Path:
    """Write a file whole or not at all; return the absolute path."""
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp makes files that nobody else may read
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target
