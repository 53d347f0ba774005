"""Steps that are a script of this package, run as a job of aiida-shell by an interpreter that has the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from aiida.engine import ExitCode, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode, Data, SinglefileData
from aiida_shell import ShellJob

from aiida_perovskite.calculations.functions import write_script_input
from aiida_perovskite.calculations.jobs import script_job
from aiida_perovskite.engines import EXIT_STATUS, NO_RESULTS, JobScript
from aiida_perovskite.workflows.interfaces import StepWorkChain
from aiida_perovskite.workflows.restart import JobWorkChain

REPRODUCIBLE = {EXIT_STATUS[code] for code in ("no_gap", "scf_not_converged", "geometry_not_converged")}
MAX_LOST_JOBS = 3  # a job that is lost more often is no victim of chance


class RestartWorkChain(JobWorkChain):
    """A job of aiida-shell, run again by handlers where that can help."""

    _process_class = ShellJob

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the outline: run, look at how it ended, run again or hand out."""
        super().define(spec)
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

    def is_reproducible(self, node: CalcJobNode) -> bool:
        """Tell whether it is the engine that failed, and would again."""
        return node.exit_status in REPRODUCIBLE

    def prepare_process(self) -> None:
        """Set ``self.ctx.inputs`` from what the handlers left in ``self.ctx``."""
        raise NotImplementedError

    def get_outputs(self, node: CalcJobNode) -> dict[str, Data]:
        """Return the job's outputs: a ShellJob declares none, so the base class would find nothing to hand out."""
        return {label: node.outputs[label] for label in node.outputs}

    @process_handler(priority=100, exit_codes=[ExitCode(NO_RESULTS), ExitCode(EXIT_STATUS["damaged"])])
    def handle_lost_job(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Run the job again, so many times, if it vanished (killed, out of memory, node failure) or left cut files."""
        lost = self.ctx.get("lost_jobs", 0)
        if lost >= MAX_LOST_JOBS:
            return None
        self.ctx.lost_jobs = lost + 1
        self.report(f"{node.exit_message}; running the job again ({lost + 1} of {MAX_LOST_JOBS})")
        return ProcessHandlerReport(do_break=True)

    @process_handler(priority=0)
    def handle_unrecoverable(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Give up with the job's own words where no other handler knows a way."""
        if not node.is_failed:
            return None
        message = node.exit_message or f"the job ended with exit status {node.exit_status}"
        return ProcessHandlerReport(True, self.exit_codes.ERROR_ENGINE.format(message=message))


class ScriptWorkChain(RestartWorkChain, StepWorkChain):
    """A step done by one of the package's engine scripts."""

    _script: ClassVar[JobScript]
    _parser: ClassVar[str]

    @classmethod
    def content_digests(cls, inputs: Mapping[str, Any]) -> list[str]:
        """Return digests of the script and its modules."""
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in cls._script.files]

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
        """Return the input file of the script: structure, settings and, where given, moments and plan."""
        given = {name: self.inputs[name] for name in ("magnetic_moments", "plan") if name in self.inputs}
        file: SinglefileData = write_script_input(self.inputs.structure, self.ctx.parameters, **given)
        return file
