"""Inverse design: a table of formation energies -> a generator -> compounds for a target, ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode, ProcessBuilder
from aiida.orm import AbstractCode, Bool, Dict, FolderData, Int, List, Str

from aiida_perovskite.calculations.generate import (
    elpasolite_table,
    write_design_settings,
    write_evaluation_settings,
    write_generator_settings,
)
from aiida_perovskite.calculations.interpret import write_checkpoint
from aiida_perovskite.calculations.jobs import design_job, evaluation_job, generator_training_job, learning_digest
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.interfaces import how_it_ended
from aiida_perovskite.workflows.protocols import load_protocol
from aiida_perovskite.workflows.scripts import RestartWorkChain
from aiida_perovskite.workflows.sharing import OnceMixin

if TYPE_CHECKING:
    from aiida_perovskite.learning.generative.design import EnergyTarget

GENERATOR = ("name", "seed", "settings")  # keys of the protocol that belong to the training


def validate_settings(value: Dict, _: Any) -> str | None:
    """Refuse generators and settings that do not exist before anything runs."""
    from aiida_perovskite.learning.generative import generator_type
    from aiida_perovskite.learning.generative.design import DesignSettings
    from aiida_perovskite.learning.generative.evaluation import EvaluationSettings

    given = value.get_dict()
    if set(given) != {*GENERATOR, "design", "evaluation"}:
        return f"the settings are {', '.join(GENERATOR)}, design and evaluation, as the protocol `generate` gives them"
    if not isinstance(given["seed"], int) or given["seed"] < 0:
        return f"seed = {given['seed']!r} must be a whole number of at least 0"
    try:
        generator_type(given["name"]).settings_type.from_dict(given["settings"])
        DesignSettings.from_dict(given["design"])
        EvaluationSettings.from_dict(given["evaluation"])
    except ValueError as error:
        return str(error)
    return None


def validate_together(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse a table that cannot be learned, a target that it does not reach, and a model that is no generator."""
    from aiida_perovskite.learning.generative.design import EnergyTarget
    from aiida_perovskite.learning.generative.space import ELEMENTS, N_COMPOSITIONS

    n = inputs["n"].value
    if not 1 <= n <= N_COMPOSITIONS // 2:
        return f"{n} compounds cannot be given: ask for 1 to {N_COMPOSITIONS // 2}, all of the space"
    excluded = set(inputs["exclude"].get_list()) if "exclude" in inputs else set()
    if unknown := sorted(excluded - set(ELEMENTS)):
        return f"{', '.join(unknown)} cannot be excluded: the space has the main-group elements from H to Bi"
    try:
        target = EnergyTarget.parse(inputs["target"].value)
        if "dataset" not in inputs:
            return fault_without_table(inputs, target)
        table = elpasolite_table(inputs["dataset"])
        wanted = target.classes(table.edges, table.counts)
        if "model" not in inputs:
            return fault_of_classes(inputs["settings"].get_dict(), wanted)
        inputs["model"].require_generator()
        if inputs["model"].base.attributes.get("data_sha256") != table.sha256:
            return "the generator was trained on other rows than the table's: give the table that it learned"
    except ValueError as error:
        return str(error)
    return None


def fault_without_table(inputs: Mapping[str, Any], target: EnergyTarget) -> str | None:
    """Say why a generator cannot do without its table; None if it can. May raise ValueError."""
    if "model" not in inputs or inputs["evaluate"].value:
        return "without a table of formation energies, nothing can be trained or evaluated: give `dataset`"
    inputs["model"].require_generator()
    content = inputs["model"].checkpoint
    if not content.get("calibration"):
        return "this generator cannot predict energies without the table that it was trained on: give `dataset`"
    target.classes(content["edges_ev_per_atom"], content["class_counts"])
    return None


def fault_of_classes(settings: Mapping[str, Any], wanted: Sequence[int]) -> str | None:
    """Say which energy classes of a target a generator would not be trained for; most are for all of them."""
    from aiida_perovskite.learning.generative import generator_type

    chosen = generator_type(settings["name"]).settings_type.from_dict(settings["settings"])
    trained = getattr(chosen, "classes", wanted)
    if set(wanted) <= set(trained):
        return None
    return (
        f"the target reaches into the energy classes {', '.join(map(str, wanted))}, but {settings['name']} would be "
        f"trained for {', '.join(map(str, trained))}: give `classes: {list(wanted)}` among its settings"
    )


class GeneratorJobWorkChain(RestartWorkChain):
    """What every job of inverse design takes."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the table, the settings and who runs it."""
        super().define(spec)
        spec.input(
            "dataset",
            valid_type=CompositionTableData,
            help="Columns `a`, `b`, `c`, `d` and `formation_energy_ev_per_atom`.",
        )
        spec.input("settings", valid_type=Dict, help="Settings of this step, as the protocol `generate` gives them.")
        spec.input("code", valid_type=AbstractCode, help="Python interpreter that has this package and torch.")
        spec.input(
            "options", valid_type=dict, non_db=True, required=False, help="Job options: resources, walltime, ..."
        )

    @classmethod
    def content_digests(cls, inputs: Mapping[str, Any]) -> list[str]:
        """Return a digest of the programs that the job runs."""
        return [learning_digest()]


class TrainGeneratorWorkChain(GeneratorJobWorkChain):
    """Train a generator of compositions by energy class."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the model."""
        super().define(spec)
        spec.output("model", valid_type=ModelCheckpointData, help="The generator.")

    def prepare_process(self) -> None:
        """Set the inputs of the job: table, settings, kind and seed."""
        settings = self.inputs.settings
        self.ctx.inputs = generator_training_job(
            self.inputs.code,
            self.inputs.dataset,
            write_generator_settings(settings),
            settings["name"],
            settings["seed"],
            self.inputs.get("options"),
        )


class DesignWorkChain(GeneratorJobWorkChain):
    """Propose compounds for a target energy, ranked by prediction."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add generator, target and the table."""
        super().define(spec)
        spec.inputs["dataset"].required = False  # some generators predict on their own
        spec.input("model", valid_type=ModelCheckpointData, help="A generator, trained on `dataset`.")
        spec.input("target", valid_type=Str, help="E.g. `formation energy < -2.3 eV/atom`.")
        spec.input("n", valid_type=Int, help="Number of compounds.")
        spec.input("exclude", valid_type=List, required=False, help="Symbols of elements that are not wanted.")
        spec.output("compositions", valid_type=CompositionTableData, help="Compounds, lowest predicted energy first.")
        spec.output("summary", valid_type=Dict, help="Counts, energy classes, error of the regression.")

    def prepare_process(self) -> None:
        """Set the inputs of the job: generator, table, settings, target."""
        self.ctx.inputs = design_job(
            self.inputs.code,
            write_checkpoint(self.inputs.model),
            self.inputs.get("dataset"),
            write_design_settings(self.inputs.settings),
            self.inputs.target.value,
            self.inputs.n.value,
            self.inputs.exclude.get_list() if "exclude" in self.inputs else [],
            self.inputs.get("options"),
        )


class EvaluateGeneratorWorkChain(GeneratorJobWorkChain):
    """Hold a generator against the truth of the whole space."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add the generator, its metrics and the truth."""
        super().define(spec)
        spec.input("model", valid_type=ModelCheckpointData, help="A generator, trained on `dataset`.")
        spec.output("evaluation", valid_type=CompositionTableData, help="Metrics by energy class.")
        spec.output("truth", valid_type=FolderData, help="Energies and classes of the whole space, with settings.")

    def prepare_process(self) -> None:
        """Set the inputs of the job: generator, table, settings."""
        self.ctx.inputs = evaluation_job(
            self.inputs.code,
            write_checkpoint(self.inputs.model),
            self.inputs.dataset,
            write_evaluation_settings(self.inputs.settings),
            self.inputs.get("options"),
        )


class GenerateWorkChain(OnceMixin):
    """Train a generator on a table of formation energies, and let it propose compounds for a target.

    A generator that is trained already may be given. Where asked for, it is held against the truth as well; an
    evaluation that fails does not sink the design: its exit code comes after the compounds have been handed out.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.expose_inputs(DesignWorkChain, include=["dataset", "target", "n", "exclude", "code", "options"])
        spec.input("settings", valid_type=Dict, validator=validate_settings, help="Settings (protocol `generate`).")
        spec.input("model", valid_type=ModelCheckpointData, required=False, help="A generator instead of a new one.")
        spec.input("evaluate", valid_type=Bool, default=lambda: Bool(False), help="Whether to measure the generator.")
        spec.inputs.validator = validate_together
        spec.outline(
            cls.train,
            cls.submit_steps,
            cls.collect,
        )
        spec.output("model", valid_type=ModelCheckpointData, help="The generator.")
        spec.expose_outputs(DesignWorkChain)
        spec.expose_outputs(EvaluateGeneratorWorkChain)
        for name in ("evaluation", "truth"):
            spec.outputs[name].required = False
        spec.exit_code(411, "ERROR_TRAINING_FAILED", message="the training of the generator failed: {message}")
        spec.exit_code(412, "ERROR_DESIGN_FAILED", message="no compounds: {message}")
        spec.exit_code(413, "ERROR_EVALUATION_FAILED", message="the generator was not evaluated: {message}")

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        dataset: CompositionTableData | None,
        target: str,
        n: int,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        exclude: Sequence[str] = (),
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder filled from the protocol ``generate``.

        Parameters
        ----------
        code
            Interpreter that has this package and torch.
        dataset
            Formation energies to learn from; None with a ``model`` that can do without, such as the shipped one.
        target, n
            What is wanted, e.g. ``formation energy < -2.3 eV/atom``, and how many compounds.
        protocol, overrides
            Settings, and changes of them.
        options
            Job options.
        exclude
            Symbols of elements that are not wanted.

        Raises
        ------
        ProtocolError
            For a protocol or override that does not exist.
        """
        builder = cls.get_builder()
        builder.code = code
        if dataset is not None:
            builder.dataset = dataset
        builder.target = Str(target)
        builder.n = Int(n)
        builder.settings = Dict(load_protocol("generate", protocol, overrides))
        if exclude:
            builder.exclude = List(sorted(exclude))
        if options:
            builder.options = dict(options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder

    def train(self) -> None:
        """Submit the training, unless a generator was given."""
        if "model" in self.inputs:
            return
        settings = self.inputs.settings.get_dict()
        self.report(f"training the generator {settings['name']} on {self.inputs.dataset.n_rows} rows")
        training = self.submit_once(
            "train",
            TrainGeneratorWorkChain,
            settings=Dict({name: settings[name] for name in GENERATOR}),
            **self._given("dataset", "code", "options"),
        )
        self.to_context(training=training)

    def submit_steps(self) -> ExitCode | None:
        """Submit the design and, where asked for, the evaluation."""
        training = self.ctx.get("training")
        if training is not None and not training.is_finished_ok:
            code: ExitCode = self.exit_codes.ERROR_TRAINING_FAILED
            return code.format(message=how_it_ended(training))
        model = self.inputs.model if training is None else training.outputs.model
        self.out("model", model)
        settings, shared = self.inputs.settings.get_dict(), self._given("dataset", "code", "options")
        design = self.submit_once(
            "design",
            DesignWorkChain,
            model=model,
            settings=Dict(settings["design"]),
            **self._given("target", "n", "exclude"),
            **shared,
        )
        self.to_context(design=design)
        if self.inputs.evaluate.value:
            evaluation = self.submit_once(
                "evaluate", EvaluateGeneratorWorkChain, model=model, settings=Dict(settings["evaluation"]), **shared
            )
            self.to_context(evaluation=evaluation)
        return None

    def collect(self) -> ExitCode | None:
        """Hand out what came."""
        failures = []
        steps = {"design": self.exit_codes.ERROR_DESIGN_FAILED, "evaluation": self.exit_codes.ERROR_EVALUATION_FAILED}
        for step, code in steps.items():
            node = self.ctx.get(step)
            if node is None:
                continue
            if not node.is_finished_ok:
                failures.append(code.format(message=how_it_ended(node)))
                continue
            for name in node.outputs:
                self.out(name, node.outputs[name])
        if "summary" in self.outputs:
            summary = self.outputs["summary"]
            self.report(f"{summary['n_compositions']} compounds, energies from {summary['energies_from']}")
        return failures[0] if failures else None

    def _given(self, *names: str) -> dict[str, Any]:
        return {name: self.inputs[name] for name in names if name in self.inputs}
