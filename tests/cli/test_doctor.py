"""`aiida-perovskite doctor`: what is wrong is named, with what to do, and the rest is still looked at."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import aiida_perovskite


@pytest.fixture
def findings(run: Callable[..., Any]) -> Callable[..., dict[str, list[dict[str, str]]]]:
    """Run `doctor --json` and return the findings by subject; the exit code must fit them."""

    def command(*arguments: str) -> dict[str, list[dict[str, str]]]:
        result = run("doctor", "--json", *arguments)
        found: dict[str, list[dict[str, str]]] = {}
        for one in json.loads(result.stdout):
            assert one["state"] == "ok" or one["remedy"], one
            found.setdefault(one["subject"], []).append(one)
        problems = [one for several in found.values() for one in several if one["state"] == "problem"]
        assert result.exit_code == bool(problems)
        return found

    return command


def test_an_empty_profile_says_what_to_set_up(findings: Any) -> None:
    found = findings()
    assert found["codes"][0]["remedy"] == "`aiida-perovskite setup profile`"
    assert found["disk"][0]["message"].split()[1:3] == ["GiB", "free"]


def test_programs_are_asked_for_their_versions(
    findings: Any, run: Any, aiida_localhost: Any, aiida_code_installed: Any
) -> None:
    aiida_code_installed(label="learning", default_calc_job_plugin="core.shell", filepath_executable=sys.executable)
    aiida_code_installed(label="gpaw", default_calc_job_plugin="core.shell", filepath_executable="/bin/false")
    found = findings()
    (learning,) = found["code learning@localhost"]
    assert learning["state"] == "ok"
    assert f"aiida-perovskite {aiida_perovskite.__version__}" in learning["message"]
    (gpaw,) = found["code gpaw@localhost"]
    assert gpaw["state"] == "problem"
    assert "cannot import gpaw" in gpaw["message"]
    assert "/bin/false" in gpaw["remedy"]
    text = run("doctor")
    assert text.exit_code == 1
    assert "-> install gpaw for /bin/false" in text.stdout


def test_a_computer_that_is_not_there(findings: Any, aiida_localhost: Any, aiida_code_installed: Any) -> None:
    """One was never configured, the work folder of another is a file; the good one beside them is still found good."""
    from aiida.orm import Computer, InstalledCode

    aiida_code_installed(label="learning", default_calc_job_plugin="core.shell", filepath_executable=sys.executable)
    blocked = Path(aiida_localhost.get_workdir()).parent / "blocked"
    blocked.write_text("")
    for label, folder in (("unconfigured", "/tmp"), ("full", str(blocked / "jobs"))):
        computer = Computer(
            label=label, hostname="localhost", transport_type="core.local", scheduler_type="core.direct", workdir=folder
        ).store()
        if label == "full":
            computer.configure(safe_interval=0)
        InstalledCode(label="gpaw", computer=computer, filepath_executable=sys.executable).store()
    found = findings()
    (unconfigured,) = found["computer unconfigured"]
    assert "`verdi computer configure core.local unconfigured`" in unconfigured["remedy"]
    assert {one["state"] for one in found["computer full"]} == {"ok", "problem"}
    assert {one["state"] for one in found["computer localhost"]} == {"ok"}
    assert set(findings("-Y", "localhost")) & {"computer full", "computer unconfigured"} == set()


def test_fhi_aims_without_species(findings: Any, aiida_localhost: Any, aiida_code_installed: Any) -> None:
    aiida_code_installed(label="aims", default_calc_job_plugin="perovskite.aims", filepath_executable="/bin/echo")
    found = findings()
    assert found["species"][0]["state"] == "problem"
    assert "setup species" in found["species"][0]["remedy"]
    assert found["code aims@localhost"][0]["state"] == "ok"  # it answered


@pytest.mark.parametrize(("free_gib", "state"), [(0.5, "problem"), (5.0, "warning"), (50.0, "ok")])
def test_little_space_is_told(free_gib: float, state: str, monkeypatch: pytest.MonkeyPatch, findings: Any) -> None:
    from aiida_perovskite.cli import diagnosis

    usage = SimpleNamespace(free=free_gib * 2**30)
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda folder: usage)
    assert findings()["disk"][0]["state"] == state


def test_workers_that_the_broker_has_lost_are_told(
    aiida_profile_clean: Any, started_daemon_client: Any, findings: Any
) -> None:
    """A worker that was held up, as by a laptop that slept, goes on without taking tasks."""
    from aiida.brokers.zeromq.broker import ZeromqBroker

    end = time.monotonic() + 60.0
    while (broker := findings()["broker"][0])["state"] != "ok" and time.monotonic() < end:
        time.sleep(0.5)
    assert broker["state"] == "ok", broker
    lost = {"connected": True, "task_subscribers": 0, "pending_tasks": 3}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ZeromqBroker, "probe_service_status", lambda self: lost)
        (broker,) = findings()["broker"]
    assert broker["state"] == "problem"
    assert "3 tasks wait" in broker["message"]


def test_nobody_reads_the_output(aiida_profile_clean: Any) -> None:
    """As with `| head`: no complaint."""
    command = [sys.executable, "-c", "from aiida_perovskite.cli import cmd_root; cmd_root()"]
    with subprocess.Popen(
        [*command, "-p", aiida_profile_clean.name, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 1
