"""Inputs of jobs: what must change their hash does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import aiida_perovskite
from aiida_perovskite.calculations import jobs


def test_a_job_of_another_version_of_the_learning_room_is_another_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python_code: Any
) -> None:
    """Else an upgrade would take the networks of the old version from the cache."""
    package = tmp_path / "aiida_perovskite"
    for room in ("chemistry", "learning"):
        (package / room).mkdir(parents=True)
        (package / room / "module.py").write_text("one = 1\n")
    monkeypatch.setattr(aiida_perovskite, "__file__", str(package / "__init__.py"))

    def inputs() -> dict[str, Any]:
        jobs.rooms_digest.cache_clear()
        options = jobs.job_options({"environment_variables": {"MINE": "1"}}, [], "perovskite.train")
        return jobs.learning_job(python_code, "train", {}, [], options)["metadata"]["options"]["environment_variables"]

    first = inputs()
    assert (first["MINE"], first["OMP_NUM_THREADS"]) == ("1", "1")
    assert inputs() == first
    (package / "chemistry" / "module.py").write_text("one = 2\n")
    assert inputs() != first
    jobs.rooms_digest.cache_clear()
