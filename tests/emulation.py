"""Engines that answer in milliseconds and trainings that take seconds, for tests and benchmarks of everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EMULATOR = Path(__file__).parent / "workflows" / "emulator.py"  # smooth functions of the composition

# The architecture is the real one.
TINY_TRAINING: dict[str, Any] = {"epochs": 2, "members": 2, "folds": 3, "fold_members": 2, "learning_curve": []}
