"""Engine-neutral interfaces of the physical steps: same ports whichever code does the work.

An engine implements a step by subclassing the interface and registering the entry point ``perovskite.<engine>.<step>``;
:func:`workflow_of` finds it by name, so that a candidate mixes engines by changing one input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aiida.engine import (
    BaseRestartWorkChain,
    ExitCode,
    ProcessBuilder,
    ProcessHandlerReport,
    WorkChain,
    process_handler,
    while_,
)
from aiida.orm import AbstractCode, BandsData, CalcJobNode, Data, Dict, List, ProcessNode, SinglefileData, StructureData
from aiida.plugins import WorkflowFactory
from aiida_shell import ShellJob

from aiida_perovskite.calculations.jobs import script_job
from aiida_perovskite.parsers.base import NO_RESULTS
from aiida_perovskite.workflows.protocols import load_protocol


def how_it_ended(node: ProcessNode) -> str:
    """Return in one sentence why a process did not succeed: its exit message, else what it raised, else its state."""
    state = node.process_state.value if node.process_state else "created"
    raised = (node.exception or "").strip().splitlines()
    return node.exit_message or (raised[-1] if raised else f"process {node.pk} ended as {state}")


def workflow_of(engine: str, step: str) -> type[WorkChain]:
    """Return the WorkChain by which ``engine`` does ``step`` (``relax`` or ``gap``).

    Raises
    ------
    ValueError
        If no installed plugin offers it.
    """
    from aiida.common.exceptions import EntryPointError

    try:
        workflow = WorkflowFactory(f"perovskite.{engine}.{step}")
    except EntryPointError as error:
        raise ValueError(f"no installed engine {engine!r} offers the step {step!r}") from error
    assert isinstance(workflow, type)
    return workflow


class ScriptWorkChain(BaseRestartWorkChain):
    """A step done by one of the package's engine scripts, restarted by handlers where that can help."""

    _process_class = ShellJob
    _protocol_file: ClassVar[str]
    _script: ClassVar[Path]
    _parser: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the ports that all steps share."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="Where the step starts from.")
        spec.input("parameters", valid_type=Dict, help="Settings, as `load_protocol` gives them.")
        spec.input("code", valid_type=AbstractCode, help="The interpreter that has the engine installed.")
        spec.input(
            "options", valid_type=dict, non_db=True, required=False, help="Job options: resources, walltime, ..."
        )
        spec.output("results", valid_type=Dict, help="Numbers of the step; units in the names.")
        spec.outline(
            cls.setup,
            # aiida types the steps of an outline as functions of any WorkChain
            while_(cls.should_run_process)(  # type: ignore[arg-type]
                cls.prepare_process,  # type: ignore[arg-type]
                cls.run_process,  # type: ignore[arg-type]
                cls.inspect_process,  # type: ignore[arg-type]
            ),
            cls.results,
        )
        spec.exit_code(400, "ERROR_ENGINE", message="{message}")

    def setup(self) -> None:
        """Prepare the settings that handlers may change between runs."""
        super().setup()
        self.ctx.structure = self.inputs.structure
        self.ctx.parameters = self.inputs.parameters

    def prepare_process(self) -> None:
        """Set ``self.ctx.inputs`` from what the handlers left in ``self.ctx``."""
        self.ctx.inputs = script_job(
            self.inputs.code, self._script, self.write_input(), self.inputs.get("options"), self._parser
        )

    def write_input(self) -> SinglefileData:
        """Return the input file of the script."""
        raise NotImplementedError

    def get_outputs(self, node: CalcJobNode) -> dict[str, Data]:
        """Return the job's outputs: a ShellJob declares none, so the base class would find nothing to hand out."""
        return {label: node.outputs[label] for label in node.outputs}

    @process_handler(priority=100, exit_codes=[ExitCode(NO_RESULTS)])
    def handle_lost_job(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Run the job once more if it vanished without results: killed, out of memory, node failure."""
        if self.ctx.get("lost_jobs", 0) >= 1:
            return None
        self.ctx.lost_jobs = 1
        self.report(f"{node.exit_message}; running the job once more")
        return ProcessHandlerReport(do_break=True)

    @process_handler(priority=0)
    def handle_unrecoverable(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Give up with the engine's own words where no other handler knows a way."""
        if not node.is_failed:
            return None
        message = node.exit_message or f"the job ended with exit status {node.exit_status}"
        return ProcessHandlerReport(True, self.exit_codes.ERROR_ENGINE.format(message=message))

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        structure: StructureData,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder with the settings of a protocol; unknown overrides raise ProtocolError."""
        builder = cls.get_builder()
        builder.code = code
        builder.structure = structure
        builder.parameters = Dict(load_protocol(cls._protocol_file, protocol, overrides))
        if options:
            builder.options = dict(options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder


class RelaxWorkChain(ScriptWorkChain):
    """Interface of a relaxation: structure -> structure."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the relaxed structure to the shared ports."""
        super().define(spec)
        spec.output("structure", valid_type=StructureData, help="The relaxed structure.")


class GapWorkChain(ScriptWorkChain):
    """Interface of a hybrid-functional gap: structure -> spin-orbit bands and gaps."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the moments of the ions and the bands to the shared ports."""
        super().define(spec)
        spec.input(
            "magnetic_moments",
            valid_type=List,
            required=False,
            help="Initial moment of each atom, Bohr magnetons; spin-polarised only if one is not zero.",
        )
        spec.output("structure", valid_type=StructureData, help="The structure that the bands belong to.")
        spec.output("bands_pbe", valid_type=BandsData, help="PBE eigenvalues.")
        spec.output("bands_hse06", valid_type=BandsData, help="HSE06 eigenvalues.")
        spec.output("bands_hse06_soc", valid_type=BandsData, help="HSE06 eigenvalues with spin-orbit coupling.")
