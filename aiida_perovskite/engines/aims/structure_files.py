"""Structures that FHI-aims reads and writes: ``geometry.in``, ``geometry.in.next_step``, ``hessian.aims``.

Read here and not with pyfhiaims: what a restart needs is the structure as ASE Atoms with its moments, and every other
line as it stood, beside the atom to which it belongs.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aiida_perovskite.engines.results import EngineError

if TYPE_CHECKING:
    from ase import Atoms

# A tag of the format, then the matrix in doubles.
_HESSIAN_HEAD_BYTES = 4
_BYTES_PER_NUMBER = 8
_LATTICE_COORDINATES = 9


@dataclass(frozen=True, eq=False)
class GeometryFile:
    """A structure and the lines of its file that say more.

    Attributes
    ----------
    atoms
        In Angstrom, periodic in all directions or none, with initial moments and charges where the file has them.
    atom_lines
        For each atom the other lines below it, such as ``constrain_relaxation .true.``.
    lattice_lines
        The same for each lattice vector.
    extra
        All other lines: ``symmetry_*``, ``trust_radius``, ``hessian_*``, ... Comments and empty lines are left out.
    """

    atoms: Atoms
    atom_lines: tuple[tuple[str, ...], ...]
    lattice_lines: tuple[tuple[str, ...], ...]
    extra: tuple[str, ...]

    @property
    def symmetry(self) -> tuple[str, ...]:
        """The lines of the parametric symmetry block."""
        return tuple(line for line in self.extra if line.startswith("symmetry_"))


# Keywords that stand below an atom or a lattice vector and belong to it alone.
_OF_ONE_SITE = frozenset(
    {
        "constrain_relaxation",
        "velocity",
        "RT_velocity",
        "magnetic_response",
        "magnetic_moment",
        "nuclear_spin",
        "isotope",
    }
)


class _Reader:
    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.positions: list[list[float]] = []
        self.fractional: list[bool] = []
        self.cell: list[list[float]] = []
        self.moments: dict[int, float] = {}
        self.charges: dict[int, float] = {}
        self.atom_lines: list[list[str]] = []
        self.lattice_lines: list[list[str]] = []
        self.extra: list[str] = []
        self.last: list[str] = self.extra

    def take(self, line: str) -> None:
        words = line.split()
        if words[0] in ("atom", "atom_frac"):
            self.positions.append(_vector(words[1:4], line))
            if len(words) < 5:
                raise EngineError("crashed", f"an atom without species in the geometry file: {line!r}")
            self.symbols.append(words[4])
            self.fractional.append(words[0] == "atom_frac")
            self.last = []
            self.atom_lines.append(self.last)
        elif words[0] == "lattice_vector":
            self.cell.append(_vector(words[1:4], line))
            self.last = []
            self.lattice_lines.append(self.last)
        elif words[0] in ("initial_moment", "initial_charge") and self.symbols and len(words) == 2:
            values = self.moments if words[0] == "initial_moment" else self.charges
            values[len(self.symbols) - 1] = _number(words[1], line)
        elif words[0] in _OF_ONE_SITE:
            self.last.append(line)
        else:
            self.extra.append(line)


def read_geometry(source: str | os.PathLike[str]) -> GeometryFile:
    """Read a ``geometry.in`` or ``geometry.in.next_step``.

    Parameters
    ----------
    source
        A path, or the text itself (a string with a newline in it).

    Raises
    ------
    EngineError
        With code ``crashed`` if the file holds no atoms, one or two lattice vectors, or numbers that are none.
    """
    if isinstance(source, str) and "\n" in source:
        text = source
    else:
        text = Path(source).read_text(encoding="utf-8", errors="replace")
    reader = _Reader()
    for line in text.splitlines():
        if content := line.partition("#")[0].strip():
            reader.take(content)
    return GeometryFile(
        atoms=_atoms(reader),
        atom_lines=tuple(tuple(lines) for lines in reader.atom_lines),
        lattice_lines=tuple(tuple(lines) for lines in reader.lattice_lines),
        extra=tuple(reader.extra),
    )


def _atoms(reader: _Reader) -> Atoms:
    from ase import Atoms

    if not reader.symbols or len(reader.cell) not in (0, 3):
        raise EngineError(
            "crashed", f"the geometry file holds {len(reader.symbols)} atoms and {len(reader.cell)} lattice vectors"
        )
    cell = np.array(reader.cell) if reader.cell else None
    positions = np.array(reader.positions)
    if any(reader.fractional):
        if cell is None:
            raise EngineError("crashed", "the geometry file has atom_frac lines but no lattice vectors")
        fractional = np.array(reader.fractional)
        positions[fractional] = positions[fractional] @ cell
    try:
        atoms = Atoms(
            [_element(symbol) for symbol in reader.symbols], positions=positions, cell=cell, pbc=bool(reader.cell)
        )
    except (KeyError, ValueError) as error:
        raise EngineError("crashed", f"the geometry file names an element that is none ({error})") from error
    count = range(len(atoms))
    if reader.moments:
        atoms.set_initial_magnetic_moments([reader.moments.get(index, 0.0) for index in count])
    if reader.charges:
        atoms.set_initial_charges([reader.charges.get(index, 0.0) for index in count])
    return atoms


def _element(species: str) -> str:
    """Return the element of a species label such as ``Fe_up`` or ``Fe1``."""
    from ase.data import atomic_numbers

    for length in (2, 1):
        if len(species) >= length and species[:length] in atomic_numbers:
            rest = species[length:]
            if not rest[:1].islower():
                return species[:length]
    return species


def _number(word: str, line: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise EngineError("crashed", f"a number that is none in the geometry file: {line!r}")
    return value


def _vector(words: list[str], line: str) -> list[float]:
    if len(words) != 3:
        raise EngineError("crashed", f"a line of the geometry file is cut: {line!r}")
    return [_number(word, line) for word in words]


def check_hessian(source: Path | str | bytes, n_atoms: int) -> None:
    """Check that a ``hessian.aims`` is whole and fits a structure, so that a restart may use it.

    The file holds a tag of 4 bytes and a square matrix of doubles, 3 rows an atom and 9 for the cell where that is
    relaxed (seen in outputs of 2022 to 2024).

    Raises
    ------
    EngineError
        With code ``crashed`` if the size fits neither.
    """
    size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    fitting = [
        _HESSIAN_HEAD_BYTES + _BYTES_PER_NUMBER * n**2 for n in (3 * n_atoms, 3 * n_atoms + _LATTICE_COORDINATES)
    ]
    if size not in fitting:
        raise EngineError(
            "crashed", f"hessian.aims has {size} bytes, not {fitting[0]} or {fitting[1]}: restart without it"
        )
