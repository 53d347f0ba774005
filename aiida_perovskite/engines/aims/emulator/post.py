"""What follows self-consistency: spin-orbit coupling, dielectric function, bands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator import files, sections
from aiida_perovskite.engines.aims.emulator.control import Control, Segment
from aiida_perovskite.engines.aims.emulator.electrons import Edges, Electrons, Family, Grid
from aiida_perovskite.engines.aims.emulator.optics import spectra
from aiida_perovskite.engines.aims.emulator.report import Report, fortran

Floats = NDArray[np.float64]

_STARS = "  " + "*" * 66


def spin_orbit(report: Report, electrons: Electrons, grid: Grid) -> None:
    """Write the section on spin-orbit coupling."""
    mu = electrons.chemical_potential(grid, "spin_orbit")
    rule = _STARS
    report.lines("", rule, "  **          STARTING SECOND VARIATIONAL SOC CALCULATION         **", rule, "")
    report.lines("  Integrating SOC matrix: batch-based integration p2 version.", "")
    report.lines("  Determining occupation numbers for Kohn-Sham eigenstates.")
    report.lines(f"  | Chemical potential (Fermi level) in eV                 : {fortran(mu, 8, 14)}", "")
    report.lines("  Writing SOC-perturbed Kohn-Sham eigenvalues.")
    report.lines("  K-point:       1 at    0.000000    0.000000    0.000000 (in units of recip. lattice)", "")
    report.lines("  State    Occupation    Unperturbed Eigenvalue [eV]    Eigenvalue [eV]    Level Spacing [eV]")
    energies = electrons.bands(np.zeros((1, 3)), "spin_orbit")[0, 0]
    channels = electrons.bands(np.zeros((1, 3)))[:, 0]
    before = np.sort(np.concatenate([channels[0], channels[-1]]))
    occupations = electrons.occupations(energies, mu, "spin_orbit")
    spacing = np.diff(energies, prepend=energies[:1])
    for number, row in enumerate(zip(occupations, before, energies, spacing, strict=True), start=1):
        report.lines(f"  {number:5d}{row[0]:14.5f}{row[1]:31.6f}{row[2]:19.6f}{row[3]:21.6f}")
    report.lines("")
    sections.gap_block(report, electrons, grid, electrons.edges(grid, "spin_orbit"), "spin_orbit")
    report.flush()


def dielectric(
    folder: Path, report: Report, control: Control, electrons: Electrons, grid: Grid, family: Family
) -> None:
    """Write dielectric function and absorption."""
    assert control.dielectric is not None
    kind, width = control.broadening
    last, points = control.dielectric
    rule = "  " + "-" * 60
    report.lines(rule, "               Starting Dielectric Calculations", rule, "")
    report.lines(
        "  Recalculating HOMO and LUMO levels to determine eigenstates needed for dielectric calculations...",
        "",
    )
    sections.gap_block(report, electrons, grid, electrons.edges(grid, family), family)
    report.lines("  Calculating dielectric tensor elements...")
    optics = spectra(electrons, grid, family, last, points, (kind, width))
    names = files.asked_components(control.outputs)
    for number in range(1, len(names) + 1):
        report.lines(
            f"  Performing Kramers-Kronig transform for interband contribution to dielectric component #{number:6d}"
        )
    for name in names:
        report.lines(
            "",
            f"  Summary for dielectric component #  {name}",
            f"  | Broadening parameters    : {width:17.5E} eV ({kind.capitalize()})",
            f"  | Minimum omega value      : {optics.omega_ev[0]:17.5E} eV",
            f"  | Epsilon at minimum omega : {optics.real[name][0]:17.5E}",
            "",
        )
    files.write_optics(folder, optics, kind, width, names, family == "spin_orbit")
    report.flush()


def bands(
    folder: Path,
    report: Report,
    control: Control,
    electrons: Electrons,
    grid: Grid,
    after_first: Callable[[], None],
) -> None:
    """Write the bands along the segments that are asked for.

    Parameters
    ----------
    after_first
        Called when the first segment is written: a run may be killed there.
    """
    rule = "  " + "-" * 67
    solver = " (LAPACK version)" if report.new else ""
    report.lines("", rule, f"  Writing the requested band structure output{solver}:", rule, "")
    families: tuple[Family, ...] = ("scalar", "spin_orbit") if control.spin_orbit else ("scalar",)
    zeros = {family: electrons.chemical_potential(grid, family) for family in families}
    found: dict[Family, list[Edges]] = {family: [] for family in families}
    for number, segment in enumerate(control.segments, start=1):
        report.lines("", f"  Treating all {segment.n_points:4d} k-points in band plot segment #{number:4d}:", "", "")
        points = _points(segment)
        for family in families:
            _write_segment(folder, electrons, points, number, family, zeros[family], control.spin_orbit, report.new)
            edges = electrons.edges(points, family, on_path=True, chemical_potential=zeros[family])
            found[family].append(edges)
            _path_gap(
                report,
                _title(family, control.spin_orbit),
                f"along reciprocal space direction number: {number:4d}",
                edges,
            )
        report.flush()
        if number == 1:
            after_first()
    for family in families:
        best = _overall(found[family])
        _path_gap(report, _title(family, control.spin_orbit), "of total set of bands:", best)
    report.lines("")


def _title(family: Family, coupled: bool) -> str:
    if not coupled:
        return '"Band gap"'
    return 'Scalar-relativistic "band gap"' if family == "scalar" else 'Spin-orbit-coupled "band gap"'


def _path_gap(report: Report, title: str, where: str, edges: Edges) -> None:
    report.lines(
        f"  {title} {where}",
        f"  | Lowest unoccupied state: {edges.cbm_ev:16.8f} eV",
        f"  | Highest occupied state : {edges.vbm_ev:16.8f} eV",
        f"  | Energy difference      : {edges.gap_ev:16.8f} eV",
        "",
        "",
    )


def _overall(segments: list[Edges]) -> Edges:
    """Return the edges of all segments together; the places in them mean nothing any more."""
    top = max(segments, key=lambda edges: edges.vbm_ev)
    bottom = min(segments, key=lambda edges: edges.cbm_ev)
    return Edges(
        vbm_ev=top.vbm_ev,
        cbm_ev=bottom.cbm_ev,
        vbm_k=top.vbm_k,
        cbm_k=bottom.cbm_k,
        vbm_spin=top.vbm_spin,
        cbm_spin=bottom.cbm_spin,
        direct_ev=min(edges.direct_ev for edges in segments),
        direct_k=0,
        vbm_occupation=top.vbm_occupation,
        cbm_occupation=bottom.cbm_occupation,
    )


def _points(segment: Segment) -> Grid:
    parts = np.linspace(0.0, 1.0, segment.n_points)[:, None]
    points = np.array(segment.start) * (1.0 - parts) + np.array(segment.end) * parts
    return Grid(points, np.full(len(points), 1.0 / len(points)))


def _write_segment(
    folder: Path,
    electrons: Electrons,
    points: Grid,
    number: int,
    family: Family,
    zero: float,
    coupled: bool,
    new: bool,
) -> None:
    energies = electrons.bands(points.points, family, on_path=True)
    occupations = electrons.path_occupations(energies, zero, family)
    suffix = ".no_soc" if coupled and family == "scalar" else ""
    for spin, channel in enumerate(energies):
        path = folder / f"band{spin + 1}{number:03d}.out{suffix}"
        files.write_bands(path, points.points, channel, occupations[spin], zero, new and family == "scalar")
