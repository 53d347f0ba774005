"""What a waiting command asks the graph again and again: only about what is alive or new."""

from __future__ import annotations

from typing import Any

import pytest
from report.conftest import process

from aiida_perovskite.cli import running


def test_jobs_that_run_are_found_below_what_runs(python_code: Any) -> None:
    run = process("work", "ScreeningWorkChain")
    ended = process("work", "CandidateWorkChain", run, "candidate_one")
    process("job", "ShellJob", ended, "iteration_01", code=python_code)
    candidate = process("work", "CandidateWorkChain", run, "candidate_two")
    process("job", "ShellJob", candidate, "iteration_01", code=python_code)
    job = process("job", "ShellJob", candidate, "iteration_02", code=python_code)
    ended.set_process_state("finished")
    job.set_process_state("waiting")
    assert [one.pk for one in running.running_jobs(run)] == [job.pk]
    job.set_process_state("killed")
    assert running.running_jobs(run) == []


def test_reports_are_printed_once(aiida_profile: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = process("work", "ScreeningWorkChain"), process("work", "CandidateWorkChain")
    run.logger.report("[1|ScreeningWorkChain|select]: 7056 space -> 2 chosen")
    other.logger.report("[2|CandidateWorkChain|build]: somebody else's")
    run.logger.warning("[1|ScreeningWorkChain|select]: no report")
    shown = running._print_reports(run, 0, 0.0)
    assert capsys.readouterr().out.splitlines()[-1].endswith("] 7056 space -> 2 chosen")
    run.logger.report("[1|ScreeningWorkChain|submit]: candidate 1 of 2: AgBiCs2Br6")
    capsys.readouterr()  # AiiDA may print it itself
    shown = running._print_reports(run, shown, 0.0)
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert running._print_reports(run, shown, 0.0) == shown
    assert capsys.readouterr().out == ""
