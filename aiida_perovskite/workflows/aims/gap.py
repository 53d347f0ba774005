"""Hybrid-functional gap with FHI-aims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode

from aiida_perovskite.calculations.aims_results import describe_gap
from aiida_perovskite.workflows.aims.step import RUN, AimsStepWorkChain
from aiida_perovskite.workflows.interfaces import GapWorkChain, how_it_ended

LEVELS = {"output_bands_scalar": "bands_hse06", "output_bands": "bands_hse06_soc"}


class AimsGapWorkChain(AimsStepWorkChain, GapWorkChain):
    """HSE06 with second-variational spin-orbit coupling: the gap on the k-point grid and along a path, compared."""

    _protocol_file = "aims_gap"
    _step = "gap"

    def finish(self, runs: Mapping[str, Any]) -> ExitCode | None:
        """Hand out gap and bands."""
        outputs = runs[RUN].outputs
        bands = {name: outputs[name] for name in LEVELS if name in outputs}
        found: Any
        found, node = describe_gap.run_get_node(
            self.inputs.structure, outputs.output_parameters, self.inputs.parameters, **bands
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_ENGINE.format(message=how_it_ended(node))
        self.out("structure", self.inputs.structure)
        self.out("results", found)
        for name, band in bands.items():
            self.out(LEVELS[name], band)
        return None
