"""Files beside standard output, in FHI-aims's formats. Those that a restart reads are written whole, then renamed."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.errors import AbortRun
from aiida_perovskite.engines.aims.emulator.geometry import Geometry
from aiida_perovskite.engines.aims.emulator.optics import COMPONENTS, Optics
from aiida_perovskite.engines.aims.emulator.relaxation import Relaxation

Floats = NDArray[np.float64]

NOTE = "written by aims-emulator of aiida-perovskite from a toy model, not by FHI-aims"
HESSIAN = "hessian.aims"
NEXT_STEP = "geometry.in.next_step"
_HESSIAN_TAG = 20180501  # the date that real files of 2022 to 2024 begin with
_ATOMIC_UNITS = 27.2113845 / 0.52917721**2  # eV/Angstrom^2 in one Hartree/bohr^2


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    data = content.encode() if isinstance(content, str) else content
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.replace(path)


def write_next_step(folder: Path, geometry: Geometry, identifier: str, trust_radius: float) -> None:
    """Write ``geometry.in.next_step``: neither the symmetry block nor the moments, which is the worst case."""
    lines = [
        "# ",
        "# This is the geometry file that corresponds to the current relaxation step.",
        f"# It was {NOTE}.",
        f"#  aims_uuid : {identifier}",
        "# ",
    ]
    if geometry.lattice is not None:
        lines += ["lattice_vector" + "".join(f"{x:16.8f}" for x in row) for row in geometry.lattice]
        keyword, rows = "atom_frac", geometry.fractional
    else:
        keyword, rows = "atom", geometry.positions
    for name, row in zip(geometry.species, rows, strict=True):
        lines.append(f"{keyword} " + "".join(f"{x:16.8f}" for x in row) + f" {name}")
    lines += [
        "# ",
        "# What follows is the current estimated Hessian matrix constructed by the BFGS algorithm.",
        "# This is NOT the true Hessian matrix of the system.",
        "# ",
        f"trust_radius       {trust_radius:22.10f}",
        "hessian_file",
    ]
    write_whole(folder / NEXT_STEP, "\n".join(lines) + "\n")


def write_hessian(folder: Path, relaxation: Relaxation, hessian: Floats) -> None:
    """Write ``hessian.aims``: a tag and a square matrix of doubles, atoms first, then the cell where it is relaxed."""
    whole = relaxation.free.T @ hessian @ relaxation.free / _ATOMIC_UNITS
    size = len(whole)
    order = list(range(9, size)) + (list(range(9)) if relaxation.cell != "none" else [])
    write_whole(folder / HESSIAN, struct.pack("<i", _HESSIAN_TAG) + whole[np.ix_(order, order)].astype("<f8").tobytes())


def check_hessian(folder: Path, geometry: Geometry) -> None:
    """Check the Hessian that ``geometry.in`` announces.

    Raises
    ------
    AbortRun
        If it is missing or of another structure.
    """
    path = folder / HESSIAN
    if not path.is_file():
        raise AbortRun(f"Input file {HESSIAN} not found, but geometry.in asks for it.")
    sizes = [4 + 8 * n**2 for n in (3 * len(geometry.species), 3 * len(geometry.species) + 9)]
    if path.stat().st_size not in sizes:
        raise AbortRun(f"File {HESSIAN} does not fit the structure of geometry.in.")


def density_files(folder: Path) -> list[Path]:
    """Return the density matrices of an earlier run."""
    return sorted(folder.glob("D_spin_*_kpt_*.csc"))


def write_density(folder: Path, spins: int, k_points: int) -> None:
    """Write density matrices, one a spin and k-point, named as real ones; they hold a note only."""
    for spin in range(1, spins + 1):
        for number in range(1, k_points + 1):
            write_whole(folder / f"D_spin_{spin:02d}_kpt_{number:06d}.csc", f"{NOTE}\n")


def write_bands(path: Path, k: Floats, energies: Floats, occupations: Floats, zero_ev: float, wide: bool) -> None:
    """Write one segment of bands, energies above the family's zero; the format has no room for a comment.

    Parameters
    ----------
    k, energies, occupations
        ``(points, 3)``, ``(points, bands)`` twice.
    wide
        Energies in 17 columns, as since 2019 without spin-orbit coupling, instead of 15.
    """
    pattern = "%12.5f%17.5f" if wide else "%12.5f%15.5f"
    lines = []
    for number, (point, row, filling) in enumerate(zip(k, energies - zero_ev, occupations, strict=True), start=1):
        pairs = np.stack([filling, row], axis=1).ravel()
        body = (pattern * len(row)) % tuple(pairs)
        lines.append(f"{number:4d}  " + "".join(f"{x:15.7f}" for x in point) + body)
    write_whole(path, "\n".join(lines) + "\n")


def write_optics(
    folder: Path, optics: Optics, kind: str, width: float, components: tuple[str, ...], coupled: bool
) -> None:
    """Write dielectric function and absorption by component.

    The names with spin-orbit coupling (``soc_``) are not proven by any real output at hand.
    """
    shape = kind.capitalize()
    tag = f"{'soc_' if coupled else ''}{shape}_{width:.4f}"
    head = f"# {shape} broadening used, width        {width:.4E} eV\n"
    plasma = "# Calculated plasma frequency [eV]:        0.0000E+00\n"
    note = f"# {NOTE}\n"
    for name in components:
        letters = name.replace("_", "")
        label = f"_{{{letters}}}"
        real, imaginary = optics.real[name], optics.imaginary[name]
        vacuum = float(letters[0] == letters[1])
        parts = ("Vacuum", "Polarizability)^{inter}", "Polarizability)^{intra}", "Dielectric")
        names = [
            f"{side}({part}{label}" if "^" in part else f"{side}({part}){label}"
            for part in parts
            for side in ("Re", "Im")
        ]
        columns = np.zeros((len(real), 9))
        columns[:, 0], columns[:, 1] = optics.omega_ev, vacuum
        columns[:, 3], columns[:, 4] = real - vacuum, imaginary
        columns[:, 7], columns[:, 8] = real, imaginary
        rows = "\n".join("".join(_fortran_like(x, 6, 19) for x in row) for row in columns)
        text = f"{head}{plasma}{note}# omega [eV],  {', '.join(names)}\n{rows}\n"
        write_whole(folder / f"dielectric_function_{tag}_{name}.out", text)
        if name in optics.absorption_per_cm:
            pairs = zip(optics.omega_ev, optics.absorption_per_cm[name], strict=True)
            rows = "\n".join(_fortran_like(a, 4, 17) + _fortran_like(b, 4, 17) for a, b in pairs)
            text = f"{head}{note}# \\omega [eV], \\alpha_{{{letters[0]}}}\n{rows}\n"
            write_whole(folder / f"absorption_{tag}_{name}.out", text)


def asked_components(outputs: list[list[str]]) -> tuple[str, ...]:
    """Return the components that are written: those of ``output dielectric``, or all."""
    asked = tuple(f"{words[3]}_{words[4]}" for words in outputs if words[0] == "dielectric")
    return tuple(name for name in COMPONENTS if name in asked) if asked else COMPONENTS


def _fortran_like(value: float, digits: int, width: int) -> str:
    """Return ``1.0000E-002``: what the dielectric files print, an exponent of three digits."""
    mantissa, _, power = f"{value:.{digits}E}".partition("E")
    return f"{mantissa}E{int(power):+04d}".rjust(width)
