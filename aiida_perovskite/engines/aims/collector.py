"""Which lines of FHI-aims' standard output say what.

The line formats are those of real outputs of the versions 151211 to 240206.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from aiida_perovskite.engines.aims.records import (
    MAX_DIGITS,
    Electrons,
    GapBlock,
    Geometry,
    Step,
    index_of,
    number_after,
    number_of,
    numbers_of,
)
from aiida_perovskite.engines.aims.status import TAIL_LINES, RunFacts

Handler = Callable[["Collector", str], None]

# Lines are told apart by their first characters, so that the numbers which make up most of the output cost one look-up.
_KEY_LENGTH = 4
_MAX_WARNINGS = 50
# What follows the echoed control.in; more than one of these, for the echo can be switched off.
_AFTER_CONTROL = (
    "Completed first pass over input file",
    "Parsing geometry.in",
    "Basic array size parameters",
    "Reading file control.in",
)


class Collector:
    """Takes lines in and remembers what matters; no content of a line raises an error."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._rest = ""
        self._reset()

    def _reset(self) -> None:
        self.version: str | None = None
        self.numbers: dict[str, int] = {}
        self.control: list[list[str]] = []
        self.steps: list[Step] = []
        self.geometry: Geometry | None = None
        self.scalar, self.soc = Electrons(), Electrons()
        self.moment: float | None = None
        self.path_points: dict[int, int] = {}
        self.geometry_converged: bool | None = None
        self.relaxing = False
        self.warnings: dict[str, None] = {}
        self.wall_time: float | None = None
        self.leaving: str | None = None
        self.abort: str | None = None
        self.landmark = ""
        self._electrons = self.scalar
        self._pending = GapBlock()
        self._edge = ""
        self._path: Electrons | None = None
        self._block: Callable[[str], bool] | None = None
        self._draft = Geometry()

    def feed(self, lines: list[str], rest: str) -> None:
        """Take in complete lines, and what follows the last newline: cut anywhere, it can only be evidence."""
        self._rest = rest
        self.tail.extend(lines)
        for raw in lines:
            line = raw.strip()
            if self._block is not None and self._block(line):
                continue
            handler = _HANDLERS.get(line[:_KEY_LENGTH])
            if handler is not None:
                handler(self, line)

    def facts(self, relaxation: bool, max_relaxation_steps: int | None) -> RunFacts:
        """Return what the status depends on."""
        return RunFacts(
            leaving=self.leaving,
            scf_converged=self.steps[-1].converged if self.steps else None,
            n_ionic_steps=len(self.steps),
            relaxation=relaxation,
            geometry_converged=self.geometry_converged,
            max_relaxation_steps=max_relaxation_steps,
            abort=self.abort,
            landmark=self.landmark,
            tail=[*self.tail, self._rest],
        )

    # The head of the output

    def _invoking(self, line: str) -> None:
        """Forget what stood before: outputs of several runs may have been appended to one file; the last one counts."""
        if line.startswith("Invoking FHI-aims"):
            self._reset()

    def _version(self, line: str) -> None:
        """Read "Version 191112" (old header) or "FHI-aims version      : 230813" (new header)."""
        words = line.split()
        old = len(words) == 2 and words[0] == "Version"
        if self.version is None and (old or line.startswith("FHI-aims version")):
            self.version = words[-1]

    def _tasks(self, line: str) -> None:
        if line.endswith("parallel tasks."):
            self._count("tasks", line)

    def _counted(self, line: str) -> None:
        label = line[2:].partition(":")[0].strip()
        if label in _COUNTS:
            self._count(_COUNTS[label], line.partition(":")[2])

    def _count(self, name: str, text: str) -> None:
        if (match := re.search(rf"\d{{1,{MAX_DIGITS}}}", text)) is not None:
            self.numbers[name] = int(match.group())

    def _control(self, line: str) -> None:
        if line.startswith("Parsing control.in (first pass"):
            self.control = []
            self._block = self._control_line

    def _control_line(self, line: str) -> bool:
        if line.startswith(_AFTER_CONTROL):
            self._block = None
        elif words := line.partition("#")[0].split():
            self.control.append(words)
        return True

    def _warning(self, line: str) -> None:
        if "warning" in line[:20].lower() and len(self.warnings) < _MAX_WARNINGS:
            self.warnings[line.strip("* ")[:200]] = None
        if "SELF-CONSISTENCY CYCLE DID NOT CONVERGE" in line and self.steps:
            self.steps[-1].converged = False
            self.landmark = line
        self._abort(line)

    # Structures

    def _input_geometry(self, line: str) -> None:
        if line == "Input geometry:":
            self._draft = Geometry()
            self._block = self._input_geometry_line

    def _input_geometry_line(self, line: str) -> bool:
        if not line.startswith("|"):
            return self._end_geometry()
        words = line[1:].split()
        if len(words) == 6 and words[1] == "Species":
            self._atom(words[2], words[3:])
        elif len(words) == 3 and (vector := numbers_of(words)) is not None:
            self._draft.cell.append(vector)
        return True

    def _new_geometry(self, line: str) -> None:
        if line in ("Updated atomic structure:", "Final atomic structure:"):
            self._draft = Geometry()
            self._block = self._new_geometry_line

    def _new_geometry_line(self, line: str) -> bool:
        words = line.split()
        if line.startswith(("---", "Fractional coordinates")):
            return self._end_geometry()
        if len(words) == 5 and words[0] == "atom":
            self._atom(words[4], words[1:4])
        elif len(words) == 4 and words[0] == "lattice_vector" and (vector := numbers_of(words[1:])) is not None:
            self._draft.cell.append(vector)
        elif len(words) > 1 and "[A]" not in words and not line.startswith("velocity"):
            return self._end_geometry()
        return True

    def _atom(self, symbol: str, words: list[str]) -> None:
        if (position := numbers_of(words)) is not None:
            self._draft.symbols.append(symbol)
            self._draft.positions.append(position)

    def _end_geometry(self) -> bool:
        """Keep the structure if all of its atoms and vectors could be read."""
        self._block = None
        if len(self._draft.symbols) == self.numbers.get("atoms") and len(self._draft.cell) in (0, 3):
            self.geometry = self._draft
        return False

    # Self-consistency and relaxation

    def _begin(self, line: str) -> None:
        if line.startswith("Begin self-consistency loop"):
            self.steps.append(Step(self.geometry))
            # Whatever the last geometry's electrons were, they are not this one's; and the run goes on.
            self.soc = Electrons()
            self._electrons = self.scalar
            self.geometry_converged = self.leaving = None
            self.landmark = line
        elif line.startswith("Begin self-consistency iteration"):
            self._iteration(line)

    def _iteration(self, line: str) -> None:
        if self.steps:
            self.steps[-1].n_scf += 1
            # Output level MD_light prints it before the first iteration only; that of a full output follows at once.
            self.scalar.chemical_potential = None
            self.landmark = line

    def _scf_converged(self, line: str) -> None:
        if line == "Self-consistency cycle converged." and self.steps:
            self.steps[-1].converged = True
            self.landmark = line

    def _energy(self, line: str) -> None:
        label, _, value = line[2:].partition(":")
        words = value.split()
        # In the list of energy components the same label stands before two numbers, Hartree and eV: not this one.
        if len(words) < 2 or words[1] != "eV":
            if self.leaving is not None and label.strip() == "Total time" and len(words) == 4:
                self.wall_time = number_of(words[2])
            return
        name = _ENERGIES.get(label.strip())
        if name is not None and self.steps:
            setattr(self.steps[-1], name, number_of(words[0]))

    def _forces(self, line: str) -> None:
        if line.startswith("Total atomic forces") and self.steps:
            self.steps[-1].forces = []
            self._block = self._force_line

    def _force_line(self, line: str) -> bool:
        words = line[1:].split()
        force = numbers_of(words[1:]) if line.startswith("|") and len(words) == 4 else None
        if force is None or not self.steps:
            self._block = None
            return False
        self.steps[-1].forces.append(force)
        return True

    def _max_force(self, line: str) -> None:
        if line.startswith("Maximum force component is") and self.steps:
            self.steps[-1].max_force = number_after("is", line)

    def _present_geometry(self, line: str) -> None:
        if line.startswith("Present geometry is "):
            self.relaxing = True
            self.geometry_converged = line == "Present geometry is converged."
            self.landmark = line

    def _geometry_word(self, line: str) -> None:
        if line.startswith("Geometry relaxation:"):
            self.relaxing = "none" not in line.lower()

    def _abort(self, line: str) -> None:
        if "Aborting optimization" in line:
            self.relaxing = True
            self.abort = line

    def _leaving(self, line: str) -> None:
        if line == "Leaving FHI-aims.":
            self.leaving = line

    # Electrons

    def _banner(self, line: str) -> None:
        if "STARTING SECOND VARIATIONAL SOC CALCULATION" in line:
            self._electrons = self.soc
            self._pending = GapBlock()

    def _potential(self, line: str) -> None:
        if line[:20].lower() == "| chemical potential":
            mark = "potential is" if "potential is" in line else ":"
            if (value := number_after(mark, line)) is not None:
                self._electrons.chemical_potential = value

    def _edge_energy(self, line: str) -> None:
        """Read "Highest occupied state (VBM) at ... eV"; its k-point follows on a line of its own."""
        self._edge = "vbm" if line.startswith("Highest occupied state") else "cbm"
        if self._edge == "vbm":
            self._pending = GapBlock()
        setattr(self._pending, self._edge, number_after(" at", line))

    def _edge_k(self, line: str) -> None:
        """Read "| K-point:       1 at    0.000000    0.000000    0.000000 (in units of recip. lattice)"."""
        words = line[1:].split()
        if self._edge and len(words) >= 6 and words[0] == "K-point:" and (k := numbers_of(words[3:6])) is not None:
            setattr(self._pending, f"{self._edge}_k", (k[0], k[1], k[2]))
            self._pending.indices[self._edge] = index_of(words[1])

    def _gap(self, line: str) -> None:
        if "HOMO-LUMO gap:" not in line:
            return
        block, self._pending, self._edge = self._pending, GapBlock(), ""
        block.gap = number_after("gap:", line)
        if block.indices.get("vbm") == block.indices.get("cbm") is not None:
            block.direct_gap, block.direct_gap_k = block.gap, block.vbm_k
        self._electrons.gap = block

    def _direct_gap(self, line: str) -> None:
        """Read "| Smallest direct gap :      0.43 eV for k_point 1 at    0.0    0.0    0.5 (in units of ...".

        Versions up to 191112 print the coordinates of the CBM there, whatever the index says: they are taken only
        where they do not contradict the index.
        """
        block = self._electrons.gap
        words = line.split()
        if block is None or len(words) < 13 or not line.startswith("| Smallest direct gap"):
            return
        block.direct_gap = number_of(words[5])
        index = index_of(words[9])
        k = numbers_of(words[11:14])
        printed = None if k is None else (k[0], k[1], k[2])
        if index == block.indices.get("vbm"):
            block.direct_gap_k = block.vbm_k
        elif index == block.indices.get("cbm") or printed != block.cbm_k:
            block.direct_gap_k = printed

    def _path_segment(self, line: str) -> None:
        """Read "Treating all   44 k-points in band plot segment #   1:"."""
        words = line.split()
        if line.startswith("Treating all") and "band plot segment" in line and len(words) >= 10:
            self.path_points[index_of(words[9].rstrip(":"))] = index_of(words[2])

    def _path_head(self, line: str) -> None:
        if "and gap" in line:
            whole = line.endswith("of total set of bands:")
            self._path = (self.soc if line.startswith("Spin-orbit") else self.scalar) if whole else None

    def _path_edge(self, line: str) -> None:
        if self._path is not None and line.startswith("| Highest occupied state"):
            self._path.path_vbm = number_after(":", line)

    def _path_gap(self, line: str) -> None:
        if self._path is not None and line.startswith("| Energy difference"):
            self._path.path_gap, self._path = number_after(":", line), None

    def _moment(self, line: str) -> None:
        if line.startswith("| N = N_up - N_down"):
            self.moment = number_after(":", line)


_COUNTS = {
    "Number of atoms": "atoms",
    "Number of spin channels": "spin",
    "Number of k-points": "kpoints",
}
_ENERGIES = {
    "Total energy uncorrected": "energy",
    "Total energy corrected": "corrected",
    "Electronic free energy": "free",
}
_HANDLERS: dict[str, Handler] = {
    "Invo": Collector._invoking,
    "Vers": Collector._version,
    "FHI-": Collector._version,
    "Usin": Collector._tasks,
    "| Nu": Collector._counted,
    "Pars": Collector._control,
    "* Wa": Collector._warning,
    "* WA": Collector._warning,
    "*** ": Collector._warning,
    "Inpu": Collector._input_geometry,
    "Upda": Collector._new_geometry,
    "Fina": Collector._new_geometry,
    "Begi": Collector._begin,
    "SCF ": Collector._iteration,
    "Self": Collector._scf_converged,
    "| To": Collector._energy,
    "| El": Collector._energy,
    "Tota": Collector._forces,
    "Maxi": Collector._max_force,
    "Pres": Collector._present_geometry,
    "Geom": Collector._geometry_word,
    "Abor": Collector._abort,
    "* Ab": Collector._abort,
    "Leav": Collector._leaving,
    "**  ": Collector._banner,
    "| Ch": Collector._potential,
    "High": Collector._edge_energy,
    "Lowe": Collector._edge_energy,
    "| K-": Collector._edge_k,
    "ESTI": Collector._gap,
    "Over": Collector._gap,
    "| Sm": Collector._direct_gap,
    "Trea": Collector._path_segment,
    '"Ban': Collector._path_head,
    "Scal": Collector._path_head,
    "Spin": Collector._path_head,
    "| Hi": Collector._path_edge,
    "| En": Collector._path_gap,
    "| N ": Collector._moment,
}
