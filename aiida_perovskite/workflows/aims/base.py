"""FHI-aims, run again by handlers where that can help: one for each way in which a run is known to fail."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ProcessHandlerReport, process_handler, while_
from aiida.orm import CalcJobNode, Dict, Int, KpointsData

from aiida_perovskite.calculations.aims import EXIT, AimsCalculation
from aiida_perovskite.workflows.restart import JobWorkChain

MAX_RUNS = 30  # handlers count their own attempts; this ends what none of them foresaw
MAX_IN_VAIN = 2  # runs in a row of one kind of failure that brought nothing new
GENTLER_MIXING = (0.05, 0.02)  # charge_mix_param: from the default 0.2 (insulators), first and second attempt
SMEARING = "gaussian 0.1"  # eV; the last resort: levels at the edge stop changing places between iterations
MORE_ITERATIONS = 2
DENSER_GRID = 1.5
OUT_OF_WALLTIME, SCHEDULER_OUT_OF_MEMORY = 120, 110  # AiiDA's own codes for what the scheduler said
ASTRAY = (EXIT.scf_not_converged, EXIT.coarse_grid, EXIT.step_limit, EXIT.optimiser_failed)  # and would be so again


class AimsBaseWorkChain(JobWorkChain):
    """Run FHI-aims until it succeeds, or until what went wrong cannot be repaired.

    The exit status of a run that cannot be repaired is that of its last job.
    """

    _process_class = AimsCalculation

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes: those of the job."""
        super().define(spec)
        spec.expose_inputs(AimsCalculation, namespace="aims", namespace_options={"help": "Inputs of the job."})
        spec.inputs["max_iterations"].default = lambda: Int(MAX_RUNS)
        spec.expose_outputs(AimsCalculation)
        spec.outline(
            cls.setup,
            # aiida types the steps of an outline as functions of any WorkChain
            while_(cls.should_run_process)(  # type: ignore[arg-type]
                cls.run_process,  # type: ignore[arg-type]
                cls.inspect_process,  # type: ignore[arg-type]
            ),
            cls.results,
        )

    def setup(self) -> None:
        """Prepare the inputs that handlers may change between runs."""
        super().setup()
        self.ctx.inputs = self.exposed_inputs(AimsCalculation, "aims")
        self.ctx.attempts = {}

    def is_reproducible(self, node: CalcJobNode) -> bool:
        """Tell whether FHI-aims would fail in the same way, or left a geometry from which the next run goes on."""
        return node.exit_status in {code.status for code in ASTRAY} or self._has_moved(node)

    @process_handler(
        priority=500,
        exit_codes=[
            EXIT.geometry_not_converged,
            EXIT.incomplete,
            EXIT.killed,
            ExitCode(OUT_OF_WALLTIME),
        ],
    )
    def handle_unfinished_relaxation(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Continue a relaxation that was cut short from its last geometry, with the Hessian it had built up.

        `geometry.in.next_step` holds neither the symmetry block nor the moments: both are written again, since they
        are settings of the job. A run that did not get beyond the geometry it was given is left to the other handlers.
        """
        if not self._has_moved(node):
            return None
        self._continue_from(node, hessian=True)
        return self._again(node, "continuing from its last geometry")

    @process_handler(priority=495, exit_codes=[EXIT.step_limit])
    def handle_step_limit(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Continue a relaxation that used up its steps; the second time without the Hessian, which may mislead it."""
        attempt = self._attempts("steps")
        if attempt >= MAX_IN_VAIN or not self._has_moved(node):
            return self._give_up(node)
        self._count("steps")
        self._continue_from(node, hessian=attempt == 0)
        return self._again(node, "continuing from its last geometry")

    @process_handler(priority=490, exit_codes=[EXIT.optimiser_failed])
    def handle_failed_optimiser(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Start the optimiser afresh from the last geometry, without the Hessian that led it astray."""
        if not self._may_try("optimiser"):
            return self._give_up(node)
        self._continue_from(node, hessian=False)
        return self._again(node, "continuing from its last geometry without the Hessian")

    @process_handler(priority=450, exit_codes=[EXIT.scf_not_converged])
    def handle_scf_not_converged(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Mix the density more gently over more iterations, from the density reached; at last smear the occupations.

        `postprocess_anyway` is never set: results of a density that is not converged are none.
        """
        attempt = self._attempts("scf")
        if attempt >= len(GENTLER_MIXING):
            return self._give_up(node)
        self._count("scf")
        keywords = self.ctx.inputs.parameters.get_dict()
        keywords["charge_mix_param"] = GENTLER_MIXING[attempt]
        keywords["sc_iter_limit"] = MORE_ITERATIONS * int(keywords.get("sc_iter_limit", 100))
        if attempt + 1 == len(GENTLER_MIXING):
            keywords["occupation_type"] = SMEARING
        self.ctx.inputs.parameters = Dict(keywords)
        self._keep_density(node)
        if self._has_moved(node):
            self._continue_from(node, hessian=True)
        return self._again(node, f"trying with charge_mix_param {keywords['charge_mix_param']:g}")

    @process_handler(priority=400, exit_codes=[EXIT.out_of_memory, EXIT.killed, ExitCode(SCHEDULER_OUT_OF_MEMORY)])
    def handle_out_of_memory(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Run on half as many tasks a node, so that each has twice the memory; signal 9 usually means memory too."""
        resources = dict(self.ctx.inputs.metadata.options.resources)
        tasks = resources.get("num_mpiprocs_per_machine") or resources.get("tot_num_mpiprocs") or 1
        name = "num_mpiprocs_per_machine" if "num_mpiprocs_per_machine" in resources else "tot_num_mpiprocs"
        if tasks < 2:
            # A kill that was nobody's fault is worth one more try.
            if node.exit_status == EXIT.killed.status and self._may_try("killed"):
                return self._again(node, "trying again")
            return self._give_up(node)
        resources[name] = tasks // 2
        self.ctx.inputs.metadata.options.resources = resources
        if self._has_moved(node):
            self._continue_from(node, hessian=True)
        return self._again(node, f"trying with {tasks // 2} tasks a node instead of {tasks}")

    @process_handler(priority=350, exit_codes=[EXIT.incomplete, ExitCode(OUT_OF_WALLTIME)])
    def handle_interrupted(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Start again from the density matrix where a run without a new geometry was cut off, so many times."""
        if not self._may_try("interrupted"):
            return self._give_up(node)
        self._keep_density(node)
        return self._again(node, "starting again from its density")

    @process_handler(priority=300, exit_codes=[EXIT.stack_size])
    def handle_stack_size(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Lift the limit of the stack, on which FHI-aims keeps large arrays, before it starts; once."""
        if not self._may_try("stack", once=True):
            return self._give_up(node)
        options = self.ctx.inputs.metadata.options
        options.prepend_text = "\n".join(filter(None, [options.get("prepend_text", ""), "ulimit -s unlimited"]))
        return self._again(node, "lifting the limit of the stack")

    @process_handler(priority=250, exit_codes=[EXIT.coarse_grid])
    def handle_coarse_grid(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Use more k-points where hybrid bands between the points of the grid contradict the bands on it; once."""
        if not self._may_try("grid", once=True):
            return self._give_up(node)
        mesh, offset = self.ctx.inputs.kpoints.get_kpoints_mesh()
        denser = KpointsData()
        denser.set_kpoints_mesh([round(DENSER_GRID * n) for n in mesh], offset=offset)
        self.ctx.inputs.kpoints = denser
        return self._again(node, f"trying with {' '.join(map(str, denser.get_kpoints_mesh()[0]))} k-points")

    @process_handler(priority=0)
    def handle_unrecoverable(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Give up with the job's own exit status where no other handler knows a way."""
        return self._give_up(node) if node.is_failed else None

    def _has_moved(self, node: CalcJobNode) -> bool:
        """Tell whether a job was a relaxation that got beyond the geometry it was given."""
        settings = node.inputs.settings.get_dict() if "settings" in node.inputs else {}
        if settings.get("relaxation") is None or "output_structure" not in node.outputs:
            return False
        before, after = node.inputs.structure.get_ase(), node.outputs.output_structure.get_ase()
        moved = abs(after.positions - before.positions).max() + abs(after.cell.array - before.cell.array).max()
        return bool(moved > 0)

    def _continue_from(self, node: CalcJobNode, *, hessian: bool) -> None:
        if "output_structure" in node.outputs:
            self.ctx.inputs.structure = node.outputs.output_structure
        self._settings(restart_hessian=hessian)
        self.ctx.inputs.parent_folder = node.outputs.remote_folder

    def _keep_density(self, node: CalcJobNode) -> None:
        """Read the density matrix of a job where it wrote one, and write one for the next restart in any case."""
        self._settings(density_restart=True)
        self.ctx.inputs.parent_folder = node.outputs.remote_folder

    def _settings(self, **changes: Any) -> None:
        self.ctx.inputs.settings = Dict({**self.ctx.inputs.settings.get_dict(), **changes})

    def _attempts(self, what: str) -> int:
        return int(self.ctx.attempts.get(what, 0))

    def _count(self, what: str) -> None:
        self.ctx.attempts = {**self.ctx.attempts, what: self._attempts(what) + 1}

    def _may_try(self, what: str, *, once: bool = False) -> bool:
        if self._attempts(what) >= (1 if once else MAX_IN_VAIN):
            return False
        self._count(what)
        return True

    def _again(self, node: CalcJobNode, what: str) -> ProcessHandlerReport:
        self.report(f"{node.exit_message}: {what}")
        return ProcessHandlerReport(do_break=True)

    def _give_up(self, node: CalcJobNode) -> ProcessHandlerReport:
        self._attach_outputs(node)
        return ProcessHandlerReport(True, ExitCode(node.exit_status or 0, node.exit_message))
