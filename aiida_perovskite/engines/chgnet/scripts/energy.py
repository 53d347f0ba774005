"""Energy of a structure with CHGNet: ``python energy.py input.json`` writes ``results.json``."""

from __future__ import annotations

import sys
import warnings

import numpy as np
from chgnet_calculator import load_calculator, versions
from perovskite_job import Outcome, Stopwatch, describe_atoms, progress, read_input, run_job

SETTINGS = {"model": ("r2scan",)}


def run(path: str) -> Outcome:
    """Compute the energy of what ``path`` describes."""
    warnings.filterwarnings("ignore")
    watch = Stopwatch()
    atoms, parameters = read_input(path, SETTINGS)
    atoms.calc = load_calculator(parameters["model"])
    with watch.step("energy"):
        energy = float(atoms.get_potential_energy())
    progress(f"{atoms.get_chemical_formula()}: {energy:.4f} eV per cell")
    properties = {
        "energy_ev_per_cell": energy,
        "energy_ev_per_atom": energy / len(atoms),
        "max_force_ev_per_angstrom": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
        "functional": "CHGNet r2SCAN",
        "settings": parameters,
        "versions": versions(),
        "warnings": [],
        **watch.totals(),
    }
    return {"status": "ok", "error": None, "structure": describe_atoms(atoms), "properties": properties}, {}


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
