"""Jobs of inverse design -> checkpoint, tables, the files of the truth."""

from __future__ import annotations

from pathlib import Path

from aiida.orm import Dict, FolderData

from aiida_perovskite.data.model import GENERATOR_FILES, ModelCheckpointData
from aiida_perovskite.parsers.train import LearningParser

TRUTH_FILES = ("truth.npz", "truth.json")


class GeneratorParser(LearningParser):
    """Output ``model``."""

    _what = "the training"
    _required = tuple(GENERATOR_FILES.values())
    _files = _required

    def parse_files(self) -> None:
        """Hand out the generator."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            self.write(folder, *self._files)
            self.out("model", ModelCheckpointData.from_folder(Path(folder)))


class TrialParser(GeneratorParser):
    """Output ``quantities`` and, unless the training gave nothing, ``model``."""

    _what = "the fit"
    _required = ("quantities.json",)

    def parse_files(self) -> None:
        """Hand out what the training set says of the fit, and the generator."""
        self.out_numbers("quantities")
        if all(self.has(name) for name in self._files):
            super().parse_files()


class DesignParser(LearningParser):
    """Outputs ``compositions`` and ``summary``."""

    _what = "the design"
    _required = ("compositions.csv", "summary.json")

    def parse_files(self) -> None:
        """Hand out the table and its counts."""
        self.out_tables("compositions")
        self.out_numbers("summary")


class EvaluationParser(LearningParser):
    """Outputs ``evaluation`` and ``truth``."""

    _what = "the evaluation"
    _required = ("evaluation.csv", *TRUTH_FILES)

    def parse_files(self) -> None:
        """Hand out metrics, and the truth that they were measured against."""
        import tempfile

        self.out_tables("evaluation")
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder, *TRUTH_FILES)
            self.out("truth", FolderData(tree=folder))


class BenchmarkParser(LearningParser):
    """Outputs ``metrics``, ``fits``, ``saturation``, ``js_matrix``, ``elements``, ``energies``, ``summary``, and more.

    The last is ``generators``, a folder per fit.
    """

    _what = "the benchmark"
    _tables = ("metrics", "fits", "saturation", "js_matrix", "elements", "energies")
    _required = (*(f"{name}.csv" for name in _tables), "metrics.json", "generators")

    def parse_files(self) -> None:
        """Hand out tables, summary and generators."""
        import json
        import tempfile

        self.out_tables(*self._tables)
        repository = self.retrieved.base.repository
        content = json.loads(repository.get_object_content("metrics.json", "r"))
        self.out("summary", Dict({name: value for name, value in content.items() if name not in self._tables}))
        with tempfile.TemporaryDirectory() as folder:
            repository.copy_tree(folder)
            self.out("generators", FolderData(tree=str(Path(folder) / "generators")))
