"""What the commands of this room read: settings and tables, refused in one sentence where they will not do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiida_perovskite.limits import MAX_JSON, listed, parse_json, read_frame, read_text

if TYPE_CHECKING:
    import pandas as pd

EXIT_BAD_INPUT = 2


class BadInput(click.ClickException):
    """One sentence about what to change, and exit code 2."""

    exit_code = EXIT_BAD_INPUT


def read_json_settings(path: Path | None) -> dict[str, Any]:
    """Read a JSON object of settings; without a file there are none."""
    if path is None:
        return {}
    try:
        content = parse_json(read_text(path, MAX_JSON))
    except (OSError, ValueError) as error:
        raise BadInput(f"The settings {path} cannot be read as JSON: {error}.") from None
    if not isinstance(content, dict):
        raise BadInput(f'The settings {path} must be a JSON object such as {{"epochs": 300}}.')
    return content


def read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read a CSV or Parquet file that has at least these columns."""
    try:
        frame = read_frame(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"The table {path} cannot be read: {error}") from None
    if missing := [name for name in columns if name not in frame]:
        raise BadInput(f"The table {path} lacks the columns {', '.join(missing)}; it has {listed(frame.columns)}.")
    return frame
