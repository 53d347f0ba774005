"""What the parsers of the engine scripts have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida.engine import ExitCode
from aiida.orm import StructureData
from aiida.parsers.parser import Parser

from aiida_perovskite.engines import EXIT_STATUS, NO_RESULTS, EngineError

if TYPE_CHECKING:
    from ase import Atoms


class EngineParser(Parser):
    """Parse ``results.json`` and ``arrays.npz`` of an engine script; subclasses implement :meth:`parse_results`."""

    def parse_results(self, results: str, arrays: bytes) -> None:
        """Turn the file contents into output nodes; raises EngineError."""
        raise NotImplementedError

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse the retrieved files into output nodes or an exit code whose message says what happened."""
        names = self.retrieved.base.repository.list_object_names()
        if "results.json" not in names:
            return ExitCode(
                NO_RESULTS,
                f"the script left no results; its last output: {last_output(kwargs['retrieved_temporary_folder'])}",
            )
        arrays = self.retrieved.base.repository.get_object_content("arrays.npz", "rb") if "arrays.npz" in names else b""
        try:
            self.parse_results(self.retrieved.base.repository.get_object_content("results.json", "r"), arrays)
        except EngineError as error:
            return ExitCode(EXIT_STATUS[error.code], str(error))
        return None


def structure_node(atoms: Atoms) -> StructureData:
    """Return a structure as a node, without moments: AiiDA would make atoms of one element different kinds."""
    plain = atoms.copy()
    plain.set_initial_magnetic_moments(None)
    return StructureData(ase=plain)


def last_output(temporary_folder: str) -> str:
    """Return the end of the job's standard output, which also holds what went to standard error."""
    path = Path(temporary_folder) / "stdout"
    return (path.read_text(errors="replace").strip()[-300:] if path.is_file() else "") or "none"
