"""Relax a structure with CHGNet: ``python relax.py input.json`` writes ``results.json`` in the working directory.

Self-contained: needs CHGNet, ASE, spglib and numpy, not the package that ships it. ``results.json`` is written whatever
happens; the exit status is 0 only if the relaxation converged.
"""

# ruff: noqa: E402 (the threads are set before numpy is imported)
from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # several jobs share the cores

import json
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

START = time.perf_counter()
SETTINGS = {
    "model": str,
    "symmetry": str,
    "cell_filter": str,
    "max_force_ev_per_angstrom": float,
    "max_steps": int,
    "min_lattice_angstrom": dict,
    "space_group_tolerance_angstrom": float,
    "starts": int,
    "displacement_angstrom": float,
    "strain": float,
    "seed": int,
}
CHOICES = {"model": ("r2scan",), "symmetry": ("fixed", "free"), "cell_filter": ("frechet", "unit_cell", "none")}


class ScriptError(Exception):
    """An error with one of the codes that the package knows."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def progress(text: str) -> None:
    """Print one line with the elapsed seconds."""
    print(f"[{time.perf_counter() - START:7.1f} s] {text}", flush=True)


def write_atomically(path: str, content: dict[str, Any]) -> None:
    """Write JSON so that a reader sees the whole file or none."""
    temporary = Path(f"{path}.tmp")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(temporary, path)


def read_input(path: str) -> tuple[Any, dict[str, Any]]:
    """Return the atoms and the checked settings of ``input.json``."""
    from ase import Atoms

    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        structure, parameters = content["structure"], content["parameters"]
        atoms = Atoms(structure["symbols"], positions=structure["positions"], cell=structure["cell"], pbc=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScriptError("bad_input", f"{path} cannot be read as structure and parameters: {error!r}") from error
    check_settings(parameters)
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all() and atoms.get_volume() > 1.0):
        raise ScriptError("bad_input", "positions and cell must be finite and span a volume")
    if atoms.get_all_distances(mic=True)[~np.eye(len(atoms), dtype=bool)].min(initial=np.inf) < 0.5:
        raise ScriptError("bad_input", "two atoms are closer than 0.5 Angstrom")
    return atoms, parameters


def check_settings(parameters: Any) -> None:
    """Refuse missing, unknown and senseless settings, each by name."""
    if not isinstance(parameters, dict) or set(parameters) != set(SETTINGS):
        given = set(parameters) if isinstance(parameters, dict) else set()
        raise ScriptError(
            "bad_input", f"parameters: missing {sorted(set(SETTINGS) - given)}, unknown {sorted(given - set(SETTINGS))}"
        )
    for name, kind in SETTINGS.items():
        value = parameters[name]
        accepted = (int, float) if kind is float else (kind,)
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise ScriptError("bad_input", f"parameter {name} must be of type {kind.__name__}, not {value!r}")
        if name in CHOICES and value not in CHOICES[name]:
            raise ScriptError("bad_input", f"parameter {name} must be one of {CHOICES[name]}, not {value!r}")
    for name in ("max_force_ev_per_angstrom", "max_steps", "space_group_tolerance_angstrom", "starts"):
        if not parameters[name] > 0:
            raise ScriptError("bad_input", f"parameter {name} must be above 0, not {parameters[name]}")


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


def run(path: str) -> dict[str, Any]:
    """Relax what ``path`` describes; return the content of ``results.json``."""
    from ase.constraints import FixSymmetry
    from ase.spacegroup.symmetrize import refine_symmetry

    atoms, parameters = read_input(path)
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
        "cpu_s": time.process_time(),
        "wall_s": time.perf_counter() - START,
    }
    error = None
    if not outcome[0]:
        error = {
            "code": "geometry_not_converged",
            "message": f"CHGNet: largest force still {properties['max_force_ev_per_angstrom']:.3f} eV/Angstrom after "
            f"{outcome[1]} steps; raise max_steps or max_force_ev_per_angstrom",
        }
    structure = {
        "symbols": best.get_chemical_symbols(),
        "cell": best.cell.array.tolist(),
        "positions": best.positions.tolist(),
        "initial_magnetic_moments": [0.0] * len(best),
    }
    status = "error" if error else "ok"
    return {"status": status, "error": error, "structure": structure, "properties": properties}


def versions() -> dict[str, str]:
    """Return the versions of all that had a part in the numbers."""
    from importlib.metadata import version

    return {name: version(name) for name in ("chgnet", "torch", "ase", "numpy", "spglib")} | {
        "python": sys.version.split()[0]
    }


def main(arguments: list[str]) -> int:
    """Run the job; return the exit status."""
    # A scheduler that takes the job away sends SIGTERM: say so in results.json.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated by SIGTERM (walltime?)"))
    warnings.filterwarnings("ignore")
    try:
        if len(arguments) != 1:
            raise ScriptError("bad_input", "usage: python relax.py input.json")
        content = run(arguments[0])
        json.dumps(content, allow_nan=False)  # a number that is not finite is a failure, not a result
    except ScriptError as error:
        content = {"status": "error", "error": {"code": error.code, "message": str(error)}}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        content = {"status": "error", "error": {"code": "crashed", "message": f"{type(error).__name__}: {error}"}}
    if content["error"]:
        print(f"{content['error']['code']}: {content['error']['message']}", file=sys.stderr)
    try:
        write_atomically("results.json", content)
    except OSError as error:
        print(f"results.json cannot be written: {error}", file=sys.stderr)
        return 1
    return 1 if content["error"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
