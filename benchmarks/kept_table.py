"""A table of results that is written row by row, and keeps what earlier runs have put there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from machine import described

from aiida_perovskite.learning.checkpoint import atomic_path


class KeptTable:
    """The CSV file ``path``, in which the columns ``keys`` name a row."""

    def __init__(self, path: Path, *keys: str) -> None:
        self.path, self.keys = path, list(keys)
        self.frame = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=self.keys)

    def holds(self, *key: object) -> bool:
        """Return whether there is a row with these keys."""
        return bool(self._named(key).any())

    def row(self, *key: object) -> dict[str, Any]:
        """Return the row with these keys, without what is not in it."""
        (found,) = self.frame[self._named(key)].to_dict("records")
        return {str(name): value for name, value in found.items() if not pd.isna(value)}

    def put(self, row: dict[str, Any], float_format: str = "%.4f") -> None:
        """Write a row, in place of one with the same keys, with the machine in its last column; print it, too."""
        print(row, flush=True)
        others = self.frame[~self._named([row[key] for key in self.keys])]
        added = pd.DataFrame([row | {"machine": described()}])
        self.frame = pd.concat([others, added], ignore_index=True) if len(others) else added
        with atomic_path(self.path) as temporary:
            self.frame.to_csv(temporary, index=False, float_format=float_format)

    def _named(self, key: object) -> pd.Series:
        return (self.frame[self.keys] == key).all(axis=1)
