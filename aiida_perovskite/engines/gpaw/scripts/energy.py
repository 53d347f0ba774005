"""PBE energy with GPAW: ``python energy.py input.json`` writes ``results.json``.

One self-consistent calculation of any periodic structure; energies of different compounds may be subtracted from each
other as long as their settings are the same. ``results.json`` is written whatever happens.
"""

from __future__ import annotations

import sys

import numpy as np
from gpaw_ground_state import (
    GROUND_STATE_SETTINGS,
    check_engine,
    count_electrons,
    prepare_pbe,
    read_setups,
    self_consistent_energy,
    set_moments,
    setup_names,
    versions,
)
from perovskite_job import Outcome, Stopwatch, describe_atoms, progress, read_input, run_job

SETTINGS = {**GROUND_STATE_SETTINGS, "kpoint_density": float}


def run(path: str) -> Outcome:
    """Compute the energy of what ``path`` describes."""
    atoms, parameters = read_input(path, SETTINGS)
    check_engine()
    setups = read_setups(list(atoms.symbols))
    n_electrons = count_electrons(atoms, setups)
    notes = set_moments(atoms, n_electrons)
    watch = Stopwatch()
    with watch.step("pbe"):
        calc = prepare_pbe(atoms, parameters, n_electrons)
        energy = self_consistent_energy(atoms, parameters)
        force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    progress(f"{atoms.get_chemical_formula()}: {energy:.4f} eV per cell, largest force {force:.3f} eV/Angstrom")
    properties = {
        "energy_ev_per_cell": energy,
        "energy_ev_per_atom": energy / len(atoms),
        "max_force_ev_per_angstrom": force,
        "functional": "PBE",
        "kpoints": [int(n) for n in calc.dft.ibzwfs.ibz.bz.size_c],
        "spin_polarised": bool(np.any(atoms.get_initial_magnetic_moments())),
        "settings": parameters,
        "setups": setup_names(setups),
        "versions": versions(),
        "warnings": notes,
        **watch.totals(),
    }
    return {"status": "ok", "error": None, "structure": describe_atoms(atoms), "properties": properties}, {}


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
