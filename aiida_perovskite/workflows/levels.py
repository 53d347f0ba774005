"""Steps of interpretable gaps that are jobs: train level networks, find families of compounds."""

from __future__ import annotations

from typing import Any

from aiida.orm import AbstractCode, Dict, Float, Int

from aiida_perovskite.calculations.interpret import (
    write_checkpoint,
    write_family_settings,
    write_level_settings,
    write_reference_levels,
)
from aiida_perovskite.calculations.jobs import families_job, level_training_job
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.scripts import RestartWorkChain
from aiida_perovskite.workflows.train import TrainingWorkChain


class TrainLevelsWorkChain(TrainingWorkChain):
    """Train networks that explain a gap by energy levels of the sites; all networks of one prior weight together."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the prior."""
        super().define(spec)
        spec.input(
            "reference",
            valid_type=CompositionTableData,
            help="Levels of the elements to which the prior draws: `symbol`, `homo_ev`, `lumo_ev`.",
        )
        spec.input("prior_weight", valid_type=Float, help="Weight of the prior, lambda.")

    def prepare_process(self) -> None:
        """Set the inputs of the job: table, settings, reference levels, name of the target."""
        self.ctx.inputs = level_training_job(
            self.inputs.code,
            self.inputs.dataset,
            write_level_settings(self.inputs.settings, self.inputs.prior_weight),
            write_reference_levels(self.inputs.reference),
            self.inputs.target.value,
            self.inputs.get("options"),
        )


class FamiliesWorkChain(RestartWorkChain):
    """Find families of compounds by what level networks attend to, and hold attention against gradients."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the model, its levels, and the tables that come out."""
        super().define(spec)
        spec.input("model", valid_type=ModelCheckpointData, help="Level networks.")
        spec.input("levels", valid_type=CompositionTableData, help="What they say, as `predict_levels` gives it.")
        spec.input("settings", valid_type=Dict, help="Settings of the families (FamilySettings).")
        spec.input("attribution_steps", valid_type=Int, help="Points by which gradients are integrated.")
        spec.input("code", valid_type=AbstractCode, help="Python interpreter that has this package and torch.")
        spec.input(
            "options", valid_type=dict, non_db=True, required=False, help="Job options: resources, walltime, ..."
        )
        spec.exit_code(400, "ERROR_ENGINE", message="{message}")
        for name, text in FAMILY_TABLES.items():
            spec.output(name, valid_type=CompositionTableData, help=text)
        for name, text in FAMILY_NUMBERS.items():
            spec.output(name, valid_type=Dict, help=text)

    def prepare_process(self) -> None:
        """Set the inputs of the job: checkpoint, levels, settings."""
        self.ctx.inputs = families_job(
            self.inputs.code,
            write_checkpoint(self.inputs.model),
            self.inputs.levels,
            write_family_settings(self.inputs.settings),
            self.inputs.attribution_steps.value,
            self.inputs.get("options"),
        )


FAMILY_TABLES = {
    "members": "Each compound in both orders of A and B: principal components, cluster, family.",
    "scan": "Silhouette, inertia and gap statistic by number of clusters.",
    "families": "Each family: sentence, sizes, gaps, mean weights and attention.",
    "elements": "Elements on the sites of each family, normalised both ways.",
    "claims": "What is claimed of each family, and how surely.",
    "components": "Explained variance and loadings of the principal components.",
    "stability": "Agreement of repeated clusterings with the first: seeds, bootstrap, other networks.",
    "attributions": "Sites by attention and by integrated gradients, for each compound.",
}

FAMILY_NUMBERS = {
    "summary": "Counts, chosen k, explained variance, stability, notes.",
    "agreement": "How well attention and integrated gradients agree, against permutations.",
}
