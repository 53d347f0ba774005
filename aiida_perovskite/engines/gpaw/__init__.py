"""GPAW: what its scripts are given and what their results mean.

The scripts ``scripts/{relax,gap,energy,absorption,bands}.py`` are run by an interpreter that has GPAW; nothing here
imports it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aiida_perovskite.engines.results import (
    EnergyResult,
    EngineError,
    RelaxResult,
    parse_energy,
    read_relaxed,
    read_results,
    read_structure,
    require_numbers,
    script_input,
)
from aiida_perovskite.engines.script import RELAXATION, SHARED_MODULES, JobScript

if TYPE_CHECKING:
    from ase import Atoms

SCRIPTS = Path(__file__).parent / "scripts"
MODULES = (*SHARED_MODULES, SCRIPTS / "gpaw_ground_state.py")
RELAX_SCRIPT = JobScript(SCRIPTS / "relax.py", (*MODULES, RELAXATION))
GAP_SCRIPT = JobScript(SCRIPTS / "gap.py", (*MODULES, SCRIPTS / "gpaw_hybrid.py"))
ENERGY_SCRIPT = JobScript(SCRIPTS / "energy.py", MODULES)
ABSORPTION_SCRIPT = JobScript(SCRIPTS / "absorption.py", MODULES)
BANDS_SCRIPT = JobScript(SCRIPTS / "bands.py", MODULES)

__all__ = [
    "ABSORPTION_SCRIPT",
    "BANDS_SCRIPT",
    "ENERGY_SCRIPT",
    "GAP_SCRIPT",
    "RELAX_SCRIPT",
    "AbsorptionResult",
    "EnergyResult",
    "GapResult",
    "LineBands",
    "RelaxResult",
    "absorption_input",
    "bands_input",
    "energy_input",
    "gap_input",
    "parse_absorption",
    "parse_bands",
    "parse_energy",
    "parse_gap",
    "parse_relax",
    "relax_input",
]

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


@dataclass(frozen=True)
class AbsorptionResult:
    """Absorption of one structure, without spin-orbit coupling.

    Attributes
    ----------
    energy_ev
        (n,), ascending from 0.
    absorption_per_cm
        (n, 3), along x, y and z.
    epsilon
        (n, 3), complex dielectric function.
    valence_ev, conduction_ev
        (n_spin, n_k, 8), bands next to the gap at the irreducible k-points.
    squared_momentum
        (n_spin, n_k, 8, 8), mean over the directions of the squared momentum matrix elements between them, atomic
        units.
    dos_energy_ev, densities
        (m,), above the valence band maximum; ``total`` and element and angular momentum (``Ag_d``) -> states per eV and
        cell.
    properties
        ``lowest_direct_transition_ev``, ``static_dielectric_constant``, ``settings``, ``versions``, ...
    """

    energy_ev: np.ndarray
    absorption_per_cm: np.ndarray
    epsilon: np.ndarray
    valence_ev: np.ndarray
    conduction_ev: np.ndarray
    squared_momentum: np.ndarray
    dos_energy_ev: np.ndarray
    densities: dict[str, np.ndarray]
    properties: dict[str, Any]


@dataclass(frozen=True)
class LineBands:
    """Eigenvalues along lines.

    Attributes
    ----------
    atoms
        The structure.
    kpoints
        (n_k, 3), fractions of the reciprocal vectors: each point of the lines once.
    lines
        Name -> indices of its points in ``kpoints``, in their order along the line.
    eigenvalues_ev
        Level (``pbe``, ``hse06``, ``hse06_soc`` or ``pbe_soc``) -> (n_spin, n_k, n_bands), absolute.
    n_occupied, n_occupied_soc
        Occupied bands among those stored, per spin; with spin-orbit coupling a band holds one electron.
    """

    atoms: Atoms
    kpoints: np.ndarray
    lines: dict[str, list[int]]
    eigenvalues_ev: dict[str, np.ndarray]
    n_occupied: tuple[int, ...]
    n_occupied_soc: tuple[int, ...]
    properties: dict[str, Any]


def gap_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``gpaw_gap`` protocol.

    The calculation is spin-polarised if ``atoms`` carries initial magnetic moments.
    """
    return script_input(atoms, parameters)


def relax_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``gpaw_relax`` protocol."""
    return script_input(atoms, parameters)


def parse_relax(results_text: str) -> RelaxResult:
    """Return the relaxed structure from the text of ``results.json``; its energy is ``energy_pbe_ev_per_cell``.

    Raises
    ------
    EngineError
        If the relaxation did not converge or the script failed (the code says which), or the file is damaged.
    """
    return read_relaxed(results_text, "energy_pbe_ev_per_cell")


def energy_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``gpaw_energy`` protocol."""
    return script_input(atoms, parameters)


def absorption_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``gpaw_absorption`` protocol."""
    return script_input(atoms, parameters)


def bands_input(
    atoms: Atoms, lines: Mapping[str, Sequence[Sequence[float]]], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``gpaw_bands`` protocol.

    ``lines`` maps names to k-points in fractions of the reciprocal vectors.
    """
    return script_input(atoms, parameters) | {
        "lines": {name: np.asarray(line).tolist() for name, line in lines.items()}
    }


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
    arrays = _read_arrays(arrays_bytes, GAP_ARRAYS)
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


def parse_absorption(results_text: str, arrays_bytes: bytes) -> AbsorptionResult:
    """Return the absorption from the text of ``results.json`` and the bytes of ``arrays.npz``.

    Raises
    ------
    EngineError
        As `parse_gap`.
    """
    properties = read_results(results_text)["properties"]
    require_numbers(properties, ("lowest_direct_transition_ev", "gap_on_optical_grid_ev", "static_dielectric_constant"))
    spectra = ("absorption_per_cm", "epsilon_real", "epsilon_imaginary")
    densities = properties.get("densities")
    if not isinstance(densities, list):
        raise EngineError("crashed", "results.json names no densities of states")
    named = [f"dos_{name}" for name in densities]
    arrays = _read_arrays(arrays_bytes, ("energy_ev", *spectra, *EDGE_ARRAYS, "dos_energy_ev", *named))
    energies = arrays["energy_ev"]
    if energies.ndim != 1 or any(arrays[name].shape != (3, len(energies)) for name in spectra):
        raise EngineError("crashed", "arrays.npz: the spectra do not fit their energies")
    return AbsorptionResult(
        energy_ev=energies,
        absorption_per_cm=arrays["absorption_per_cm"].T,
        epsilon=(arrays["epsilon_real"] + 1j * arrays["epsilon_imaginary"]).T,
        dos_energy_ev=arrays["dos_energy_ev"],
        densities={name: arrays[f"dos_{name}"] for name in densities},
        properties=properties,
        **{name: arrays[name] for name in EDGE_ARRAYS},
    )


def parse_bands(results_text: str, arrays_bytes: bytes) -> LineBands:
    """Return bands from the text of ``results.json`` and the bytes of ``arrays.npz``.

    Raises
    ------
    EngineError
        As `parse_gap`.
    """
    content = read_results(results_text)
    properties = content["properties"]
    levels = properties.get("levels")
    if not isinstance(levels, list) or not isinstance(properties.get("lines"), dict):
        raise EngineError("crashed", "results.json names no lines or levels")
    named = [f"eigenvalues_{level}_ev" for level in levels]
    arrays = _read_arrays(arrays_bytes, ("kpoints", "n_occupied", "n_occupied_soc", *named))
    kpoints = arrays["kpoints"]
    if any(arrays[f"eigenvalues_{level}_ev"].shape[1:2] != (len(kpoints),) for level in levels):
        raise EngineError("crashed", "arrays.npz: the eigenvalues do not fit the k-points")
    return LineBands(
        atoms=read_structure(content["structure"]),
        kpoints=kpoints,
        lines=properties["lines"],
        eigenvalues_ev={level: arrays[f"eigenvalues_{level}_ev"] for level in levels},
        n_occupied=tuple(int(n) for n in arrays["n_occupied"]),
        n_occupied_soc=tuple(int(n) for n in arrays["n_occupied_soc"]),
        properties=properties,
    )


def _read_arrays(data: bytes, names: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in names}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise EngineError("damaged", f"arrays.npz is missing, truncated or incomplete ({error})") from error
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise EngineError("crashed", f"arrays.npz holds numbers that are not finite in {', '.join(broken)}")
    return arrays


EDGE_ARRAYS = ("valence_ev", "conduction_ev", "squared_momentum")
GAP_ARRAYS = (
    "kpoints",
    "weights",
    *(f"eigenvalues_{level}_ev" for level in LEVELS),
    *(f"n_occupied_{level}" for level in LEVELS),
)
