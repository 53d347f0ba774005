"""How far the absorption and the decomposition enthalpy are from converged, for Cs2AgBiBr6 and Cs2AgInCl6.

``python benchmarks/optics_convergence.py`` changes one setting at a time of the protocols ``gpaw_absorption`` and
``gpaw_energy``. It writes ``results/optics_convergence.csv`` (onset, dielectric constant, SLME at 0.5 and 5 um, with
the gaps of the shipped dataset) and ``results/enthalpy_convergence.csv`` (binary reaction), a row as soon as it is
there; rows that are there are not computed again. About an hour on one core.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from machine import described

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.chemistry.phases import binary_decomposition, phase_structures
from aiida_perovskite.datasets import load_dataset
from aiida_perovskite.engines import JobScript, run_script
from aiida_perovskite.engines.chgnet import PHASES_SCRIPT, parse_phases, phases_input
from aiida_perovskite.engines.gpaw import (
    ABSORPTION_SCRIPT,
    ENERGY_SCRIPT,
    absorption_input,
    energy_input,
    parse_absorption,
    parse_energy,
)
from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.photovoltaics import decomposition_enthalpy, direct_allowed_gap, shift_to_gap, slme
from aiida_perovskite.workflows.protocols import load_protocol

RESULTS = Path(__file__).parent / "results"
FORMULAS = ("AgBiCs2Br6", "AgInCs2Cl6")
ABSORPTION: dict[str, dict[str, Any]] = {
    "balanced": {},
    "k-points 2x2x2": {"kpoints_optical": [2, 2, 2]},
    "k-points 4x4x4": {"kpoints_optical": [4, 4, 4]},
    "k-points 6x6x6": {"kpoints_optical": [6, 6, 6]},
    "k-points 10x10x10": {"kpoints_optical": [10, 10, 10]},
    "cutoff 400 eV": {"cutoff_ev": 400},
    "broadening 0.025 eV": {"broadening_ev": 0.025},
    "broadening 0.1 eV": {"broadening_ev": 0.1},
    "30 empty bands": {"optical_empty_bands": 30},
    "eigenstates 1e-5": {"convergence_optical_ev2_per_electron": 1e-5},
}
COARSE = {"kpoint_density": 2.0}
ENERGY: dict[str, dict[str, Any]] = {
    "fast": {},
    "k-point density 4": {"kpoint_density": 4.0},
    "k-point density 2": COARSE,
    "k-point density 2, cutoff 400 eV": {**COARSE, "cutoff_ev": 400},
    "k-point density 2, cutoff 600 eV": {**COARSE, "cutoff_ev": 600},
    "k-point density 2, eigenstates 1e-6, density 1e-5": {
        **COARSE,
        "convergence_eigenstates_ev2_per_electron": 1e-6,
        "convergence_density": 1e-5,
    },
}


def main() -> None:
    """Compute what is missing of both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    known = load_dataset("halide-gaps-gpaw").frame.set_index("formula")
    enthalpies, spectra = options.output / "enthalpy_convergence.csv", options.output / "optics_convergence.csv"
    for formula in FORMULAS:
        row = known.loc[formula]
        atoms = prototype_atoms(
            Composition.parse(formula), lattice_angstrom=row["a_angstrom"], x_halide=row["x_halide"]
        )
        phases = relaxed_binaries(formula)
        for setting, change in ENERGY.items():
            extend(enthalpies, formula, setting, lambda a=atoms, p=phases, f=formula, c=change: enthalpy(f, a, p, c))
        gaps = float(row["gap_hse06_soc_ev"]), float(row["direct_gap_hse06_soc_ev"])
        for setting, change in ABSORPTION.items():
            extend(spectra, formula, setting, lambda a=atoms, g=gaps, c=change: absorber(a, g, c))


def extend(path: Path, formula: str, setting: str, compute: Any) -> None:
    """Add a row to a table unless it is there."""
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"formula": [], "setting": []})
    if ((table["formula"] == formula) & (table["setting"] == setting)).any():
        return
    row = {"formula": formula, "setting": setting, **compute(), "machine": described()}
    print(row, flush=True)
    with atomic_path(path) as temporary:
        pd.concat([table, pd.DataFrame([row])]).to_csv(temporary, index=False, float_format="%.4f")


def absorber(atoms: Any, gaps_ev: tuple[float, float], change: dict[str, Any]) -> dict[str, float]:
    """Return onset, dielectric constant and SLME with a changed setting."""
    text, arrays = run(ABSORPTION_SCRIPT, absorption_input(atoms, load_protocol("gpaw_absorption", None, change)))
    result = parse_absorption(text, arrays)
    allowed = direct_allowed_gap(result.valence_ev, result.conduction_ev, result.squared_momentum)
    shifted = shift_to_gap(
        result.energy_ev,
        result.absorption_per_cm,
        allowed,
        gap_ev=gaps_ev[0],
        direct_gap_ev=gaps_ev[1],
    )
    cells = slme(
        shifted.energy_ev, shifted.mean_absorption_per_cm, shifted.gap_ev, shifted.direct_allowed_gap_ev, [0.5, 5.0]
    )
    return {
        "lowest_direct_transition_ev": result.properties["lowest_direct_transition_ev"],
        "direct_allowed_gap_ev": shifted.direct_allowed_gap_ev,
        "static_dielectric_constant": result.properties["static_dielectric_constant"],
        "slme_percent_half_um": 100 * float(cells.efficiency[0]),
        "slme_percent_5_um": 100 * float(cells.efficiency[1]),
        "slme_cut_percent_5_um": 100 * float(cells.efficiency_cut[1]),
        "cpu_s": result.properties["cpu_s"]["total"],
    }


def relaxed_binaries(formula: str) -> dict[str, Any]:
    """Return the lowest structure of each binary, relaxed with CHGNet."""
    settings = load_protocol("chgnet_phases")
    return {
        name: parse_phases(run(PHASES_SCRIPT, phases_input(phase_structures(name, 3), settings))[0]).atoms
        for name in binary_decomposition(Composition.parse(formula))
    }


def enthalpy(formula: str, atoms: Any, phases: dict[str, Any], change: dict[str, Any]) -> dict[str, float]:
    """Return the decomposition enthalpy into the binaries with a changed setting."""
    settings = load_protocol("gpaw_energy", None, change)
    energies, cpu = {}, 0.0
    for name, structure in {formula: atoms, **phases}.items():
        result = parse_energy(run(ENERGY_SCRIPT, energy_input(structure, settings))[0])
        energies[name] = result.energy_ev_per_atom
        cpu += result.properties["cpu_s"]["total"]
    found = decomposition_enthalpy(formula, energies, "binary").mev_per_atom
    assert found is not None
    return {"decomposition_enthalpy_mev_per_atom": found, "cpu_s": cpu}


def run(script: JobScript, content: dict[str, Any]) -> tuple[str, bytes]:
    """Run a script in a folder of its own; return its results."""
    with tempfile.TemporaryDirectory() as folder:
        run_script(script, content, Path(folder))
        arrays = Path(folder) / "arrays.npz"
        return (Path(folder) / "results.json").read_text(), arrays.read_bytes() if arrays.exists() else b""


if __name__ == "__main__":
    main()
