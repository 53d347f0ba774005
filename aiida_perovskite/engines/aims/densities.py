"""Densities of states of a run, summed over spins and over the atoms of each element."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from aiida_perovskite.engines.aims.spectra import read_dos
from aiida_perovskite.engines.results import EngineError

TOTAL = "KS_DOS_total.dat"
OF_ATOM = re.compile(r"atom_proj_dos_.*(?<!_raw)\.dat")
LARGEST_DIFFERENCE_EV = 1e-3  # the files print energies with fewer digits than they mean


def read_densities(folder: Path, top_ev: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Read the total density of states and those projected on elements and angular momenta.

    Parameters
    ----------
    folder
        Holds ``KS_DOS_total.dat`` and the ``atom_proj_dos_*`` files.
    top_ev
        Energy of the valence band maximum on the axis of the standard output, from which energies are counted.

    Returns
    -------
    tuple
        Energies (n,) in eV; ``total``, ``Br_p``, ... -> states per eV and cell, (n,).

    Raises
    ------
    EngineError
        With code ``crashed`` if a file is missing, damaged, or on other energies than the rest.
    """
    if not (folder / TOTAL).is_file():
        raise EngineError("crashed", f"the density of states {TOTAL} is missing")
    whole = read_dos(folder / TOTAL)
    densities = {"total": whole.densities_per_ev.sum(axis=0)}
    for path in sorted(folder.iterdir()):
        if not OF_ATOM.fullmatch(path.name):
            continue
        part = read_dos(path)
        if part.energies_ev.shape != whole.energies_ev.shape or (
            np.abs(part.energies_ev - whole.energies_ev).max() > LARGEST_DIFFERENCE_EV
        ):
            raise EngineError("crashed", f"{path.name} is on other energies than {TOTAL}")
        for orbital, values in zip(part.columns, part.densities_per_ev, strict=True):
            if orbital != "total":
                name = f"{part.species}_{orbital}"
                densities[name] = densities.get(name, 0.0) + values
    return whole.energies_ev - top_ev, densities
