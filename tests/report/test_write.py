"""The file of a report: whole or not at all."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def test_on_a_full_disk_the_old_report_stays(campaign: Any, tmp_path: Path) -> None:
    from aiida_perovskite.report.write import write_report

    path = tmp_path / "report.html"
    path.write_text("the old one")
    with room_for(100_000), pytest.raises(OSError, match="too large"):
        write_report(campaign, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "the old one"


@contextmanager
def room_for(n_bytes: int) -> Iterator[None]:
    """Let this process write files of at most so many bytes, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_campaign_that_is_still_training_has_a_report(running_campaign: Any, tmp_path: Path) -> None:
    from aiida_perovskite.report.write import write_report

    page = write_report(running_campaign, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "There is no selection yet." in page


def test_a_card_says_who_moved_the_halide(campaign: Any, tmp_path: Path) -> None:
    from aiida_perovskite.report.write import write_report

    page = write_report(campaign, tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("the rest is the HSE06 force") == 1
    assert "the rest is the PBE force" in page
    assert "0.2499" in page


def test_another_node_is_refused(aiida_profile: Any, tmp_path: Path) -> None:
    from aiida.orm import WorkChainNode

    from aiida_perovskite.report.write import write_report

    with pytest.raises(ValueError, match="is not a screening"):
        write_report(WorkChainNode().store(), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
