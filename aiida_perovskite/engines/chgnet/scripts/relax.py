"""Relax a structure with CHGNet: ``python relax.py input.json`` writes ``results.json`` in the working directory.

Needs CHGNet, ASE, spglib, numpy and the two modules that travel beside it, not the package that ships them.
``results.json`` is written whatever happens; the exit status is 0 only if the relaxation converged.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from chgnet_calculator import describe, double_perovskite, load_calculator, relax, versions
from perovskite_job import Outcome, Stopwatch, describe_atoms, progress, read_input, run_job

SETTINGS = {
    "model": ("r2scan",),
    "symmetry": ("fixed", "free"),
    "cell_filter": ("frechet", "unit_cell", "none"),
    "max_force_ev_per_angstrom": float,
    "max_steps": int,
    "min_lattice_angstrom": dict,
    "space_group_tolerance_angstrom": float,
    "starts": int,
    "displacement_angstrom": float,
    "strain": float,
    "seed": int,
}


def widen(atoms: Any, min_lattice: dict[str, float]) -> None:
    """Scale an undistorted double perovskite up to the smallest sensible lattice constant of its halide."""
    geometry = double_perovskite(atoms)
    if geometry is not None:
        symbols = atoms.get_chemical_symbols()
        smallest = min_lattice.get(max(symbols, key=symbols.count), 0.0)
        if geometry[0] < smallest:
            atoms.set_cell(atoms.cell * (smallest / geometry[0]), scale_atoms=True)


def starting_points(atoms: Any, parameters: dict[str, Any]) -> list[Any]:
    """Return the structures to relax: the given one, or randomly distorted copies of it if nothing is to be kept."""
    from ase.constraints import FixSymmetry

    if parameters["symmetry"] == "fixed":
        start = atoms.copy()
        widen(start, parameters["min_lattice_angstrom"])
        start.set_constraint(FixSymmetry(start, symprec=1e-3))
        return [start]
    starts = []
    random = np.random.default_rng(parameters["seed"])
    for _ in range(parameters["starts"]):
        start = atoms.copy()
        strain = random.normal(scale=parameters["strain"], size=(3, 3))
        start.set_cell(start.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        start.positions += random.normal(scale=parameters["displacement_angstrom"], size=start.positions.shape)
        starts.append(start)
    return starts


def run(path: str) -> Outcome:
    """Relax what ``path`` describes; return the content of ``results.json``, and no arrays."""
    from ase.constraints import FixSymmetry
    from ase.spacegroup.symmetrize import refine_symmetry

    warnings.filterwarnings("ignore")
    watch = Stopwatch()
    atoms, parameters = read_input(path, SETTINGS)
    progress(f"structure: {atoms.get_chemical_formula()}, symmetry {parameters['symmetry']}")
    calculator = load_calculator(parameters["model"])
    progress("CHGNet loaded")
    best: Any = None
    outcome = (False, 0)
    energies = []
    initial = double_perovskite(atoms)
    for start in starting_points(atoms, parameters):
        if any(isinstance(constraint, FixSymmetry) for constraint in start.constraints):
            initial = double_perovskite(start)
        converged, steps = relax(start, calculator, parameters)
        energies.append(float(start.get_potential_energy()))
        progress(f"relaxed: {energies[-1]:.4f} eV per cell after {steps} steps, converged: {converged}")
        # A start that did not converge counts only while there is nothing better.
        if best is None or (converged, -energies[-1]) > (outcome[0], -best.get_potential_energy()):
            best, outcome = start.copy(), (converged, steps)
            best.calc = calculator
    best.set_constraint()
    if parameters["symmetry"] == "fixed":
        refine_symmetry(best, symprec=1e-3)  # the next engine finds its k-point symmetry at a much tighter tolerance
    properties = describe(best, parameters["space_group_tolerance_angstrom"])
    properties |= {
        "a_initial_angstrom": initial[0] if initial else None,
        "x_initial": initial[1] if initial else None,
        "energies_of_starts_ev_per_cell": energies,
        "steps": outcome[1],
        "settings": parameters,
        "versions": versions(),
        **watch.totals(),
    }
    error = None
    if not outcome[0]:
        error = {
            "code": "geometry_not_converged",
            "message": f"CHGNet: largest force still {properties['max_force_ev_per_angstrom']:.3f} eV/Angstrom after "
            f"{outcome[1]} steps; raise max_steps or max_force_ev_per_angstrom",
        }
    status = "error" if error else "ok"
    return {
        "status": status,
        "error": error,
        "structure": describe_atoms(best),
        "properties": properties,
    }, {}


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
