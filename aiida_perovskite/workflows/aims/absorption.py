"""Absorption with FHI-aims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode

from aiida_perovskite.calculations.aims_results import describe_absorption
from aiida_perovskite.workflows.aims.step import RUN, AimsStepWorkChain
from aiida_perovskite.workflows.interfaces import AbsorptionWorkChain, how_it_ended


class AimsAbsorptionWorkChain(AimsStepWorkChain, AbsorptionWorkChain):
    """Independent-particle absorption and densities of states, without spin-orbit coupling.

    FHI-aims writes no matrix elements, so there are no ``transitions``: the first allowed one is read off the spectrum.
    """

    _protocol_file = "aims_absorption"
    _step = "absorption"

    def finish(self, runs: Mapping[str, Any]) -> ExitCode | None:
        """Hand out spectrum and densities."""
        outputs = runs[RUN].outputs
        found: Any
        found, node = describe_absorption.run_get_node(
            outputs.output_parameters, self.inputs.parameters, outputs.output_absorption
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_ENGINE.format(message=how_it_ended(node))
        self.out("results", found)
        self.out("spectrum", outputs.output_absorption)
        self.out("densities", outputs.output_dos)
        return None
