"""Representations, networks, training and checkpoints. Needs no AiiDA: it also runs on a cluster node.

`encode` needs numpy only; the names that need torch are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .representation import EncodingError, encode

_LAZY = {
    "CheckpointError": "checkpoint",
    "GapModel": "gap_model",
    "PeriodicTableCNN": "cnn",
    "TrainingSettings": "settings",
    "SettingsError": "settings",
    "TrainingDataError": "rows",
}

__all__ = [
    "CheckpointError",
    "EncodingError",
    "GapModel",
    "PeriodicTableCNN",
    "SettingsError",
    "TrainingDataError",
    "TrainingSettings",
    "encode",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
