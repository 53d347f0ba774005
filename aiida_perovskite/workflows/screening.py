"""The funnel: space -> trained model -> predicted gaps -> selection -> computed candidates -> results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ProcessBuilder, ToContext, if_, while_
from aiida.orm import AbstractCode, Dict, Int, List, ProcessNode, Str

from aiida_perovskite.calculations.functions import (
    enumerate_space,
    predict_band_gaps,
    select_candidates,
    take_candidates,
)
from aiida_perovskite.calculations.results import collect_results, collect_rows
from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.candidate import CandidateWorkChain
from aiida_perovskite.workflows.interfaces import fault_of, how_it_ended
from aiida_perovskite.workflows.job_options import checked_options
from aiida_perovskite.workflows.ports import PARTS, STEPS, TRAIN, fill_ports, with_engine
from aiida_perovskite.workflows.protocols import load_protocol
from aiida_perovskite.workflows.sharing import QueueMixin
from aiida_perovskite.workflows.train import TrainModelWorkChain

# What a candidate is given as the campaign was.
CANDIDATE_PORTS = (*STEPS, *PARTS.values(), "known_phases", "phase_structures")
CANDIDATE = "candidate_"  # link label of a candidate: this and its formula
# Candidates whose rows one function collects. AiiDA compares each input of a process with all that it has already,
# Dicts by their content: 40 of them take it a second or two, the 600 of 300 candidates many minutes.
COLLECTED_AT_ONCE = 20


def validate_together(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Either a space or candidates; either a trained model or what it takes to train one."""
    if ("space" in inputs) == ("candidates" in inputs):
        return "give either `space` or `candidates`"
    if "candidates" in inputs and (fault := candidates_fault(inputs["candidates"], n_given(inputs))):
        return fault
    if "model" in inputs:
        return None
    missing = [name for name in ("dataset", "target", "training", "code_learning") if name not in inputs]
    return f"without `model`, the inputs {', '.join(missing)} are needed to train one" if missing else None


def n_given(inputs: Mapping[str, Any]) -> int:
    """Return how many candidates are to be taken."""
    return int(inputs["n_given"].value if "n_given" in inputs else inputs["candidates"].n_rows)


def candidates_fault(table: CompositionTableData, first: int) -> str | None:
    """Say why nothing can be screened of the first rows of a table; None if something can."""
    from aiida_perovskite.learning.candidates import screenable

    if "formula" not in table.columns:
        return f"the table of candidates has no column formula; its columns are {', '.join(table.columns)}"
    if not 1 <= first <= table.n_rows:
        return f"{first} candidates cannot be taken: the table holds {table.n_rows}"
    try:
        taken, refused = screenable(table.to_frame()["formula"].head(first))
    except ValueError as error:
        return f"the table of candidates: {error}"
    if not taken:
        reasons = ", and ".join(dict.fromkeys(refused.values()))
        return f"none of the {first} candidates, such as {next(iter(refused))}, can be screened: {reasons}"
    return None


def validate_selection(value: Dict, _: Any) -> str | None:
    """Refuse rules that do not exist before anything runs."""
    from aiida_perovskite.learning.selection import SelectionSettings

    return fault_of(lambda: SelectionSettings.from_dict(value.get_dict()))


def validate_training(value: Dict | None, _: Any) -> str | None:
    """Refuse training settings that do not exist before anything runs."""
    from aiida_perovskite.learning.settings import TrainingSettings

    return fault_of(lambda: TrainingSettings.from_dict(value.get_dict() if value else {}))


def validate_references(value: List | None, _: Any) -> str | None:
    """Refuse what is no double perovskite, or spelled otherwise than in the tables, before anything runs."""
    given = value.get_list() if value is not None else []
    try:
        wanted = spelled(given)
    except ValueError as error:
        return f"references: {error}"
    return None if given == wanted else f"references: write {', '.join(wanted)}"


def spelled(formulas: list[str]) -> list[str]:
    """Return formulas of double perovskites as the tables spell them, each once; ValueError for what is none."""
    from aiida_perovskite.chemistry import Composition

    return list(dict.fromkeys(Composition.parse(text).formula for text in formulas))


class ScreeningWorkChain(QueueMixin):
    """Screen a space of double perovskites and compute the best candidates.

    One failed candidate does not sink the funnel: it is a row of ``results`` with the reason. The WorkChain fails only
    if every candidate did.
    """

    _queued = CANDIDATE

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input("dataset", valid_type=CompositionTableData, required=False, help="Table of gaps to train on.")
        spec.input("target", valid_type=Str, required=False, help="Target column of the dataset.")
        spec.input(
            "training",
            valid_type=Dict,
            required=False,
            validator=validate_training,
            help="Training settings (protocol `train`).",
        )
        spec.input("code_learning", valid_type=AbstractCode, required=False, help="Interpreter that trains.")
        spec.input(
            "options_learning", valid_type=dict, non_db=True, required=False, help="Job options of the training."
        )
        spec.input("model", valid_type=ModelCheckpointData, required=False, help="A trained model; no training then.")
        spec.input("space", valid_type=Dict, required=False, help="The space: `{preset: halide}` or lists of elements.")
        spec.input(
            "candidates",
            valid_type=CompositionTableData,
            required=False,
            help="Compounds to screen instead of a space, column `formula`, e.g. the `compositions` of a generator.",
        )
        spec.input(
            "n_given", valid_type=Int, required=False, help="How many candidates, from the first; all if not given."
        )
        spec.input("prediction", valid_type=Dict, help="`confidence` of the intervals, `window_ev` of the ranking.")
        spec.input(
            "selection", valid_type=Dict, validator=validate_selection, help="Rules of the funnel (SelectionSettings)."
        )
        spec.input_namespace(
            "known", valid_type=CompositionTableData, required=False, help="Tables of known compounds."
        )
        spec.input("max_concurrent", valid_type=Int, help="Candidates in flight at the same time.")
        spec.input(
            "n_electronic",
            valid_type=Int,
            required=False,
            help="Candidates, the first by rank, for which more than the geometry is computed; all if not given.",
        )
        spec.input(
            "references",
            valid_type=List,
            required=False,
            validator=validate_references,
            help="Compounds that are computed beside the candidates, in every step, to compare with.",
        )
        spec.expose_inputs(CandidateWorkChain, exclude=("formula", "window_ev"))
        spec.inputs.validator = validate_together
        spec.outline(
            cls.enumerate,
            # aiida types the steps of an outline as functions of any WorkChain
            if_(cls.must_train)(  # type: ignore[arg-type]
                cls.train,  # type: ignore[arg-type]
                cls.inspect_training,  # type: ignore[arg-type]
            ),
            cls.predict,
            cls.select,
            cls.compute_candidates,
            while_(cls.has_rows)(cls.collect_some),  # type: ignore[arg-type]
            cls.collect,
        )
        spec.output("space", valid_type=CompositionTableData, help="Every composition, with charges and factors.")
        spec.expose_outputs(TrainModelWorkChain)
        for name in ("metrics", "cross_validation"):  # a model that was given comes without
            spec.outputs[name].required = False
        spec.output("predictions", valid_type=CompositionTableData, help="Gap, interval, probability, domain.")
        spec.output("selection", valid_type=CompositionTableData, help="Survivors of the funnel, ranked.")
        spec.output("funnel", valid_type=Dict, help="Counts of the stages.")
        spec.output(
            "dropped",
            valid_type=CompositionTableData,
            required=False,
            help="Why candidates left the funnel: one row per compound and reason.",
        )
        spec.output("results", valid_type=CompositionTableData, required=False, help="One row per computed candidate.")
        spec.exit_code(410, "ERROR_TRAINING_FAILED", message="{message}")
        spec.exit_code(420, "ERROR_ALL_CANDIDATES_FAILED", message="every candidate failed; the first: {message}")

    @classmethod
    def get_builder_from_protocol(
        cls,
        codes: Mapping[str, AbstractCode],
        dataset: CompositionTableData | None = None,
        target: str | None = None,
        protocol: str | None = None,
        protocols: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        engine: str | None = None,
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder filled from protocols.

        Parameters
        ----------
        codes
            ``learning`` (unless ``model`` is given) and those of the steps (``relax``, ``gap``, ...) or of the engines.
            A step without one takes that of another step with the same engine.
        dataset, target
            What to train on.
        protocol
            Of the funnel (``screening.yaml``).
        protocols
            Of the other parts: ``train``, ``candidate``, ``stability``, ``masses``, ``efficiency``, and of each step.
        overrides
            Nested likewise: ``{"screening": ..., "train": ..., "relax": ..., "gap": ..., ...}``.
        options
            Job options by step, those of all steps under ``all``: ``{"all": {...}, "gap": {...}}``.
        engine
            Does every step that it offers, instead of the engine that the funnel's protocol names.

        Raises
        ------
        ProtocolError
            For a protocol or override that does not exist.
        """
        overrides = overrides or {}
        protocols = protocols or {}
        funnel = load_protocol("screening", protocol, overrides.get("screening"))
        builder = cls.get_builder()
        if dataset is not None:
            builder.dataset = dataset
            builder.target = Str(target or "")
            builder.training = Dict(load_protocol("train", protocols.get("train"), overrides.get("train")))
            builder.code_learning = codes["learning"]
            if own := checked_options(options, TRAIN, codes["learning"], STEPS):
                builder.options_learning = own
            builder.known = {"dataset": dataset}
        if "candidates" not in kwargs:
            builder.space = Dict({key: value for key, value in funnel["space"].items() if value is not None})
        builder.selection = Dict(funnel["selection"])
        builder.prediction = Dict({"confidence": funnel["confidence"], "window_ev": funnel["selection"]["window_ev"]})
        builder.max_concurrent = Int(funnel["max_concurrent"])
        builder.references = List(spelled(funnel["references"]))
        if funnel["n_electronic"] is not None:
            builder.n_electronic = Int(funnel["n_electronic"])
        fill_ports(builder, with_engine(funnel["engines"], engine), codes, protocols, overrides, options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder

    def enumerate(self) -> None:
        """List the space with its descriptors, or take the candidates for it."""
        if "candidates" in self.inputs:
            taken = take_candidates(self.inputs.candidates, Int(n_given(self.inputs)))
            self.ctx.space, self.ctx.refused = taken["space"], taken["refused"]
        else:
            self.ctx.space = enumerate_space(self.inputs.space)
        self.out("space", self.ctx.space)

    def must_train(self) -> bool:
        """Tell whether no trained model was given."""
        return "model" not in self.inputs

    def train(self) -> Any:
        """Train the gap model; references need no prediction, so they are computed meanwhile."""
        for formula in self._references()[: self.inputs.max_concurrent.value]:
            self._submit_candidate(formula)
        running = self.submit_once(
            "train",
            TrainModelWorkChain,
            dataset=self.inputs.dataset,
            target=self.inputs.target,
            settings=self.inputs.training,
            code=self.inputs.code_learning,
            **({"options": self.inputs.options_learning} if "options_learning" in self.inputs else {}),
        )
        self.report("training the gap model")
        return ToContext(train=running)

    def inspect_training(self) -> ExitCode | None:
        """Hand out what the training produced."""
        train = self.ctx.train
        if not train.is_finished_ok:
            return self.exit_codes.ERROR_TRAINING_FAILED.format(message=how_it_ended(train))
        for name in ("metrics", "cross_validation", "history", "learning_curve"):
            if name in train.outputs:
                self.out(name, train.outputs[name])
        return None

    def predict(self) -> None:
        """Predict the gap of every composition."""
        model = self.inputs.model if "model" in self.inputs else self.ctx.train.outputs.model
        self.out("model", model)
        self.ctx.predictions = predict_band_gaps(model, self.ctx.space, self.inputs.prediction)
        self.out("predictions", self.ctx.predictions)

    def select(self) -> None:
        """Apply the rules of the funnel."""
        known = dict(self.inputs.get("known") or {})
        refused = {"refused": self.ctx.refused} if "refused" in self.ctx else {}
        chosen = select_candidates(self.ctx.predictions, self.ctx.space, self.inputs.selection, **refused, **known)
        self.ctx.selection = chosen["selection"]
        for name, table in chosen.items():
            self.out(name, table)
        stages = chosen["funnel"]["stages"]
        self.report(" -> ".join(f"{stage['count']} {stage['name']}" for stage in stages))
        if not stages[-1]["count"] and self.inputs.selection["n_candidates"] != 0:
            emptied = next(stage for stage in stages if not stage["count"])
            self.report(
                f"no candidate is left after the rule {emptied['name']!r} ({emptied['label']}): `selection` of the "
                "screening's settings can loosen it, `exclude_known: false` keeps compounds that a table holds"
            )

    def compute_candidates(self) -> None:
        """Submit the first candidates; each one that ends makes room for the next."""
        table = self.ctx.selection.to_frame()
        ranked = table.loc[table["chosen"], "formula"].tolist()
        n_electronic = self.inputs.n_electronic.value if "n_electronic" in self.inputs else len(ranked)
        self.ctx.geometry_only = ranked[n_electronic:]
        references = [name for name in self._references() if name not in ranked]
        self.ctx.chosen = ranked + references
        # What began during the training is taken up first.
        self.ctx.queue = sorted(self.ctx.chosen, key=lambda name: self.submitted(f"{CANDIDATE}{name}") is None)
        self.submit_first(self.inputs.max_concurrent.value)
        self.ctx.uncollected, self.ctx.rows, self.ctx.failures = self.ctx.chosen, {}, {}

    def has_rows(self) -> bool:
        """Tell whether there are so many candidates that their rows are put together in parts."""
        return len(self.ctx.uncollected) > COLLECTED_AT_ONCE

    def collect_some(self) -> None:
        """Put the rows of some candidates into a table; a step of its own, so that it is done once."""
        formulas, self.ctx.uncollected = (
            self.ctx.uncollected[:COLLECTED_AT_ONCE],
            self.ctx.uncollected[COLLECTED_AT_ONCE:],
        )
        if found := self._found(formulas):
            self.ctx.rows[f"rows_{len(self.ctx.rows) + 1}"] = collect_rows(**found)

    def collect(self) -> ExitCode | None:
        """Join everything into the results table."""
        found = {**self.ctx.rows, **self._found(self.ctx.uncollected)}
        failures = dict(self.ctx.failures)
        if self.ctx.chosen:
            self.out("results", collect_results(self.ctx.selection, Dict(failures), **found))
        if failures and len(failures) == len(self.ctx.chosen):
            return self.exit_codes.ERROR_ALL_CANDIDATES_FAILED.format(message=next(iter(failures.values())))
        return None

    def _found(self, formulas: list[str]) -> dict[str, Dict]:
        """Return the rows and verdicts of candidates, and note of those that failed why."""
        found: dict[str, Dict] = {}
        for formula in formulas:
            node = self.ended(f"{CANDIDATE}{formula}")
            if not node.is_finished_ok:
                self.ctx.failures[formula] = how_it_ended(node)
            found |= {
                f"{name}_{formula}": node.outputs[name] for name in ("summary", "verdict") if name in node.outputs
            }
        return found

    def _references(self) -> list[str]:
        return list(self.inputs.references.get_list()) if "references" in self.inputs else []

    def submit_next(self) -> None:
        """Submit the next candidate of the queue."""
        formula = self.ctx.queue.pop(0)
        self.to_context(**{f"{CANDIDATE}{formula}": self._submit_candidate(formula)})

    def _submit_candidate(self, formula: str) -> ProcessNode:
        """Submit a candidate or reference, or return the one that was submitted before."""
        label = f"{CANDIDATE}{formula}"
        if (submitted := self.submitted(label)) is not None:
            return submitted
        inputs = {port: self.inputs[port] for port in CANDIDATE_PORTS if port in self.inputs}
        if formula in self.ctx.get("geometry_only", []):
            inputs = {"relax": self.inputs.relax}
        if formula in self._references() and "rules" in inputs:
            inputs["rules"] = Dict({**inputs["rules"].get_dict(), "leave_early": False})
        window = List(self.inputs.selection["window_ev"])
        node = self.take_or_submit(label, CandidateWorkChain, formula=Str(formula), window_ev=window, **inputs)
        chosen = self.ctx.get("chosen", [])
        what = f"candidate {chosen.index(formula) + 1} of {len(chosen)}" if formula in chosen else "reference"
        self.report(f"{what}: {formula}" + (f" (computed before, process {node.pk})" if node.is_finished else ""))
        return node
