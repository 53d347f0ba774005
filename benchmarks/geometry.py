"""How far the choice of the lattice constant moves a gap: writes results/geometry.csv.

``python benchmarks/geometry.py`` takes the closed-shell compounds of the thesis's table 5.2 at three lattice constants:
CHGNet's (r2SCAN weights), which the workflow takes, and the minima of GPAW's PBE and PBEsol energies over five of them;
at each the halide is moved by the PBE force and the gap computed with the protocol ``fast``. Eight minutes of one core
a compound. Rows that the table holds are not computed again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hybrid_routes import cell
from kept_table import KeptTable

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.datasets import load_dataset
from aiida_perovskite.engines import run_script
from aiida_perovskite.engines.gpaw import GAP_SCRIPT, gap_input, parse_gap
from aiida_perovskite.workflows.protocols import load_protocol

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "geometry.csv"
COMPOUNDS = ("AgInCs2Br6", "AgInRb2Br6", "CuInCs2Cl6", "GeSnCs2Cl6", "GeSnCs2Br6", "AlLiCs2I6")
STRAINS = (-0.03, -0.015, 0.0, 0.015, 0.03)  # of CHGNet's lattice constant
CUTOFF_EV = 500.0  # at 300 eV the basis, which grows with the cell, bends the energies
SOURCES = {"chgnet_r2scan": None, "pbe": "PBE", "pbesol": "PBEsol"}


def main() -> None:
    """Compute what the table does not hold, compound by compound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formula", action="append", help="may be repeated; those above if not given")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    known = load_dataset("halide-gaps-gpaw").frame.set_index("formula")
    thesis = pd.read_csv(HERE / "thesis_table_5_2.csv").set_index("formula")["gap_ev"]
    table = KeptTable(options.output, "formula", "lattice")
    for formula in options.formula or COMPOUNDS:
        for source, functional in SOURCES.items():
            if table.holds(formula, source):
                continue
            start = sum(os.times()[:4])  # of this process and the scripts that it called
            a, x = cell(known.loc[formula])
            if functional:
                a = minimum(formula, a, x, functional)
            row = {"formula": formula, "lattice": source, **gap_at(formula, a, x)}
            table.put(row | {"thesis_gap_ev": thesis.get(formula), "cpu_s": sum(os.times()[:4]) - start})


def minimum(formula: str, a: float, x: float, functional: str) -> float:
    """Return the lattice constant of the lowest energy (Birch and Murnaghan's equation of state), in Angstrom."""
    from ase.eos import EquationOfState
    from gpaw import GPAW, PW, FermiDirac

    volumes, energies = [], []
    for strain in STRAINS:
        atoms = prototype_atoms(Composition.parse(formula), lattice_angstrom=a * (1 + strain), x_halide=x)
        atoms.calc = GPAW(
            mode=PW(CUTOFF_EV),
            xc=functional,
            kpts={"size": (2, 2, 2), "gamma": True},
            occupations=FermiDirac(0.01),
            convergence={"eigenstates": 1e-5, "density": 1e-4},
            txt=None,
        )
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, _, _ = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    if not min(volumes) < volume < max(volumes):
        raise RuntimeError(f"{formula}: the minimum of {functional} lies outside the lattice constants tried")
    return float(np.cbrt(4 * volume))


def gap_at(formula: str, a: float, x: float) -> dict[str, Any]:
    """Return lattice, halide and gaps with the protocol ``fast``."""
    atoms = prototype_atoms(Composition.parse(formula), lattice_angstrom=a, x_halide=x)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_script(GAP_SCRIPT, gap_input(atoms, load_protocol("gpaw_gap", "fast")), folder)
        text = (folder / "results.json").read_text(encoding="utf-8")
        found = parse_gap(text, (folder / "arrays.npz").read_bytes()).properties
    columns = ("a_angstrom", "x_halide", "gap_pbe_ev", "gap_hse06_ev", "gap_hse06_soc_ev", "pbe_gapless")
    return {name: found[name] for name in columns}


if __name__ == "__main__":
    main()
