"""What one run of FHI-aims is asked for, and the input files that say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from aiida_perovskite.engines.aims.control import band_line, check_expert, control_text, dielectric_lines, dos_lines
from aiida_perovskite.engines.aims.geometry import geometry_text
from aiida_perovskite.engines.aims.symmetry import parametric_block

if TYPE_CHECKING:
    from ase import Atoms

DENSITY_EVERY = 10  # SCF iterations between two copies of the density matrix: a restart loses no more
DENSITY_FILES = "D_spin_*.csc"
HESSIAN = "hessian.aims"
EVEN_STEP = 1e-6  # fractions: a band segment of FHI-aims is a straight line of equal steps


@dataclass(frozen=True)
class Relaxation:
    """A relaxation of atoms and, unless ``cell`` is ``none``, cell.

    Attributes
    ----------
    max_force_ev_per_angstrom
        Largest force, and generalised force on the lattice, that is left.
    cell
        ``full``, ``fixed_angles`` or ``none``.
    max_steps
        After which FHI-aims gives up.
    algorithm
        As `relax_geometry` takes it.
    """

    max_force_ev_per_angstrom: float = 0.01
    cell: Literal["full", "fixed_angles", "none"] = "full"
    max_steps: int = 100
    algorithm: str = "trm"


@dataclass(frozen=True)
class Segment:
    """A straight line of bands: ``n_points`` from ``start`` to ``end``, fractions of the reciprocal vectors."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    n_points: int
    names: tuple[str, str]


@dataclass(frozen=True)
class Dielectric:
    """A dielectric function and absorption from 0 to ``omega_max_ev`` on ``n_omega`` points, Gaussian broadening."""

    omega_max_ev: float = 10.0
    n_omega: int = 1000
    broadening_ev: float = 0.05
    style: Literal["compute_dielectric", "output_dielectric"] = "compute_dielectric"


@dataclass(frozen=True)
class DensityOfStates:
    """Total and atom-projected densities of states; range on the scale of the eigenvalues, eV."""

    min_ev: float = -20.0
    max_ev: float = 5.0
    n_points: int = 1250
    broadening_ev: float = 0.1


@dataclass(frozen=True)
class AimsRequest:
    """What one run is asked for beside structure and species.

    Attributes
    ----------
    keywords
        Keywords of control.in that no other attribute stands for; those that one does are refused.
    k_grid
        Points along the three reciprocal vectors.
    spin
        ``none`` or ``collinear``; ``collinear`` is taken where there are moments.
    initial_moments
        One number per atom, Bohr magnetons.
    symmetric
        Whether a relaxation keeps the space group, by a block of parameters.
    relaxation, dielectric, dos
        None where it is not wanted.
    spin_orbit
        Second-variational spin-orbit coupling after the last density.
    bands
        Segments.
    density_restart
        Read the density matrix of an earlier run where there is one, and write one.
    restart_hessian
        Read the Hessian of an earlier relaxation.
    max_path_below_grid_ev
        How far the gap of ``bands`` may lie below that on the grid before the grid counts as too coarse, eV.
    """

    keywords: Mapping[str, Any]
    k_grid: tuple[int, int, int]
    spin: Literal["none", "collinear"] = "none"
    initial_moments: tuple[float, ...] | None = None
    symmetric: bool = False
    relaxation: Relaxation | None = None
    spin_orbit: bool = False
    bands: tuple[Segment, ...] = ()
    dielectric: Dielectric | None = None
    dos: DensityOfStates | None = None
    density_restart: bool = False
    restart_hessian: bool = False
    max_path_below_grid_ev: float = 0.4

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> AimsRequest:
        """Return the request that nested dictionaries describe.

        Raises
        ------
        ValueError
            For a keyword that belongs to another attribute, an unknown attribute, or a value that cannot be.
        """
        given = dict(content)
        parts = {"relaxation": Relaxation, "dielectric": Dielectric, "dos": DensityOfStates}
        for name, kind in parts.items():
            if given.get(name) is not None:
                given[name] = _build(kind, given[name], name)
        given["bands"] = tuple(_build(Segment, line, "bands") for line in given.get("bands") or ())
        if given.get("initial_moments") is not None:
            given["initial_moments"] = tuple(float(moment) for moment in given["initial_moments"])
        request: AimsRequest = _build(cls, given, "settings")
        request.require_valid()
        return request

    def settings(self) -> dict[str, Any]:
        """Return all but keywords and k-point grid, as `from_dict` takes it back."""
        content = asdict(self)
        return {name: value for name, value in content.items() if name not in ("keywords", "k_grid")}

    def require_valid(self) -> None:
        """Raise ValueError, in a sentence, for what FHI-aims would refuse or this package sets itself."""
        check_expert(self.keywords)
        if len(self.k_grid) != 3 or any(int(n) != n or n < 1 for n in self.k_grid):
            raise ValueError(f"the k-point grid {self.k_grid} is not three positive integers")
        if self.spin not in ("none", "collinear"):
            raise ValueError(f"spin {self.spin!r} is neither none nor collinear")

    def files(self, atoms: Atoms, species: Mapping[str, str]) -> dict[str, str]:
        """Return name -> text of the input files.

        Parameters
        ----------
        atoms
            The structure, periodic in three directions.
        species
            Element -> text of its species defaults.

        Raises
        ------
        ValueError
            If an element has no species defaults, the moments do not fit the atoms, or the structure has no
            parametric symmetry although it is to be kept.
        """
        symbols = list(dict.fromkeys(atoms.get_chemical_symbols()))
        missing = [symbol for symbol in symbols if symbol not in species]
        if missing:
            raise ValueError(f"there are no species defaults for {', '.join(missing)}")
        moments = self.initial_moments
        if moments is not None and len(moments) != len(atoms):
            raise ValueError(f"{len(moments)} initial moments for {len(atoms)} atoms")
        block = parametric_block(atoms) if self.symmetric and self.relaxation else None
        geometry = geometry_text(atoms, initial_moments=moments, symmetry=block)
        if self.restart_hessian:
            geometry += "hessian_file\n"
        wanted = {symbol: species[symbol] for symbol in symbols}
        return {"control.in": control_text(self._keywords(), self._outputs(), wanted), "geometry.in": geometry}

    @property
    def collinear(self) -> bool:
        """Whether the run is spin-polarised."""
        return self.spin == "collinear" or any(self.initial_moments or ())

    @property
    def retrieve(self) -> list[str]:
        """Names of the files that a run leaves, patterns allowed; standard output not among them."""
        names = []
        if self.relaxation:
            names.append("geometry.in.next_step")
        if self.bands:
            names += ["band[12]*.out", "band[12]*.out.no_soc"]
        if self.dielectric:
            names += ["absorption_*.out", "dielectric_function_*.out"]
        if self.dos:
            names += ["KS_DOS_total.dat", "atom_proj_dos_*.dat"]
        return names

    @property
    def restart_files(self) -> list[str]:
        """Names of the files of an earlier run that are read, patterns allowed."""
        density = [DENSITY_FILES] if self.density_restart else []
        return density + ([HESSIAN] if self.restart_hessian else [])

    def _keywords(self) -> dict[str, Any]:
        keywords: dict[str, Any] = dict(self.keywords)
        keywords["spin"] = "collinear" if self.collinear else "none"
        if self.collinear:
            keywords["default_initial_moment"] = 0.0
        keywords["k_grid"] = list(self.k_grid)
        if self.spin_orbit:
            keywords["include_spin_orbit"] = "non_self_consistent"
        if self.relaxation:
            keywords["relax_geometry"] = [self.relaxation.algorithm, self.relaxation.max_force_ev_per_angstrom]
            keywords["relax_unit_cell"] = self.relaxation.cell
            keywords["max_relaxation_steps"] = self.relaxation.max_steps
        if self.density_restart:
            keywords["elsi_restart"] = ["read_and_write", DENSITY_EVERY]
        return keywords

    def _outputs(self) -> list[str]:
        lines = [band_line(line.start, line.end, line.n_points, line.names) for line in self.bands]
        if self.dielectric:
            part = self.dielectric
            lines += dielectric_lines(part.style, part.omega_max_ev, part.n_omega, part.broadening_ev)
        if self.dos:
            lines += dos_lines(self.dos.min_ev, self.dos.max_ev, self.dos.n_points, self.dos.broadening_ev)
        return lines


def segments(points: Sequence[Sequence[float]], name: str) -> list[Segment]:
    """Return the straight lines of equal steps that a line of explicit k-points consists of.

    A corner ends one segment and starts the next, so that FHI-aims computes it twice.

    Parameters
    ----------
    points
        (n, 3), fractions of the reciprocal vectors.
    name
        Of the line; the ends of its segments are named after it.

    Raises
    ------
    ValueError
        If there are fewer than two points.
    """
    line = np.array(points, dtype=float)
    if line.ndim != 2 or len(line) < 2:
        raise ValueError(f"the line {name} has fewer than two k-points")
    steps = np.diff(line, axis=0)
    turns = np.flatnonzero(np.abs(np.diff(steps, axis=0)).max(axis=1) > EVEN_STEP) + 1
    corners = [0, *turns.tolist(), len(line) - 1]
    word = name.replace(" ", "_")
    return [
        Segment(tuple(line[i].tolist()), tuple(line[j].tolist()), j - i + 1, (f"{word}_{i}", f"{word}_{j}"))
        for i, j in pairwise(corners)
    ]


def _build(kind: Any, content: Mapping[str, Any], where: str) -> Any:
    known = {entry.name for entry in fields(kind)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise ValueError(f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None
