"""Generators of compositions compared: each fitted several times and held against the truth of the whole space."""

from __future__ import annotations

from typing import Any

from aiida.orm import Dict, FolderData, Str

from aiida_perovskite.calculations.generate import write_benchmark_settings
from aiida_perovskite.calculations.jobs import benchmark_job
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.workflows.generate import GeneratorJobWorkChain

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

    try:
        BenchmarkSettings.from_dict(value.get_dict())
    except ValueError as error:
        return str(error)
    return None


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
            help="As `BenchmarkSettings`: models, fits, classes, samples, seed.",
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
