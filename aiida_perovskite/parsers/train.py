"""Jobs of ``python -m aiida_perovskite.learning`` -> checkpoints, tables and numbers as nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from aiida.engine import ExitCode
from aiida.orm import Dict
from aiida.parsers.parser import Parser
from aiida_shell import ShellJob

from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.engines import EXIT_STATUS, NO_RESULTS
from aiida_perovskite.parsers.base import last_output

STATED = (1, 2, 3)  # statuses with which Python and the command end of themselves; a killed job has none, or above 128
REFUSED = 2  # status of the command for bad input, of which it then says one sentence
TEXT = {"clusters": str, "run": str}  # columns of text that may look like numbers, "1" beside "2+3"


class LearningParser(Parser):
    """What the commands of the learning room leave: some files that must be there, tables, numbers."""

    _what: ClassVar[str]
    """What the job did, for messages."""
    _required: ClassVar[tuple[str, ...]]
    """Files without which it failed."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse the retrieved files into output nodes or an exit code whose message says what happened."""
        missing = [name for name in self._required if not self.has(name)]
        if missing:
            return self.failure(missing, kwargs["retrieved_temporary_folder"])
        try:
            self.parse_files()
        except (ValueError, KeyError, OSError) as error:
            return ExitCode(EXIT_STATUS["damaged"], f"a file that {self._what} left cannot be read: {error}")
        return None

    def parse_files(self) -> None:
        """Turn the files into output nodes; those that are required are there. ValueError if one is damaged."""
        raise NotImplementedError

    def failure(self, missing: list[str], folder: str) -> ExitCode:
        """Return the exit code of a job that did not leave all its files."""
        status, said = _own_status(folder), last_output(folder)
        if status == REFUSED and "Error: " in said:
            return ExitCode(EXIT_STATUS["bad_input"], f"{self._what} refused its input: {said.split('Error: ')[-1]}")
        code = EXIT_STATUS["crashed"] if status in STATED else NO_RESULTS
        return ExitCode(code, f"{self._what} left no {', '.join(missing)}; its last output: {said}")

    def has(self, name: str) -> bool:
        """Tell whether a file was retrieved."""
        return name in self.retrieved.base.repository.list_object_names()

    def write(self, folder: str, *names: str) -> None:
        """Write retrieved files into a folder."""
        for name in names:
            (Path(folder) / name).write_bytes(self.retrieved.base.repository.get_object_content(name, "rb"))

    def out_tables(self, *names: str) -> None:
        """Hand out those of the CSV files that are there, each under its own name."""
        import io

        import pandas as pd

        for name in filter(lambda name: self.has(f"{name}.csv"), names):
            content = self.retrieved.base.repository.get_object_content(f"{name}.csv", "rb")
            frame = pd.read_csv(io.BytesIO(content), dtype=TEXT)
            self.out(name, CompositionTableData.from_frame(frame, name=name.replace("_", "-")))

    def out_numbers(self, *names: str) -> None:
        """Hand out JSON files, each under its own name."""
        import json

        for name in names:
            self.out(name, Dict(json.loads(self.retrieved.base.repository.get_object_content(f"{name}.json", "r"))))


class TrainParser(LearningParser):
    """Outputs ``model``, ``metrics``, ``cross_validation``, ``history`` and, where one was made, ``learning_curve``.

    The model is a gap model or a level model: both leave the same files.
    """

    _what = "the training"
    _required = ("model.safetensors", "model.json", "metrics.json")

    def parse_files(self) -> None:
        """Hand out the model and its tables."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            self.write(folder, "model.safetensors", "model.json")
            self.out("model", ModelCheckpointData.from_folder(Path(folder)))
        self.out_numbers("metrics")
        self.out_tables("cross_validation", "history", "learning_curve")


def _own_status(temporary_folder: str) -> int | None:
    """Return the exit status of the job's command; None if it did not live to leave one."""
    path = Path(temporary_folder) / ShellJob.FILENAME_STATUS
    text = path.read_text(errors="replace").strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None
