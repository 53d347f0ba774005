"""Band files of FHI-aims (``band1001.out``, ...), on the energy axis of the standard output.

A line is ``index k1 k2 k3 occupation energy occupation energy ...``. The zero of the energies is the chemical potential
of the family of files: that with spin-orbit coupling for the SOC bands, that without for the others (in Ge -5.00124
and -5.00246 eV), so that files of two families cannot be compared as they are.

The files are read with numpy: pyfhiaims reads them as well, but from a path only, number by number, and leaves the zero
and the damage to the caller; a test holds the two against each other on every real file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aiida_perovskite.engines.aims.output import AimsOutput
from aiida_perovskite.engines.aims.records import KPoint
from aiida_perovskite.engines.results import EngineError

_NAME = re.compile(r"band([12])(\d{3,})\.out(\.no_soc)?")
# Two printed numbers of 5 decimals and their difference agree to 2e-5 eV; other runs differ by far more than this.
_SAME_RUN_EV = 1e-3


@dataclass(frozen=True, eq=False)
class AimsBands:
    """Energies along a path.

    Attributes
    ----------
    kpoints
        (n_k, 3), fractions of the reciprocal vectors; ends shared by two segments occur twice.
    segments
        First and last-plus-one k-point of each segment.
    eigenvalues_ev
        (n_spin, n_k, n_bands), on the axis of the standard output if `zero_ev` is known, else above the chemical
        potential.
    occupations
        Like `eigenvalues_ev`; up to 2 without spin, up to 1 with spin or spin-orbit coupling.
    zero_ev
        What was added to the energies in the files; None if no output was given.
    soc
        Whether spin-orbit coupling is in.
    """

    kpoints: np.ndarray
    segments: tuple[tuple[int, int], ...]
    eigenvalues_ev: np.ndarray
    occupations: np.ndarray
    zero_ev: float | None
    soc: bool

    @property
    def occupied(self) -> np.ndarray:
        """Whether a level is more than half full, as FHI-aims itself tells; shape of `eigenvalues_ev`."""
        full = 1.0 if self.soc or len(self.occupations) == 2 else 2.0
        return np.asarray(self.occupations > full / 2)

    @property
    def vbm_ev(self) -> float:
        """Highest occupied level on the path."""
        return float(self.eigenvalues_ev[self.occupied].max())

    @property
    def cbm_ev(self) -> float:
        """Lowest empty level on the path."""
        return float(self.eigenvalues_ev[~self.occupied].min())

    @property
    def gap_ev(self) -> float:
        """Gap on the path; 0.0 if the bands overlap."""
        return max(0.0, self.cbm_ev - self.vbm_ev)

    @property
    def direct_gap_ev(self) -> float:
        """Smallest difference between empty and occupied levels at one k-point."""
        highest, lowest = self._edges()
        return max(0.0, float((lowest - highest).min()))

    @property
    def vbm_k(self) -> KPoint:
        """Where the highest occupied level lies (first of equals)."""
        return self._k(int(self._edges()[0].argmax()))

    @property
    def cbm_k(self) -> KPoint:
        """Where the lowest empty level lies (first of equals)."""
        return self._k(int(self._edges()[1].argmin()))

    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        highest = np.where(self.occupied, self.eigenvalues_ev, -np.inf).max(axis=(0, 2))
        lowest = np.where(self.occupied, np.inf, self.eigenvalues_ev).min(axis=(0, 2))
        return highest, lowest

    def _k(self, index: int) -> KPoint:
        first, second, third = self.kpoints[index].tolist()
        return first, second, third


def read_bands(
    source: Path | str | Mapping[str, str], soc: bool = False, output: AimsOutput | None = None
) -> AimsBands:
    """Read the band files of a run.

    Parameters
    ----------
    source
        The folder, or a mapping of file names to texts; other files are ignored.
    soc
        Whether to read the bands with spin-orbit coupling. FHI-aims writes these to ``band1NNN.out`` and the others of
        the same run to ``band{1,2}NNN.out.no_soc``, both spins.
    output
        The run's standard output: it gives the zero, the number of k-points of each segment, and the highest level, by
        which files of another run are told. Without it the energies stay relative to the chemical potential.

    Raises
    ------
    EngineError
        With code ``crashed`` if files are missing, cut, damaged, or do not belong to the output.
    """
    files = _families(source)
    has_soc = any(suffix for _, _, suffix in files)
    if soc and not has_soc:
        raise EngineError(
            "crashed", "there are no bands with spin-orbit coupling (no band*.out.no_soc beside the rest)"
        )
    suffix = ".no_soc" if has_soc and not soc else ""
    spins = sorted({spin for spin, _, end in files if end == suffix})
    if spins not in (["1"], ["1", "2"]):
        raise EngineError("crashed", f"band files band1NNN.out{suffix} are missing")
    numbers = sorted({number for _, number, end in files if end == suffix})
    if numbers != list(range(1, len(numbers) + 1)):
        raise EngineError("crashed", f"band files are missing: there are segments {numbers} only")
    parts = [[_read_segment(files, (spin, number, suffix)) for number in numbers] for spin in spins]
    bands = _join(parts, soc)
    return bands if output is None else _on_axis(bands, output)


def _families(source: Path | str | Mapping[str, str]) -> dict[tuple[str, int, str], str]:
    """Return the texts by spin, segment and suffix."""
    if isinstance(source, Mapping):
        texts = dict(source)
    else:
        paths = [path for path in Path(source).iterdir() if _NAME.fullmatch(path.name)]
        texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    matches = ((_NAME.fullmatch(name), text) for name, text in texts.items())
    return {(match[1], int(match[2]), match[3] or ""): text for match, text in matches if match}


def _read_segment(files: Mapping[tuple[str, int, str], str], key: tuple[str, int, str]) -> np.ndarray:
    """Return one file as a table (n_k, 4 + 2 n_bands)."""
    name = f"band{key[0]}{key[1]:03d}.out{key[2]}"
    text = files.get(key)
    if text is None:
        raise EngineError("crashed", f"the band file {name} is missing")
    lines = text.split("\n")
    # What stands behind the last newline may be half a number.
    if lines.pop().strip() or not lines:
        raise EngineError("crashed", f"the band file {name} is cut off; run the band structure again")
    try:
        table = np.array([line.split() for line in lines], dtype=float)
    except ValueError as error:
        raise EngineError("crashed", f"the band file {name} is damaged ({error})") from error
    if table.ndim != 2 or table.shape[1] < 6 or table.shape[1] % 2 or not np.isfinite(table).all():
        raise EngineError("crashed", f"the band file {name} is damaged: no table of finite energies")
    return table


def _join(parts: list[list[np.ndarray]], soc: bool) -> AimsBands:
    lengths = [[len(table) for table in spin] for spin in parts]
    if len({table.shape[1] for spin in parts for table in spin}) != 1 or lengths[0] != lengths[-1]:
        raise EngineError("crashed", "the band files have different numbers of bands or k-points: some are cut")
    whole = np.array([np.concatenate(spin) for spin in parts])
    if not np.array_equal(whole[0, :, 1:4], whole[-1, :, 1:4]):
        raise EngineError("crashed", "the band files of the two spins have different k-points")
    ends = np.cumsum([0, *lengths[0]]).tolist()
    bands = AimsBands(
        kpoints=whole[0, :, 1:4],
        segments=tuple(itertools.pairwise(ends)),
        eigenvalues_ev=whole[:, :, 5::2],
        occupations=whole[:, :, 4::2],
        zero_ev=None,
        soc=soc,
    )
    if bands.occupied.all() or not bands.occupied.any():
        raise EngineError("crashed", "the band files hold no empty or no occupied level; raise empty_states")
    return bands


def _on_axis(bands: AimsBands, output: AimsOutput) -> AimsBands:
    """Undo the zero: the chemical potential, or, where that is not printed, by the highest level on the path."""
    chemical_potential = output.soc_chemical_potential_ev if bands.soc else output.chemical_potential_ev
    highest = output.soc_path_vbm_ev if bands.soc else output.path_vbm_ev
    points = tuple(stop - start for start, stop in bands.segments)
    if output.path_points and points != output.path_points:
        raise EngineError(
            "crashed", f"the band files have {points} k-points, the output says {output.path_points}: they are cut"
        )
    if chemical_potential is None and highest is None:
        raise EngineError("crashed", "the output names neither chemical potential nor band edge: no zero for the bands")
    zero = chemical_potential if chemical_potential is not None else (highest or 0.0) - bands.vbm_ev
    if highest is not None and abs(bands.vbm_ev + zero - highest) > _SAME_RUN_EV:
        raise EngineError(
            "crashed",
            f"the bands end at {bands.vbm_ev + zero:.5f} eV, the output says {highest:.5f} eV: not of one run",
        )
    return AimsBands(
        bands.kpoints, bands.segments, bands.eigenvalues_ev + zero, bands.occupations, float(zero), bands.soc
    )
