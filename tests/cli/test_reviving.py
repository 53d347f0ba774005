"""When `screen` brings the daemon back, when it leaves it alone, and when it gives up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aiida_perovskite.cli import reviving


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the watch sees, to be set by the test; `revived` counts what it did."""
    seen: dict[str, Any] = {"now": 0.0, "state": "running", "change": 0, "paused": [], "revived": 0, "parts": {1, 2}}

    def revive() -> None:
        seen["revived"] += 1
        seen["state"] = "running"

    monkeypatch.setattr(reviving.time, "monotonic", lambda: seen["now"])
    monkeypatch.setattr(reviving, "daemon_state", lambda: seen["state"])
    monkeypatch.setattr(reviving, "last_change", lambda: seen["change"])
    monkeypatch.setattr(reviving, "paused_processes", lambda: seen["paused"])
    monkeypatch.setattr(reviving, "part_numbers", lambda: seen["parts"])
    monkeypatch.setattr(reviving, "revive", revive)
    return seen


@pytest.fixture
def pass_time(world: dict[str, Any]) -> Callable[..., None]:
    """Return a function that lets time pass, looking every two seconds."""
    watch = reviving.Watch()

    def go(seconds: float, moving: bool = False) -> None:
        for _ in range(int(seconds / 2)):
            world["now"] += 2
            world["change"] += moving
            watch.look()

    return go


def test_what_moves_is_left_alone(world: dict[str, Any], pass_time: Callable[..., None]) -> None:
    pass_time(3600, moving=True)
    assert world["revived"] == 0


def test_a_killed_daemon_comes_back_at_once(world: dict[str, Any], pass_time: Callable[..., None]) -> None:
    world["state"] = "killed"
    pass_time(20, moving=True)
    assert world["revived"] == 1


def test_a_daemon_that_was_stopped_stays_so(
    world: dict[str, Any], pass_time: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    world["state"] = "stopped"
    pass_time(3600)
    assert world["revived"] == 0
    assert capsys.readouterr().err.count("verdi daemon start") == 1, "said once, not every ten seconds"


def test_a_lost_task_is_given_out_again(world: dict[str, Any], pass_time: Callable[..., None]) -> None:
    pass_time(reviving.STALLED_S - 20)
    assert world["revived"] == 0
    pass_time(60)
    assert world["revived"] == 1
    pass_time(600, moving=True)
    assert world["revived"] == 1


def test_a_task_lost_with_a_worker_is_missed_sooner(world: dict[str, Any], pass_time: Callable[..., None]) -> None:
    pass_time(60, moving=True)
    world["parts"] = {1, 3}  # AiiDA has started another worker
    pass_time(600, moving=True)
    assert world["revived"] == 0, "nothing was lost with it"
    pass_time(reviving.SUSPECT_S + 2 * reviving.LOOK_S)
    assert world["revived"] == 1
    pass_time(reviving.STALLED_S - 20)
    assert world["revived"] == 1, "the suspicion has been followed"


def test_what_a_user_paused_is_not_repaired(
    world: dict[str, Any], pass_time: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    world["paused"] = [42]
    pass_time(3600)
    assert world["revived"] == 0
    assert "verdi process play" in capsys.readouterr().err


def test_repairing_in_vain_ends_with_advice(world: dict[str, Any], pass_time: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="verdi daemon logshow"):
        pass_time(3600)
    assert world["revived"] == reviving.IN_VAIN


def test_a_pid_file_without_its_process_means_killed(aiida_profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiida.engine.daemon.client import DaemonClient

    monkeypatch.setattr(DaemonClient, "get_daemon_pid", lambda self: None)
    assert reviving.daemon_state() == "stopped"
    monkeypatch.setattr(DaemonClient, "get_daemon_pid", lambda self: 2**22 + 1)  # beyond the largest number on Linux
    assert reviving.daemon_state() == "killed"
