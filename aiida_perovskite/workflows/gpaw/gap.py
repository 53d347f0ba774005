"""Hybrid-functional gap with GPAW."""

from __future__ import annotations

from aiida.engine import ExitCode, ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode, Dict, List, SinglefileData

from aiida_perovskite.calculations.functions import write_gap_input
from aiida_perovskite.engines.gpaw import GAP_SCRIPT
from aiida_perovskite.parsers.base import EXIT_STATUS
from aiida_perovskite.workflows.interfaces import GapWorkChain

MORE_SCF_STEPS = 3  # a density that needs more than three times the default is not slow but astray


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

    @process_handler(priority=200, exit_codes=[ExitCode(EXIT_STATUS["scf_not_converged"])])
    def handle_scf_not_converged(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Allow more SCF steps, once: magnetic and nearly metallic densities converge, only slowly."""
        if self.ctx.get("more_steps"):
            return None
        self.ctx.more_steps = True
        parameters = self.ctx.parameters.get_dict()
        parameters["max_scf_steps"] *= MORE_SCF_STEPS
        self.ctx.parameters = Dict(parameters)
        self.report(f"{node.exit_message}; trying again with {parameters['max_scf_steps']} steps")
        return ProcessHandlerReport(do_break=True)
