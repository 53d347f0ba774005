"""Failures on demand: what the reader makes of each, and what repairs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines.aims.emulated import BASICS, OPTICS, PATH, PBE, RELAX, SOC, SYMMETRY, perovskite, run

from aiida_perovskite.engines.aims import AimsStatus, read_bands
from aiida_perovskite.engines.aims.emulator.failures import parse_failures

RELAXED = BASICS + "spin none\nsc_iter_limit 40\n" + RELAX
START = perovskite() + SYMMETRY


@pytest.mark.parametrize("version", ["171221_1", "240507"])
@pytest.mark.parametrize(
    ("request_", "code", "status", "steps"),
    [
        ("scf", 0, AimsStatus.SCF_NOT_CONVERGED, 1),
        ("scf@2", 0, AimsStatus.SCF_NOT_CONVERGED, 2),
        ("geometry@3", 0, AimsStatus.STEP_LIMIT, 3),
        ("optimizer@2", 0, AimsStatus.GEOMETRY_NOT_CONVERGED, 2),
        ("walltime@2", 143, AimsStatus.INCOMPLETE, 2),
        ("killed@3", 137, AimsStatus.KILLED, 3),
        ("oom@1", 137, AimsStatus.OUT_OF_MEMORY, 1),
        ("stacksize@0", 1, AimsStatus.CRASHED_AT_INPUT, 0),
        ("input@0", 1, AimsStatus.CRASHED_AT_INPUT, 0),
    ],
)
def test_each_failure_has_its_status(
    tmp_path: Path, request_: str, code: int, status: AimsStatus, steps: int, version: str
) -> None:
    done, output = run(tmp_path, RELAXED, START, FAIL=request_, VERSION=version)
    assert (done, output.status, len(output.steps)) == (code, status, steps)
    # A relaxation that was cut leaves the geometry of its last step.
    assert (tmp_path / "geometry.in.next_step").exists() == (steps > 1)


def test_step_limit_by_steps_that_are_too_small(tmp_path: Path) -> None:
    _, output = run(tmp_path, RELAXED.replace("100", "4"), START, FAIL="geometry@limit")
    assert output.status is AimsStatus.STEP_LIMIT
    assert len(output.steps) == 4


@pytest.mark.parametrize("stage", ["soc", "dielectric", "bands"])
def test_killed_after_self_consistency(tmp_path: Path, stage: str) -> None:
    _, output = run(
        tmp_path, BASICS + SOC + PATH + OPTICS, FAIL=f"oom@{stage}:until=!bands|!dielectric|tasks<=2", TASKS="8"
    )
    assert output.status is AimsStatus.OUT_OF_MEMORY
    assert output.gap_ev is not None
    assert (output.soc_gap_ev is None) == (stage == "soc")
    assert (tmp_path / "band1001.out").exists() == (stage == "bands")
    for repaired, tasks in (
        (BASICS + SOC + PATH, "8"),
        (BASICS + SOC + OPTICS, "8"),
        (BASICS + SOC + PATH + OPTICS, "2"),
    ):
        _, output = run(tmp_path, repaired, FAIL=f"oom@{stage}:until=!bands|!dielectric|tasks<=2", TASKS=tasks)
        assert output.finished


def test_scf_is_repaired_by_what_the_handler_changes(tmp_path: Path) -> None:
    restarting = "elsi_restart read_and_write 10\n"
    for keywords, condition, good in (
        ("", "", False),
        ("charge_mix_param 0.05\n", "", False),
        ("charge_mix_param 0.02\n", "", True),
        (restarting, "", False),  # nothing to read yet
        ("charge_mix_param 0.02\n", ":until=never", False),
        ("sc_iter_limit 400\n", ":until=sc_iter_limit>=400", True),
        ("occupation_type gaussian 0.1\n", ":until=occupation_type", True),
        ("", ":until=occupation_type", False),
        ("charge_mix_param 0.02\n", ":until=charge_mix_param<=0.02&occupation_type", False),
    ):
        limit = "" if "sc_iter_limit" in keywords else "sc_iter_limit 30\n"
        _, output = run(tmp_path, PBE + limit + keywords, FAIL=f"scf@1{condition}")
        assert output.finished is good, (keywords, condition)
    run(tmp_path, PBE + restarting)
    _, output = run(tmp_path, PBE + restarting, FAIL="scf@1")
    assert output.finished


def test_cycle_that_needs_more_iterations_than_allowed_does_not_converge(tmp_path: Path) -> None:
    _, output = run(tmp_path, PBE + "sc_iter_limit 5\n")
    assert output.status is AimsStatus.SCF_NOT_CONVERGED
    assert output.n_scf_iterations == 5


def test_failure_happens_once_for_all_runs_that_share_a_folder(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    found = [
        run(tmp_path, PBE, FAIL="killed@1:once,scf@1:times=2:until=never", STATE=state)[1].status for _ in range(4)
    ]
    assert found == [AimsStatus.KILLED, AimsStatus.SCF_NOT_CONVERGED, AimsStatus.SCF_NOT_CONVERGED, AimsStatus.FINISHED]


def test_optimizer_fails_until_it_starts_without_hessian(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    _, first = run(tmp_path, RELAXED, START, FAIL="optimizer@1", STATE=state)
    with_hessian = (tmp_path / "geometry.in.next_step").read_text() + SYMMETRY
    _, second = run(tmp_path, RELAXED, with_hessian, FAIL="optimizer@1", STATE=state)
    without = "\n".join(line for line in with_hessian.splitlines() if not line.startswith(("hessian", "trust"))) + "\n"
    _, third = run(tmp_path, RELAXED, without, FAIL="optimizer@1", STATE=state)
    assert [first.finished, second.finished, third.finished] == [False, False, True]


def test_coarse_grid_makes_the_path_contradict_the_grid(tmp_path: Path) -> None:
    _, output = run(tmp_path, BASICS + SOC + PATH, FAIL="coarse_grid")
    assert output.finished
    for gap, path_gap in ((output.gap_ev, output.path_gap_ev), (output.soc_gap_ev, output.soc_path_gap_ev)):
        assert gap is not None
        assert path_gap is not None
        assert path_gap < 0.4 * gap
    assert read_bands(tmp_path, soc=True, output=output).gap_ev == pytest.approx(output.soc_path_gap_ev, abs=2e-5)
    _, output = run(tmp_path, BASICS.replace("4 4 4", "6 6 6") + PATH, FAIL="coarse_grid")
    assert output.gap_ev == pytest.approx(output.path_gap_ev, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["scff@1", "scf@one", "scf@1:twice", "scf@1:until=a=3", "scf@1:until=", "killed@2:times=x", "scf@"]
)
def test_requests_that_make_no_sense_are_errors(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="AIMS_EMULATOR_FAIL"):
        parse_failures(text)
    assert run(tmp_path, PBE, FAIL=text)[0] == 2


def test_counting_needs_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, PBE, FAIL="scf@1:once")[0] == 2
    assert "AIMS_EMULATOR_STATE" in capsys.readouterr().err
