"""Relax several structures of one formula with CHGNet and take the lowest: ``python phases.py input.json``.

``input.json`` holds ``structures``, a list of ``name`` and ``structure``, beside the parameters. Each keeps its space
group; those that do not converge are listed, and count only if none does. ``results.json`` is written whatever happens.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from chgnet_calculator import load_calculator, versions
from perovskite_job import (
    Outcome,
    ScriptError,
    Stopwatch,
    check_settings,
    describe_atoms,
    progress,
    read_atoms,
    read_content,
    run_job,
)
from perovskite_relax import describe, relax

SETTINGS = {
    "model": ("r2scan",),
    "cell_filter": ("frechet", "unit_cell", "none"),
    "max_force_ev_per_angstrom": float,
    "max_steps": int,
    "space_group_tolerance_angstrom": float,
}


def read_structures(content: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the names and the atoms of all structures, which must have one formula."""
    try:
        structures = [(str(entry["name"]), read_atoms(entry["structure"])) for entry in content["structures"]]
    except (KeyError, TypeError) as error:
        raise ScriptError("bad_input", f"input.json holds no list of structures with names: {error!r}") from error
    formulas = {atoms.get_chemical_formula(empirical=True) for _, atoms in structures}
    if len(formulas) != 1:
        raise ScriptError("bad_input", f"the structures must have one formula, not {sorted(formulas)}")
    return structures


def run(path: str) -> Outcome:
    """Relax what ``path`` lists."""
    from ase.constraints import FixSymmetry

    warnings.filterwarnings("ignore")
    watch = Stopwatch()
    content = read_content(path)
    parameters = content["parameters"]
    check_settings(parameters, SETTINGS)
    structures = read_structures(content)
    calculator = load_calculator(parameters["model"])
    rows, best = [], None
    for name, atoms in structures:
        atoms.set_constraint(FixSymmetry(atoms, symprec=1e-3))
        with watch.step(name):
            converged, steps = relax(atoms, calculator, parameters)
        atoms.set_constraint()
        atoms.calc = calculator
        energy = float(atoms.get_potential_energy()) / len(atoms)
        found = describe(atoms, parameters["space_group_tolerance_angstrom"])
        row = {"name": name, "energy_ev_per_atom": energy, "converged": converged, "steps": steps}
        rows.append({**row, "space_group": found["space_group"], "n_atoms": len(atoms)})
        progress(f"{name}: {energy:.4f} eV per atom after {steps} steps, converged: {converged}")
        if best is None or (converged, -energy) > best[0]:
            best = (converged, -energy), atoms.copy(), rows[-1]
    assert best is not None
    if not best[0][0]:
        raise ScriptError("geometry_not_converged", f"none of the {len(rows)} structures converged; raise max_steps")
    properties = {
        **{key: best[2][key] for key in ("name", "energy_ev_per_atom", "space_group", "n_atoms")},
        "candidates": rows,
        "functional": "CHGNet r2SCAN",
        "settings": parameters,
        "versions": versions(),
        **watch.totals(),
    }
    return {"status": "ok", "error": None, "structure": describe_atoms(best[1]), "properties": properties}, {}


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
