"""Relaxation with FHI-aims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import StructureData

from aiida_perovskite.calculations.aims_inputs import distort
from aiida_perovskite.calculations.aims_results import choose_lowest
from aiida_perovskite.workflows.aims.step import AimsStepWorkChain
from aiida_perovskite.workflows.interfaces import RelaxWorkChain


class AimsRelaxWorkChain(AimsStepWorkChain, RelaxWorkChain):
    """Relax a structure with FHI-aims: by the parameters of its space group, or from distorted copies."""

    _protocol_file = "aims_relax"
    _step = "relax"

    def starts(self) -> dict[str, StructureData]:
        """Return the structure itself where its symmetry is kept, else distorted copies of it."""
        if self.inputs.parameters["symmetry"] == "fixed":
            return super().starts()
        if "starts" not in self.ctx:
            self.ctx.starts = distort(self.inputs.structure, self.inputs.parameters)
        return dict(self.ctx.starts)

    def finish(self, runs: Mapping[str, Any]) -> ExitCode | None:
        """Hand out the lowest geometry."""
        nodes = {f"output_{label}": node.outputs.output_parameters for label, node in runs.items()}
        nodes |= {f"structure_{label}": node.outputs.output_structure for label, node in runs.items()}
        found = choose_lowest(self.inputs.parameters, **nodes)
        self.out("structure", found["structure"])
        self.out("results", found["results"])
        return None
