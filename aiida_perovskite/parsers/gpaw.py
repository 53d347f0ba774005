"""GPAW scripts -> nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiida.orm import ArrayData, BandsData, Dict

from aiida_perovskite.engines import energy_record
from aiida_perovskite.parsers.base import EngineParser, structure_node

if TYPE_CHECKING:
    import numpy as np

    from aiida_perovskite.engines.gpaw import GapResult


class GpawRelaxParser(EngineParser):
    """Outputs ``structure`` (relaxed) and ``results`` (energy, cell, versions; units in the names)."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.gpaw import parse_relax

        result = parse_relax(results)
        self.out("structure", structure_node(result.atoms))
        self.out("results", Dict(result.properties))


class GpawGapParser(EngineParser):
    """Outputs ``structure`` (halide moved), three ``bands_*`` (PBE, HSE06, HSE06 + spin-orbit) and ``results``."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.gpaw import parse_gap

        result = parse_gap(results, arrays)
        self.out("structure", structure_node(result.atoms))
        for name in ("pbe", "hse06", "hse06_soc"):
            self.out(f"bands_{name}", _bands(result, getattr(result, f"eigenvalues_{name}_ev")))
        self.out("results", Dict(result.properties))


class GpawEnergyParser(EngineParser):
    """Output ``results``: the energy and what it may be compared with."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.gpaw import parse_energy

        self.out("results", Dict(energy_record("gpaw", parse_energy(results))))


class GpawAbsorptionParser(EngineParser):
    """Outputs ``spectrum``, ``transitions`` at the edge, ``densities`` of states and ``results``."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.gpaw import parse_absorption

        result = parse_absorption(results, arrays)
        spectrum, transitions, densities = ArrayData(), ArrayData(), ArrayData()
        spectrum.set_array("energy_ev", result.energy_ev)
        spectrum.set_array("absorption_per_cm", result.absorption_per_cm)
        spectrum.set_array("epsilon_real", result.epsilon.real.copy())
        spectrum.set_array("epsilon_imaginary", result.epsilon.imag.copy())
        for name in ("valence_ev", "conduction_ev", "squared_momentum"):
            transitions.set_array(name, getattr(result, name))
        densities.set_array("energy_ev", result.dos_energy_ev)
        for name, values in result.densities.items():
            densities.set_array(f"dos_{name}", values)
        self.out("spectrum", spectrum)
        self.out("transitions", transitions)
        self.out("densities", densities)
        self.out("results", Dict(result.properties))


class GpawBandsParser(EngineParser):
    """Outputs ``lines`` (eigenvalues of every level at all points) and ``results``."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        import numpy as np

        from aiida_perovskite.engines.gpaw import parse_bands

        result = parse_bands(results, arrays)
        lines = ArrayData()
        lines.set_array("kpoints", result.kpoints)
        lines.set_array("n_occupied", np.array(result.n_occupied))
        lines.set_array("n_occupied_soc", np.array(result.n_occupied_soc))
        for level, values in result.eigenvalues_ev.items():
            lines.set_array(f"eigenvalues_{level}_ev", values)
        self.out("lines", lines)
        self.out("results", Dict(result.properties))


def _bands(result: GapResult, eigenvalues: np.ndarray) -> BandsData:
    """Return the eigenvalues, shape (spins, k-points, bands), in eV on the k-points of ``result``."""
    bands = BandsData()
    bands.set_cell(result.atoms.cell.array)
    bands.set_kpoints(result.kpoints, weights=result.weights)
    bands.set_bands(eigenvalues if len(eigenvalues) > 1 else eigenvalues[0], units="eV")
    return bands
