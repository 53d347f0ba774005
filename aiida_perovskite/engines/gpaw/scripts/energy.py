"""PBE energy with GPAW: ``python energy.py input.json`` writes ``results.json``.

One self-consistent calculation of any periodic structure; energies of different compounds may be subtracted from each
other as long as their settings are the same. ``results.json`` is written whatever happens.
"""

from __future__ import annotations

import sys

import numpy as np
from gpaw_ground_state import GROUND_STATE_SETTINGS, GroundState
from perovskite_job import Outcome, Stopwatch, describe_atoms, read_input, run_job

SETTINGS = {**GROUND_STATE_SETTINGS, "kpoint_density": float}


def run(path: str) -> Outcome:
    """Compute the energy of what ``path`` describes."""
    atoms, parameters = read_input(path, SETTINGS)
    watch = Stopwatch()
    ground = GroundState(atoms, parameters, watch)
    properties = {
        "energy_ev_per_cell": ground.energy_ev,
        "energy_ev_per_atom": ground.energy_ev / len(atoms),
        "max_force_ev_per_angstrom": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
        "functional": "PBE",
        "kpoints": [int(n) for n in ground.calc.dft.ibzwfs.ibz.bz.size_c],
        "spin_polarised": ground.n_spins == 2,
        **ground.record(watch),
    }
    return {"status": "ok", "error": None, "structure": describe_atoms(atoms), "properties": properties}, {}


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
