"""One candidate of the funnel, from its formula to what it is worth in a solar cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ProcessBuilder, ToContext, while_
from aiida.orm import AbstractCode, ArrayData, BandsData, Bool, Dict, List, Node, ProcessNode, Str, StructureData

from aiida_perovskite.calculations.functions import build_prototype
from aiida_perovskite.calculations.jobs import rooms_digest
from aiida_perovskite.calculations.judgement import compare_structures, judge_gap, judge_stability, state_verdict
from aiida_perovskite.calculations.photovoltaics import analyse_absorption, analyse_bands, plan_lines
from aiida_perovskite.calculations.results import summarise_candidate
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.engines import EXIT_STATUS
from aiida_perovskite.workflows.interfaces import how_it_ended
from aiida_perovskite.workflows.ports import STEPS, define_step, fill_ports, step_inputs
from aiida_perovskite.workflows.protocols import load_protocol
from aiida_perovskite.workflows.sharing import OnceMixin
from aiida_perovskite.workflows.stability import StabilityWorkChain

# What is done, in this order, and the ports without which it is left out.
STAGES = {
    "relax": ("relax",),
    "gap": ("gap",),
    "stability": ("gap", "phases", "energy"),
    "absorption": ("gap", "absorption"),
    "bands": ("gap", "bands"),
    "free_relax": ("gap", "free_relax"),
    "relaxed_gap": ("gap", "free_relax"),
    "relaxed_stability": ("gap", "free_relax", "phases", "energy"),
    "relaxed_absorption": ("gap", "free_relax", "absorption"),
}
FAILED = {
    "relax": (401, "ERROR_RELAX_FAILED", "geometry"),
    "gap": (402, "ERROR_GAP_FAILED", "band gap"),
    "stability": (403, "ERROR_STABILITY_FAILED", "decomposition enthalpy"),
    "absorption": (404, "ERROR_ABSORPTION_FAILED", "absorption"),
    "bands": (405, "ERROR_BANDS_FAILED", "bands"),
    "free_relax": (406, "ERROR_FREE_RELAX_FAILED", "unconstrained relaxation"),
}
# Rooms whose programs have a say in the result of a candidate.
ROOMS = ("calculations", "chemistry", "engines", "parsers", "photovoltaics", "workflows")
OPTICS = ("absorption", "optics", "efficiency", "efficiency_curves")


class CandidateWorkChain(OnceMixin):
    """Compute one composition and say whether it stays in the funnel.

    Geometry, gap, window, decomposition enthalpy, absorption and efficiency, bands and masses, then the geometry
    without constraints and, if the compound distorts, gap, enthalpy and efficiency once more. A step whose ports are
    not given is left out. A compound that leaves the funnel ends with exit 0 and a verdict; an exit code means that a
    step failed, and what was found before it is handed out all the same.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input("formula", valid_type=Str, help="Composition, as `Composition.formula` spells it.")
        spec.input("window_ev", valid_type=List, help="Lowest and highest gap that stays in the funnel, eV.")
        spec.input(
            "rules",
            valid_type=Dict,
            required=False,
            help="`leave_early`, `reaction` (binary or hull) and `enthalpy_min_mev_per_atom` (protocol `candidate`).",
        )
        for step in STEPS:
            define_step(spec, step, required=step == "relax")
        spec.input("stability", valid_type=Dict, required=False, help="Which phases compete (protocol `stability`).")
        spec.input("masses", valid_type=Dict, required=False, help="Path and masses (protocol `masses`).")
        spec.input("efficiency", valid_type=Dict, required=False, help="Thickness, ... (protocol `efficiency`).")
        spec.input("known_phases", valid_type=CompositionTableData, required=False, help="Table of existing phases.")
        spec.input_namespace(
            "phase_structures", valid_type=StructureData, required=False, help="The user's structures of phases."
        )
        spec.inputs.validator = validate_settings
        # aiida types the steps of an outline as functions of any WorkChain
        spec.outline(cls.build, while_(cls.has_stage)(cls.run_stage, cls.keep_stage), cls.finish)  # type: ignore[arg-type]
        spec.output("structure", valid_type=StructureData, help="The structure that the gap belongs to.")
        spec.output("geometry", valid_type=Dict, help="Numbers of the relaxation.")
        spec.output("gap", valid_type=Dict, required=False, help="Gaps and edges; eV.")
        for name, method in (("pbe", "PBE"), ("hse06", "HSE06"), ("hse06_soc", "HSE06 + spin-orbit")):
            help_text = f"{method} eigenvalues on the grid of the gap."
            spec.output(f"bands_{name}", valid_type=BandsData, required=False, help=help_text)
        spec.output("stability", valid_type=Dict, required=False, help="Decomposition enthalpies and their phases.")
        spec.output("band_structure", valid_type=BandsData, required=False, help="Bands along G-X-W-L-G-K.")
        spec.output("densities", valid_type=ArrayData, required=False, help="Projected densities of states.")
        spec.output("masses", valid_type=Dict, required=False, help="Effective masses, one row a band.")
        spec.output_namespace("relaxed", help="The same after the relaxation that keeps nothing, if it distorts.")
        for prefix in ("", "relaxed."):
            spec.output(f"{prefix}absorption", valid_type=ArrayData, required=False, help="Shifted spectrum.")
            spec.output(f"{prefix}optics", valid_type=Dict, required=False, help="Gaps, onset and shift; eV.")
            spec.output(f"{prefix}efficiency", valid_type=Dict, required=False, help="SLME at one thickness.")
            spec.output(f"{prefix}efficiency_curves", valid_type=ArrayData, required=False, help="Over thickness.")
        spec.output("relaxed.structure", valid_type=StructureData, required=False, help="The distorted one.")
        spec.output("relaxed.geometry", valid_type=Dict, required=False, help="Space group, and whether it is new.")
        spec.output("relaxed.gap", valid_type=Dict, required=False, help="Gaps and edges; eV.")
        spec.output("relaxed.stability", valid_type=Dict, required=False, help="Enthalpies.")
        spec.output("summary", valid_type=Dict, required=False, help="The row of the results table.")
        spec.output("verdict", valid_type=Dict, required=False, help="Stage, passed or not, and the reason.")
        for status, label, what in FAILED.values():
            spec.exit_code(status, label, message=f"{what} failed: {{message}}")

    @classmethod
    def get_builder_from_protocol(
        cls,
        codes: Mapping[str, AbstractCode],
        formula: str,
        protocols: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        engines: Mapping[str, str | None] | None = None,
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder filled from protocols.

        Parameters
        ----------
        codes
            Step (``relax``, ``gap``, ...) -> code. A step without one takes that of another step with the same engine.
        formula
            The compound, in any spelling.
        protocols, overrides
            Name of the protocol and changed settings of each step, and of ``candidate``, ``stability``, ``masses`` and
            ``efficiency``.
        options
            Job options by step, those of all steps under ``all``: ``{"all": {...}, "gap": {...}}``.
        engines
            Step -> engine, None to leave it out; those of the protocol ``screening`` where not given.

        Raises
        ------
        ProtocolError
            For a protocol or override that does not exist.
        """
        from aiida_perovskite.chemistry import Composition

        funnel = load_protocol("screening")
        builder = cls.get_builder()
        builder.formula = Str(Composition.parse(formula).formula)
        builder.window_ev = List(funnel["selection"]["window_ev"])
        chosen = {**funnel["engines"], **(engines or {})}
        fill_ports(builder, chosen, codes, protocols or {}, overrides or {}, options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder

    @classmethod
    def content_digests(cls, inputs: Mapping[str, Any]) -> list[str]:
        """Return digests of this package's programs, and of what other engines' steps say that they depend on."""
        steps = (step_inputs(step, inputs[step]) for step in STEPS if step in inputs)
        engines = [digest for workflow, given in steps for digest in workflow.content_digests(given)]
        return [rooms_digest(*ROOMS), *engines]

    def build(self) -> ExitCode | None:
        """Build the prototype from ionic radii and list what is to be done."""
        found, node = build_prototype.run_get_node(self.inputs.formula)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_RELAX_FAILED.format(message=node.exit_message)
        self.ctx.prototype = found
        self.ctx.stages = [stage for stage, ports in STAGES.items() if all(port in self.inputs for port in ports)]
        self.ctx.verdicts = []
        return None

    def has_stage(self) -> bool:
        """Tell whether something is left to be done."""
        return bool(self.ctx.stages)

    def run_stage(self) -> Any:
        """Submit the next step."""
        stage = self.ctx.stages[0]
        prepared = getattr(self, f"prepare_{stage}")()
        if prepared is None:
            self.ctx.running = None
            return None
        workflow, inputs = prepared
        return ToContext(running=self.submit_once(stage, workflow, **inputs))

    def keep_stage(self) -> ExitCode | None:
        """Hand out what a step found, or say why it failed."""
        stage = self.ctx.stages.pop(0)
        node = self.ctx.running
        if node is None:
            return None
        base = stage.removeprefix("relaxed_")
        if not node.is_finished_ok:
            message = how_it_ended(node)
            if base == "absorption" and node.called and node.called[-1].exit_status == EXIT_STATUS["no_gap"]:
                self._judge(state_verdict(Str("absorption"), Bool(False), Str(message)))
                return None
            self._summarise()
            label = FAILED[base][1]
            where = "after the unconstrained relaxation, " if stage != base else ""
            return self.exit_codes[label].format(message=where + message)
        code: ExitCode | None = getattr(self, f"keep_{base}")(node, "relaxed." if stage != base else "")
        return code

    def finish(self) -> None:
        """Hand out the row, and the verdict: the first reason to leave the funnel, else the last stage passed."""
        left = [verdict for verdict in self.ctx.verdicts if not verdict["passed"]]
        if self.ctx.verdicts:
            verdict = (left or self.ctx.verdicts[-1:])[0]
        else:
            verdict = state_verdict(Str("geometry"), Bool(True), Str("only the geometry was asked for"))
        self.out("verdict", verdict)
        self._summarise()

    def prepare_relax(self) -> tuple[Any, dict[str, Any]]:
        """Relax the prototype."""
        workflow, inputs = step_inputs("relax", self.inputs.relax)
        return workflow, inputs | {"structure": self.ctx.prototype["structure"]}

    def keep_relax(self, node: ProcessNode, _: str) -> None:
        """Keep the geometry."""
        self.out("geometry", node.outputs.results)
        self.ctx.structure = node.outputs.structure
        if "gap" not in self.ctx.stages:
            self.out("structure", node.outputs.structure)

    def prepare_gap(self) -> tuple[Any, dict[str, Any]]:
        """Compute the gap."""
        return self._electronic("gap")

    prepare_relaxed_gap = prepare_gap

    def keep_gap(self, node: ProcessNode, prefix: str) -> None:
        """Keep the gap, and judge it."""
        self.ctx.gap = node.outputs.results
        self.out(f"{prefix}gap", node.outputs.results)
        if not prefix:
            for name in ("structure", "bands_pbe", "bands_hse06", "bands_hse06_soc"):
                if name in node.outputs:
                    self.out(name, node.outputs[name])
            self.ctx.structure = node.outputs.structure
            self._judge(judge_gap(node.outputs.results, self.inputs.window_ev))

    def prepare_stability(self) -> tuple[Any, dict[str, Any]]:
        """Compute the decomposition enthalpy."""
        given = {"known": "known_phases", "structures": "phase_structures"}
        optional = {name: self.inputs[port] for name, port in given.items() if port in self.inputs}
        return StabilityWorkChain, {
            "formula": self.inputs.formula,
            "structure": self.ctx.structure,
            "magnetic_moments": self.ctx.prototype["magnetic_moments"],
            "settings": self.inputs.stability,
            "phases": self.inputs.phases,
            "energy": self.inputs.energy,
            **optional,
        }

    prepare_relaxed_stability = prepare_stability

    def keep_stability(self, node: ProcessNode, prefix: str) -> None:
        """Keep the decomposition enthalpy, and judge it."""
        self.out(f"{prefix}stability", node.outputs.stability)
        if not node.base.caching.is_valid_cache:
            self.node.base.caching.is_valid_cache = False
        if not prefix:
            rules = {"rules": self.inputs.rules} if "rules" in self.inputs else {}
            self._judge(judge_stability(node.outputs.stability, **rules))

    def prepare_absorption(self) -> tuple[Any, dict[str, Any]]:
        """Compute the absorption."""
        return self._electronic("absorption")

    prepare_relaxed_absorption = prepare_absorption

    def keep_absorption(self, node: ProcessNode, prefix: str) -> ExitCode | None:
        """Shift the spectrum to the gap and compute the efficiency."""
        outputs = node.outputs
        given = {"transitions": outputs.transitions} if "transitions" in outputs else {}
        found: Any
        found, process = analyse_absorption.run_get_node(
            outputs.spectrum, outputs.results, self.ctx.gap, self.inputs.efficiency, **given
        )
        if not process.is_finished_ok:
            self._summarise()
            return self.exit_codes.ERROR_ABSORPTION_FAILED.format(message=how_it_ended(process))
        for name in OPTICS:
            self.out(f"{prefix}{name}", found[name])
        if not prefix:
            self.out("densities", outputs.densities)
        return None

    def prepare_bands(self) -> tuple[Any, dict[str, Any]] | None:
        """Compute bands along the path and away from the edges, if the cell is one that has such lines."""
        plan = plan_lines(self.ctx.structure, self.ctx.gap, self.inputs.masses)
        if not plan["lines"]:
            self.report(f"no bands: {'; '.join(plan['limits'])}")
            return None
        workflow, inputs = self._electronic("bands")
        return workflow, inputs | {"plan": plan}

    def keep_bands(self, node: ProcessNode, _: str) -> None:
        """Fit the masses."""
        outputs = node.outputs
        found = analyse_bands(
            self.ctx.structure, outputs.lines, outputs.results, node.inputs.plan, self.ctx.gap, self.inputs.masses
        )
        self.out("masses", found["masses"])
        self.out("band_structure", found["band_structure"])

    def prepare_free_relax(self) -> tuple[Any, dict[str, Any]]:
        """Relax without constraints, from distorted copies."""
        workflow, inputs = step_inputs("free_relax", self.inputs.free_relax)
        return workflow, inputs | {"structure": self.ctx.structure}

    def keep_free_relax(self, node: ProcessNode, _: str) -> None:
        """Compare the structures; what belongs to the same structure is not computed again."""
        compared = compare_structures(self.ctx.structure, node.outputs.structure, node.outputs.results)
        self.out("relaxed.structure", compared["structure"])
        self.out("relaxed.geometry", compared["geometry"])
        if not compared["geometry"]["same_structure"]:
            self.ctx.structure = compared["structure"]
            return
        self.ctx.stages = []
        for name in ("gap", "stability", *OPTICS):
            if name in self.outputs:
                self.out(f"relaxed.{name}", self.outputs[name])

    def _electronic(self, step: str) -> tuple[Any, dict[str, Any]]:
        workflow, inputs = step_inputs(step, self.inputs[step])
        moments = self.ctx.prototype["magnetic_moments"]
        return workflow, inputs | {"structure": self.ctx.structure, "magnetic_moments": moments}

    def _summarise(self) -> None:
        """Hand out the numbers of the results table found so far."""
        found = {
            label: node
            for label, node in flatten(self.outputs).items()
            if isinstance(node, Dict) and label not in ("summary", "verdict")
        }
        if found:
            self.out("summary", summarise_candidate(**found))

    def _judge(self, verdict: Dict) -> None:
        self.ctx.verdicts.append(verdict)
        leave = self.inputs.rules["leave_early"] if "rules" in self.inputs else True
        if not verdict["passed"] and (leave or verdict["stage"] == "absorption"):
            self.ctx.stages = []


def flatten(outputs: Mapping[str, Any], prefix: str = "") -> dict[str, Node]:
    """Return label -> node of nested outputs, the parts of a label joined by two underscores."""
    flat: dict[str, Node] = {}
    for label, value in outputs.items():
        flat |= {prefix + label: value} if isinstance(value, Node) else flatten(value, f"{prefix}{label}__")
    return flat


def validate_settings(inputs: Any, _: Any) -> str | None:
    """Demand the settings that the given steps need."""
    for step, settings in (("phases", "stability"), ("absorption", "efficiency"), ("bands", "masses")):
        if step in inputs and settings not in inputs:
            return f"with the step `{step}`, the input `{settings}` is needed"
    if "free_relax" in inputs and inputs["free_relax"]["parameters"].get_dict().get("symmetry", "free") != "free":
        return "the step `free_relax` is given settings that keep the symmetry; set `symmetry: free`"
    return None
