"""GPAW band-gap script -> nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiida.orm import BandsData, Dict, StructureData

from aiida_perovskite.parsers.base import EngineParser

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms

    from aiida_perovskite.engines.gpaw import GapResult


class GpawGapParser(EngineParser):
    """Outputs ``structure`` (halide moved), three ``bands_*`` (PBE, HSE06, HSE06 + spin-orbit) and ``results``."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.gpaw import parse_gap

        result = parse_gap(results, arrays)
        atoms = result.atoms.copy()
        atoms.set_initial_magnetic_moments(None)
        self.out("structure", StructureData(ase=atoms))
        for name in ("pbe", "hse06", "hse06_soc"):
            self.out(f"bands_{name}", _bands(result, atoms, getattr(result, f"eigenvalues_{name}_ev")))
        self.out("results", Dict(result.properties))


def _bands(result: GapResult, atoms: Atoms, eigenvalues: np.ndarray) -> BandsData:
    """Return the eigenvalues, shape (spins, k-points, bands), in eV on the k-points of ``result``."""
    bands = BandsData()
    bands.set_cell(atoms.cell.array)
    bands.set_kpoints(result.kpoints, weights=result.weights)
    bands.set_bands(eigenvalues if len(eigenvalues) > 1 else eigenvalues[0], units="eV")
    return bands
