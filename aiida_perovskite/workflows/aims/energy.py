"""Energy with FHI-aims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode

from aiida_perovskite.calculations.aims_results import describe_energy
from aiida_perovskite.workflows.aims.step import RUN, AimsStepWorkChain
from aiida_perovskite.workflows.interfaces import EnergyWorkChain


class AimsEnergyWorkChain(AimsStepWorkChain, EnergyWorkChain):
    """Total energy of a structure, which is relaxed before where the settings say so."""

    _protocol_file = "aims_energy"
    _step = "energy"

    def finish(self, runs: Mapping[str, Any]) -> ExitCode | None:
        """Hand out the energy."""
        output = runs[RUN].outputs.output_parameters
        self.out("results", describe_energy(self.inputs.structure, output, self.inputs.parameters))
        return None
