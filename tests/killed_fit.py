"""A fit that is killed and goes on, for the tests of several generators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from smooth_elpasolites import smooth_table


def assert_it_ends_with_the_same_weights(
    kind: Any, settings: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill a fit of 30 updates, kept every 10, after 20, and compare what it ends with to a fit in one go."""
    for name, value in (("_MOST_UPDATES_A_BLOCK", 10), ("_SAVE_S", 0.0), ("_REPORT_S", 0.0)):
        monkeypatch.setattr(f"aiida_perovskite.learning.generative.training.{name}", value)
    table = smooth_table(200)

    def kill(line: str) -> None:
        if "update 20/30" in line:
            raise KeyboardInterrupt

    whole = kind.fit(table, settings, 1)
    with pytest.raises(KeyboardInterrupt):
        kind.fit(table, settings, 1, workdir=folder, progress=kill)
    lines: list[str] = []
    resumed = kind.fit(table, settings, 1, workdir=folder, progress=lines.append)
    assert len(lines) == 2, "the training began anew"
    for one, two in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(one, two)
