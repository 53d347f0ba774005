"""Table of compositions as one node."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiida.common.exceptions import ValidationError
from aiida.orm import SinglefileData
from aiida.orm.pydantic import OrmMetadataField

if TYPE_CHECKING:
    import pandas as pd

FILENAME = "table.parquet"  # one name for all: the name is part of the hash by which caching finds equal nodes

# Unit by the ending of a column's name, the longest ending first.
UNITS = {
    "_ev_per_angstrom": "eV/Angstrom",
    "_ev_per_atom": "eV/atom",
    "_ev_per_cell": "eV/cell",
    "_mev_per_atom": "meV/atom",
    "_angstrom": "Angstrom",
    "_mu_b": "Bohr magneton",
    "_ev": "eV",
    "_um": "um",
    "_s": "s",
}


class CompositionTableData(SinglefileData):
    """A table with one row per composition, as Parquet: thousands of compounds are one node.

    What belongs to such tables, a learning curve or the losses of a training, is kept in the same way. The columns and
    their units are attributes, so that tables can be found by what they hold. As a single file it goes into a job as it
    is.
    """

    class AttributesModel(SinglefileData.AttributesModel):
        """What is queryable."""

        name: str = OrmMetadataField(description="Name of the table")
        n_rows: int = OrmMetadataField(description="Number of rows")
        columns: list[dict[str, Any]] = OrmMetadataField(description="Name, type and unit of each column")
        sha256: str = OrmMetadataField(description="Digest of the content, whatever Parquet version wrote it")
        origin: dict[str, Any] = OrmMetadataField(description="Where the content is from: citation, licence, ...")

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, name: str, description: str = "", origin: Mapping[str, Any] | None = None
    ) -> CompositionTableData:
        """Return an unstored node that holds ``frame``; its index is not kept.

        Raises
        ------
        ValueError
            If two columns share a name.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if frame.columns.has_duplicates:
            raise ValueError(f"table {name!r} has two columns of the same name")
        # Without metadata: pandas would write its version, and equal tables would differ.
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        buffer.seek(0)
        node = cls(buffer, filename=FILENAME)
        node.base.attributes.set_many(
            {
                "name": name,
                "n_rows": len(frame),
                "columns": [
                    {"name": field.name, "dtype": str(field.type), "unit": unit_of(field.name)}
                    for field in table.schema
                ],
                "sha256": digest(frame),
                "origin": dict(origin or {}),
            }
        )
        node.label = name
        node.description = description
        return node

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        import pyarrow.parquet as pq

        with self.open(mode="rb") as handle:
            frame: pd.DataFrame = pq.read_table(io.BytesIO(handle.read())).to_pandas()
        return frame

    @property
    def name(self) -> str:
        """Name of the table."""
        return str(self.base.attributes.get("name"))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.base.attributes.get("n_rows"))

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [column["name"] for column in self.base.attributes.get("columns")]

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return str(self.base.attributes.get("sha256"))

    @property
    def origin(self) -> dict[str, Any]:
        """Where the content is from."""
        return dict(self.base.attributes.get("origin"))

    def _validate(self) -> bool:
        """Refuse a node whose attributes do not describe its file."""
        super()._validate()
        missing = {"name", "n_rows", "columns", "sha256", "origin"} - set(self.base.attributes.keys())
        if missing:
            raise ValidationError(f"make tables with `from_frame`: attributes {sorted(missing)} are missing")
        frame = self.to_frame()
        if digest(frame) != self.sha256 or len(frame) != self.n_rows:
            raise ValidationError("the attributes of the table do not describe its file")
        return True


def unit_of(column: str) -> str | None:
    """Return the unit that the name of a column ends with, or None."""
    return next((unit for ending, unit in UNITS.items() if column.endswith(ending)), None)


def digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of the rows, in order, written with all digits."""
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
