"""Train a band-gap model as a job."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ToContext, WorkChain
from aiida.orm import AbstractCode, Dict, Str
from aiida_shell import ShellJob

from aiida_perovskite.calculations.functions import write_training_settings
from aiida_perovskite.calculations.jobs import training_job
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.interfaces import how_it_ended


class TrainModelWorkChain(WorkChain):
    """Train an ensemble of networks on a table of gaps, with cross-validation and calibrated intervals."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input("dataset", valid_type=CompositionTableData, help="Table with `formula` and the target column.")
        spec.input("target", valid_type=Str, help="Name of the target column.")
        spec.input("settings", valid_type=Dict, help="Training settings, as the protocol `train` gives them.")
        spec.input("code", valid_type=AbstractCode, help="Python interpreter that has this package and torch.")
        spec.input(
            "options", valid_type=dict, non_db=True, required=False, help="Job options: resources, walltime, ..."
        )
        spec.outline(cls.run_training, cls.results)
        spec.output("model", valid_type=ModelCheckpointData, help="The trained ensemble.")
        spec.output("metrics", valid_type=Dict, help="Errors, coverage and width of the intervals, baselines.")
        spec.output("cross_validation", valid_type=CompositionTableData, help="Out-of-fold predictions.")
        spec.output("history", valid_type=CompositionTableData, required=False, help="Losses by epoch.")
        spec.output(
            "learning_curve", valid_type=CompositionTableData, required=False, help="Error against training size."
        )
        spec.exit_code(410, "ERROR_TRAINING_FAILED", message="training failed: {message}")

    def run_training(self) -> Any:
        """Submit the training job."""
        settings = write_training_settings(self.inputs.settings)
        inputs = training_job(
            self.inputs.code, self.inputs.dataset, settings, self.inputs.target.value, self.inputs.get("options")
        )
        inputs["metadata"]["call_link_label"] = "training"
        return ToContext(training=self.submit(ShellJob, **inputs))

    def results(self) -> ExitCode | None:
        """Hand out what the job produced."""
        training = self.ctx.training
        if not training.is_finished_ok:
            return self.exit_codes.ERROR_TRAINING_FAILED.format(message=how_it_ended(training))
        for name in ("model", "metrics", "cross_validation", "history", "learning_curve"):
            if name in training.outputs:
                self.out(name, training.outputs[name])
        return None
