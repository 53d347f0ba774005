"""Interpretable gaps: level networks at several weights of the prior -> levels -> families of compounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiida.engine import ExitCode, ProcessBuilder
from aiida.orm import AbstractCode, Data, Dict, Float, Int, Str

from aiida_perovskite.calculations.interpret import predict_levels, reference_table, solid_state_baseline
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.interfaces import fault_of, how_it_ended
from aiida_perovskite.workflows.levels import (
    FAMILY_NUMBERS,
    FAMILY_TABLES,
    FamiliesWorkChain,
    TrainLevelsWorkChain,
)
from aiida_perovskite.workflows.protocols import load_protocol
from aiida_perovskite.workflows.sharing import OnceMixin

# Link labels of the children: these and the key of their prior weight.
TRAIN = "train_"
FAMILIES = "families_"
TRAINED = ("model", "metrics", "cross_validation", "history")  # what a training hands out


def prior_key(weight: float) -> str:
    """Return the name under which a prior weight's results stand, e.g. ``prior_0_001``."""
    return "prior_" + re.sub(r"\W+", "_", f"{weight:g}")


def validate_settings(value: Dict, _: Any) -> str | None:
    """Refuse settings of networks that do not exist before anything runs."""
    from aiida_perovskite.learning.levels.settings import LevelSettings

    given = value.get_dict()
    weights = given.pop("prior_weights", None) or []
    try:
        if not weights or len(set(map(prior_key, weights))) < len(weights):
            return f"prior_weights must be different numbers, such as [0, 1e-3], not {weights}"
        for weight in weights:
            LevelSettings.from_dict({**given, "prior_weight": weight})
    except ValueError as error:
        return str(error)
    return None


def validate_analysis(value: Dict, _: Any) -> str | None:
    """Refuse settings of the analysis that do not exist before anything runs."""
    from aiida_perovskite.learning.families.settings import FamilySettings

    given = value.get_dict()
    if set(given) != {"families", "attribution_steps", "sse"}:
        return "the analysis takes `families`, `attribution_steps` and `sse`, as the protocol `interpret` gives them"
    if not isinstance(given["attribution_steps"], int) or given["attribution_steps"] < 1:
        return f"attribution_steps = {given['attribution_steps']!r} must be a whole number of at least 1"
    return fault_of(lambda: FamilySettings.from_dict(given["families"]))


def validate_together(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse a table that cannot be trained on or clustered, and a prior that does not know its elements."""
    table, target = inputs["dataset"], inputs["target"].value
    missing = [name for name in ("formula", target) if name not in table.columns]
    if missing:
        return f"the table has no column {', '.join(missing)}; its columns are {', '.join(table.columns)}"
    settings, k_max = inputs["settings"].get_dict(), inputs["analysis"]["families"]["k_max"]
    # Every compound stands in both orders of A and B.
    if 2 * table.n_rows <= k_max:
        return (
            f"{table.n_rows} compounds, each in both orders of A and B, are too few for {k_max} clusters: "
            "give more compounds or lower families.k_max"
        )
    if table.n_rows < 2 * settings["folds"]:
        return (
            f"{table.n_rows} compounds are too few for {settings['folds']} folds: give at least {2 * settings['folds']}"
        )
    return _unknown_levels(inputs) if max(settings["prior_weights"]) > 0 else None


def _unknown_levels(inputs: Mapping[str, Any]) -> str | None:
    from aiida_perovskite.chemistry import Composition

    try:
        compounds = [Composition.parse(formula) for formula in inputs["dataset"].to_frame()["formula"]]
    except ValueError as error:
        return str(error)
    known = set(inputs["reference"].to_frame()["symbol"])
    missing = sorted({symbol for compound in compounds for symbol in compound.elements} - known)
    if missing:
        return f"there are no reference levels of {', '.join(missing)}: add them, or train with prior weight 0 only"
    return None


class InterpretWorkChain(OnceMixin):
    """Explain the gaps of a table by energy levels, and group its compounds by what makes their band edges.

    For each weight of the prior an ensemble of level networks is trained, asked for the levels of all compounds, and
    these are analysed. A weight that fails does not sink the others: their results are handed out, and the exit code
    says what failed.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input("dataset", valid_type=CompositionTableData, help="Table with `formula` and the target column.")
        spec.input("target", valid_type=Str, help="Name of the target column, gaps in eV.")
        spec.input(
            "reference",
            valid_type=CompositionTableData,
            help="Levels of the elements to which the prior draws: `symbol`, `homo_ev`, `lumo_ev`.",
        )
        spec.input(
            "settings",
            valid_type=Dict,
            validator=validate_settings,
            help="Settings of the networks, and `prior_weights` (protocol `levels`).",
        )
        spec.input(
            "analysis",
            valid_type=Dict,
            validator=validate_analysis,
            help="Settings of what is made of them (protocol `interpret`).",
        )
        spec.input("code", valid_type=AbstractCode, help="Python interpreter that has this package and torch.")
        spec.input(
            "options", valid_type=dict, non_db=True, required=False, help="Job options: resources, walltime, ..."
        )
        spec.inputs.validator = validate_together
        spec.outline(
            cls.train,
            cls.predict,
            cls.collect,
        )
        spec.output_namespace(
            "networks",
            dynamic=True,
            valid_type=Data,
            help="By prior weight (`prior_0_001`): `model`, `metrics`, `cross_validation`, `history`, `levels`, "
            f"{', '.join(f'`{name}`' for name in (*FAMILY_TABLES, *FAMILY_NUMBERS))}.",
        )
        spec.output_namespace("sse", help="Gaps by solid-state energies, the baseline.")
        spec.output("sse.gaps", valid_type=CompositionTableData, required=False, help="Gaps by solid-state energies.")
        spec.output(
            "sse.energies",
            valid_type=CompositionTableData,
            required=False,
            help="The energies, before and after the fit.",
        )
        spec.output("sse.errors", valid_type=Dict, required=False, help="Their errors, before and after the fit.")
        spec.exit_code(410, "ERROR_PRIOR_WEIGHT_FAILED", message="{message}")

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        dataset: CompositionTableData,
        target: str,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        prior_weights: Sequence[float] = (),
        reference: CompositionTableData | None = None,
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder filled from protocols.

        Parameters
        ----------
        code
            Interpreter that has this package and torch.
        dataset, target
            What to train on.
        protocol
            Of the networks (``levels.yaml``) and of the analysis (``interpret.yaml``), which have the same names.
        overrides
            Changed settings under ``levels`` and ``interpret``.
        options
            Job options.
        prior_weights
            Instead of those of the protocol.
        reference
            A table of levels, instead of the shipped one.

        Raises
        ------
        ProtocolError
            For a protocol or override that does not exist.
        """
        overrides = overrides or {}
        settings = load_protocol("levels", protocol, overrides.get("levels"))
        if prior_weights:
            settings["prior_weights"] = [float(weight) for weight in prior_weights]
        builder = cls.get_builder()
        builder.code = code
        builder.dataset = dataset
        builder.target = Str(target)
        builder.reference = reference_table() if reference is None else reference
        builder.settings = Dict(settings)
        builder.analysis = Dict(load_protocol("interpret", protocol, overrides.get("interpret")))
        if options:
            builder.options = dict(options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder

    def train(self) -> None:
        """Submit one training per prior weight; solid-state energies are fitted meanwhile."""
        self.ctx.failures = {}
        weights = self.inputs.settings["prior_weights"]
        for weight in weights:
            label = TRAIN + prior_key(weight)
            running = self.submit_once(
                label,
                TrainLevelsWorkChain,
                prior_weight=Float(weight),
                **self._given("dataset", "target", "settings", "reference", "code", "options"),
            )
            self.to_context(**{label: running})
        self.report(
            f"training level networks on {self.inputs.dataset.n_rows} compounds, prior weights "
            f"{', '.join(f'{weight:g}' for weight in weights)}"
        )
        self._fit_solid_state_energies()

    def _given(self, *names: str) -> dict[str, Any]:
        return {name: self.inputs[name] for name in names if name in self.inputs}

    def _fit_solid_state_energies(self) -> None:
        """Hand out the baseline; a table of which it knows too little does without."""
        found, node = solid_state_baseline.run_get_node(
            self.inputs.dataset, self.inputs.target, Dict(self.inputs.analysis["sse"])
        )
        if not node.is_finished_ok or not found:
            self.report(f"no baseline of solid-state energies: {how_it_ended(node)}")
            return
        for name, value in found.items():
            self.out(f"sse.{name}", value)
        errors = found["errors"]
        self.report(
            f"solid-state energies: RMSE {errors['rmse_before_ev']:.2f} eV, fitted {errors['rmse_after_ev']:.2f} eV"
        )

    def predict(self) -> ExitCode | None:
        """Ask each ensemble for the levels of all compounds, and submit the analysis of what it says."""
        for weight in self.inputs.settings["prior_weights"]:
            key = prior_key(weight)
            training = self.ctx[TRAIN + key]
            if not training.is_finished_ok:
                self._fail(key, weight, how_it_ended(training))
                continue
            for name in TRAINED:
                self.out(f"networks.{key}.{name}", training.outputs[name])
            self.report(f"prior weight {weight:g}: held-out MAE {training.outputs.metrics['mae_ev']:.3f} eV")
            self._analyse(key, weight, training.outputs.model)
        if len(self.ctx.failures) == len(self.inputs.settings["prior_weights"]):
            return self._failure()
        return None

    def _analyse(self, key: str, weight: float, model: ModelCheckpointData) -> None:
        running = self.submitted(FAMILIES + key)
        if running is None:
            levels, node = predict_levels.run_get_node(model, self.inputs.dataset)
            if not node.is_finished_ok:
                self._fail(key, weight, how_it_ended(node))
                return
            running = self.submit_once(
                FAMILIES + key,
                FamiliesWorkChain,
                model=model,
                levels=levels,
                settings=Dict(self.inputs.analysis["families"]),
                attribution_steps=Int(self.inputs.analysis["attribution_steps"]),
                **self._given("code", "options"),
            )
        # Those that are analysed, whichever time this step ran.
        self.out(f"networks.{key}.levels", running.inputs.levels)
        self.to_context(**{FAMILIES + key: running})

    def _fail(self, key: str, weight: float, message: str) -> None:
        self.ctx.failures[key] = f"prior weight {weight:g}: {message}"
        self.report(self.ctx.failures[key])

    def collect(self) -> ExitCode | None:
        """Hand out the families of each prior weight."""
        for weight in self.inputs.settings["prior_weights"]:
            key = prior_key(weight)
            analysis = self.ctx.get(FAMILIES + key)
            if analysis is None:
                continue
            if not analysis.is_finished_ok:
                self._fail(key, weight, how_it_ended(analysis))
                continue
            for name in (*FAMILY_TABLES, *FAMILY_NUMBERS):
                self.out(f"networks.{key}.{name}", analysis.outputs[name])
            summary = analysis.outputs.summary
            self.report(f"prior weight {weight:g}: {summary['n_clusters']} clusters, {summary['n_families']} families")
        return self._failure() if self.ctx.failures else None

    def _failure(self) -> ExitCode:
        code: ExitCode = self.exit_codes.ERROR_PRIOR_WEIGHT_FAILED
        return code.format(message="; ".join(self.ctx.failures.values()))
