"""One candidate of the funnel: geometry -> gap -> verdict."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ToContext, WorkChain
from aiida.orm import AbstractCode, BandsData, Dict, List, Str, StructureData

from aiida_perovskite.calculations.functions import build_prototype, judge_candidate
from aiida_perovskite.workflows.interfaces import how_it_ended, workflow_of


class CandidateWorkChain(WorkChain):
    """Compute the geometry and the gap of one composition and say whether it stays in the funnel.

    A compound that leaves the funnel ends with exit 0 and a verdict; an exit code means that a step failed.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input("formula", valid_type=Str, help="Composition, as `Composition.formula` spells it.")
        spec.input("window_ev", valid_type=List, help="Lowest and highest gap that stays in the funnel, eV.")
        for step, what in (("relax", "geometry"), ("gap", "band gap")):
            spec.input(f"{step}.engine", valid_type=Str, help=f"Engine that does the {what}.")
            spec.input(f"{step}.code", valid_type=AbstractCode, help="Interpreter or program of that engine.")
            spec.input(f"{step}.parameters", valid_type=Dict, help=f"Settings of the {what}, as a protocol gives them.")
            spec.input(f"{step}.options", valid_type=dict, non_db=True, required=False, help="Job options.")
        spec.outline(cls.build, cls.run_relax, cls.run_gap, cls.judge)
        spec.output("structure", valid_type=StructureData, help="The structure that the gap belongs to.")
        spec.output("geometry", valid_type=Dict, help="Numbers of the relaxation.")
        spec.output("gap", valid_type=Dict, help="Gaps and edges; eV.")
        spec.output("bands_pbe", valid_type=BandsData)
        spec.output("bands_hse06", valid_type=BandsData)
        spec.output("bands_hse06_soc", valid_type=BandsData)
        spec.output("verdict", valid_type=Dict, help="Stage, passed or not, and the reason.")
        spec.exit_code(401, "ERROR_RELAX_FAILED", message="geometry failed: {message}")
        spec.exit_code(402, "ERROR_GAP_FAILED", message="band gap failed: {message}")

    def build(self) -> ExitCode | None:
        """Build the prototype from ionic radii."""
        self.ctx.prototype, node = build_prototype.run_get_node(self.inputs.formula)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_RELAX_FAILED.format(message=node.exit_message)
        return None

    def run_relax(self) -> Any:
        """Relax the prototype."""
        return ToContext(relax=self._submit("relax", structure=self.ctx.prototype["structure"]))

    def run_gap(self) -> ExitCode | Any:
        """Compute the gap of the relaxed structure."""
        if not self.ctx.relax.is_finished_ok:
            return self.exit_codes.ERROR_RELAX_FAILED.format(message=how_it_ended(self.ctx.relax))
        self.out("geometry", self.ctx.relax.outputs.results)
        moments = self.ctx.prototype["magnetic_moments"]
        return ToContext(gap=self._submit("gap", structure=self.ctx.relax.outputs.structure, magnetic_moments=moments))

    def judge(self) -> ExitCode | None:
        """Hand out the results and the verdict."""
        if not self.ctx.gap.is_finished_ok:
            return self.exit_codes.ERROR_GAP_FAILED.format(message=how_it_ended(self.ctx.gap))
        outputs = self.ctx.gap.outputs
        for name in ("structure", "bands_pbe", "bands_hse06", "bands_hse06_soc"):
            self.out(name, outputs[name])
        self.out("gap", outputs.results)
        self.out("verdict", judge_candidate(outputs.results, self.inputs.window_ev))
        return None

    def _submit(self, step: str, **inputs: Any) -> Any:
        settings = self.inputs[step]
        job = {"code": settings.code, "parameters": settings.parameters, **inputs}
        if "options" in settings:
            job["options"] = settings.options
        workflow = workflow_of(settings.engine.value, step)
        return self.submit(workflow, **job, metadata={"call_link_label": step})
