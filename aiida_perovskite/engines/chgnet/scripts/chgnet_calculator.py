"""CHGNet as ASE calculator, and what the CHGNet scripts do with it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from perovskite_job import ScriptError


def load_calculator(model: str) -> Any:
    """Return CHGNet as ASE calculator on one CPU core."""
    try:
        import torch
        from chgnet.model import CHGNet, CHGNetCalculator
    except ImportError as error:
        raise ScriptError(
            "engine_missing", f"{sys.executable} has no CHGNet ({error}); install it there with: pip install chgnet"
        ) from error
    torch.set_num_threads(1)
    try:
        weights = CHGNet.load(model_name=model, verbose=False)
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise ScriptError("bad_input", f"CHGNet has no weights named {model!r}: {error}") from error
    return CHGNetCalculator(model=weights, use_device="cpu")


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
    """Return energy, cell, forces, moments and space group of a structure that has a calculator."""
    import spglib

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    symmetry = spglib.get_symmetry_dataset(cell, symprec=tolerance)
    geometry = double_perovskite(atoms)
    return {
        "energy_chgnet_r2scan_ev_per_cell": float(atoms.get_potential_energy()),
        "a_angstrom": float((4 * atoms.get_volume() * 10 / len(atoms)) ** (1 / 3)),
        "x_chgnet": geometry[1] if geometry else None,
        "max_force_ev_per_angstrom": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
        "max_stress_ev_per_cubic_angstrom": float(np.abs(atoms.get_stress()).max()),
        "magnetic_moments_mu_b": np.abs(atoms.calc.results["magmoms"]).tolist(),
        "space_group_number": int(symmetry.number) if symmetry else None,
        "space_group": str(symmetry.international) if symmetry else None,
    }


def versions() -> dict[str, str]:
    """Return the versions of all that had a part in the numbers."""
    from importlib.metadata import version

    return {name: version(name) for name in ("chgnet", "torch", "ase", "numpy", "spglib")} | {
        "python": sys.version.split()[0]
    }
