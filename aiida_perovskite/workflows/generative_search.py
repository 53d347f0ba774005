"""The search for the settings of a generator: draws of them, a job for each fit, a choice by the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict, Int

from aiida_perovskite.calculations.generate import (
    choose_settings,
    elpasolite_table,
    fit_label,
    write_generator_settings,
)
from aiida_perovskite.calculations.jobs import trial_job
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.generate import GeneratorJobWorkChain
from aiida_perovskite.workflows.generative_study import GenerativeJobsWorkChain, GenerativeStudyWorkChain
from aiida_perovskite.workflows.interfaces import fault_of, how_it_ended


class TryGeneratorWorkChain(GeneratorJobWorkChain):
    """Fit a generator, and say what the training rows can tell of its samples of a class.

    A training that diverges is a result, too: it is not repeated.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add what is asked for, and what comes out."""
        super().define(spec)
        spec.input("energy_class", valid_type=Int, help="Class that is asked for.")
        spec.input("samples", valid_type=Int, help="Number of draws.")
        spec.expose_inputs(GenerativeStudyWorkChain, include=["device"])
        spec.output("quantities", valid_type=Dict, help="JS distance to the class, different compositions; or `error`.")
        spec.output("model", valid_type=ModelCheckpointData, required=False, help="The generator.")

    def prepare_process(self) -> None:
        """Set the inputs of the job: table, settings, kind, seed, class."""
        settings = self.inputs.settings
        self.ctx.inputs = trial_job(
            self.inputs.code,
            self.inputs.dataset,
            write_generator_settings(settings),
            settings["name"],
            settings["seed"],
            self.inputs.energy_class.value,
            self.inputs.samples.value,
            self.inputs.device.value,
            self.inputs.get("options"),
        )


def validate_search(value: Dict, _: Any) -> str | None:
    """Refuse generators, settings and ranges that do not exist before anything runs."""
    from aiida_perovskite.learning.generative.search import SearchSettings

    return fault_of(lambda: SearchSettings.from_dict(value.get_dict()))


def validate_together(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse a table that cannot be learned, or whose class is empty."""
    from aiida_perovskite.learning.generative.table import check_class

    settings, dataset = inputs["settings"], inputs["dataset"]
    return fault_of(lambda: check_class(settings["energy_class"], elpasolite_table(dataset).counts))


class GenerativeSearchWorkChain(GenerativeJobsWorkChain):
    """Draw settings of a generator, fit each several times, and choose by the training rows alone.

    Each fit is a job of its own, so that one that diverges takes no other with it; it is a row of ``fits`` with the
    reason. The search fails only if every draw did.
    """

    _queued = "fit_"
    _protocol = "generative_search"

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input(
            "settings",
            valid_type=Dict,
            validator=validate_search,
            help="As `SearchSettings` (protocol `generative_search`): model, draws, initialisations, domain, ...",
        )
        spec.inputs.validator = validate_together
        spec.outline(cls.submit_fits, cls.choose)
        spec.output("fits", valid_type=CompositionTableData, help="A row per fit.")
        spec.output(
            "draws", valid_type=CompositionTableData, help="A row per draw; Pareto front and choice are marked."
        )
        spec.output("summary", valid_type=Dict, help="Limit of the choice, chosen draw and seed, `lost` fits and why.")
        spec.output("chosen", valid_type=Dict, required=False, help="Settings for `perovskite.generate`.")
        spec.output("model", valid_type=ModelCheckpointData, required=False, help="Fit of the chosen draw.")
        spec.exit_code(420, "ERROR_ALL_DRAWS_FAILED", message="every draw failed; the first fit: {message}")

    def submit_fits(self) -> None:
        """Submit the first fits."""
        settings = self._settings()
        self.ctx.places = [[draw, seed] for draw in range(1, settings.draws + 1) for seed in settings.seeds]
        self.ctx.queue = list(self.ctx.places)
        self.report(f"{settings.draws} draws of settings for {settings.model}, {len(self.ctx.queue)} fits")
        self.submit_first(self.inputs.max_concurrent.value)

    def submit_next(self) -> None:
        """Submit the next fit, or take the one with these inputs that there is."""
        draw, seed = self.ctx.queue.pop(0)
        settings = self._settings()
        combination = settings.combinations()[draw - 1]
        label = fit_label(draw, seed)
        if self.submitted(label) is None:
            words = ", ".join(f"{name} {value:g}" for name, value in combination.items() if not isinstance(value, str))
            self.report(f"draw {draw} of {settings.draws}, seed {seed}: {words}")
        fit = {"name": settings.model, "seed": seed, "settings": settings.settings_of(combination)}
        running = self.submit_shared(
            label,
            TryGeneratorWorkChain,
            settings=Dict(fit),
            energy_class=Int(settings.energy_class),
            samples=Int(settings.samples),
            **self.shared_inputs(),
        )
        self.to_context(**{label: running})

    def choose(self) -> ExitCode | None:
        """Put the fits together, and hand out what was chosen."""
        nodes = {fit_label(draw, seed): self.ended(fit_label(draw, seed)) for draw, seed in self.ctx.places}
        lost = {label: how_it_ended(node) for label, node in nodes.items() if not node.is_finished_ok}
        quantities = {label: node.outputs.quantities for label, node in nodes.items() if label not in lost}
        for name, node in choose_settings(self.inputs.dataset, self.inputs.settings, Dict(lost), **quantities).items():
            self.out(name, node)
        summary = self.outputs["summary"]
        if summary["draw"] is None:
            errors = self.outputs["fits"].to_frame()["error"].dropna()
            return self.exit_codes.ERROR_ALL_DRAWS_FAILED.format(message=errors.iloc[0])
        self.out("model", nodes[fit_label(summary["draw"], summary["seed"])].outputs.model)
        self.report(f"chosen: draw {summary['draw']}; {len(lost)} fits were lost")
        return None

    def _settings(self) -> Any:
        from aiida_perovskite.learning.generative.search import SearchSettings

        return SearchSettings.from_dict(self.inputs.settings.get_dict())
