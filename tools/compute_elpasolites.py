"""Compute the demo set of elpasolites with CHGNet: ``compute_elpasolites.py FOLDER [--compounds N]``.

Every energy is CHGNet's (r2SCAN weights), none is DFT's. FOLDER keeps what has been computed, one line per structure;
called again, the program goes on there. When all is done it writes ``elpasolites_chgnet_demo.csv`` into the package and
enters its checksum. It must be run by an interpreter that has CHGNet.

A compound is the Fm-3m prototype, lattice constant and position of D relaxed. Its formation energy is counted from the
elements, each in the structure and the cell that `ELEMENTS` gives, its atoms relaxed (CHGNet would tear some metals
apart). Half of the compounds are drawn from the whole space, half from those that are neutral by known oxidation
states: few of the former have low energies.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from aiida_perovskite.chemistry import Composition, is_charge_balanced, prototype_atoms
from aiida_perovskite.engines.chgnet import MODULES
from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.learning.generative import space

PACKAGE = Path(__file__).parents[1] / "aiida_perovskite"
TABLE = PACKAGE / "datasets" / "shipped" / "elpasolites_chgnet_demo.csv"
SEED = 2026
MODEL = "r2scan"
RELAXATION = {"cell_filter": "frechet", "max_force_ev_per_angstrom": 0.03, "max_steps": 100}
MOST_APART = 5.0  # Angstrom to the nearest atom: beyond it the cell flew apart (CHGNet sees 6 Angstrom)
ENERGIES = (-5.0, 6.0)  # eV/atom: those of DFT go from -3.1 to 5.0, and beyond CHGNet's mean nothing

# Element -> space group, cell (a, b, c in Angstrom, angles in degrees), one atom of each orbit; about as tabulated in
# R. W. G. Wyckoff, "Crystal Structures". Molecules stand in simple ordered crystals (N2 in Pa-3 also for H2 and O2, I2
# in Cmce also for the other halogens), sulphur in the chains of selenium: what matters is one reference for all.
Orbit = tuple[float, float, float]
Reference = tuple[int, tuple[float, ...], tuple[Orbit, ...]]


def _cubic(group: int, a: float, *orbits: Orbit) -> Reference:
    return group, (a, a, a, 90, 90, 90), orbits or ((0, 0, 0),)


def _hexagonal(group: int, a: float, c: float, *orbits: Orbit) -> Reference:
    return group, (a, a, c, 90, 90, 120), orbits


def _orthogonal(group: int, a: float, b: float, c: float, *orbits: Orbit) -> Reference:
    return group, (a, b, c, 90, 90, 90), orbits


_HCP = (1 / 3, 2 / 3, 1 / 4)
_DIAMOND = (1 / 8, 1 / 8, 1 / 8)
ELEMENTS: dict[str, Reference] = {
    "H": _cubic(205, 5.31, (0.040, 0.040, 0.040)),
    "He": _hexagonal(194, 3.53, 5.69, _HCP),
    "Li": _cubic(229, 3.51),
    "Be": _hexagonal(194, 2.29, 3.58, _HCP),
    "B": _hexagonal(166, 4.91, 12.57, (0.1189, -0.1189, 0.8912), (0.1967, -0.1967, 0.0245)),
    "C": _hexagonal(194, 2.46, 6.71, (0, 0, 1 / 4), (1 / 3, 2 / 3, 1 / 4)),
    "N": _cubic(205, 5.66, (0.056, 0.056, 0.056)),
    "O": _cubic(205, 5.20, (0.067, 0.067, 0.067)),
    "F": _orthogonal(64, 4.9, 3.3, 6.5, (0, 0.130, 0.085)),
    "Ne": _cubic(225, 4.43),
    "Na": _cubic(229, 4.29),
    "Mg": _hexagonal(194, 3.21, 5.21, _HCP),
    "Al": _cubic(225, 4.05),
    "Si": _cubic(227, 5.43, _DIAMOND),
    "P": _orthogonal(64, 3.31, 10.48, 4.37, (0, 0.1017, 0.0806)),
    "S": _hexagonal(152, 4.0, 4.7, (0.25, 0, 1 / 3)),
    "Cl": _orthogonal(64, 6.15, 4.40, 8.15, (0, 0.130, 0.099)),
    "Ar": _cubic(225, 5.26),
    "K": _cubic(229, 5.33),
    "Ca": _cubic(225, 5.59),
    "Ga": _orthogonal(64, 4.52, 7.66, 4.53, (0, 0.1539, 0.081)),
    "Ge": _cubic(227, 5.66, _DIAMOND),
    "As": _hexagonal(166, 3.76, 10.55, (0, 0, 0.227)),
    "Se": _hexagonal(152, 4.37, 4.95, (0.2254, 0, 1 / 3)),
    "Br": _orthogonal(64, 6.6, 4.5, 8.7, (0, 0.140, 0.110)),
    "Kr": _cubic(225, 5.65),
    "Rb": _cubic(229, 5.59),
    "Sr": _cubic(225, 6.08),
    "In": _orthogonal(139, 3.25, 3.25, 4.95, (0, 0, 0)),
    "Sn": _cubic(227, 6.49, _DIAMOND),
    "Sb": _hexagonal(166, 4.31, 11.27, (0, 0, 0.233)),
    "Te": _hexagonal(152, 4.46, 5.93, (0.2633, 0, 1 / 3)),
    "I": _orthogonal(64, 7.14, 4.69, 9.78, (0, 0.1543, 0.1174)),
    "Xe": _cubic(225, 6.13),
    "Cs": _cubic(229, 6.14),
    "Ba": _cubic(229, 5.02),
    "Tl": _hexagonal(194, 3.46, 5.52, _HCP),
    "Pb": _cubic(225, 4.95),
    "Bi": _hexagonal(166, 4.55, 11.86, (0, 0, 0.2341)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where results are kept from call to call")
    parser.add_argument("--compounds", type=int, default=500, help="size of the table before failures (default: 500)")
    parser.add_argument("--only", type=int, help="stop after so many new structures, without a table")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    assert set(ELEMENTS) == set(space.ELEMENTS)
    drawn = draw(arguments.compounds)
    jobs = {f"element {symbol}": symbol for symbol in ELEMENTS} | {item.pretty: item for item in drawn}
    arguments.folder.mkdir(parents=True, exist_ok=True)
    done = compute(jobs, arguments.folder / "results.jsonl", arguments.only)
    if set(jobs) <= set(done):
        write_table(drawn, done)
    return 0


def draw(n: int) -> list[Composition]:
    """Return compounds, each once: the first half from the whole space, then neutral ones."""
    codes = np.random.default_rng(SEED).permutation(space.space_codes())
    anywhere, neutral = {}, {}
    for code in codes.tolist():
        composition = Composition.parse(space.formula_of(code))
        if len(anywhere) < n // 2:
            anywhere[composition.formula] = composition
        elif composition.formula not in anywhere and is_charge_balanced(composition):
            neutral[composition.formula] = composition
            if len(neutral) == n - n // 2:
                break
    return [*anywhere.values(), *neutral.values()]


def compute(jobs: dict[str, Any], path: Path, most: int | None) -> dict[str, dict[str, Any]]:
    """Relax what the file does not hold yet; return everything that it holds."""
    done = {}
    if path.is_file():
        # A kill may have cut the last line: it is taken away and computed again.
        lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        path.write_text("".join(lines), encoding="utf-8")
        done = {row["name"]: row for row in map(json.loads, lines)}
    missing = [name for name in jobs if name not in done][:most]
    sys.path[:0] = sorted({str(module.parent) for module in MODULES})
    from chgnet_calculator import load_calculator

    calculator = load_calculator(MODEL)
    with path.open("a", encoding="utf-8") as file:
        for number, name in enumerate(missing, start=1):
            start = time.process_time()
            row = {"name": name, **relaxed(jobs[name], calculator), "cpu_s": round(time.process_time() - start, 2)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            done[name] = row
            print(f"{number}/{len(missing)} {name}: {row}", flush=True)
    return done


def relaxed(job: Any, calculator: Any) -> dict[str, Any]:
    """Return energy and geometry of an element (a symbol) or a compound; ``converged`` is false where that failed."""
    from ase.constraints import FixSymmetry
    from perovskite_relax import double_perovskite, relax

    element = isinstance(job, str)
    atoms = reference_atoms(job) if element else starting_atoms(job)
    atoms.set_constraint(FixSymmetry(atoms, symprec=1e-3))
    settings = RELAXATION | ({"cell_filter": "none"} if element else {})
    try:
        converged, steps = relax(atoms, calculator, settings)
        energy = float(atoms.get_potential_energy()) / len(atoms)
    except Exception as error:  # a cell that flew apart has no graph; which error that is depends on how
        return {"converged": False, "error": f"{type(error).__name__}: {error}"[:200]}
    geometry = double_perovskite(atoms)
    return {
        "converged": bool(converged and np.isfinite(energy) and (element or nearest_distance(atoms) < MOST_APART)),
        "steps": steps,
        "energy_ev_per_atom": energy,
        "volume_per_atom": float(atoms.get_volume() / len(atoms)),
        "a_angstrom": geometry[0] if geometry else None,
        "x": geometry[1] if geometry else None,
    }


def nearest_distance(atoms: Any) -> float:
    """Return how far the atom that is farthest from all others is from its nearest one, in Angstrom."""
    from ase.neighborlist import neighbor_list

    index, distance = neighbor_list("id", atoms, cutoff=2 * MOST_APART)
    nearest = [distance[index == atom].min(initial=np.inf) for atom in range(len(atoms))]
    return float(max(nearest))


def reference_atoms(symbol: str) -> Any:
    """Return the crystal of an element."""
    from ase.spacegroup import crystal

    group, cell, orbits = ELEMENTS[symbol]
    setting = 2 if group == 227 else 1
    return crystal([symbol] * len(orbits), orbits, spacegroup=group, cellpar=cell, setting=setting, primitive_cell=True)


def starting_atoms(composition: Composition) -> Any:
    """Return the prototype with distances that are sums of covalent radii, which all elements have."""
    from ase.data import atomic_numbers, covalent_radii

    a, b, c, d = (float(covalent_radii[atomic_numbers[symbol]]) for symbol in composition.elements)
    lattice = max(2 * (a + b + 2 * d), 2 * 2**0.5 * (c + d))
    atoms = prototype_atoms(composition, lattice_angstrom=lattice, x_halide=(a + d) / (a + b + 2 * d) / 2)
    atoms.set_initial_magnetic_moments(None)
    return atoms


def write_table(drawn: list[Composition], done: dict[str, dict[str, Any]]) -> None:
    """Write the table with its checksum; say what is not in it."""
    import pandas as pd
    import pooch
    from chgnet_calculator import versions

    bad = [symbol for symbol in ELEMENTS if not done[f"element {symbol}"]["converged"]]
    if bad:
        raise SystemExit(f"no reference energy of {', '.join(bad)}")
    energy = {symbol: done[f"element {symbol}"]["energy_ev_per_atom"] for symbol in ELEMENTS}
    rows, lost = [], []
    for composition in drawn:
        found, (a, b, c, d) = done[composition.pretty], composition.elements
        formation = found.get("energy_ev_per_atom", np.nan) - np.dot(
            [0.1, 0.1, 0.2, 0.6], [energy[symbol] for symbol in (a, b, c, d)]
        )
        if not (found["converged"] and found["x"] and ENERGIES[0] < formation < ENERGIES[1]):
            lost.append(composition.pretty)
            continue
        rows.append([a, b, c, d, round(formation, 4), round(found["a_angstrom"], 4), round(found["x"], 4)])
    frame = pd.DataFrame(rows, columns=[*"ABCD", "formation_energy_eV_per_atom", "a_angstrom", "x"])
    frame["computed_by"] = f"CHGNet {versions()['chgnet']} ({MODEL} weights), not DFT"
    with atomic_path(TABLE) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
    sums = TABLE.with_name("SHA256SUMS")
    others = [line for line in sums.read_text(encoding="utf-8").splitlines() if not line.endswith(f" {TABLE.name}")]
    with atomic_path(sums) as temporary:
        lines = [*others, f"{pooch.file_hash(str(TABLE))}  {TABLE.name}"]
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    seconds = sum(row["cpu_s"] for row in done.values())
    print(f"{len(frame)} compounds in {TABLE.name}, {seconds / 60:.0f} min of CPU; left out {len(lost)}: {lost}")


if __name__ == "__main__":
    sys.exit(main())
