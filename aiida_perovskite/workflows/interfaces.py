"""Engine-neutral interfaces of the physical steps: same ports whichever code does the work.

An engine implements a step by subclassing the interface and registering the entry point ``perovskite.<engine>.<step>``;
:func:`workflow_of` finds it by name, so that a candidate mixes engines by changing one input.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from aiida.orm import (
    AbstractCode,
    ArrayData,
    BandsData,
    CalcJobNode,
    Data,
    Dict,
    List,
    ProcessNode,
    SinglefileData,
    Str,
    StructureData,
)
from aiida.plugins import WorkflowFactory
from aiida_shell import ShellJob

from aiida_perovskite.calculations.functions import write_script_input
from aiida_perovskite.calculations.jobs import script_job
from aiida_perovskite.engines import JobScript
from aiida_perovskite.parsers.base import NO_RESULTS
from aiida_perovskite.workflows.protocols import load_protocol
from aiida_perovskite.workflows.sharing import OnceMixin

MAX_LOST_JOBS = 3  # a job that is lost more often is no victim of chance


def how_it_ended(node: ProcessNode) -> str:
    """Return in one sentence why a process did not succeed: its exit message, else what it raised, else its state."""
    state = node.process_state.value if node.process_state else "created"
    raised = (node.exception or "").strip().splitlines()
    return node.exit_message or (raised[-1] if raised else f"process {node.pk} ended as {state}")


def workflow_of(engine: str, step: str) -> type[WorkChain]:
    """Return the WorkChain by which ``engine`` does ``step`` (``relax``, ``gap``, ``energy``, ...).

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


class ScriptWorkChain(OnceMixin, BaseRestartWorkChain):
    """A step done by one of the package's engine scripts, restarted by handlers where that can help."""

    _process_class = ShellJob
    _protocol_file: ClassVar[str]
    _script: ClassVar[JobScript]
    _parser: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the ports that all steps share."""
        super().define(spec)
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
        """Run the job again if it vanished without results (killed, out of memory, node failure), so many times."""
        lost = self.ctx.get("lost_jobs", 0)
        if lost >= MAX_LOST_JOBS:
            return None
        self.ctx.lost_jobs = lost + 1
        self.report(f"{node.exit_message}; running the job again ({lost + 1} of {MAX_LOST_JOBS})")
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
        structure: StructureData | None = None,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder with the settings of a protocol; unknown overrides raise ProtocolError."""
        builder = cls.get_builder()
        builder.code = code
        if structure is not None:
            builder.structure = structure
        builder.parameters = Dict(load_protocol(cls._protocol_file, protocol, overrides))
        if options:
            builder.options = dict(options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder


class StructureWorkChain(ScriptWorkChain):
    """A step that starts from one structure."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the structure, and the moments of its ions."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="Where the step starts from.")
        spec.input(
            "magnetic_moments",
            valid_type=List,
            required=False,
            help="Initial moment of each atom, Bohr magnetons; spin-polarised only if one is not zero.",
        )

    def write_input(self) -> SinglefileData:
        """Return the input file of the script."""
        given = {name: self.inputs[name] for name in ("magnetic_moments", "plan") if name in self.inputs}
        file: SinglefileData = write_script_input(self.inputs.structure, self.ctx.parameters, **given)
        return file


class RelaxWorkChain(StructureWorkChain):
    """Interface of a relaxation: structure -> structure."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the relaxed structure to the shared ports."""
        super().define(spec)
        spec.output("structure", valid_type=StructureData, help="The relaxed structure.")


class GapWorkChain(StructureWorkChain):
    """Interface of a hybrid-functional gap: structure -> spin-orbit bands and gaps."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the bands to the shared ports."""
        super().define(spec)
        spec.output("structure", valid_type=StructureData, help="The structure that the bands belong to.")
        spec.output("bands_pbe", valid_type=BandsData, help="PBE eigenvalues.")
        spec.output("bands_hse06", valid_type=BandsData, help="HSE06 eigenvalues.")
        spec.output("bands_hse06_soc", valid_type=BandsData, help="HSE06 eigenvalues with spin-orbit coupling.")


class EnergyWorkChain(StructureWorkChain):
    """Interface of an energy: structure -> ``results`` with the energy, and engine, protocol and functional of it."""


class AbsorptionWorkChain(StructureWorkChain):
    """Interface of an absorption without spin-orbit coupling: structure -> spectrum, transitions at the edge."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add spectrum, transitions and densities to the shared ports."""
        super().define(spec)
        spec.output(
            "spectrum",
            valid_type=ArrayData,
            help="`energy_ev` (n), `absorption_per_cm`, `epsilon_real` and `epsilon_imaginary` (n, 3).",
        )
        spec.output(
            "transitions",
            valid_type=ArrayData,
            help="`valence_ev` (spins, k, v), `conduction_ev` (spins, k, c), `squared_momentum` (spins, k, v, c).",
        )
        spec.output("densities", valid_type=ArrayData, help="Projected densities of states, per eV and cell.")


class BandsWorkChain(StructureWorkChain):
    """Interface of bands along lines: structure and plan of lines -> eigenvalues with spin-orbit coupling."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add plan and eigenvalues to the shared ports."""
        super().define(spec)
        spec.input("plan", valid_type=Dict, help="`lines`: name -> k-points in fractions.")
        spec.output("lines", valid_type=ArrayData, help="K-points and eigenvalues of every level.")


class PhasesWorkChain(ScriptWorkChain):
    """Interface of a ranking of structures: formula (and the user's structures) -> lowest structure, energies."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add formula, structures and the lowest structure to the shared ports."""
        super().define(spec)
        spec.input("formula", valid_type=Str, help="Reduced formula of the phase.")
        spec.input("settings", valid_type=Dict, help="`max_structures`: how many structure types are tried.")
        spec.input_namespace("structures", valid_type=StructureData, required=False, help="The user's own structures.")
        spec.output("structure", valid_type=StructureData, help="The lowest structure.")
