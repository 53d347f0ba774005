"""The lines of self-consistency, gaps, forces and relaxation."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.electrons import Edges, Electrons, Family, Grid
from aiida_perovskite.engines.aims.emulator.geometry import Geometry
from aiida_perovskite.engines.aims.emulator.relaxation import Forces, Step
from aiida_perovskite.engines.aims.emulator.report import RULE, Report, fortran

Floats = NDArray[np.float64]

HARTREE = 27.2113845
_NOT_FOR_INSULATORS = "  <-- do not rely on this value for anything but (periodic) metals"
# How the total energy falls into parts: nothing but a way to fill the lines.
_PARTS = {"Sum of eigenvalues": 0.567, "XC energy correction": 0.072, "XC potential correction": -0.093}
_PARTS |= {"Free-atom electrostatic energy": 0.454, "Hartree energy correction": 0.0, "Entropy correction": 0.0}


def scf_start(report: Report, first: bool, k_points: int | None) -> None:
    """Write the head of a self-consistency loop."""
    kind = "Initialization" if first else "Re-initialization"
    indent = " " * 10 if first else "  "
    report.lines("", RULE, f"          Begin self-consistency loop: {kind}.", "", f"{indent}{report.stamp()}", RULE, "")
    if k_points is not None:
        report.lines(
            "  Initializing the k-points", f"  | Number of k-points                             : {k_points:9d}"
        )


def scf_iteration(report: Report, number: int) -> None:
    """Write the head of an iteration."""
    report.lines(
        "",
        RULE,
        f"          Begin self-consistency iteration #{number:5d}",
        "",
        f"  {report.stamp()}",
        RULE,
        "  Pulay mixing of updated and previous charge densities.",
        "",
    )


def read_density(report: Report) -> None:
    """Say that the density matrix of an earlier run was read."""
    report.lines(
        "  Finished reading density matrices from file",
        f"  | Time : {0.001:10.3f} s",
        "",
        RULE,
        "          Initial SCF-cycle to compute last known",
        "          density from restart information.",
        "",
        f"  {report.stamp()}",
        RULE,
    )


def potential(report: Report, value: float) -> None:
    """Write the chemical potential."""
    blank = " " if report.new else ""
    report.lines("", f"  | Chemical potential (Fermi level):{value:15.8f}{blank}eV")


def gap_block(report: Report, electrons: Electrons, grid: Grid, edges: Edges, family: Family) -> None:
    """Write the gap block."""
    if len(grid.points) == 1 and not grid.points.any() and electrons.molecule:
        _molecular_gap(report, edges)
        return
    spins = family == "scalar" and electrons.spins == 2
    report.lines(
        "  What follows are estimated values for band gap, HOMO, LUMO, etc.",
        "  | They are estimated on a discrete k-point grid and not necessarily exact.",
        "  | For converged numbers, create a DOS and/or band structure plot on a denser k-grid.",
        "",
    )
    for title, energy, occupation, place, spin in (
        # The real output pads the first title with a blank more.
        ("Highest occupied state (VBM) at ", edges.vbm_ev, edges.vbm_occupation, edges.vbm_k, edges.vbm_spin),
        ("Lowest unoccupied state (CBM) at", edges.cbm_ev, edges.cbm_occupation, edges.cbm_k, edges.cbm_spin),
    ):
        report.lines(
            f"  {title}{energy:15.8f} eV (relative to internal zero)",
            f"  | Occupation number:{occupation:16.8f}",
            f"  | K-point:{place + 1:8d} at{_k_text(grid, place)} (in units of recip. lattice)",
        )
        if spins:
            report.lines(f"  | Spin channel: {spin + 1:8d}")
        report.lines("")
    report.lines(
        f"  ESTIMATED overall HOMO-LUMO gap:{edges.gap_ev:16.8f} eV between HOMO at k-point {edges.vbm_k + 1} "
        f"and LUMO at k-point {edges.cbm_k + 1}",
        f"  | This appears to be {'a direct' if edges.vbm_k == edges.cbm_k else 'an indirect'} band gap.",
    )
    if edges.vbm_k != edges.cbm_k:
        report.lines(
            f"  | Smallest direct gap :{edges.direct_ev:16.8f} eV for k_point {edges.direct_k + 1} "
            f"at{_k_text(grid, edges.direct_k)} (in units of recip. lattice)"
        )
    _verdict(report, edges)
    report.lines("")


def _molecular_gap(report: Report, edges: Edges) -> None:
    for title, energy, occupation in (
        ("Highest occupied state (VBM) at ", edges.vbm_ev, edges.vbm_occupation),
        ("Lowest unoccupied state (CBM) at", edges.cbm_ev, edges.cbm_occupation),
    ):
        report.lines(f"  {title}{energy:15.8f} eV", f"  | Occupation number:{occupation:16.8f}", "")
    report.lines(f"  Overall HOMO-LUMO gap:{edges.gap_ev:16.8f} eV.", "")


def _k_text(grid: Grid, place: int) -> str:
    return "".join(f"{x:12.6f}" for x in grid.points[place])


def _verdict(report: Report, edges: Edges) -> None:
    if edges.vbm_occupation % 1.0 > 1e-3 or edges.cbm_occupation > 1e-3:
        report.lines(
            "  However, this system has fractional occupation numbers. Since we use a finite k-point grid,",
            "  this material is metallic within the approximate finite broadening function (occupation_type)",
            "  applied to determine the occupation numbers.",
        )
    elif edges.gap_ev < 0.2:
        report.lines("  However, the gap value is rather small. Since we use a finite k-point grid,")
    else:
        report.lines(
            "  The gap value is above 0.2 eV. Unless you are using a very sparse k-point grid,",
            "  this system is most likely an insulator or a semiconductor.",
        )


def components(report: Report, energy: float, atoms: int) -> None:
    """Write the parts of the total energy, in Hartree and eV."""
    report.lines("  Total energy components:")
    for name, share in _PARTS.items():
        report.lines(f"  | {name:<30}:{energy * share / HARTREE:21.8f} Ha{energy * share:21.8f} eV")
    report.lines("  | ---------------------------")
    for name, note in (
        ("Total energy", ""),
        ("Total energy, T -> 0", _NOT_FOR_INSULATORS),
        ("Electronic free energy", ""),
    ):
        report.lines(f"  | {name:<30}:{energy / HARTREE:21.8f} Ha{energy:21.8f} eV{note}")
    report.lines(
        "",
        "  Derived energy quantities:",
        f"  | Electronic free energy per atom                       :{energy / atoms:21.8f} eV",
        "",
    )


def eigenvalues(report: Report, electrons: Electrons, energies: Floats, mu: float) -> None:
    """Write the levels of the first k-point, ``(spins, bands)``."""
    occupations = electrons.occupations(energies, mu, "scalar")
    report.lines("  Writing Kohn-Sham eigenvalues.")
    for spin, channel in enumerate(energies):
        if len(energies) == 2:
            report.lines("", f"  Spin-{'up' if spin == 0 else 'down'} eigenvalues: ")
        report.lines("  K-point:       1 at    0.000000    0.000000    0.000000 (in units of recip. lattice)", "")
        report.lines("  State    Occupation    Eigenvalue [Ha]    Eigenvalue [eV]")
        for number, (energy, occupation) in enumerate(zip(channel, occupations[spin], strict=True), start=1):
            report.lines(f"  {number:5d}{occupation:14.5f}{energy / HARTREE:19.6f}{energy:19.5f}")
        report.lines("")


def moment(report: Report, value: float) -> None:
    """Write the spin moment."""
    report.lines(
        "  Current spin moment of the entire structure :",
        f"  | N = N_up - N_down (sum over all k points): {value:15.5f}",
        f"  | S (sum over all k points)                : {value / 2.0:15.5f}",
        "",
    )


def convergence(report: Report, density: float, eigenvalue: float, energy: float) -> None:
    """Write how much the last iteration changed."""
    report.lines(
        "  Self-consistency convergence accuracy:", f"  | Change of charge density      :{fortran(density, 4, 12)}"
    )
    if report.new:
        report.lines(f"  | Change of unmixed KS density  :{fortran(1.5 * density, 4, 12)}")
    report.lines(
        f"  | Change of sum of eigenvalues  :{fortran(eigenvalue, 4, 12)} eV",
        f"  | Change of total energy        :{fortran(energy, 4, 12)} eV",
        "",
    )


def end_iteration(report: Report, number: int, seconds: float) -> None:
    """Write the foot of an iteration."""
    pad = " " if report.new else ""
    if report.new:
        report.lines("", RULE)
    report.lines(
        f"  End self-consistency iteration #{number:6d}       :  max(cpu_time)    wall_clock(cpu1)",
        f"  | Time for this iteration                    {pad}: {seconds:12.3f} s {seconds:15.3f} s",
        RULE,
    )
    report.flush()


def compact(report: Report, energy: float, corrected: float, forces: Floats | None) -> None:
    """Write "Energy and forces in a compact form"."""
    free = 2.0 * corrected - energy
    report.lines("", "  Energy and forces in a compact form:")
    report.lines(f"  | Total energy uncorrected      : {fortran(energy, 15, 30)} eV")
    report.lines(f"  | Total energy corrected        : {fortran(corrected, 15, 30)} eV{_NOT_FOR_INSULATORS}")
    report.lines(f"  | Electronic free energy        : {fortran(free, 15, 30)} eV")
    if forces is not None:
        report.lines("  Total atomic forces (unitary forces cleaned) [eV/Ang]:")
        width = 5 if report.new else 4
        for number, row in enumerate(forces, start=1):
            report.lines(f"  |{number:{width}d}" + "".join(fortran(x, 15, 31) for x in row))
    report.lines("")


def not_converged(report: Report) -> None:
    """Write the banner of a self-consistency cycle that did not converge."""
    stars = " " + "*" * 59
    report.lines(
        RULE,
        "",
        stars,
        " *",
        " * WARNING! SELF-CONSISTENCY CYCLE DID NOT CONVERGE",
        " * USING YOUR PRESELECTED ACCURACY CRITERIA.",
        " * DO NOT RELY ON ANY FINAL DATA WITHOUT FURTHER CHECKS.",
        " *",
        stars,
        " * NO POSTPROCESSING WILL BE DONE",
        " * IF YOU WANT POSTPROCESSING ANYWAY, SET postprocess_anyway TO .true.",
        stars,
        "",
    )


def stress(report: Report, virial: Floats, volume: float) -> None:
    """Write the stress tensor."""
    edge, head = "  +" + "-" * 67 + "+", "  |"
    tensor = 0.5 * (virial + virial.T) / volume
    report.lines("", edge, "  |              Analytical stress tensor - Symmetrized               |")
    report.lines("  |                  Cartesian components [eV/A**3]                   |", edge)
    report.lines("  |                x                y                z                |", head + " " * 67 + "|")
    for name, row in zip("xyz", tensor, strict=True):
        report.lines(f"  |  {name}  " + "".join(f"{x:17.8f}" for x in row) + " " * 11 + "|")
    report.lines(head + " " * 67 + "|", f"  |  Pressure:{-np.trace(tensor) / 3.0:17.8f}   [eV/A**3]" + " " * 27 + "|")
    report.lines(head + " " * 67 + "|", edge, "")


def relaxation_head(report: Report, forces: Forces, with_cell: bool, converged: bool, seconds: float) -> None:
    """Write the forces on atoms and cell, and whether the geometry is converged."""
    pad = " " if report.new else ""
    report.lines(
        RULE,
        "  Relaxation / MD: End force evaluation.       :  max(cpu_time)    wall_clock(cpu1)",
        f"  | Time for this force evaluation             {pad}: {seconds:12.3f} s {seconds:15.3f} s",
        "",
        RULE,
        "  Geometry optimization: Attempting to predict improved coordinates.",
        "",
    )
    if with_cell:
        edge = "  +" + "-" * 67 + "+"
        report.lines(edge, "  | Forces on lattice vectors cleaned from atomic contributions [eV/A]|", edge)
        for row in forces.lattice:
            report.lines("  |lattice_vector" + "".join(f"{x:17.8f}" for x in row) + "  |")
        report.lines(edge)
    report.lines("  Net remaining forces (excluding translations, rotations) in present geometry:")
    report.lines(f"  || Forces on atoms   || = {fortran(np.abs(forces.atoms).max(), 6, 14)} eV/A.")
    if with_cell:
        report.lines(f"  || Forces on lattice || = {fortran(np.abs(forces.lattice).max(), 6, 14)} eV/A^3.")
    report.lines(
        f"  Maximum force component is{fortran(forces.largest, 6, 14)} eV/A.",
        f"  Present geometry is {'' if converged else 'not yet '}converged.",
        "",
    )


def prediction(report: Report, number: int, step: Step) -> None:
    """Write how the next geometry was found."""
    positive = step.eigenvalues[step.eigenvalues > 0.2]
    negative = int(np.sum(step.eigenvalues < 0.0))
    zero = len(step.eigenvalues) - negative - len(positive)
    report.lines(
        f"  Relaxation step number {number:6d}: Predicting new coordinates.",
        "",
        "  Advancing geometry using trust radius method.",
        f"  | Hessian has {negative:8d} negative and {zero:8d} zero eigenvalues.",
    )
    if len(positive):
        report.lines(f"  | Positive eigenvalues (eV/A^2): {positive.min():.2E} ... {positive.max():.2E}")
    report.lines(f"  | Use Quasi-Newton step of length |H^-1 F| = {step.length:.2E} A.")


def structure(report: Report, geometry: Geometry, title: str) -> None:
    """Write a geometry: ``Updated`` or ``Final``."""
    report.lines(f"  {title} atomic structure:", "                         x [A]             y [A]             z [A]")
    if geometry.lattice is not None:
        for row in geometry.lattice:
            report.lines("  lattice_vector " + "".join(f"{x:18.8f}" for x in row))
        report.lines("")
    for name, row in zip(geometry.species, geometry.positions, strict=True):
        report.lines("            atom " + "".join(f"{x:18.8f}" for x in row) + f"  {name}")
    if geometry.lattice is not None:
        report.lines("", "  Fractional coordinates:", "                         L1                L2                L3")
        for name, row in zip(geometry.species, geometry.fractional, strict=True):
            report.lines("       atom_frac " + "".join(f"{x:18.8f}" for x in row) + f"  {name}")
    report.lines(RULE)


def seconds_since(start: float) -> float:
    """Return wall-clock seconds since a moment of :func:`time.monotonic`."""
    return time.monotonic() - start
