"""How far the choice of the lattice constant moves a gap: writes results/geometry.csv.

``python benchmarks/geometry.py`` takes the closed-shell compounds of the thesis's table 5.2 at four lattice constants:
CHGNet's (r2SCAN weights), which the workflow takes, and the minima of GPAW's PBE, PBEsol and HSE06 energies over five
of them, the halide at the same fraction of the cell, PBEsol and HSE06 on the orbitals of PBE; at each the halide is
moved by the PBE force and the gap computed with the protocol ``fast``. Rows that the table holds are not computed
again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
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
CUTOFF_EV = 500.0  # at 300 eV the basis, which grows with the cell, bends the energies;
HYBRID_CUTOFF_EV = 300.0  # not so the difference between HSE06 and PBE
FUNCTIONALS = ("PBE", "PBEsol", "HSE06")


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
        a, x = cell(known.loc[formula])
        lattices = {"chgnet_r2scan": a}
        if not all(table.holds(formula, functional) for functional in FUNCTIONALS):
            start = cpu_s()
            lattices |= minima(formula, a, x)
            print(f"{formula}: {lattices}, {cpu_s() - start:.0f} s of a core", flush=True)
        for lattice, size in lattices.items():
            if table.holds(formula, lattice):
                continue
            start = cpu_s()
            row = {"formula": formula, "lattice": lattice, **gap_at(formula, size, x)}
            table.put(row | {"thesis_gap_ev": thesis.get(formula), "cpu_s": cpu_s() - start})


def cpu_s() -> float:
    """Return the processor seconds of this process and the scripts that it called."""
    return sum(os.times()[:4])


def minima(formula: str, a: float, x: float) -> dict[str, float]:
    """Return the lattice constants of the lowest energies in Angstrom (Birch and Murnaghan's equation of state)."""
    from ase.eos import EquationOfState

    atoms = [prototype_atoms(Composition.parse(formula), lattice_angstrom=a * (1 + s), x_halide=x) for s in STRAINS]
    volumes = [one.get_volume() for one in atoms]
    energies = np.array([energies_ev(one) for one in atoms])
    found = {}
    for functional, energy in zip(FUNCTIONALS, energies.T, strict=True):
        volume, _, _ = EquationOfState(volumes, energy, eos="birchmurnaghan").fit()
        if not min(volumes) < volume < max(volumes):
            raise RuntimeError(f"{formula}: the minimum of {functional} lies outside the lattice constants tried")
        found[functional] = float(np.cbrt(4 * volume))
    return found


def energies_ev(atoms: Atoms) -> list[float]:
    """Return the energies by the functionals, on the density and orbitals of PBE."""
    from gpaw.hybrids.energy import non_self_consistent_energy

    energy, calc = pbe(atoms, CUTOFF_EV)
    pbesol = energy + calc.get_xc_difference("PBEsol")
    rough, calc = pbe(atoms, HYBRID_CUTOFF_EV)
    return [energy, pbesol, energy - rough + float(non_self_consistent_energy(calc, "HSE06").sum())]


def pbe(atoms: Atoms, cutoff_ev: float) -> tuple[float, Any]:
    """Return the PBE energy, and the calculator that holds the density."""
    from gpaw import GPAW, PW, FermiDirac

    atoms.calc = GPAW(
        mode=PW(cutoff_ev),
        xc="PBE",
        kpts={"size": (2, 2, 2), "gamma": True},
        occupations=FermiDirac(0.01),
        convergence={"eigenstates": 1e-5, "density": 1e-4},
        txt=None,
    )
    return atoms.get_potential_energy(), atoms.calc


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
