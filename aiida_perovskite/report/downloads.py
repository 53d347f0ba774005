"""What the page offers to take away, inside the page itself: tables and crystal structures as data links."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from aiida_perovskite.report.compounds import pretty
from aiida_perovskite.report.contents import Array, Candidate, Structure, Table

if TYPE_CHECKING:
    import pandas as pd

SIGNIFICANT = 6  # digits of a number in the embedded tables: more than any method here is good for


def link(name: str, kind: str, content: bytes, source: str = "") -> Markup:
    """Return a link that holds a file; ``source`` is the UUID of the node it was made from."""
    origin = Markup(' data-source="{}"').format(source) if source else ""
    return Markup('<a class="download" download="{0}"{1} href="data:{2};base64,{3}">{0}</a>').format(
        name, origin, kind, base64.b64encode(content).decode()
    )


def csv_link(table: Table, name: str) -> Markup:
    """Return a link that holds the table as CSV."""
    return link(f"{name}.csv", "text/csv", rounded(table.frame).to_csv(index=False).encode())


def frame_links(frame: pd.DataFrame, name: str) -> Markup:
    """Return links that hold a frame as CSV and, with all digits, as Parquet."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    text = rounded(frame).to_csv(index=False).encode()
    parquet = link(f"{name}.parquet", "application/vnd.apache.parquet", buffer.getvalue())
    return link(f"{name}.csv", "text/csv", text) + Markup(" ") + parquet


def structure_links(candidate: Candidate) -> Markup:
    """Return links that hold the structures of a candidate, before and after relaxation, as CIF and extxyz."""
    relaxed = candidate.relaxed.structure if candidate.relaxed else None
    links = [
        one
        for kind, crystal in (("structure", candidate.structure), ("relaxed", relaxed))
        if crystal is not None
        for one in _files(crystal, f"{pretty(candidate.formula)}-{kind}")
    ]
    return Markup(" ").join(links)


def _files(crystal: Structure, name: str) -> list[Markup]:
    from ase import Atoms
    from ase.io import write

    uuid = crystal.cell.source.uuid
    atoms = Atoms(crystal.symbols, positions=crystal.positions.values, cell=crystal.cell.values, pbc=True)
    atoms.info["node"] = uuid
    cif, extxyz = io.BytesIO(), io.StringIO()
    write(cif, atoms, format="cif")
    write(extxyz, atoms, format="extxyz")
    return [
        link(f"{name}.cif", "chemical/x-cif", f"# node {uuid}\n".encode() + cif.getvalue(), uuid),
        link(f"{name}.extxyz", "chemical/x-xyz", extxyz.getvalue().encode(), uuid),
    ]


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the digits that mean something."""
    frame = frame.copy()
    for name in frame.columns:
        if frame[name].dtype.kind == "f":
            frame[name] = [float(f"{value:.{SIGNIFICANT}g}") for value in frame[name]]
    return frame


def columns(table: Table) -> dict[str, list[Any]]:
    """Return the columns of a table as JSON can hold them."""
    return {str(name): [plain(value) for value in values] for name, values in rounded(table.frame).items()}


def array_values(array: Array) -> Any:
    """Return an array as nested lists that JSON can hold, with the digits that mean something."""
    flat = [float(f"{one:.{SIGNIFICANT}g}") if math.isfinite(one) else None for one in array.values.flat]
    return np.array(flat, dtype=object).reshape(array.values.shape).tolist()


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: numbers that are not finite become null."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
