"""Training job -> checkpoint, tables and metrics as nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict
from aiida.parsers.parser import Parser
from aiida_shell import ShellJob

from aiida_perovskite.data.model import ModelCheckpointData
from aiida_perovskite.data.table import CompositionTableData
from aiida_perovskite.engines import EXIT_STATUS, NO_RESULTS
from aiida_perovskite.parsers.base import last_output

ERROR_BAD_MODEL = 311  # the checkpoint is there but cannot be read
STATED = (1, 2, 3)  # statuses with which Python and the training end of themselves; a killed job has none, or above 128


class TrainParser(Parser):
    """Outputs ``model``, ``metrics``, ``cross_validation``, ``history`` and, where one was made, ``learning_curve``."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse the retrieved files into output nodes or an exit code whose message says what happened."""
        import io
        import json
        import tempfile

        import pandas as pd

        repository = self.retrieved.base.repository
        names = repository.list_object_names()
        missing = [name for name in ("model.safetensors", "model.json", "metrics.json") if name not in names]
        if missing:
            folder = kwargs["retrieved_temporary_folder"]
            status = EXIT_STATUS["crashed"] if _own_status(folder) in STATED else NO_RESULTS
            return ExitCode(
                status, f"the training left no {', '.join(missing)}; its last output: {last_output(folder)}"
            )
        with tempfile.TemporaryDirectory() as folder:
            for name in ("model.safetensors", "model.json"):
                (Path(folder) / name).write_bytes(repository.get_object_content(name, "rb"))
            try:
                self.out("model", ModelCheckpointData.from_folder(Path(folder)))
            except ValueError as error:
                return ExitCode(ERROR_BAD_MODEL, f"the checkpoint cannot be read: {error}")
        self.out("metrics", Dict(json.loads(repository.get_object_content("metrics.json", "r"))))
        for name in ("cross_validation", "history", "learning_curve"):
            if f"{name}.csv" in names:
                frame = pd.read_csv(io.BytesIO(repository.get_object_content(f"{name}.csv", "rb")))
                self.out(name, CompositionTableData.from_frame(frame, name=name.replace("_", "-")))
        return None


def _own_status(temporary_folder: str) -> int | None:
    """Return the exit status of the job's command; None if it did not live to leave one."""
    path = Path(temporary_folder) / ShellJob.FILENAME_STATUS
    text = path.read_text(errors="replace").strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None
