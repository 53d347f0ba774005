"""Relax a structure with GPAW: ``python relax.py input.json`` writes ``results.json`` in the working directory.

Forces and stress are those of PBE. The plane waves are those below a fixed energy, so their number grows with the cell,
which the stress of a single calculation does not see (Pulay stress). It is added from how the energy falls with the
cutoff at the start (Froyen and Cohen, J. Phys. C 19, 2623 (1986)): dE/dV = 2/3 E_cut / V dE/dE_cut at a fixed number.
``results.json`` is written whatever happens; the exit status is 0 only if the relaxation converged.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
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
from perovskite_job import Outcome, Stopwatch, progress, read_input, run_job
from perovskite_relax import SETTINGS as RELAXATION_SETTINGS
from perovskite_relax import relax_lowest

SETTINGS = {**RELAXATION_SETTINGS, **GROUND_STATE_SETTINGS, "kpoints": list}
CUTOFF_STEP = 1.05  # the second of the two cutoffs, over the first


class PBE(Calculator):
    """GPAW with the settings, and the Pulay stress."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, parameters: dict[str, Any], n_electrons: int) -> None:
        super().__init__()
        self.settings, self.n_electrons = parameters, n_electrons
        self.pulay_ev: float | None = None  # times a reciprocal volume, the stress

    def find_pulay(self, atoms: Any, energy: float) -> float:
        """Return two thirds of how the energy of the cell grows with the logarithm of the cutoff."""
        cutoffs = {key: CUTOFF_STEP * self.settings[key] for key in ("cutoff_ev", "cutoff_fluoride_ev")}
        raised = self.energy(atoms.copy(), {**self.settings, **cutoffs})
        return 2 / 3 * (raised - energy) / (CUTOFF_STEP - 1)

    def energy(self, atoms: Any, parameters: dict[str, Any]) -> float:
        """Return the energy of the cell; the atoms have a calculator then."""
        prepare_pbe(atoms, parameters, self.n_electrons)
        energy = self_consistent_energy(atoms, parameters)
        progress(f"PBE: {energy:.4f} eV, {atoms.get_volume():.3f} cubic Angstrom per cell")
        return energy

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        """Do a calculation from scratch: cells of another size have other plane waves."""
        super().calculate(atoms, properties, system_changes)
        now = self.atoms.copy()
        energy = self.energy(now, self.settings)
        if self.pulay_ev is None:
            self.pulay_ev = self.find_pulay(now, energy)
        stress = now.get_stress()
        stress[:3] += self.pulay_ev / now.get_volume()
        self.results = {"energy": energy, "forces": now.get_forces(), "stress": stress}


def run(path: str) -> Outcome:
    """Relax what ``path`` describes; return the content of ``results.json``, and no arrays."""
    watch = Stopwatch()
    atoms, parameters = read_input(path, SETTINGS)
    check_engine()
    setups = read_setups(list(atoms.symbols))
    n_electrons = count_electrons(atoms, setups)
    notes = set_moments(atoms, n_electrons)
    progress(f"structure: {atoms.get_chemical_formula()}, symmetry {parameters['symmetry']}")

    def more(relaxed: Any) -> dict[str, Any]:
        return {
            "energy_pbe_ev_per_cell": float(relaxed.get_potential_energy()),
            "pulay_stress_ev_per_cubic_angstrom": relaxed.calc.pulay_ev / relaxed.get_volume(),
            "spin_polarised": bool(np.any(relaxed.get_initial_magnetic_moments())),
            "setups": setup_names(setups),
            "versions": versions(),
            "warnings": notes,
            **watch.totals(),
        }

    return relax_lowest(atoms, lambda: PBE(parameters, n_electrons), parameters, "GPAW", more)


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
