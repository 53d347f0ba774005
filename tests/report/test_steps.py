"""Steps read by a few queries are what the nodes say, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aiida_perovskite.report import steps
from aiida_perovskite.report.steps import all_steps_below, step, steps_below


def below(process: Any) -> Iterator[Any]:
    """Yield what a process called, oldest first, each before what it called itself."""
    for child in sorted(process.called, key=lambda node: node.pk):
        yield child
        yield from below(child)


def test_every_process_below_is_there_as_its_node_has_it(campaign: Any) -> None:
    found = steps_below(campaign)
    assert [one.source.uuid for one in found] == [node.uuid for node in below(campaign)]
    assert len({one.state for one in found}) > 1
    for one, node in zip(found, below(campaign), strict=True):
        state = "failed" if node.is_failed else node.process_state.value
        code = node.inputs.code if "code" in node.inputs else None
        computer = node.computer or (code.computer if code else None)
        assert (one.name, one.state, one.exit_status) == (node.process_label, state, node.exit_status)
        assert one.message == (node.exit_message or "")
        assert (one.started, one.changed) == (node.ctime, node.mtime)
        assert (one.code, one.computer) == (code.label if code else None, computer.label if computer else None)
        assert one.versions == {"core": "2.9.4", "plugin": "0.1.0"}
        assert one.source.kind == type(node).__name__


def test_paths_name_the_callers(campaign: Any) -> None:
    paths = {one.source.link_label for one in steps_below(campaign, "run")}
    assert all(path.startswith("run / ") for path in paths)
    assert any(path.count(" / ") > 1 for path in paths)


def test_long_lists_are_asked_for_in_parts(campaign: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    children = [node.pk for node in campaign.called]
    at_once = all_steps_below(children)
    monkeypatch.setattr(steps, "FEW", 2)
    assert all_steps_below(children) == at_once
    assert all_steps_below([]) == {}


def test_an_exception_is_told_by_its_last_line(aiida_profile: Any) -> None:
    from aiida.orm import WorkChainNode

    node = WorkChainNode()
    node.set_process_state("excepted")
    node.set_exception("Traceback\n  in some file\nValueError: no such thing\n")
    one = step(node.store(), "candidate")
    assert (one.state, one.message, one.name) == ("excepted", "ValueError: no such thing", "WorkChainNode")
