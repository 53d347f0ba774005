"""Densities of states, total and projected, in FHI-aims's file formats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.electrons import Electrons, Family, Grid
from aiida_perovskite.engines.aims.emulator.files import NOTE, write_whole
from aiida_perovskite.engines.aims.emulator.report import Report

Floats = NDArray[np.float64]

_KINDS = {"dos": "total", "atom_proj_dos": "atom-projected", "species_proj_dos": "species-projected"}
_ORBITALS = 4  # s, p, d, f
# What bands are made of: the valence bands of the anions' p and the cations' d, the conduction bands of s and p.
_SHARES = {
    "anion": ((0.05, 0.60, 0.02, 0.0), (0.10, 0.15, 0.05, 0.0)),
    "cation": ((0.06, 0.04, 0.23, 0.0), (0.30, 0.36, 0.03, 0.01)),
}


class Densities:
    """The densities of states of one run.

    Parameters
    ----------
    folder, report
        Where to.
    outputs
        The words behind each ``output`` keyword.
    labels
        Species of each atom.
    """

    def __init__(self, folder: Path, report: Report, outputs: Sequence[list[str]], labels: Sequence[str]) -> None:
        self.folder = folder
        self.report = report
        self.asked = [words for words in outputs if words[0] in _KINDS]
        self.labels = list(labels)

    def write(self, electrons: Electrons, grid: Grid, family: Family, suffix: str) -> None:
        """Write the files that are asked for, with a suffix behind each name: ``.no_soc`` or nothing."""
        mu = electrons.chemical_potential(grid, family)
        for kind, first, last, points, width, *_ in self.asked:
            energies = np.linspace(float(first), float(last), int(float(points)))
            density = _density(electrons, grid, family, energies, float(width))
            self.report.lines(f"  Calculating {_KINDS[kind]} density of states ...")
            self.report.lines(f"  | Chemical potential is {mu:10.6f} eV.")
            if kind == "dos":
                _total(self.folder, energies, density.sum(axis=1), mu, suffix)
                self.report.lines(
                    f"  | writing DOS (shifted by electron chemical potential) to file KS_DOS_total.dat{suffix}",
                    f"  | writing DOS (raw data) to file KS_DOS_total_raw.dat{suffix}",
                )
            else:
                shares = _atom_shares(electrons)
                for name, members, file in self._groups(kind):
                    weights = shares[members].sum(axis=0)
                    self._projected(name, file, energies, density, weights, mu, suffix)
            self.report.lines("")

    def _groups(self, kind: str) -> list[tuple[str, list[int], str]]:
        """Return species, atoms and pattern of the file name of each projection."""
        if kind == "atom_proj_dos":
            return [
                (name, [atom], f"atom_proj_dos_{{spin_prefix}}{name}{atom + 1:04d}")
                for atom, name in enumerate(self.labels)
            ]
        members = {name: [i for i, label in enumerate(self.labels) if label == name] for name in self.labels}
        return [(name, atoms, f"{name}_l_proj_dos{{spin_suffix}}") for name, atoms in members.items()]

    def _projected(
        self, name: str, file: str, energies: Floats, density: Floats, weights: Floats, mu: float, suffix: str
    ) -> None:
        for spin, parts in enumerate(density):
            tag = ("up", "dn")[spin] if len(density) == 2 else ""
            side = {"up": "spin-up", "dn": "spin-down", "": " "}[tag]
            orbitals = parts[0][:, None] * weights[0] + parts[1][:, None] * weights[1]
            start = file.format(spin_prefix=f"spin_{tag}" if tag else "", spin_suffix=f"_spin_{tag}" if tag else "")
            for raw in (False, True):
                path = self.folder / f"{start}{'_raw' if raw else ''}.dat{suffix}"
                _write_projected(path, name, energies, orbitals, mu, raw)
                what = "raw data" if raw else "shifted by the chemical potential"
                self.report.lines(f"  | writing {side} projected DOS ({what}) for species {name} to file {path.name}.")


def _density(electrons: Electrons, grid: Grid, family: Family, energies: Floats, width: float) -> Floats:
    """Return states per eV, ``(spins, 2, points)``: of occupied and of empty bands."""
    mu = electrons.chemical_potential(grid, family)
    per_state = 2.0 if electrons.spins == 1 and family == "scalar" else 1.0
    result = []
    for channel in electrons.bands(grid.points, family):
        levels = channel.ravel()
        weights = np.repeat(grid.weights, channel.shape[1]) * per_state
        near = (levels > energies[0] - 6.0 * width) & (levels < energies[-1] + 6.0 * width)
        levels, weights = levels[near], weights[near]
        parts = []
        for side in (levels <= mu, levels > mu):
            away = (energies[:, None] - levels[None, side]) / width
            parts.append(np.exp(-0.5 * away**2) @ weights[side] / (width * math.sqrt(2.0 * math.pi)))
        result.append(parts)
    return np.array(result)


def _total(folder: Path, energies: Floats, density: Floats, mu: float, suffix: str) -> None:
    columns = "   DOS(spin up)   DOS(spin down)" if len(density) == 2 else "   DOS"
    system = "spin polarized" if len(density) == 2 else "non spin polarized"
    for raw, zero in ((False, mu), (True, 0.0)):
        reference = "vacuum level" if raw else f"chemical potential, mu = {mu:16.6f} eV"
        lines = [
            f"# total density of states output by FHI-aims, for a {system} system",
            f"# {NOTE}",
            f"# The energy reference for this output is the {reference}",
            f"#    Energy (eV)   {columns}",
        ]
        lines += [
            f"{e - zero:17.8f}" + "".join(f"{d:16.8f}" for d in row) for e, row in zip(energies, density.T, strict=True)
        ]
        write_whole(folder / f"KS_DOS_total{'_raw' if raw else ''}.dat{suffix}", "\n".join(lines) + "\n")


def _write_projected(path: Path, name: str, energies: Floats, orbitals: Floats, mu: float, raw: bool) -> None:
    reference = "vacuum level" if raw else f"chemical potential, mu = {mu:16.6f} eV"
    lines = [
        f"# angular momentum projected density of states for species {name:<20} as calculated by FHI-aims ",
        f"# {NOTE}",
        f"# The energy reference for this output is the {reference}",
        "#      Energy (eV)         total dos     "
        + "".join(f"l= {number}              " for number in range(_ORBITALS)).rstrip(),
    ]
    zero = 0.0 if raw else mu
    for energy, row in zip(energies, orbitals, strict=True):
        lines.append(f"{energy - zero:19.8f}{row.sum():18.8f}" + "".join(f"{d:18.8f}" for d in row))
    write_whole(path, "\n".join(lines) + "\n")


def _atom_shares(electrons: Electrons) -> Floats:
    """Return what each atom has of the occupied and of the empty bands, ``(atoms, 2, orbitals)``; one in all."""
    sides = ["anion" if charge < 0 else "cation" for charge in electrons.model.charges]
    shares = np.array([_SHARES[side] for side in sides])
    counts = np.array([sides.count(side) for side in sides])
    shares = shares / counts[:, None, None]
    # Large cations take no part at the edges.
    large = [kind.electronegativity <= 0.85 for kind in electrons.model.kinds]
    if not all(large):
        shares[np.array(large)] *= 0.02
    return np.asarray(shares / shares.sum(axis=(0, 2), keepdims=True))
