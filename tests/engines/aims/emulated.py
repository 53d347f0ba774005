"""Inputs for the emulator, and a run of it within the test's own process."""

from __future__ import annotations

import io
from pathlib import Path

from aiida_perovskite.engines.aims import AimsOutput, read_output
from aiida_perovskite.engines.aims.emulator.main import emulate

NUCLEI = {"Cs": 55, "Ag": 47, "Bi": 83, "Br": 35, "Na": 11, "In": 49, "Cl": 17, "Fe": 26, "Cu": 29}
BASICS = "xc hse06 0.11\nhse_unit bohr-1\nrelativistic atomic_zora scalar\nk_grid 4 4 4\n"
PBE = "xc pbe\nrelativistic atomic_zora scalar\nk_grid 4 4 4\n"
RELAX = "relax_geometry trm 1e-2\nrelax_unit_cell full\nmax_relaxation_steps 100\n"
PATH = (
    "exx_band_structure_version 1\n"
    "output band 0.0 0.0 0.0 0.5 0.0 0.5 21 G X\n"
    "output band 0.5 0.25 0.75 0.5 0.5 0.5 15 W L\n"
    "output band 0.5 0.5 0.5 0.0 0.0 0.0 21 L G\n"
)
OPTICS = "compute_dielectric 10.0 1000\ndielectric_broadening gaussian 0.05\n"
SOC = "spin collinear\ninclude_spin_orbit non_self_consistent\n"
SYMMETRY = (
    "symmetry_n_params 2 1 1\nsymmetry_params a x\n"
    "symmetry_lv 0.0 , a/2.0 , a/2.0\nsymmetry_lv a/2.0 , 0.0 , a/2.0\nsymmetry_lv a/2.0 , a/2.0 , 0.0\n"
    "symmetry_frac 0.25 , 0.25 , 0.25\nsymmetry_frac 0.75 , 0.75 , 0.75\n"
    "symmetry_frac 0.0 , 0.0 , 0.0\nsymmetry_frac 0.5 , 0.5 , 0.5\n"
    "symmetry_frac -x , x , x\nsymmetry_frac x , -x , -x\nsymmetry_frac x , -x , x\n"
    "symmetry_frac -x , x , -x\nsymmetry_frac x , x , -x\nsymmetry_frac -x , -x , x\n"
)


def species(*names: str) -> str:
    return "".join(f"  species {name}\n    nucleus {NUCLEI[name]}\n    mass 1.0\n" for name in names)


def perovskite(a: float = 11.25, x: float = 0.249, elements: tuple[str, ...] = ("Cs", "Ag", "Bi", "Br")) -> str:
    """geometry.in of the primitive cell of an elpasolite."""
    c, first, second, d = elements
    h = a / 2.0
    lines = [f"lattice_vector 0 {h} {h}", f"lattice_vector {h} 0 {h}", f"lattice_vector {h} {h} 0"]
    lines += [f"atom_frac 0.25 0.25 0.25 {c}", f"atom_frac 0.75 0.75 0.75 {c}"]
    lines += [f"atom_frac 0 0 0 {first}", f"atom_frac 0.5 0.5 0.5 {second}"]
    for signs in ((-1, 1, 1), (1, -1, -1), (1, -1, 1), (-1, 1, -1), (1, 1, -1), (-1, -1, 1)):
        lines.append("atom_frac " + " ".join(str(sign * x) for sign in signs) + f" {d}")
    return "\n".join(lines) + "\n"


def run(
    folder: Path,
    keywords: str,
    geometry: str | None = None,
    blocks: str | None = None,
    **environment: str,
) -> tuple[int, AimsOutput]:
    """Run in a folder; return the exit status and what the reader makes of the output in ``aims.out``."""
    if blocks is None:
        blocks = species("Cs", "Ag", "Bi", "Br")
    (folder / "control.in").write_text(keywords + blocks)
    (folder / "geometry.in").write_text(perovskite() if geometry is None else geometry)
    stream = io.StringIO()
    status = emulate(folder, stream, {f"AIMS_EMULATOR_{name}": value for name, value in environment.items()})
    (folder / "aims.out").write_text(stream.getvalue())
    return status, read_output(folder / "aims.out")
