"""An emulated engine: answers like the engine scripts, in milliseconds, for tests of what surrounds them.

Called as `emulator.py relax.py|gap.py input.json`. The gap is a smooth function of the composition; some compositions
fail on purpose: fluorides do not converge, iodides of Rb leave nothing behind, as a killed job does.
"""

from __future__ import annotations

import json
import sys

import numpy as np


def main() -> int:
    script, name = sys.argv[1:]
    with open(name) as file:
        content = json.load(file)
    structure = content["structure"]
    symbols = structure["symbols"]
    if script == "gap.py" and {"Rb", "I"} <= set(symbols):
        print("emulator: killed")
        return 137
    if script == "gap.py" and "F" in symbols and content["parameters"]["max_scf_steps"] < 300:
        return fail("scf_not_converged", "the density did not converge in 150 steps")
    results = {"status": "ok", "structure": structure}
    if script == "relax.py":
        results["properties"] = {
            "energy_chgnet_r2scan_ev_per_cell": -40.0,
            "a_angstrom": 11.0,
            "x_chgnet": 0.25,
            "max_force_ev_per_angstrom": 0.001,
        }
    else:
        gap = 0.7 + (sum(ord(letter) for letter in "".join(symbols)) % 100) / 80
        results["properties"] = gap_properties(gap)
        np.savez("arrays.npz", **arrays(gap))
    with open("results.json", "w") as file:
        json.dump(results, file)
    return 0


def fail(code: str, message: str) -> int:
    with open("results.json", "w") as file:
        json.dump({"status": "error", "error": {"code": code, "message": message}}, file)
    return 1


def gap_properties(gap: float) -> dict[str, object]:
    return {
        "gap_hse06_soc_ev": gap,
        "raw_gap_hse06_soc_ev": gap,
        "direct_gap_hse06_soc_ev": gap + 0.1,
        "gap_hse06_ev": gap + 0.2,
        "gap_pbe_soc_ev": gap / 2,
        "gap_pbe_ev": gap / 2 + 0.1,
        "a_angstrom": 11.0,
        "x_halide": 0.25,
        "x_chgnet": 0.25,
        "energy_pbe_ev_per_cell": -30.0,
        "pbe_gapless": False,
    }


def arrays(gap: float) -> dict[str, np.ndarray]:
    kpoints = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    bands = np.array([[[-1.0, 0.0, gap, gap + 1.0], [-1.2, -0.1, gap + 0.1, gap + 1.0]]])
    out: dict[str, np.ndarray] = {"kpoints": kpoints, "weights": np.array([0.5, 0.5])}
    for level in ("pbe", "pbe_soc", "hse06", "hse06_soc"):
        out[f"eigenvalues_{level}_ev"] = bands
        out[f"n_occupied_{level}"] = np.array([2])
    return out


if __name__ == "__main__":
    sys.exit(main())
