"""Hybrid-functional gap with GPAW: what the script is given and what its results mean.

The script ``scripts/gap.py`` is run by an interpreter that has GPAW; nothing here imports it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.engines.results import EngineError, read_results, read_structure, require_numbers, script_input

if TYPE_CHECKING:
    from ase import Atoms

GAP_SCRIPT = Path(__file__).parent / "scripts" / "gap.py"

LEVELS = ("pbe", "pbe_soc", "hse06", "hse06_soc")
NUMBERS = (
    "gap_hse06_soc_ev",
    "raw_gap_hse06_soc_ev",
    "direct_gap_hse06_soc_ev",
    "gap_hse06_ev",
    "gap_pbe_soc_ev",
    "gap_pbe_ev",
    "a_angstrom",
    "energy_pbe_ev_per_cell",
)


@dataclass(frozen=True)
class GapResult:
    """Bands and gaps of one structure.

    Attributes
    ----------
    atoms
        The structure the bands belong to (halide moved where Fm-3m allowed it), with the local magnetic moments found
        as initial moments (Bohr magnetons).
    kpoints
        (n_k, 3), fractions of the reciprocal vectors of ``atoms.cell``: the whole Brillouin zone.
    weights
        (n_k,), sum 1.
    eigenvalues_pbe_ev, eigenvalues_hse06_ev
        (n_spin, n_k, n_bands), eV relative to the valence band maximum of the same level; sorted within each k-point.
    eigenvalues_pbe_soc_ev, eigenvalues_hse06_soc_ev
        (1, n_k, n_spinors), likewise: each band holds one electron.
    n_occupied
        Level -> number of occupied bands among those stored, one number per spin.
    properties
        Gaps and all else by the column names of the shipped dataset; absolute energies of the valence band maxima in
        ``vbm_ev``.
    """

    atoms: Atoms
    kpoints: np.ndarray
    weights: np.ndarray
    eigenvalues_pbe_ev: np.ndarray
    eigenvalues_pbe_soc_ev: np.ndarray
    eigenvalues_hse06_ev: np.ndarray
    eigenvalues_hse06_soc_ev: np.ndarray
    n_occupied: dict[str, tuple[int, ...]]
    properties: dict[str, Any]


def gap_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``gpaw_gap`` protocol.

    The calculation is spin-polarised if ``atoms`` carries initial magnetic moments.
    """
    return script_input(atoms, parameters)


def parse_gap(results_text: str, arrays_bytes: bytes) -> GapResult:
    """Return bands and gaps from the text of ``results.json`` and the bytes of ``arrays.npz``.

    Raises
    ------
    EngineError
        If the script failed (the code says how), or one of the files is damaged or does not fit the other.
    """
    content = read_results(results_text)
    properties = content["properties"]
    require_numbers(properties, NUMBERS)
    arrays = _read_arrays(arrays_bytes)
    n_occupied = {level: tuple(int(n) for n in arrays[f"n_occupied_{level}"]) for level in LEVELS}
    bands = {f"eigenvalues_{level}_ev": arrays[f"eigenvalues_{level}_ev"] for level in LEVELS}
    kpoints, weights = arrays["kpoints"], arrays["weights"]
    for level in LEVELS:
        shape = bands[f"eigenvalues_{level}_ev"].shape
        if len(shape) != 3 or shape[:2] != (len(n_occupied[level]), len(kpoints)) or weights.shape != (len(kpoints),):
            raise EngineError("crashed", f"arrays.npz: the {level} eigenvalues {shape} do not fit the k-points")
    return GapResult(
        atoms=read_structure(content["structure"]),
        kpoints=kpoints,
        weights=weights,
        n_occupied=n_occupied,
        properties=properties,
        **bands,
    )


def _read_arrays(data: bytes) -> dict[str, np.ndarray]:
    names = ["kpoints", "weights", *(f"{part}_{level}{unit}" for part, unit in PARTS for level in LEVELS)]
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in names}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise EngineError("crashed", f"arrays.npz is missing, truncated or incomplete ({error})") from error
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise EngineError("crashed", f"arrays.npz holds numbers that are not finite in {', '.join(broken)}")
    return arrays


PARTS = (("eigenvalues", "_ev"), ("n_occupied", ""))
