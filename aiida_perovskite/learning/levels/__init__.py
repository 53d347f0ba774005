"""Interpretable band gaps: energy levels of the sites, attention between them, and the solid-state-energy baseline.

The names are loaded when they are first used, since they need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .settings import LevelSettings

_LAZY = {
    "LevelModel": "model",
    "LevelNetwork": "network",
    "LevelOutputs": "network",
    "UnseenElementError": "model",
    "fit_solid_state_energies": "sse",
    "integrated_gradients": "attribution",
    "levels_frame": "model",
}

__all__ = [
    "LevelModel",
    "LevelNetwork",
    "LevelOutputs",
    "LevelSettings",
    "UnseenElementError",
    "fit_solid_state_energies",
    "integrated_gradients",
    "levels_frame",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
