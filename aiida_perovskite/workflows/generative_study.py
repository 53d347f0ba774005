"""Generators of compositions compared: each fitted several times and held against the truth of the whole space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aiida.engine import ExitCode, ProcessBuilder
from aiida.orm import AbstractCode, Dict, FolderData, Int, Str

from aiida_perovskite.calculations.generate import elpasolite_table, join_sizes, write_benchmark_settings
from aiida_perovskite.calculations.jobs import benchmark_job
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.generate import GeneratorJobWorkChain
from aiida_perovskite.workflows.interfaces import fault_of, how_it_ended
from aiida_perovskite.workflows.protocols import load_protocol
from aiida_perovskite.workflows.sharing import QueueMixin

SHARED = ("dataset", "code", "device", "options")  # inputs of every job that a study of many submits
TABLES = {
    "metrics": "Metrics by class and model, means over the fits.",
    "fits": "Metrics of each fit.",
    "saturation": "Novel, rediscovered and repeated samples as the sample grows.",
    "js_matrix": "Distances between the energy classes of training set and truth.",
    "elements": "Shares of the elements on the sites: truth, training set, models.",
    "energies": "Energies of what was proposed, in bins.",
}


def validate_benchmark(value: Dict, _: Any) -> str | None:
    """Refuse models, classes and settings that do not exist before anything runs."""
    from aiida_perovskite.learning.generative.benchmark import BenchmarkSettings

    return fault_of(lambda: BenchmarkSettings.from_dict(value.get_dict()))


def validate_device(value: Str, _: Any) -> str | None:
    """Refuse a device that the job does not know."""
    return None if value.value in ("cpu", "cuda") else f"the device is cpu or cuda, not {value.value!r}"


class GenerativeStudyWorkChain(GeneratorJobWorkChain):
    """Compare generators in one job, in which the fits of a network are trained together."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Add settings, device and what comes out."""
        super().define(spec)
        spec.input(
            "settings",
            valid_type=Dict,
            validator=validate_benchmark,
            help="As `BenchmarkSettings`: models, fits, classes, samples, seed, training_rows, both_orders.",
        )
        spec.input(
            "device", valid_type=Str, default=lambda: Str("cpu"), validator=validate_device, help="`cpu` or `cuda`."
        )
        for name, words in TABLES.items():
            spec.output(name, valid_type=CompositionTableData, help=words)
        spec.output("summary", valid_type=Dict, help="Settings, seeds, versions, checksums, class counts.")
        spec.output("generators", valid_type=FolderData, help="The trained generators, a folder per fit.")

    def prepare_process(self) -> None:
        """Set the inputs of the job: table, settings, device."""
        self.ctx.inputs = benchmark_job(
            self.inputs.code,
            self.inputs.dataset,
            write_benchmark_settings(self.inputs.settings),
            self.inputs.device.value,
            self.inputs.get("options"),
        )


class GenerativeJobsWorkChain(QueueMixin):
    """Many jobs on one table of formation energies, a few at a time.

    None that was finished is repeated, whoever asked for it.
    """

    _protocol: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define what all jobs take."""
        super().define(spec)
        spec.expose_inputs(GenerativeStudyWorkChain, include=SHARED)
        spec.input("max_concurrent", valid_type=Int, default=lambda: Int(2), help="Jobs in flight at the same time.")

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        dataset: CompositionTableData,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> ProcessBuilder:
        """Return a builder filled from the protocol of the name that the entry point has.

        Parameters
        ----------
        code
            Interpreter that has this package and torch.
        dataset
            What to learn.
        protocol
            Its name.
        overrides
            Changed settings.
        options
            Job options.

        Raises
        ------
        ProtocolError
            For a protocol or override that does not exist.
        """
        settings = load_protocol(cls._protocol, protocol, overrides)
        builder = cls.get_builder()
        builder.code = code
        builder.dataset = dataset
        builder.max_concurrent = Int(settings.pop("max_concurrent"))
        builder.settings = Dict(settings)
        if options:
            builder.options = dict(options)
        for key, value in kwargs.items():
            builder[key] = value
        return builder

    def shared_inputs(self) -> dict[str, Any]:
        """Return what every job is given as the whole was."""
        return {name: self.inputs[name] for name in SHARED if name in self.inputs}


def validate_sizes(value: Dict, _: Any) -> str | None:
    """Refuse models, sizes and settings that do not exist before anything runs."""
    from aiida_perovskite.learning.generative.sizes import SizesSettings

    return fault_of(lambda: SizesSettings.from_dict(value.get_dict()))


def validate_together(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Refuse a table that cannot be learned, that is too small, or whose class is empty."""
    from aiida_perovskite.learning.generative.sizes import SizesSettings

    settings, dataset = inputs["settings"], inputs["dataset"]
    return fault_of(lambda: SizesSettings.from_dict(settings.get_dict()).check(elpasolite_table(dataset)))


class GenerativeSizesWorkChain(GenerativeJobsWorkChain):
    """Compare generators by the size of the training set, with and without the exchange of A and B (figure 7.9).

    A job for each model, size and order; one that fails does not sink the study.
    """

    _queued = "part_"
    _protocol = "generative_sizes"

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input(
            "settings",
            valid_type=Dict,
            validator=validate_sizes,
            help="As `SizesSettings` (protocol `generative_sizes`): models, sizes, permuted, fits, ...",
        )
        spec.inputs.validator = validate_together
        spec.outline(cls.submit_parts, cls.join)
        spec.output("metrics", valid_type=CompositionTableData, help="A row per model, `training_rows` and `permuted`.")
        spec.output("summary", valid_type=Dict, help="`lost`: which jobs gave nothing, and why.")
        spec.exit_code(420, "ERROR_ALL_PARTS_FAILED", message="every job failed; the first: {message}")

    def submit_parts(self) -> None:
        """Submit the first jobs."""
        self.ctx.queue = list(self._parts())
        self.report(f"{len(self.ctx.queue)} jobs, one for each model, size and order")
        self.submit_first(self.inputs.max_concurrent.value)

    def submit_next(self) -> None:
        """Submit the next job, or take the one with these inputs that there is."""
        label = self.ctx.queue.pop(0)
        if self.submitted(label) is None:
            self.report(label.removeprefix(self._queued).replace("_", " "))
        settings = Dict(self._parts()[label])
        running = self.submit_shared(label, GenerativeStudyWorkChain, settings=settings, **self.shared_inputs())
        self.to_context(**{label: running})

    def join(self) -> ExitCode | None:
        """Put the metrics into one table."""
        nodes = {label.removeprefix(self._queued): self.ended(label) for label in self._parts()}
        lost = {label: how_it_ended(node) for label, node in nodes.items() if not node.is_finished_ok}
        if len(lost) == len(nodes):
            return self.exit_codes.ERROR_ALL_PARTS_FAILED.format(message=next(iter(lost.values())))
        metrics = {label: node.outputs.metrics for label, node in nodes.items() if label not in lost}
        for name, node in join_sizes(self.inputs.dataset, self.inputs.settings, Dict(lost), **metrics).items():
            self.out(name, node)
        for label, message in lost.items():
            self.report(f"{label}: {message}")
        return None

    def _parts(self) -> dict[str, dict[str, Any]]:
        """Return link label -> settings of the benchmark."""
        from dataclasses import asdict

        from aiida_perovskite.learning.generative.sizes import SizesSettings

        parts = SizesSettings.from_dict(self.inputs.settings.get_dict()).parts()
        return {self._queued + part.label: asdict(part.settings) for part in parts}
