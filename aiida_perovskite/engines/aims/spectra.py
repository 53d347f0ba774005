"""Absorption, dielectric and density-of-states files of FHI-aims."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aiida_perovskite.engines.results import EngineError

_AXES = "xyz"
_SPECTRUM_NAME = re.compile(
    r"(?P<kind>absorption|dielectric_function)_(?P<soc>soc_)?(?P<shape>[A-Za-z]+)_(?P<width>[\d.]+)_(?P<axes>[xyz]_[xyz])\.out"
)
_DIELECTRIC_COLUMNS = 9
_ATOM_DOS = re.compile(
    r"atom_proj(?:ected)?_dos_(?:spin_(?P<spin>up|dn))?(?P<species>[A-Z][A-Za-z_]*?)(?P<atom>\d+)(?:_\w+)?\.dat"
)
_SPECIES_DOS = re.compile(r"(?P<species>[A-Z]\w*?)_l_proj_dos(?:_spin_(?P<spin>up|dn))?(?:_\w+)?\.dat")
_ORBITALS = "spdfghi"
_ZERO = re.compile(r"mu\s*=\s*([-+]?\d+\.?\d*(?:[Ee][-+]?\d+)?)\s*eV")


@dataclass(frozen=True, eq=False)
class AimsDos:
    """A density of states.

    Attributes
    ----------
    energies_ev
        (n,), on the axis of the standard output.
    densities_per_ev
        (n_columns, n), states per eV in the cell, or on the species or atom.
    columns
        What they are: ``total`` or ``spin up``, ``spin down`` in the total file; ``total``, ``s``, ``p``, ... in
        projected files.
    zero_ev
        The chemical potential; None if the file (``*_raw.dat``) does not name it.
    species, atom, spin
        Of projected files, from the name: ``Fe``, 1, ``up`` or ``dn``; None for what the file sums over.
    """

    energies_ev: np.ndarray
    densities_per_ev: np.ndarray
    columns: tuple[str, ...]
    zero_ev: float | None
    species: str | None = None
    atom: int | None = None
    spin: str | None = None


def read_absorption(path: Path | str, soc: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Read an absorption coefficient.

    Parameters
    ----------
    path
        A file ``absorption_Gaussian_0.0500_x_x.out``, or the folder that holds those for x, y and z.
    soc
        In a folder: whether to read ``absorption_soc_*`` (these names are not proven by any output at hand).

    Returns
    -------
    tuple
        Photon energies (n,) in eV and the coefficient in 1/cm: (n,) of a file, (n, 3) of a folder. FHI-aims begins at a
        tenth of the broadening and leaves out the last energy asked for.

    Raises
    ------
    EngineError
        With code ``crashed`` if a file is missing, cut or damaged.
    ValueError
        If the folder holds spectra of several broadenings.
    """
    if Path(path).is_dir():
        return _read_folder(Path(path), "absorption", soc)
    table = _read_table(Path(path), 2)
    return table[:, 0], table[:, 1]


def read_dielectric(path: Path | str, soc: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Read a dielectric function: photon energies (n,) in eV and complex epsilon, (n,) of a file, (n, 3) of a folder.

    The file has nine columns; the last two are the real and the imaginary part of the whole (vacuum, inter- and
    intraband). Parameters and errors as in :func:`read_absorption`; of a folder the diagonal is read.
    """
    if Path(path).is_dir():
        return _read_folder(Path(path), "dielectric_function", soc)
    table = _read_table(Path(path), _DIELECTRIC_COLUMNS)
    return table[:, 0], table[:, 7] + 1j * table[:, 8]


def _read_folder(folder: Path, kind: str, soc: bool) -> tuple[np.ndarray, np.ndarray]:
    families: dict[tuple[str, str], dict[str, Path]] = {}
    for path in folder.iterdir():
        match = _SPECTRUM_NAME.fullmatch(path.name)
        if match and match["kind"] == kind and bool(match["soc"]) == soc:
            families.setdefault((match["shape"], match["width"]), {})[match["axes"]] = path
    if len(families) > 1:
        names = ", ".join(" ".join(family) for family in sorted(families))
        raise ValueError(f"the folder holds spectra of several broadenings ({names}): read the files one by one")
    files = next(iter(families.values()), {})
    if missing := [axis for axis in _AXES if f"{axis}_{axis}" not in files]:
        raise EngineError("crashed", f"the {kind} files of the directions {', '.join(missing)} are missing")
    read = read_absorption if kind == "absorption" else read_dielectric
    spectra = [read(files[f"{axis}_{axis}"]) for axis in _AXES]
    energies = spectra[0][0]
    if not all(np.array_equal(energies, other) for other, _ in spectra):
        raise EngineError("crashed", f"the {kind} files of x, y and z have different energies: some are cut")
    return energies, np.stack([values for _, values in spectra], axis=1)


def read_dos(path: Path | str) -> AimsDos:
    """Read ``KS_DOS_total.dat``, ``atom_proj_dos_*.dat`` or ``*_l_proj_dos*.dat``, with or without ``_raw``.

    The energies are put on the axis of the standard output: those above the chemical potential have it added back.

    Raises
    ------
    EngineError
        With code ``crashed`` if the file is cut or damaged.
    """
    path = Path(path)
    match = _ATOM_DOS.fullmatch(path.name) or _SPECIES_DOS.fullmatch(path.name)
    table = _read_table(path, None)
    zero = _ZERO.search(_head(path))
    names = match.groupdict() if match else {}
    atom = names.get("atom")
    return AimsDos(
        energies_ev=table[:, 0] + (float(zero[1]) if zero else 0.0),
        densities_per_ev=table[:, 1:].T,
        columns=_columns(table.shape[1] - 1, match is not None),
        zero_ev=float(zero[1]) if zero else None,
        species=names.get("species"),
        atom=int(atom) if atom else None,
        spin=names.get("spin"),
    )


def _columns(n_columns: int, projected: bool) -> tuple[str, ...]:
    if projected:
        return ("total", *_ORBITALS[: n_columns - 1])
    return ("total",) if n_columns == 1 else ("spin up", "spin down")


def _head(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as handle:
        return handle.read(2000)


def _read_table(path: Path, n_columns: int | None) -> np.ndarray:
    """Return the numbers of a file with comment lines, at least one line and two columns."""
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = [line.split() for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    if not rows or not text.endswith("\n"):
        raise EngineError("crashed", f"{path.name} is empty or cut off; run the calculation again")
    try:
        table = np.array(rows, dtype=float)
    except ValueError as error:
        raise EngineError("crashed", f"{path.name} is damaged ({error})") from error
    if table.ndim != 2 or table.shape[1] < 2 or (n_columns is not None and table.shape[1] != n_columns):
        raise EngineError("crashed", f"{path.name} has {table.shape[-1]} columns, not {n_columns or 'two or more'}")
    # Energies of a fine grid may be printed alike, but never downwards.
    if not np.isfinite(table).all() or (np.diff(table[:, 0]) < 0).any():
        raise EngineError("crashed", f"{path.name} is damaged: numbers that are not finite, or energies out of order")
    return table
