"""Reading a checkpoint without knowing which model it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoint import read_json

if TYPE_CHECKING:
    from .gap_model import GapModel
    from .levels.model import LevelModel

__all__ = ["load_model"]


def load_model(safetensors_path: str | Path, json_path: str | Path) -> GapModel | LevelModel:
    """Read the gap model or the level model that the two files hold.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, the two do not belong together, or they hold no model of this version.
    """
    from .gap_model import GapModel
    from .levels import network
    from .levels.model import LevelModel

    architecture = read_json(Path(json_path)).get("architecture")
    kind = LevelModel if architecture == network.ARCHITECTURE else GapModel
    return kind.load(safetensors_path, json_path)
