"""What the relaxation scripts share, whichever engine gives forces and stress: ASE, spglib and numpy, no engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from perovskite_job import Outcome, describe_atoms, progress

SETTINGS = {
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


def double_perovskite(atoms: Any) -> tuple[float, float] | None:
    """Return (a, x = A-D distance / a) of an undistorted 10-atom double perovskite, else None."""
    symbols = atoms.get_chemical_symbols()
    singles = [i for i, symbol in enumerate(symbols) if symbols.count(symbol) == 1]
    halides = [i for i, symbol in enumerate(symbols) if symbols.count(symbol) == 6]
    if len(atoms) != 10 or len(singles) != 2 or len(halides) != 6:
        return None
    a = (4 * atoms.get_volume()) ** (1 / 3)
    to_a, to_b = (atoms.get_distances(site, halides, mic=True) for site in singles)
    if np.ptp(to_a) > 1e-3 or np.ptp(to_b) > 1e-3 or abs(to_a.mean() + to_b.mean() - a / 2) > 1e-3:
        return None
    return float(a), float(to_a.mean() / a)


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


def relax(atoms: Any, calculator: Any, parameters: dict[str, Any]) -> tuple[bool, int]:
    """Relax in place; return whether it converged, and the number of steps."""
    from ase.filters import FrechetCellFilter, UnitCellFilter
    from ase.optimize import BFGS

    atoms.calc = calculator
    filters = {"frechet": FrechetCellFilter, "unit_cell": UnitCellFilter}
    target = filters[parameters["cell_filter"]](atoms) if parameters["cell_filter"] in filters else atoms
    optimizer = BFGS(target, logfile=None)
    converged = optimizer.run(fmax=parameters["max_force_ev_per_angstrom"], steps=parameters["max_steps"])
    return bool(converged), int(optimizer.nsteps)


def describe(atoms: Any, tolerance: float) -> dict[str, Any]:
    """Return cell, forces and space group of a structure that has a calculator."""
    import spglib

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    symmetry = spglib.get_symmetry_dataset(cell, symprec=tolerance)
    return {
        "a_angstrom": float((4 * atoms.get_volume() * 10 / len(atoms)) ** (1 / 3)),
        "max_force_ev_per_angstrom": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
        "max_stress_ev_per_cubic_angstrom": float(np.abs(atoms.get_stress()).max()),
        "space_group_number": int(symmetry.number) if symmetry else None,
        "space_group": str(symmetry.international) if symmetry else None,
    }


def relax_lowest(
    atoms: Any,
    make_calculator: Callable[[], Any],
    parameters: dict[str, Any],
    engine: str,
    more: Callable[[Any], dict[str, Any]],
) -> Outcome:
    """Relax all starting points; return the content of ``results.json`` for the lowest, and no arrays.

    Parameters
    ----------
    atoms, parameters
        What, and `SETTINGS`.
    make_calculator
        Gives the calculator of a starting point.
    engine
        Its name, for the message of a relaxation that does not converge.
    more
        What there is to say of the relaxed structure, which has its calculator, beside `describe`.
    """
    from ase.spacegroup.symmetrize import refine_symmetry

    best: Any = None
    rank, best_steps = (False, 0.0), 0
    energies = []
    initial = double_perovskite(atoms)
    for start in starting_points(atoms, parameters):
        if parameters["symmetry"] == "fixed":
            initial = double_perovskite(start)  # perhaps widened
        converged, steps = relax(start, make_calculator(), parameters)
        energies.append(float(start.get_potential_energy()))
        progress(f"relaxed: {energies[-1]:.4f} eV per cell after {steps} steps, converged: {converged}")
        # A start that did not converge counts only while there is nothing better.
        if best is None or (converged, -energies[-1]) > rank:
            best, rank, best_steps = start, (converged, -energies[-1]), steps
    calculator = best.calc
    best.set_constraint()
    if parameters["symmetry"] == "fixed":
        refine_symmetry(best, symprec=1e-3)  # the next engine finds its k-point symmetry at a much tighter tolerance
    best.calc = calculator
    properties = {
        **describe(best, parameters["space_group_tolerance_angstrom"]),
        **more(best),
        "a_initial_angstrom": initial[0] if initial else None,
        "x_initial": initial[1] if initial else None,
        "energies_of_starts_ev_per_cell": energies,
        "steps": best_steps,
        "settings": parameters,
    }
    error = None
    if not rank[0]:
        error = {
            "code": "geometry_not_converged",
            "message": f"{engine}: largest force still {properties['max_force_ev_per_angstrom']:.3f} eV/Angstrom after "
            f"{best_steps} steps; raise max_steps or max_force_ev_per_angstrom",
        }
    return {
        "status": "error" if error else "ok",
        "error": error,
        "structure": describe_atoms(best),
        "properties": properties,
    }, {}
