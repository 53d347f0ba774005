"""FHI-aims on the command line: registering it, and a campaign that runs with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

EMULATOR = str(Path(sys.executable).parent / "aims-emulator")


def test_the_program_is_asked_for_its_version(run: Callable[..., Any], aiida_localhost: Any) -> None:
    from aiida.orm import load_code

    result = run("setup", "aims", EMULATOR, "--computer", aiida_localhost.label, "--no-mpi")
    assert result.exit_code == 0, result.output
    code = load_code(f"aims@{aiida_localhost.label}")
    assert "emulator" in code.description
    assert code.default_calc_job_plugin == "perovskite.aims"
    assert code.with_mpi is False
    again = run("setup", "aims", EMULATOR, "--computer", aiida_localhost.label, "--no-mpi")
    assert again.exit_code == 0, "running it again changes nothing"


def test_what_is_no_program_is_refused(refused: Callable[..., str], aiida_localhost: Any) -> None:
    assert "does not tell its version" in refused("setup", "aims", "/bin/false", "--computer", aiida_localhost.label)
    assert "absolute" in refused("setup", "aims", "aims.x", "--computer", aiida_localhost.label)


def test_a_campaign_is_handed_to_it(
    run: Callable[..., Any], refused: Callable[..., str], codes: None, aiida_localhost: Any
) -> None:
    assert "aims@localhost" in refused("screen", "--engine", "aims", "--dry-run")
    assert run("setup", "aims", EMULATOR, "--computer", aiida_localhost.label, "--no-mpi").exit_code == 0
    choices = ("--engine", "aims", "--code-engine", f"aims@{aiida_localhost.label}", "--gap-protocol", "thesis")
    result = run("screen", "--dry-run", *choices)
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    engines = {step: plan[step]["engine"] for step in ("relax", "gap", "energy", "absorption", "bands", "free_relax")}
    assert set(engines.values()) == {"aims"}
    assert plan["phases"]["engine"] == "chgnet"
    assert plan["gap"]["parameters"]["keywords"]["xc"] == "hse06 0.11"
    assert plan["gap"]["parameters"]["density_restart"] is False
    assert plan["free_relax"]["parameters"]["symmetry"] == "free"
    assert "no installed engine 'vasp'" in refused(
        "screen", "--dry-run", "--engine", "vasp", "--code-engine", f"aims@{aiida_localhost.label}"
    )
