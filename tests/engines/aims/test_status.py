from __future__ import annotations

import io

import aims_stdout as stdout
import pytest

from aiida_perovskite.engines.aims.output import read_output

RELAX = "  relax_geometry trm 1e-2\n"
LIMITED = RELAX + "  max_relaxation_steps 3\n"
CONVERGED = "  Present geometry is converged.\n"
NOT_YET = "  Present geometry is not yet converged.\n"
ABORT = "  Aborting optimization.\n"
RUN = stdout.head() + stdout.cycle()
STEPS = "".join(stdout.relaxation_step(number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("status", "text", "evidence"),
    [
        ("incomplete", "", "empty"),
        ("incomplete", "some other program\n", "some other program"),
        ("incomplete", stdout.head(), "Species O"),
        ("incomplete", stdout.head() + stdout.LEAVING, "no self-consistency cycle"),
        ("incomplete", RUN, "Total energy uncorrected"),
        ("finished", RUN + stdout.LEAVING, "Leaving FHI-aims."),
        ("scf_not_converged", stdout.head() + stdout.cycle(converged=False) + stdout.LEAVING, "DID NOT CONVERGE"),
        ("scf_not_converged", stdout.head() + stdout.cycle(converged=False), "DID NOT CONVERGE"),
        ("scf_not_converged", RUN + stdout.NOT_CONVERGED + stdout.LEAVING, "DID NOT CONVERGE"),
        ("finished", stdout.head(control=RELAX) + stdout.cycle() + CONVERGED + stdout.LEAVING, "Leaving"),
        ("geometry_not_converged", stdout.head(control=RELAX) + stdout.cycle() + stdout.LEAVING, "converged"),
        ("geometry_not_converged", stdout.head(control=RELAX) + STEPS + ABORT + stdout.LEAVING, "Aborting"),
        ("geometry_not_converged", stdout.head() + STEPS + ABORT, "Aborting"),
        ("step_limit", stdout.head(control=LIMITED) + STEPS + ABORT + stdout.LEAVING, "max_relaxation_steps 3"),
        ("step_limit", stdout.head(control=LIMITED) + STEPS + stdout.LEAVING, "not yet converged"),
        ("geometry_not_converged", stdout.head(control=LIMITED) + stdout.relaxation_step(1) + ABORT, "Aborting"),
        (
            "step_limit",
            stdout.head() + STEPS + "  Maximum number of relaxation steps reached.\n" + ABORT + stdout.LEAVING,
            "Maximum number",
        ),
        ("incomplete", stdout.head(control=RELAX) + STEPS, "stops at"),
        ("killed", RUN + "=   KILLED BY SIGNAL: 9 (Killed)\n", "SIGNAL: 9"),
        ("killed", RUN + "slurmstepd: error: *** STEP 1.0 ON n1 CANCELLED AT 2024 DUE TO TIME LIMIT ***", "TIME LIMIT"),
        ("out_of_memory", RUN + "slurmstepd: error: Detected 1 oom-kill event(s) in step 1.\n", "oom-kill"),
        ("out_of_memory", RUN + "KILLED BY SIGNAL: 9\nOut of memory: Killed process 12 (aims)\n", "Out of memory"),
        ("out_of_memory", RUN + "forrtl: severe (41): insufficient virtual memory\n", "insufficient"),
        ("finished", RUN + stdout.LEAVING + "=   KILLED BY SIGNAL: 9 (Killed)\n", "Leaving"),
        ("crashed_at_input", stdout.head() + " * Input file control.in not found.\n", "control.in not found"),
        ("crashed_at_input", stdout.head() + " *** Current stacksize too low.  Stopping.\n", "stacksize too low"),
        ("crashed_at_input", stdout.head() + " * Unknown keyword relax_geometrie in control.in\n", "relax_geometrie"),
        ("incomplete", RUN + " *** Current stacksize too low.  Stopping.\n", "stacksize"),
    ],
)
def test_each_end_has_its_status_and_evidence(status: str, text: str, evidence: str) -> None:
    output = read_output(io.StringIO(text))
    assert (output.status, output.finished) == (status, status == "finished")
    assert evidence in output.evidence


def test_a_comment_in_control_in_is_no_evidence() -> None:
    echoed = "  # the old run ended out of memory, Killed; file geometry.in not found\n"
    assert read_output(io.StringIO(stdout.head(control=echoed))).status == "incomplete"


def test_a_mixer_restart_is_no_failure() -> None:
    text = RUN.replace(
        "  Self-consistency cycle converged.",
        "  Self-consistency cycle not yet converged - restarting mixer.\n  Self-consistency cycle converged.",
    )
    assert read_output(io.StringIO(text + stdout.LEAVING)).finished
