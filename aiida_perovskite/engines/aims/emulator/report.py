"""The lines on standard output, in FHI-aims's format: the opening, the input, the ending."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.control import Control
from aiida_perovskite.engines.aims.emulator.energy import Model
from aiida_perovskite.engines.aims.emulator.geometry import Geometry

Floats = NDArray[np.float64]

RULE = "-" * 60
LABEL = "This is aims-emulator of aiida-perovskite, not FHI-aims: every number below comes from a toy model."
NEWEST = "240507"
_NEW_HEADER_SINCE = 180000  # 171221_1 and older have "Version", 191112 and newer have "FHI-aims version"


def fortran(value: float, digits: int, width: int) -> str:
    """Return a number as Fortran's E format writes it: ``-0.158E+05``, or without the zero where it would not fit."""
    if value == 0.0:
        text = f"0.{'0' * digits}E+00"
    else:
        mantissa, _, power = f"{abs(value):.{digits - 1}e}".partition("e")
        text = f"{'-' if value < 0 else ''}0.{mantissa.replace('.', '')}E{int(power) + 1:+03d}"
    if len(text) > width:
        text = text.replace("0.", ".", 1)
    return text.rjust(width)


@dataclass
class Report:
    """Writes to standard output, line by line.

    Attributes
    ----------
    version
        As FHI-aims names it, ``240507`` or ``171221_1``; it sets the style.
    """

    version: str
    stream: TextIO
    started: float = field(default_factory=time.monotonic)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()).upper())

    @property
    def new(self) -> bool:
        """Whether the style is that of 2019 and later."""
        return int(self.version[:6]) >= _NEW_HEADER_SINCE

    def lines(self, *lines: str) -> None:
        """Write lines."""
        self.stream.write("".join(f"{line}\n" for line in lines))

    def flush(self) -> None:
        """Let readers of the file see what has been written."""
        self.stream.flush()

    def stamp(self) -> str:
        """Return date and time as the output prints them."""
        now = time.time()
        return (
            time.strftime("Date     :  %Y%m%d, Time     :  %H%M%S", time.localtime(now))
            + f".{int(now * 1000) % 1000:03d}"
        )

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def opening(self, tasks: int) -> None:
        """Write the banner, the version and the label."""
        self.lines(RULE, "          Invoking FHI-aims ...")
        if not self.new:
            self.lines(f"          Version {self.version}-emulator")
        self.lines("", RULE, f"  *** Warning: {LABEL}", "", f"  {self.stamp()}")
        self.lines(f"  Time zero on CPU 1             :   {fortran(time.process_time(), 15, 21)}  s.")
        self.lines("", "  FHI-aims created a unique identifier for this run for later identification")
        self.lines(f"  aims_uuid : {self.uuid}", "")
        if self.new:
            self.lines(
                "  Build configuration of the current instance of FHI-aims",
                "  -------------------------------------------------------",
                f"  FHI-aims version      : {self.version}-emulator",
                "  Commit number         : none, this is aims-emulator",
                "",
            )
        if self.new or tasks > 1:
            self.lines(f"  Using {tasks:8d} parallel tasks.", "")
        self.lines("  Obtaining array dimensions for all initial allocations:", "  ")

    def echo(self, name: str, text: str) -> None:
        """Repeat an input file."""
        rule = "  " + "-" * 71
        self.lines(
            rule,
            f"  Parsing {name} (first pass over file, find array dimensions only).",
            f"  The contents of {name} will be repeated verbatim below",
            "  unless switched off by setting 'verbatim_writeout .false.' .",
            f"  in the first line of {name} .",
            rule,
            "  ",
            *(f"  {line}" for line in text.splitlines()),
            "  ",
            rule,
            f"  Completed first pass over input file {name} .",
            rule,
            "  ",
            "  ",
        )

    def abort(self, message: str) -> None:
        """Say why the run stops."""
        self.lines("", f" * Error: {message}", " * Aborting.", "")
        self.flush()

    def input(self, control: Control, geometry: Geometry, model: Model, restarted: bool) -> None:
        """Write what has been understood of the input."""
        self.lines(
            "  Basic array size parameters:",
            f"  | Number of species                 : {len(set(geometry.species)):8d}",
            f"  | Number of atoms                   : {len(geometry.species):8d}",
        )
        if geometry.lattice is not None:
            self.lines("  | Number of lattice vectors         :        3")
        self.lines(f"  | Number of spin channels           : {2 if control.collinear else 1:8d}", "")
        self.lines(RULE, "          Reading file control.in.", RULE)
        self._control(control)
        for species in control.species.values():
            self.lines(
                " ",
                f"  Reading configuration options for species {species.name:<20}.",
                f"  | Found nuclear charge : {species.nucleus:8.4f}",
            )
        self.lines(" ", "  Finished reading input file 'control.in'.", " ", RULE, "", "", RULE)
        self.lines("          Reading geometry description geometry.in.", RULE)
        self._geometry(geometry, model)
        if restarted:
            self.lines("  Hessian of the last relaxation read from file 'hessian.aims'.")
        self._notes(control)

    def _control(self, control: Control) -> None:
        if control.xc == "hse06":
            self.lines(
                f"  XC: Using HSE-functional with OMEGA = {fortran(float(control.words['xc'][1]), 6, 13)} <units>."
            )
        elif control.xc in ("pbe", "pbesol"):
            name = {"pbe": "PBE", "pbesol": "PBEsol"}[control.xc]
            self.lines(f"  XC: Using {name} gradient-corrected functionals.")
        if control.collinear:
            self.lines("  Spin treatment: Spin density functional theory - collinear spins.")
        elif "spin" in control.words:
            self.lines("  Spin treatment: No spin polarisation.")
        if control.spin_orbit:
            self.lines("  Calculating non-self-consistent second-variational spin-orbit coupling after scf-cycle")
        if "sc_iter_limit" in control.words:
            self.lines(f"  Maximum number of s.-c. iterations  : {int(control.number('sc_iter_limit', 0)):5d}")
        if control.relax:
            accuracy = fortran(control.max_force, 6, 14)
            self.lines(
                "  Geometry relaxation: Modified BFGS - TRM (trust radius method) for lattice optimization.",
                f"  Convergence accuracy for geometry relaxation: Maximum force < {accuracy} eV/A.",
            )
        if "k_grid" in control.words:
            self.lines("  Found k-point grid:" + "".join(f"{n:10d}" for n in control.k_grid))
        for number, segment in enumerate(control.segments, start=1):
            self.lines(
                "",
                f"  Plot band {number:4d}",
                "  | begin" + "".join(f"{x:10.6f}" for x in segment.start),
                "  | end  " + "".join(f"{x:10.6f}" for x in segment.end),
                f"  | number of points: {segment.n_points:4d}",
            )

    def _geometry(self, geometry: Geometry, model: Model) -> None:
        self.lines(
            "  Input structure read successfully.",
            f"  The structure contains {len(geometry.species):8d} atoms,  "
            f"and a total of {model.electrons:14.3f} electrons.",
            "",
            "  Input geometry:",
        )
        if geometry.lattice is not None:
            self.lines("  | Unit cell:", *("  |" + "".join(f"{x:18.8f}" for x in row) for row in geometry.lattice))
        else:
            self.lines("  | No unit cell requested.")
        self.lines("  | Atomic structure:", "  |       Atom                x [A]            y [A]            z [A]")
        for number, (name, row) in enumerate(zip(geometry.species, geometry.positions, strict=True), start=1):
            self.lines(f"  |{number:5d}: Species {name:<6}" + "".join(f"{x:18.8f}" for x in row))
        self.lines("")
        if geometry.lattice is not None:
            self.cell(geometry.lattice)
        if any(moment is not None for moment in geometry.moments):
            self.lines("  Initial moments and charges:", "  |  Atom   Moment         Charge        Species")
            for number, (name, moment) in enumerate(zip(geometry.species, geometry.moments, strict=True), start=1):
                self.lines(f"  | {number:5d} {fortran(moment or 0.0, 6, 14)} {fortran(0.0, 6, 14)}   {name}")
            self.lines("")
        self.lines(" ", "  Finished reading input file 'geometry.in'.", " ", "")

    def cell(self, lattice: Floats) -> None:
        """Write the reciprocal lattice and the volume."""
        unit = ("Angstrom^3", " (in Angstrom^-1)") if self.new else ("A^3", "")
        self.lines(f"  Quantities derived from the lattice vectors{unit[1]}:")
        for number, row in enumerate(2.0 * np.pi * np.linalg.inv(lattice).T, start=1):
            self.lines(f"  | Reciprocal lattice vector {number}:" + "".join(f"{x:10.6f}" for x in row))
        volume = fortran(abs(np.linalg.det(lattice)), 6, 14)
        self.lines(f"  | Unit cell volume                               : {volume}  {unit[0]}", "")

    def _notes(self, control: Control) -> None:
        if self.new:
            self.lines(
                "  | Maximum stacksize for task 0: unlimited", "  | Current stacksize for task 0: unlimited", " "
            )
        if control.hybrid and control.segments:
            self.lines(
                " * NOTE: Band structure and exact exchange are requested at the same time,",
                " * and exx_band_structure_version is set to 1. ",
                " * dense 'k_grid' to be used for the preceding s.c.f. cycle.",
            )
        if "sc_iter_limit" not in control.words:
            self.lines(
                "  Maximum number of self-consistency iterations not provided.", "  Presetting  1000 iterations."
            )
        if control.relax and "max_relaxation_steps" not in control.words:
            self.lines("  No maximum number of relaxation steps, defaulting to     1000")
        self.lines(
            "  Preparations completed.",
            f"  max(cpu_time)          : {time.process_time():10.3f} s.",
            f"  Wall clock time (cpu1) : {self.elapsed():10.3f} s.",
            RULE,
        )

    def final_energies(self, total: float, corrected: float) -> None:
        """Write the summary of energies."""
        self.lines(
            "-" * 78,
            "  Final output of selected total energy values:",
            "",
            f"  | Total energy of the DFT / Hartree-Fock s.c.f. calculation      : {total:24.9f} eV",
            f"  | Final zero-broadening corrected energy (caution - metals only) : {corrected:24.9f} eV",
            "  | For reference only, the value of 1 Hartree used in FHI-aims is :             27.211384500 eV",
            "",
            "-" * 78,
        )

    def leaving(self, counts: Sequence[int]) -> None:
        """Write the last lines.

        Parameters
        ----------
        counts
            SCF iterations, SCF initializations and relaxation steps.
        """
        self.lines(
            RULE,
            "          Leaving FHI-aims.",
            f"          {self.stamp()}",
            "",
            "          Computational steps:",
            f"          | Number of self-consistency cycles          : {counts[0]:12d}",
            f"          | Number of SCF (re)initializations          : {counts[1]:12d}",
        )
        if counts[2]:
            self.lines(f"          | Number of relaxation steps                 : {counts[2]:12d}")
        pad = " " if self.new else ""
        self.lines(
            "",
            "          Detailed time accounting                     :  max(cpu_time)    wall_clock(cpu1)",
            f"          | Total time                                 {pad}: "
            f"{time.process_time():12.3f} s {self.elapsed():15.3f} s",
            "",
        )
        if self.new:
            self.lines("          Have a nice day.", RULE)
        else:
            # So end serial builds of 171221_1; the nice day is no part of a good run.
            self.lines(" This is a stub MPI_ALLREDUCE call.", " You should not be here. Check your")
        self.flush()
