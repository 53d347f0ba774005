"""What the tests of the WorkChains share: emulated engines and a model trained in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EMULATOR = Path(__file__).parent / "emulator.py"

# Small enough to train in seconds; the architecture is the real one.
TINY_TRAINING = {"epochs": 2, "members": 2, "folds": 3, "fold_members": 2}


@pytest.fixture
def emulator_code(aiida_code_installed: Callable[..., Any], aiida_localhost: Any, tmp_path: Path) -> Any:
    """A Code that answers like the engine scripts, in milliseconds."""
    aiida_localhost.set_minimum_job_poll_interval(0)
    executable = tmp_path / "emulated-python"
    executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{EMULATOR}" "$@"\n')
    executable.chmod(0o755)
    return aiida_code_installed(
        label="emulator", default_calc_job_plugin="core.shell", filepath_executable=str(executable)
    )


@pytest.fixture
def tiny_model(aiida_profile_clean: Any) -> Any:
    """A real model after two epochs on the shipped gaps: wrong, but everything works."""
    from aiida.orm import Dict, Str

    from aiida_perovskite.calculations.functions import train_band_gap_model
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.datasets import load_dataset
    from aiida_perovskite.workflows.protocols import load_protocol

    dataset = load_dataset("halide-gaps-gpaw")
    table = CompositionTableData.from_frame(dataset.frame, name=dataset.name)
    settings = Dict(load_protocol("train", overrides=TINY_TRAINING))
    return train_band_gap_model(table, Str(dataset.target), settings)["model"]
