"""Train a model as a job."""

from __future__ import annotations

from typing import Any

from aiida.orm import AbstractCode, Dict, Str

from aiida_perovskite.calculations.functions import write_training_settings
from aiida_perovskite.calculations.jobs import training_job
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.scripts import RestartWorkChain


class TrainingWorkChain(RestartWorkChain):
    """What every training takes and gives, whichever model it trains."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the table, the settings and what is trained."""
        super().define(spec)
        spec.input("dataset", valid_type=CompositionTableData, help="Table with `formula` and the target column.")
        spec.input("target", valid_type=Str, help="Name of the target column.")
        spec.input("settings", valid_type=Dict, help="Training settings, as a protocol gives them.")
        spec.input("code", valid_type=AbstractCode, help="Python interpreter that has this package and torch.")
        spec.input(
            "options", valid_type=dict, non_db=True, required=False, help="Job options: resources, walltime, ..."
        )
        spec.exit_code(400, "ERROR_ENGINE", message="training failed: {message}")
        spec.output("model", valid_type=ModelCheckpointData, help="The trained ensemble.")
        spec.output("metrics", valid_type=Dict, help="Errors, coverage and width of the intervals, baselines.")
        spec.output("cross_validation", valid_type=CompositionTableData, help="Out-of-fold predictions.")
        spec.output("history", valid_type=CompositionTableData, required=False, help="Losses by epoch.")


class TrainModelWorkChain(TrainingWorkChain):
    """Train an ensemble of networks on a table of gaps, with cross-validation and calibrated intervals."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the learning curve."""
        super().define(spec)
        spec.output(
            "learning_curve", valid_type=CompositionTableData, required=False, help="Error against training size."
        )

    def prepare_process(self) -> None:
        """Set the inputs of the job: table, settings, name of the target."""
        settings = write_training_settings(self.inputs.settings)
        self.ctx.inputs = training_job(
            self.inputs.code, self.inputs.dataset, settings, self.inputs.target.value, self.inputs.get("options")
        )
