"""The generator that comes with the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aiida_perovskite.learning.checkpoint import CheckpointError
from aiida_perovskite.learning.generative import load_generator, shipped
from aiida_perovskite.learning.generative.autoregressive import Autoregressive
from aiida_perovskite.learning.generative.design import DesignSettings, EnergyTarget, design


def test_it_proposes_fluorides_of_electropositive_metals() -> None:
    found = design(
        load_generator(shipped.shipped_folder()),
        None,
        EnergyTarget.parse("formation energy < -2.3"),
        30,
        DesignSettings(),
    )
    frame = found.compositions
    assert len(frame) == 30
    assert (frame["d"] == "F").mean() > 0.9
    assert frame["c"].isin(["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba"]).mean() > 0.9
    width = frame["upper_ev_per_atom"] - frame["lower_ev_per_atom"]
    assert width.between(0.1, 2.0).all()


def test_it_was_made_by_the_current_defaults() -> None:
    trained = load_generator(shipped.shipped_folder())
    assert isinstance(trained, Autoregressive)
    assert trained.settings == Autoregressive.settings_type(), "run tools/ship_generator.py: the defaults have changed"
    assert trained.versions
    size = sum(path.stat().st_size for path in shipped.shipped_folder().iterdir())
    assert size < 2_000_000


def test_a_changed_or_incomplete_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shipped_generator"
    shutil.copytree(shipped.shipped_folder(), folder)

    def files(_: Any) -> Path:
        return tmp_path

    monkeypatch.setattr(shipped.resources, "files", files)
    assert shipped.shipped_folder() == folder
    content = json.loads((folder / "generator.json").read_text(encoding="utf-8"))
    (folder / "generator.json").write_text(json.dumps({**content, "seed": 7}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"generator.json of the shipped generator was changed"):
        shipped.shipped_folder()
    (folder / "generator.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is not complete"):
        shipped.shipped_folder()
