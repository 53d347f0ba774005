"""CHGNet scripts -> nodes."""

from __future__ import annotations

from aiida.orm import Dict

from aiida_perovskite.engines import energy_record
from aiida_perovskite.parsers.base import EngineParser, structure_node


class ChgnetRelaxParser(EngineParser):
    """Outputs ``structure`` (relaxed) and ``results`` (energy, cell, versions; units in the names)."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.chgnet import parse_relax

        result = parse_relax(results)
        self.out("structure", structure_node(result.atoms))
        self.out("results", Dict(result.properties))


class ChgnetPhasesParser(EngineParser):
    """Outputs ``structure`` (the lowest) and ``results`` (a row for each structure; units in the names)."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.chgnet import parse_phases

        result = parse_phases(results)
        self.out("structure", structure_node(result.atoms))
        self.out("results", Dict(result.properties))


class ChgnetEnergyParser(EngineParser):
    """Output ``results``: the energy and what it may be compared with."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes."""
        from aiida_perovskite.engines.chgnet import parse_energy

        self.out("results", Dict(energy_record("chgnet", parse_energy(results))))
