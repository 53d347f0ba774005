"""HSE06 gaps by several routes, at the geometry of the shipped dataset: writes results/hybrid_routes.csv.

``python benchmarks/hybrid_routes.py`` takes the closed-shell compounds of the thesis's table 5.2, and Cs2AgInCl6, on
the k-points of the protocol ``fast``: HSE06 eigenvalues on PBE orbitals, which is what that protocol does where PBE has
a gap, and self-consistent HSE06 with the halide where PBE leaves it, and where HSE06 leaves no force on it, which it
does elsewhere and the protocol ``self_consistent`` everywhere. For copper there is also the start from PBE+U orbitals
with two U, which is no route to take. Fifteen minutes of one core a compound; rows that the table holds are not
computed again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kept_table import KeptTable

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.datasets import load_dataset
from aiida_perovskite.engines import run_script
from aiida_perovskite.engines.gpaw import GAP_SCRIPT, gap_input, parse_gap
from aiida_perovskite.workflows.protocols import load_protocol

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "hybrid_routes.csv"
COMPOUNDS = ("CuInCs2Cl6", "AgInCs2Br6", "AlLiCs2I6", "GeSnCs2Cl6", "GeSnCs2Br6", "AgInRb2Br6", "AgInCs2Cl6")
ROUTES: dict[str, dict[str, Any]] = {
    "on PBE": {"self_consistent_hybrid": "never"},
    "self-consistent": {"self_consistent_hybrid": "always", "max_hybrid_halide_steps": 1},
    "self-consistent, halide by HSE06": {"self_consistent_hybrid": "always"},
    "on PBE+U, 4 eV": {"u_ev": 4.0},
    "on PBE+U, 8 eV": {"u_ev": 8.0},
}


def main() -> None:
    """Compute what the table does not hold, route by route."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formula", action="append", help="may be repeated; those above if not given")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    known = load_dataset("halide-gaps-gpaw").frame.set_index("formula")
    thesis = pd.read_csv(HERE / "thesis_table_5_2.csv").set_index("formula")["gap_ev"]
    table = KeptTable(options.output, "formula", "route")
    for formula in options.formula or COMPOUNDS:
        a, x = cell(known.loc[formula])
        for route, settings in ROUTES.items():
            if table.holds(formula, route) or ("u_ev" in settings and "Cu" not in formula):
                continue
            atoms = prototype_atoms(Composition.parse(formula), lattice_angstrom=a, x_halide=x)
            start = time.process_time()
            found = on_pbe_u(atoms, settings["u_ev"]) if "u_ev" in settings else by_script(atoms, settings)
            row = {"formula": formula, "route": route, **found, "thesis_gap_ev": thesis.get(formula)}
            table.put(row | {"cpu_s": row.get("cpu_s", time.process_time() - start)})


def cell(row: pd.Series) -> tuple[float, float]:
    """Return lattice constant and distance between A and halide over it; the dataset counts it from ``cation_1``."""
    x = float(row["x_halide"])
    return float(row["a_angstrom"]), x if row["cation_1"] == Composition.parse(row.name).a else 0.5 - x


def by_script(atoms: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return halide, gaps and processor seconds of the workflow's own script; PBE does not move the halide."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = load_protocol("gpaw_gap", "fast", settings | {"max_halide_steps": 1})
        run_script(GAP_SCRIPT, gap_input(atoms, parameters), folder)
        text = (folder / "results.json").read_text(encoding="utf-8")
        found = parse_gap(text, (folder / "arrays.npz").read_bytes()).properties
    if found["hybrid_self_consistent"] != (settings["self_consistent_hybrid"] == "always"):
        raise RuntimeError(f"not self-consistent: {found['warnings']}")
    return {
        "x_halide": found["x_halide"],
        "start_gap_ev": found["raw_gap_pbe_ev"],
        "gap_hse06_ev": found["raw_gap_hse06_ev"],
        "gap_hse06_soc_ev": found["raw_gap_hse06_soc_ev"],
        "cpu_s": found["cpu_s"]["total"],
    }


def on_pbe_u(atoms: Any, u_ev: float) -> dict[str, Any]:
    """Return gaps of HSE06 on the orbitals of PBE+U, with U on the d shell of copper; its potential is taken off."""
    from gpaw import GPAW, PW, FermiDirac
    from gpaw.hybrids.eigenvalues import non_self_consistent_eigenvalues
    from gpaw.setup_data import SetupData
    from gpaw.spinorbit import soc_eigenstates

    n = sum(int(SetupData(symbol, "PBE").Nv) for symbol in atoms.symbols) // 2
    calc = GPAW(
        mode=PW(300),
        xc="PBE",
        kpts={"size": (2, 2, 2), "gamma": True},
        nbands=n + 20,
        occupations=FermiDirac(0.01),
        convergence={"bands": n + 8, "eigenstates": 3e-6, "density": 1e-4},
        setups={"Cu": f":d,{u_ev}"},
        txt=None,
    )
    atoms.calc = calc
    atoms.get_potential_energy()
    window = {"n1": n - 14, "n2": n + 8}
    with contextlib.redirect_stdout(io.StringIO()):
        own, own_xc, hybrid_xc = non_self_consistent_eigenvalues(calc, "HSE06", **window)
    energies = own - own_xc + hybrid_xc
    coupled = soc_eigenstates(calc, **window, eigenvalues=energies).eigenvalues()
    return {
        "start_gap_ev": gap(own[0], 14),
        "gap_hse06_ev": gap(energies[0], 14),
        "gap_hse06_soc_ev": gap(coupled, 28),
    }


def gap(energies: np.ndarray, occupied: int) -> float:
    """Return the gap of energies (n_k, n_bands) of which the first ones are occupied; negative where they overlap."""
    ordered = np.sort(energies, axis=-1)
    return float(ordered[:, occupied].min() - ordered[:, occupied - 1].max())


if __name__ == "__main__":
    main()
