"""What can be done about a GPAW job that failed."""

from __future__ import annotations

from aiida.engine import ExitCode, ProcessHandlerReport, process_handler
from aiida.orm import CalcJobNode, Dict

from aiida_perovskite.engines import EXIT_STATUS
from aiida_perovskite.workflows.scripts import ScriptWorkChain

MORE_SCF_STEPS = 3  # a density that needs more than three times the default is not slow but astray


class GpawWorkChain(ScriptWorkChain):
    """A step done with GPAW, with the handlers that all of them share."""

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
