"""Reading files that somebody else wrote: nothing larger than it can be, and one sentence about what is wrong.

Belongs to no room, since all of them read files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_JSON", "MAX_YAML", "check_size", "listed", "parse_json", "parse_yaml", "read_frame", "read_text"]

MAX_JSON = 256 * 2**20  # bytes; the description of a model, which lists its training rows, has some MB
MAX_YAML = 2**20  # bytes; a file of settings has some kB
MAX_DEPTH = 50  # levels of a YAML text; settings have four, and time grows with the square
MAX_TABLE = 2 * 2**30  # bytes of a CSV or Parquet file; two million compositions with a hundred numbers each have less
MAX_COLUMNS = 10_000  # of a table; levels and attention of large networks are about two thousand
MAX_CELLS = 300_000_000  # rows times columns of a Parquet file, whose bytes may say little; 2.4 GB as numbers
MAX_NAMES = 500  # characters of the names of columns that a message lists


def read_text(path: Path, limit: int) -> str:
    """Return the text of a file of at most ``limit`` bytes.

    Raises
    ------
    ValueError
        If it is larger, is no regular file, or is no UTF-8.
    OSError
        If it cannot be read.
    """
    check_size(path, limit)
    with path.open("rb") as handle:
        return handle.read(limit).decode("utf-8")


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says; ValueError if it is none, or nested so deeply that it is a trap."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_yaml(text: str) -> Any:
    """Return what a YAML text says, as plain values.

    Raises
    ------
    ValueError
        If it is no YAML, is nested too deeply, or has aliases, by which a few lines become gigabytes.
    """
    import yaml

    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases (*name): write the values out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ValueError("it is nested too deeply")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_frame(path: Path) -> pd.DataFrame:
    """Return the table in a CSV or Parquet file; by its name it is one or the other.

    Raises
    ------
    ValueError
        If it is too large, or cannot be read.
    OSError
        If there is no such file.
    """
    import pandas as pd
    import pyarrow as pa

    check_size(path, MAX_TABLE)
    try:
        if path.suffix == ".parquet":
            _check_parquet(path)
            return pd.read_parquet(path)
        with path.open("rb") as handle:
            _check_columns(handle.readline().count(b",") + 1)
        # No unpacking by the file's name: a few kB may unpack to any size.
        return pd.read_csv(path, compression=None)
    except (pa.ArrowException, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"its content is damaged ({type(error).__name__}: {error})") from None


def listed(names: Any) -> str:
    """Return names of columns as a text that stays readable, however many there are."""
    text = ", ".join(map(str, names))
    return text if len(text) <= MAX_NAMES else text[:MAX_NAMES] + " ..."


def check_size(path: Path, limit: int) -> None:
    """Raise ValueError if a file is no regular file or has more than ``limit`` bytes; OSError if there is none."""
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("it is no regular file")
    if size > limit:
        raise ValueError(f"it has {size / 2**20:.0f} MiB, more than the {limit / 2**20:.0f} MiB that are read")


def _check_columns(count: int) -> None:
    if count > MAX_COLUMNS:
        raise ValueError(f"it has {count} columns, more than the {MAX_COLUMNS} that are read")


def _check_parquet(path: Path) -> None:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    _check_columns(metadata.num_columns)
    if metadata.num_rows * metadata.num_columns > MAX_CELLS:
        raise ValueError(f"it has {metadata.num_rows} rows of {metadata.num_columns} columns, too many to be read")
