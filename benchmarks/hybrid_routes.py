"""The hybrid gap of compounds that PBE calls metals, by three routes: writes results/hybrid_routes.csv.

``python benchmarks/hybrid_routes.py`` computes HSE06 gaps on the k-points of the protocol ``fast``, at the geometry of
the shipped dataset: non-self-consistently on the PBE density (what the protocols do), the same on a PBE+U density, for
two U on the d shell of copper or silver, and self-consistently, as the thesis's code does. A compound with a PBE gap
shows what self-consistency is worth where the start is sound. Rows that the table holds are not computed again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import processor

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.datasets import load_dataset
from aiida_perovskite.learning.checkpoint import atomic_path

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "hybrid_routes.csv"
COMPOUNDS = ("CuInCs2Cl6", "AgInCs2Cl6")
ROUTES: dict[str, dict[str, Any]] = {
    "on PBE": {"xc": "PBE"},
    "on PBE+U, 4 eV": {"xc": "PBE", "u_ev": 4.0},
    "on PBE+U, 8 eV": {"xc": "PBE", "u_ev": 8.0},
    "self-consistent": {"xc": "HSE06"},
}
EMPTY_BANDS = 6  # of the self-consistent route, whose time goes with all bands


def main() -> None:
    """Compute what the table does not hold, route by route."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formula", action="append", help="may be repeated; those above if not given")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    known = load_dataset("halide-gaps-gpaw").frame.set_index("formula")
    thesis = pd.read_csv(HERE / "thesis_table_5_2.csv").set_index("formula")["gap_ev"]
    table = pd.read_csv(options.output) if options.output.exists() else pd.DataFrame(columns=["formula", "route"])
    for formula in options.formula or COMPOUNDS:
        a, x = known.loc[formula, ["a_angstrom", "x_halide"]].astype(float)
        for route, settings in ROUTES.items():
            if ((table["formula"] == formula) & (table["route"] == route)).any():
                continue
            atoms = prototype_atoms(Composition.parse(formula), lattice_angstrom=a, x_halide=x)
            start = time.process_time()
            row = {"formula": formula, "route": route, **gaps(atoms, **settings)}
            row |= {"cpu_s": time.process_time() - start, "thesis_gap_ev": thesis.get(formula)}
            row["machine"] = f"{processor()}, {os.cpu_count()} cores"
            print({key: value for key, value in row.items() if key != "machine"}, flush=True)
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            with atomic_path(options.output) as temporary:
                table.to_csv(temporary, index=False, float_format="%.4f")


def gaps(atoms: Any, xc: str, u_ev: float = 0.0) -> dict[str, Any]:
    """Return the gap of the start and of HSE06, without and with spin-orbit coupling, in eV, and the steps taken."""
    from gpaw import GPAW, PW, FermiDirac
    from gpaw.hybrids.eigenvalues import non_self_consistent_eigenvalues
    from gpaw.spinorbit import soc_eigenstates

    electrons = count_electrons(atoms)
    n = electrons // 2
    hybrid = xc == "HSE06"
    metal = next(symbol for symbol in atoms.symbols if symbol in ("Cu", "Ag"))
    calc = GPAW(
        mode=PW(300),
        xc=xc,
        kpts={"size": (2, 2, 2), "gamma": True},
        nbands=n + (EMPTY_BANDS if hybrid else 20),
        occupations=FermiDirac(0.01),
        convergence={"bands": n + (2 if hybrid else 8), "eigenstates": 3e-6, "density": 1e-4},
        setups={metal: f":d,{u_ev}"} if u_ev else {},
        txt="-" if hybrid else None,
    )
    atoms.calc = calc
    atoms.get_potential_energy()
    first, last = n - 14, n + (EMPTY_BANDS if hybrid else 8)
    points = range(len(calc.get_ibz_k_points()))
    start = np.array([[calc.get_eigenvalues(k)[first:last] for k in points]])
    energies = start
    if not hybrid:
        with contextlib.redirect_stdout(io.StringIO()):
            own, own_xc, hybrid_xc = non_self_consistent_eigenvalues(calc, "HSE06", n1=first, n2=last)
        energies = own - own_xc + hybrid_xc
    coupled = soc_eigenstates(calc, n1=first, n2=last, eigenvalues=energies).eigenvalues()
    return {
        "start_gap_ev": gap(start[0], n - first),
        "gap_hse06_ev": gap(energies[0], n - first),
        "gap_hse06_soc_ev": gap(coupled, 2 * (n - first)),
        "steps": calc.get_number_of_iterations(),
    }


def count_electrons(atoms: Any) -> int:
    """Return the number of valence electrons of the cell."""
    from gpaw.setup_data import SetupData

    return sum(int(SetupData(symbol, "PBE").Nv) for symbol in atoms.symbols)


def gap(energies: np.ndarray, occupied: int) -> float:
    """Return the gap of energies (n_k, n_bands) of which the first ones are occupied; negative where they overlap."""
    ordered = np.sort(energies, axis=-1)
    return float(ordered[:, occupied].min() - ordered[:, occupied - 1].max())


if __name__ == "__main__":
    main()
