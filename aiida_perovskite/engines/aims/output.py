"""What FHI-aims prints: energies, gaps, steps, and how the run ended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_perovskite.engines.aims.collector import Collector
from aiida_perovskite.engines.aims.records import Electrons, Geometry, KPoint, Step
from aiida_perovskite.engines.aims.status import AimsStatus, judge
from aiida_perovskite.engines.aims.stream import TextSource, line_blocks

# Levels closer than the self-consistent accuracy of an eigenvalue are one level: no gap. (FHI-aims prints 7e-8 eV for
# the half-filled level of O2.)
METAL_GAP_EV = 1e-6

_HYBRIDS = ("hse", "pbe0", "pbesol0", "b3lyp", "b1lyp", "hf", "lc_wpbeh", "m06", "m08", "m11", "cam-b3lyp")


@dataclass(frozen=True)
class Requested:
    """What the control.in echoed in the output asks for; all False if the echo is switched off.

    Attributes
    ----------
    xc
        The functional as written, e.g. ``hse06 0.11``.
    relaxation, unit_cell
        Whether atoms are relaxed, and the cell with them.
    max_relaxation_steps
        The limit, None if control.in sets none.
    """

    xc: str | None = None
    hybrid: bool = False
    relaxation: bool = False
    unit_cell: bool = False
    max_relaxation_steps: int | None = None
    bands: bool = False
    soc: bool = False
    dielectric: bool = False
    dos: bool = False


@dataclass(frozen=True, eq=False)
class AimsStructure:
    """A structure as printed: symbols, cell (3, 3) or None for a cluster, Cartesian positions (n, 3), in Angstrom."""

    symbols: tuple[str, ...]
    cell: np.ndarray | None
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class AimsStep:
    """One ionic step: a structure and its self-consistency cycle.

    Attributes
    ----------
    energy_ev
        "Total energy uncorrected" of the step; None if not printed. It means nothing if `scf_converged` is False.
    max_force_ev_per_angstrom
        Largest component of the forces, those on the lattice included, as printed by the optimiser; None if the step
        never came so far.
    n_scf
        Iterations.
    symbols, cell, positions
        As in :class:`AimsStructure`, before the step; empty, None and (0, 3) if the output does not print them.
    forces_ev_per_angstrom
        (n, 3), None if not printed.
    """

    energy_ev: float | None
    max_force_ev_per_angstrom: float | None
    n_scf: int
    scf_converged: bool
    symbols: tuple[str, ...]
    cell: np.ndarray | None
    positions: np.ndarray
    forces_ev_per_angstrom: np.ndarray | None


@dataclass(frozen=True, eq=False)
class AimsOutput:
    """One run of FHI-aims, as its standard output tells it. Whatever is not printed is None.

    Attributes
    ----------
    status, evidence
        How the run ended, and the lines on which that rests (see :func:`~.status.judge`).
    total_energy_ev, total_energy_corrected_ev, free_energy_ev
        "Total energy uncorrected", "Total energy corrected" and "Electronic free energy" of the last self-consistency
        cycle, as printed in eV; None if that cycle did not converge, for then they are no energies of anything (the
        last converged ones of a relaxation are in `steps`).
    gap_ev, vbm_ev, cbm_ev, vbm_k, cbm_k
        Of the last gap block before the spin-orbit coupling, on the k-grid of the self-consistency cycle: 0.0 if the
        edges meet (:data:`METAL_GAP_EV`). k-points are fractions of the reciprocal vectors; None for clusters.
    direct_gap_ev, direct_gap_k
        The smallest direct gap. Versions up to 191112 print wrong coordinates for it: these are None unless the index
        is that of a band edge.
    soc_*
        The same with spin-orbit coupling.
    path_points
        k-points of each band segment that was begun.
    path_gap_ev, path_vbm_ev, soc_path_gap_ev, soc_path_vbm_ev
        Gap and highest occupied level along the band path, where there is one. This gap contradicts `gap_ev` if the
        k-grid is too coarse.
    chemical_potential_ev, soc_chemical_potential_ev
        Of the last iteration, and with spin-orbit coupling: the zeros of the energies in the band files. The first is
        None at output level MD_light, which prints only that of the start.
    magnetic_moment
        Electrons up minus electrons down in the whole structure.
    structure
        The last one printed: relaxed, if the relaxation converged.
    steps
        All ionic steps in order; one for a single point.
    """

    status: AimsStatus
    evidence: str
    version: str | None
    total_energy_ev: float | None
    total_energy_corrected_ev: float | None
    free_energy_ev: float | None
    gap_ev: float | None
    direct_gap_ev: float | None
    direct_gap_k: KPoint | None
    vbm_ev: float | None
    cbm_ev: float | None
    vbm_k: KPoint | None
    cbm_k: KPoint | None
    path_gap_ev: float | None
    path_vbm_ev: float | None
    chemical_potential_ev: float | None
    soc_gap_ev: float | None
    soc_direct_gap_ev: float | None
    soc_direct_gap_k: KPoint | None
    soc_vbm_ev: float | None
    soc_cbm_ev: float | None
    soc_vbm_k: KPoint | None
    soc_cbm_k: KPoint | None
    soc_path_gap_ev: float | None
    soc_path_vbm_ev: float | None
    soc_chemical_potential_ev: float | None
    n_spin: int | None
    n_atoms: int | None
    n_kpoints: int | None
    n_tasks: int | None
    path_points: tuple[int, ...]
    steps: tuple[AimsStep, ...]
    structure: AimsStructure | None
    requested: Requested
    magnetic_moment: float | None
    warnings: tuple[str, ...]
    wall_time_s: float | None

    @property
    def finished(self) -> bool:
        """Whether the run ended well and all that was to converge converged."""
        return self.status is AimsStatus.FINISHED

    @property
    def n_scf_iterations(self) -> int:
        """Iterations of all self-consistency cycles together."""
        return sum(step.n_scf for step in self.steps)


def read_output(source: TextSource) -> AimsOutput:
    """Read the standard output of FHI-aims, versions 2015 to 2024.

    The text is read in pieces, so that its size does not matter, and no content raises an error: what cannot be
    understood is left out, and the status says how far the run came. If the outputs of several runs stand in one file,
    the last one is read.

    Parameters
    ----------
    source
        A path, an open file, or an iterable of lines.

    Raises
    ------
    OSError
        If there is no file at the path.
    """
    collector = Collector()
    for lines, rest in line_blocks(source):
        collector.feed(lines, rest)
    requested = _requested(collector.control, collector.relaxing)
    status, evidence = judge(collector.facts(requested.relaxation, requested.max_relaxation_steps))
    last = collector.steps[-1] if collector.steps and collector.steps[-1].converged else None
    numbers = collector.numbers
    return AimsOutput(
        status=status,
        evidence=evidence,
        version=collector.version,
        total_energy_ev=last.energy if last else None,
        total_energy_corrected_ev=last.corrected if last else None,
        free_energy_ev=last.free if last else None,
        **_electrons(collector.scalar, ""),
        **_electrons(collector.soc, "soc_"),
        n_spin=numbers.get("spin"),
        n_atoms=numbers.get("atoms"),
        n_kpoints=numbers.get("kpoints"),
        n_tasks=numbers.get("tasks"),
        path_points=tuple(collector.path_points.values()),
        steps=tuple(_step(step) for step in collector.steps),
        structure=_structure(collector.geometry) if collector.geometry else None,
        requested=requested,
        magnetic_moment=collector.moment,
        warnings=tuple(collector.warnings),
        wall_time_s=collector.wall_time,
    )


def _requested(control: list[list[str]], relaxing: bool) -> Requested:
    """Read the keywords (first word of a line) of the echoed control.in; the last one of a name counts, as in aims."""
    keywords = {words[0]: words[1:] for words in control if words[0] != "output"}
    outputs = [words[1] for words in control if words[0] == "output" and len(words) > 1]
    xc = keywords.get("xc", [])
    steps = keywords.get("max_relaxation_steps", [])
    unit_cell = keywords.get("relax_unit_cell", ["none"])
    return Requested(
        xc=" ".join(xc) or None,
        hybrid=bool(xc) and xc[0].lower().startswith(_HYBRIDS),
        relaxation=relaxing or keywords.get("relax_geometry", ["none"])[:1] != ["none"],
        unit_cell=unit_cell[:1] not in (["none"], [".false."]),
        max_relaxation_steps=int(steps[0]) if steps and re.fullmatch(r"[0-9]{1,9}", steps[0]) else None,
        bands=any(output.startswith("band") for output in outputs),
        soc="include_spin_orbit" in keywords,
        dielectric="compute_dielectric" in keywords or "dielectric" in outputs,
        dos=any("dos" in output for output in outputs),
    )


def _electrons(electrons: Electrons, prefix: str) -> dict[str, Any]:
    block = electrons.gap
    values: dict[str, Any] = {
        "gap_ev": _metal_is_zero(block.gap) if block else None,
        "direct_gap_ev": block.direct_gap if block else None,
        "direct_gap_k": block.direct_gap_k if block else None,
        "vbm_ev": block.vbm if block else None,
        "cbm_ev": block.cbm if block else None,
        "vbm_k": block.vbm_k if block else None,
        "cbm_k": block.cbm_k if block else None,
        "path_gap_ev": electrons.path_gap,
        "path_vbm_ev": electrons.path_vbm,
        "chemical_potential_ev": electrons.chemical_potential,
    }
    return {prefix + name: value for name, value in values.items()}


def _metal_is_zero(gap: float | None) -> float | None:
    return 0.0 if gap is not None and gap < METAL_GAP_EV else gap


def _step(step: Step) -> AimsStep:
    structure = _structure(step.geometry or Geometry())
    return AimsStep(
        energy_ev=step.energy,
        max_force_ev_per_angstrom=step.max_force,
        n_scf=step.n_scf,
        scf_converged=step.converged is True,
        symbols=structure.symbols,
        cell=structure.cell,
        positions=structure.positions,
        forces_ev_per_angstrom=np.array(step.forces) if step.forces else None,
    )


def _structure(geometry: Geometry) -> AimsStructure:
    return AimsStructure(
        tuple(geometry.symbols),
        np.array(geometry.cell) if geometry.cell else None,
        np.array(geometry.positions, dtype=float).reshape(-1, 3),
    )
