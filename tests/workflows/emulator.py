"""Emulated engines: answer like the engine scripts, in milliseconds, for tests of what surrounds them.

Called as `emulator.py SCRIPT input.json`. Gap and energies are smooth functions of the composition; some compositions
fail on purpose: gaps of fluorides do not converge at once, gaps of iodides of Rb and the phase InBr3 leave nothing
behind, as a killed job does, fluorides have no PBE gap in the absorption, K distorts when nothing is kept, and CsBr has
no structure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Outcome = tuple[dict[str, Any], dict[str, np.ndarray]]
KANE = 3.81  # hbar^2 / 2 m_e, eV Angstrom^2


class Failure(Exception):
    """What a script reports in results.json."""


def main() -> int:
    script, name = sys.argv[1:]
    with open(name) as file:
        content = json.load(file)
    try:
        results, arrays = ANSWERS[script.removesuffix(".py")](content)
    except Failure as failure:
        code, message = failure.args
        write({"status": "error", "error": {"code": code, "message": message}})
        return 1
    except ProcessLookupError:
        print("emulator: killed")
        return 137
    if arrays:
        np.savez("arrays.npz", **arrays)
    write({"status": "ok", "structure": content.get("structure"), **results})
    return 0


def write(content: dict[str, Any]) -> None:
    with open("results.json", "w") as file:
        json.dump(content, file)


def number(symbols: list[str]) -> float:
    """Return a number between 0 and 1 that depends on the composition."""
    return (sum(ord(letter) for letter in "".join(sorted(symbols))) % 100) / 100


def relax(content: dict[str, Any]) -> Outcome:
    structure, parameters = content["structure"], content["parameters"]
    if parameters["symmetry"] == "free" and "K" in structure["symbols"]:
        structure["positions"][4][1] += 0.4
    properties = {
        "energy_chgnet_r2scan_ev_per_cell": -40.0,
        "energy_pbe_ev_per_cell": -30.0,
        "a_angstrom": 11.0,
        "x_chgnet": 0.25,
        "max_force_ev_per_angstrom": 0.001,
        "settings": parameters,
    }
    return {"properties": properties}, {}


def phases(content: dict[str, Any]) -> Outcome:
    best = content["structures"][0]
    symbols = best["structure"]["symbols"]
    if set(symbols) == {"In", "Br"}:
        raise ProcessLookupError
    if set(symbols) == {"Cs", "Br"}:
        raise Failure("geometry_not_converged", "none of the structures converged")
    properties = {"name": best["name"], "energy_ev_per_atom": -3 - number(symbols), "space_group": "Fm-3m"}
    return {"structure": best["structure"], "properties": properties}, {}


def energy(content: dict[str, Any]) -> Outcome:
    symbols = content["structure"]["symbols"]
    per_atom = -3 - number(symbols) if len(set(symbols)) < 4 else -4.2
    properties = {
        "energy_ev_per_atom": per_atom,
        "energy_ev_per_cell": per_atom * len(symbols),
        "functional": "PBE",
        "settings": content["parameters"],
    }
    return {"properties": properties}, {}


def gap(content: dict[str, Any]) -> Outcome:
    symbols = content["structure"]["symbols"]
    if {"Rb", "I"} <= set(symbols):
        raise ProcessLookupError
    if "F" in symbols and content["parameters"]["max_scf_steps"] < 300:
        raise Failure("scf_not_converged", "the density did not converge in 150 steps")
    value = 0.7 + number(symbols) * 1.25
    properties = {
        "gap_hse06_soc_ev": value,
        "raw_gap_hse06_soc_ev": value,
        "direct_gap_hse06_soc_ev": value + 0.1,
        "gap_hse06_ev": value + 0.2,
        "gap_pbe_soc_ev": value / 2,
        "gap_pbe_ev": value / 2 + 0.1,
        "a_angstrom": 11.0,
        "x_halide": 0.25,
        "x_chgnet": 0.25,
        "energy_pbe_ev_per_cell": -30.0,
        "pbe_gapless": False,
        "vbm_label": "X",
        "cbm_label": "L",
    }
    bands = np.array([[[-1.0, 0.0, value, value + 1.0], [-1.2, -0.1, value + 0.1, value + 1.0]]])
    arrays = {"kpoints": np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0]]), "weights": np.array([0.5, 0.5])}
    for level in ("pbe", "pbe_soc", "hse06", "hse06_soc"):
        arrays[f"eigenvalues_{level}_ev"] = bands
        arrays[f"n_occupied_{level}"] = np.array([2])
    return {"properties": properties}, arrays


def absorption(content: dict[str, Any]) -> Outcome:
    if "F" in content["structure"]["symbols"]:
        raise Failure("no_gap", "PBE has no gap")
    direct = 0.8
    energies = np.arange(301) * 0.02
    alpha = 1e5 * np.sqrt(np.clip(energies - direct, 0, None))
    properties = {
        "lowest_direct_transition_ev": direct,
        "gap_on_optical_grid_ev": 0.7,
        "static_dielectric_constant": 4.0,
        "broadening_ev": 0.05,
        "approximation": "independent particles",
        "densities": ["Br_p", "total"],
    }
    arrays = {
        "energy_ev": energies,
        "absorption_per_cm": np.array([alpha] * 3),
        "epsilon_real": np.ones((3, 301)),
        "epsilon_imaginary": np.zeros((3, 301)),
        "valence_ev": np.array([[[-1.0, 0.0]]]),
        "conduction_ev": np.array([[[direct, direct + 1]]]),
        "squared_momentum": np.ones((1, 1, 2, 2)),
        "dos_energy_ev": np.linspace(-5, 5, 11),
        "dos_total": np.ones(11),
        "dos_Br_p": np.ones(11) / 2,
    }
    return {"properties": properties}, arrays


def bands(content: dict[str, Any]) -> Outcome:
    points: list[list[float]] = []
    lines = {}
    for name, line in content["lines"].items():
        lines[name] = list(range(len(points), len(points) + len(line)))
        points += line
    kpoints = np.array(points)
    reciprocal = 2 * np.pi * np.linalg.inv(np.array(content["structure"]["cell"])).T
    to_edge = np.empty(len(kpoints))
    for indices in lines.values():  # masses -0.5 and 0.25, whichever the edge
        steps = (kpoints[indices] - kpoints[indices[0]]) @ reciprocal
        to_edge[indices] = (steps**2).sum(axis=1)
    valence, conduction = -KANE / 0.5 * to_edge, 1.0 + KANE / 0.25 * to_edge
    values = np.sort(np.stack([valence - 2, valence - 2, valence, valence, conduction, conduction], axis=1), axis=1)
    arrays = {
        "kpoints": kpoints,
        "n_occupied": np.array([2]),
        "n_occupied_soc": np.array([4]),
        "eigenvalues_pbe_ev": values[None, :, ::2],
        "eigenvalues_hse06_soc_ev": values[None],
    }
    properties = {"lines": lines, "levels": ["pbe", "hse06_soc"], "functional": "HSE06"}
    return {"properties": properties}, arrays


ANSWERS: dict[str, Callable[[dict[str, Any]], Outcome]] = {
    "relax": relax,
    "phases": phases,
    "energy": energy,
    "gap": gap,
    "absorption": absorption,
    "bands": bands,
}

if __name__ == "__main__":
    sys.exit(main())
