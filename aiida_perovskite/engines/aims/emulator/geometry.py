"""``geometry.in`` as the emulator understands it, with the parametric symmetry block."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.errors import AbortRun
from aiida_perovskite.engines.aims.emulator.expressions import Affine, parse_expression

Floats = NDArray[np.float64]

_TOLERANCE = 1e-3  # Angstrom and fractions; coarser than a block and its atoms differ by rounding in a file


@dataclass(frozen=True)
class Symmetry:
    """Parametric constraints: cell and fractional coordinates as affine functions of parameters.

    Attributes
    ----------
    lattice, fractional
        ``(3, 3, 1 + n)`` and ``(atoms, 3, 1 + n)``: constant first, then the coefficient of each parameter.
    values
        The parameters, ``(n,)``.
    """

    names: tuple[str, ...]
    lattice: Floats
    fractional: Floats
    values: Floats


@dataclass(frozen=True)
class Geometry:
    """A structure.

    Attributes
    ----------
    species
        Names, one an atom.
    positions
        Cartesian, Angstrom, ``(atoms, 3)``.
    lattice
        Rows are the vectors (Angstrom); None for a molecule.
    moments
        Initial moments (Bohr magnetons), None where not given.
    fixed_atoms, fixed_vectors
        Those with ``constrain_relaxation``.
    symmetry
        The parametric block, if there is one.
    hessian_file
        Whether a Hessian is to be read from ``hessian.aims``.
    """

    species: tuple[str, ...]
    positions: Floats
    lattice: Floats | None = None
    moments: tuple[float | None, ...] = ()
    fixed_atoms: tuple[bool, ...] = ()
    fixed_vectors: tuple[bool, ...] = (False, False, False)
    symmetry: Symmetry | None = None
    hessian_file: bool = False

    @property
    def fractional(self) -> Floats:
        """Fractional coordinates, ``(atoms, 3)``."""
        assert self.lattice is not None
        return np.asarray(self.positions @ np.linalg.inv(self.lattice))

    def moved(self, lattice: Floats | None, positions: Floats) -> Geometry:
        """Return the same atoms elsewhere."""
        return replace(self, lattice=lattice, positions=positions)


@dataclass
class _Reading:
    lattice: list[list[float]] = field(default_factory=list)
    atoms: list[tuple[str, list[float], bool]] = field(default_factory=list)
    moments: list[float | None] = field(default_factory=list)
    fixed: list[bool] = field(default_factory=list)
    fixed_vectors: list[bool] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    lattice_lines: list[str] = field(default_factory=list)
    fractional_lines: list[str] = field(default_factory=list)
    hessian_file: bool = False
    last: str = ""


_IGNORED = frozenset(
    {
        "initial_charge",
        "hessian_block",
        "hessian_block_lv",
        "hessian_block_lv_atom",
        "trust_radius",
        "velocity",
        "homogeneous_field",
        "set_vacuum_level",
        "verbatim_writeout",
        "calculate_friction",
    }
)


def read_geometry(text: str) -> Geometry:
    """Return the structure of a ``geometry.in``.

    Raises
    ------
    AbortRun
        At an unknown keyword, a line that does not parse, coordinates that are not finite, two atoms on one place, or
        a symmetry block that is malformed or contradicts the coordinates.
    """
    reading = _Reading()
    for line in text.splitlines():
        content = line.partition("#")[0].strip()
        if content:
            try:
                _take_line(reading, content)
            except (ValueError, IndexError) as error:
                raise AbortRun(f"Syntax error in geometry.in, in the line '{content}'.") from error
    return _finish(reading)


def _take_line(reading: _Reading, content: str) -> None:
    keyword, *values = content.split()
    if keyword == "lattice_vector":
        reading.lattice.append(_floats(values, 3))
        reading.fixed_vectors.append(False)
        reading.last = keyword
    elif keyword in ("atom", "atom_frac"):
        reading.atoms.append((values[3], _floats(values[:3], 3), keyword == "atom_frac"))
        reading.moments.append(None)
        reading.fixed.append(False)
        reading.last = keyword
    elif keyword == "initial_moment":
        reading.moments[-1] = _floats(values, 1)[0]
    elif keyword == "constrain_relaxation":
        # Single coordinates (x, y, z) can be fixed too; the emulator then fixes the whole atom.
        fixed = values[0] != ".false."
        (reading.fixed_vectors if reading.last == "lattice_vector" else reading.fixed)[-1] = fixed
    elif keyword == "symmetry_n_params":
        reading.counts = [int(value) for value in values]
    elif keyword == "symmetry_params":
        reading.names = values
    elif keyword == "symmetry_lv":
        reading.lattice_lines.append(content.partition(" ")[2])
    elif keyword == "symmetry_frac":
        reading.fractional_lines.append(content.partition(" ")[2])
    elif keyword == "hessian_file":
        reading.hessian_file = True
    elif keyword not in _IGNORED:
        raise AbortRun(f"Unknown keyword '{keyword}' in input file geometry.in.")


def _floats(words: list[str], count: int) -> list[float]:
    values = [float(word) for word in words]
    if len(values) != count or not np.all(np.isfinite(values)):
        raise ValueError(words)
    return values


def _finish(reading: _Reading) -> Geometry:
    if not reading.atoms:
        raise AbortRun("No atoms in input file geometry.in.")
    if len(reading.lattice) not in (0, 3):
        raise AbortRun(f"Input file geometry.in holds {len(reading.lattice)} lattice vectors; give three or none.")
    lattice = np.array(reading.lattice) if reading.lattice else None
    if lattice is not None and abs(np.linalg.det(lattice)) < 1e-3:
        raise AbortRun("The lattice vectors of geometry.in are linearly dependent.")
    if lattice is None and any(fraction for _, _, fraction in reading.atoms):
        raise AbortRun("Keyword 'atom_frac' in geometry.in needs lattice vectors.")
    positions = np.array(
        [np.array(at) @ lattice if frac and lattice is not None else at for _, at, frac in reading.atoms]
    )
    geometry = Geometry(
        species=tuple(name for name, _, _ in reading.atoms),
        positions=positions,
        lattice=lattice,
        moments=tuple(reading.moments),
        fixed_atoms=tuple(reading.fixed),
        fixed_vectors=tuple(reading.fixed_vectors) or (False, False, False),
        hessian_file=reading.hessian_file,
    )
    block = reading.counts or reading.names or reading.lattice_lines or reading.fractional_lines
    return replace(geometry, symmetry=_symmetry(reading, geometry)) if block else geometry


def _symmetry(reading: _Reading, geometry: Geometry) -> Symmetry:
    if geometry.lattice is None:
        raise AbortRun("Symmetry block: it needs lattice vectors.")
    if len(reading.counts) != 3 or reading.counts[0] != reading.counts[1] + reading.counts[2]:
        raise AbortRun("Symmetry block: 'symmetry_n_params' takes three numbers: all, of the lattice, of the atoms.")
    total, of_lattice, _ = reading.counts
    if len(reading.names) != total or len(set(reading.names)) != total:
        raise AbortRun(
            f"Symmetry block: {len(reading.names)} names behind 'symmetry_params', not {total} different ones."
        )
    if len(reading.lattice_lines) != 3 or len(reading.fractional_lines) != len(geometry.species):
        raise AbortRun(
            f"Symmetry block: {len(reading.lattice_lines)} 'symmetry_lv' and {len(reading.fractional_lines)} "
            f"'symmetry_frac' lines, not 3 and {len(geometry.species)}."
        )
    lattice = np.array([_row(line, reading.names) for line in reading.lattice_lines])
    fractional = np.array([_row(line, reading.names) for line in reading.fractional_lines])
    if np.any(lattice[:, :, 1 + of_lattice :]) or np.any(fractional[:, :, 1 : 1 + of_lattice]):
        raise AbortRun("Symmetry block: a lattice parameter in 'symmetry_frac', or an atomic one in 'symmetry_lv'.")
    values = _parameter_values(lattice, fractional, geometry)
    return Symmetry(tuple(reading.names), lattice, fractional, values)


def _row(line: str, names: list[str]) -> list[Affine]:
    parts = line.split(",")
    if len(parts) != 3:
        raise AbortRun(f"Symmetry block: '{line.strip()}' does not hold three expressions between commas.")
    return [parse_expression(part, names) for part in parts]


def _parameter_values(lattice: Floats, fractional: Floats, geometry: Geometry) -> Floats:
    """Return the parameters that give the coordinates; those of atoms count modulo lattice vectors."""
    rows = np.concatenate([lattice.reshape(9, -1), fractional.reshape(-1, lattice.shape[2])])
    assert geometry.lattice is not None
    wanted = np.concatenate([geometry.lattice.ravel(), geometry.fractional.ravel()])
    guess = np.zeros(rows.shape[1] - 1)
    for number in range(len(guess)):
        used = np.flatnonzero(rows[:, 1 + number])
        if not len(used):
            raise AbortRun("Symmetry block: a parameter is named but not used.")
        alone = [row for row in used if np.count_nonzero(rows[row, 1:]) == 1]
        if alone:
            guess[number] = (wanted[alone[0]] - rows[alone[0], 0]) / rows[alone[0], 1 + number]
    wanted[9:] += np.round(rows[9:, 0] + rows[9:, 1:] @ guess - wanted[9:])
    values = np.linalg.lstsq(rows[:, 1:], wanted - rows[:, 0], rcond=None)[0]
    misfit = np.abs(rows[:, 0] + rows[:, 1:] @ values - wanted)
    misfit[9:] = np.abs(misfit[9:] - np.round(misfit[9:]))
    if misfit.max() > _TOLERANCE:
        raise AbortRun("Symmetry block: the coordinates of geometry.in contradict it.")
    return np.asarray(values)
