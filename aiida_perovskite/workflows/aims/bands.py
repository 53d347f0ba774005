"""Bands with FHI-aims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode

from aiida_perovskite.calculations.aims_results import collect_lines
from aiida_perovskite.workflows.aims.step import RUN, AimsStepWorkChain
from aiida_perovskite.workflows.interfaces import BandsWorkChain, how_it_ended


class AimsBandsWorkChain(AimsStepWorkChain, BandsWorkChain):
    """HSE06 + spin-orbit bands along lines."""

    _protocol_file = "aims_bands"
    _step = "bands"

    def finish(self, runs: Mapping[str, Any]) -> ExitCode | None:
        """Hand out the eigenvalues along the lines."""
        outputs = runs[RUN].outputs
        found: Any
        found, node = collect_lines.run_get_node(
            self.inputs.plan,
            outputs.output_parameters,
            self.inputs.parameters,
            outputs.output_bands,
            outputs.output_bands_scalar,
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_ENGINE.format(message=how_it_ended(node))
        self.out("lines", found["lines"])
        self.out("results", found["results"])
        return None
