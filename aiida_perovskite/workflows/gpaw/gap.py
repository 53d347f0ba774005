"""Hybrid-functional gap with GPAW."""

from __future__ import annotations

from aiida.orm import List, SinglefileData

from aiida_perovskite.calculations.functions import write_gap_input
from aiida_perovskite.engines.gpaw import GAP_SCRIPT
from aiida_perovskite.workflows.interfaces import GapWorkChain


class GpawGapWorkChain(GapWorkChain):
    """PBE -> halide position from the PBE force -> HSE06 -> spin-orbit coupling, with GPAW."""

    _protocol_file = "gpaw_gap"
    _script = GAP_SCRIPT
    _parser = "perovskite.gpaw.gap"

    def write_input(self) -> SinglefileData:
        """Return the input file of the script."""
        moments = self.inputs.get("magnetic_moments") or List([0.0] * len(self.ctx.structure.sites))
        file: SinglefileData = write_gap_input(self.ctx.structure, moments, self.ctx.parameters)
        return file
