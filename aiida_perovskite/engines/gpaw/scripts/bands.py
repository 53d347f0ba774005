"""Bands along lines: ``python bands.py input.json``.

``input.json`` holds ``lines`` beside structure and parameters: name -> k-points in fractions of the reciprocal vectors.
PBE ground state on a grid -> eigenvalues along the lines at its density -> HSE06, non-self-consistent, with the
occupied states of the grid in the exchange -> spin-orbit coupling. ``results.json`` is written whatever happens.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from gpaw_ground_state import GROUND_STATE_SETTINGS, GroundState
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

SETTINGS = {
    **GROUND_STATE_SETTINGS,
    "kpoints": list,
    "line_bands_below": int,
    "line_bands_above": int,
    "hybrid": bool,
    "convergence_lines_ev2_per_electron": float,
}


def read_lines(content: dict[str, Any]) -> tuple[np.ndarray, dict[str, list[int]]]:
    """Return the k-points of all lines, each once, and for every line the indices of its points."""
    lines = content.get("lines")
    if not isinstance(lines, dict) or not lines:
        raise ScriptError("bad_input", "input.json names no lines of k-points")
    points: list[tuple[float, ...]] = []
    where: dict[tuple[float, ...], int] = {}
    indices: dict[str, list[int]] = {}
    for name, line in lines.items():
        try:
            array = np.asarray(line, dtype=float)
        except (TypeError, ValueError):
            array = np.empty(0)
        if array.ndim != 2 or array.shape[1] != 3 or not np.isfinite(array).all():
            raise ScriptError("bad_input", f"line {name} must be a list of k-points of three numbers each")
        indices[name] = []
        for point in array:
            key = tuple(np.round(point, 10).tolist())
            if key not in where:
                where[key] = len(points)
                points.append(key)
            indices[name].append(where[key])
    return np.array(points), indices


def line_eigenvalues(
    calc: Any, kpoints: np.ndarray, n_occupied: list[int], parameters: dict[str, Any], watch: Stopwatch
) -> tuple[dict[str, np.ndarray], list[int], list[int]]:
    """Return level -> eigenvalues (n_spin, n_k, n_bands), and the occupied bands among them without and with SOC."""
    from gpaw.spinorbit import soc_eigenstates

    first = max(min(n_occupied) - parameters["line_bands_below"], 0)
    last = max(n_occupied) + parameters["line_bands_above"]
    with watch.step("pbe_lines"):
        lines = calc.fixed_density(
            kpts=kpoints,
            symmetry="off",
            nbands=last + 4,  # the last ones converge slowly and are left out
            convergence={
                "bands": last,
                "eigenstates": parameters["convergence_lines_ev2_per_electron"],
            },
            txt="lines.txt",
        )
        spins, points = range(len(n_occupied)), range(len(kpoints))
        pbe = np.array([[lines.get_eigenvalues(kpt=k, spin=s)[first:last] for k in points] for s in spins])
    progress(f"PBE at {len(kpoints)} k-points of the lines")
    levels = {"pbe": pbe}
    if parameters["hybrid"]:
        from gpaw.new.pw.nschse import NonSelfConsistentHybridXCCalculator

        with watch.step("hse06_lines"):
            hybrid = NonSelfConsistentHybridXCCalculator.from_dft_calculation(calc.dft, "HSE06", log=None)
            _, levels["hse06"] = hybrid.calculate(lines.dft.ibzwfs, first, last)
        progress("HSE06 along the lines")
    with watch.step("spin_orbit"):
        best = levels.get("hse06", pbe)
        soc = soc_eigenstates(lines, n1=first, n2=last, eigenvalues=best)
        levels["hse06_soc" if parameters["hybrid"] else "pbe_soc"] = np.asarray(soc.eigenvalues())[None]
    inside = [n - first for n in n_occupied]
    spinors = [sum(inside) if len(inside) == 2 else 2 * inside[0]]
    return {name: np.sort(values, axis=-1) for name, values in levels.items()}, inside, spinors


def run(path: str) -> Outcome:
    """Compute the bands of what ``path`` describes."""
    content = read_content(path)
    parameters = content["parameters"]
    check_settings(parameters, SETTINGS)
    atoms = read_atoms(content.get("structure"))
    kpoints, indices = read_lines(content)
    watch = Stopwatch()
    ground = GroundState(atoms, parameters, watch, hybrid=parameters["hybrid"])
    levels, inside, spinors = line_eigenvalues(ground.calc, kpoints, ground.n_occupied, parameters, watch)
    properties = {
        "energy_pbe_ev_per_cell": ground.energy_ev,
        "lines": indices,
        "levels": list(levels),
        "functional": "HSE06" if parameters["hybrid"] else "PBE",
        **ground.record(watch),
    }
    arrays = {
        "kpoints": kpoints,
        "n_occupied": np.array(inside),
        "n_occupied_soc": np.array(spinors),
        **{f"eigenvalues_{name}_ev": values for name, values in levels.items()},
    }
    return {"status": "ok", "error": None, "structure": describe_atoms(atoms), "properties": properties}, arrays


if __name__ == "__main__":
    sys.exit(run_job(run, sys.argv[1:]))
