"""How an FHI-aims run ended, told from its standard output alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

# Messages of the machine (scheduler, MPI, kernel) and of a stopping FHI-aims stand at the end. Several lines a rank:
# this covers some hundred ranks.
TAIL_LINES = 2000
# An input error is the last thing that FHI-aims itself prints; further up the same words are notices.
_ERROR_LINES = 40
_MAX_EVIDENCE_LINES = 3
# No message is longer, and the patterns stay fast on damaged lines.
_MAX_EVIDENCE_LENGTH = 300


class AimsStatus(StrEnum):
    """How a run ended.

    ``incomplete`` says only that the output stops; that the walltime was over is known to the scheduler alone.
    """

    FINISHED = "finished"
    SCF_NOT_CONVERGED = "scf_not_converged"
    GEOMETRY_NOT_CONVERGED = "geometry_not_converged"
    STEP_LIMIT = "step_limit"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"
    CRASHED_AT_INPUT = "crashed_at_input"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class RunFacts:
    """What the status depends on.

    Attributes
    ----------
    leaving
        The complete line "Leaving FHI-aims.", None if the output ends before it.
    scf_converged
        Of the last self-consistency cycle: True, False (the banner says so), None (neither is printed).
    n_ionic_steps
        Self-consistency cycles begun; 0 if the run never came so far.
    relaxation, geometry_converged, max_relaxation_steps
        What was asked for, the last word printed on it, and the limit in control.in (None: the default of FHI-aims).
    abort
        The line "Aborting optimization", if printed.
    landmark
        The last line printed that tells how far the run came.
    tail
        The last :data:`TAIL_LINES` lines, oldest first.
    """

    leaving: str | None
    scf_converged: bool | None
    n_ionic_steps: int
    relaxation: bool
    geometry_converged: bool | None
    max_relaxation_steps: int | None
    abort: str | None
    landmark: str
    tail: Sequence[str]


_OUT_OF_MEMORY = re.compile(
    r"oom[-_ ]?kill|out[- ]of[- ]memory|cannot allocate memory|insufficient virtual memory|virtual memory exhausted|"
    r"bad_alloc|not enough memory|exceeded (?:job |step )?memory limit|memory allocation (?:failed|error)|"
    r"\bm?alloc\w*\b.{0,80}\bfail|\bfail\w*\b.{0,80}\b(?:m?alloc\w*)",
    re.IGNORECASE,
)
_KILLED = re.compile(
    r"KILLED BY SIGNAL|\bKilled\b|\bSIG(?:KILL|TERM|SEGV|ABRT|BUS)\b|[Ss]egmentation fault|exited on signal|"
    r"CANCELLED AT|BAD TERMINATION|forrtl: severe|received signal"
)
_INPUT_ERROR = re.compile(
    r"(?:control\.in|geometry\.in|species\b.*|file\b.*)\s(?:was |is |could )?not (?:be )?found|stacksize too low|"
    r"(?:unknown|unrecogni[sz]ed|unsupported|invalid|illegal)\b.*\b(?:keyword|flag|option|tag|value|setting|line|species)|"
    r"(?:keyword|flag|option|tag|line|species)\b.*\b(?:unknown|not recogni[sz]ed|not understood|not supported|invalid)|"
    r"^\**\s*error\b|\bstopping\.?$|no k_grid|k_grid\b.*\b(?:missing|not (?:specified|given|set))",
    re.IGNORECASE,
)
_STEP_LIMIT = re.compile(r"max\w*\s.*\bsteps\b|max_relaxation_steps|step limit|number of (?:relaxation )?steps", re.I)


def judge(facts: RunFacts) -> tuple[AimsStatus, str]:
    """Return the status of a run and the lines on which it rests.

    A run has finished when the line "Leaving FHI-aims." is complete, its last self-consistency cycle converged, and its
    geometry converged if it was relaxed. "Have a nice day." is not asked for: serial builds of 171221_1 end without it.

    Without that line the machine's messages come first (memory, then kill), then FHI-aims' own: a run that never began
    a self-consistency cycle and ends in an error message crashed at its input; the banner of a cycle that did not
    converge and "Aborting optimization" speak for themselves. All else is ``incomplete``.

    A relaxation that ends unconverged hit its ``step_limit`` if it made as many steps as control.in allows, or if the
    lines around "Aborting optimization" name the number of steps; otherwise the optimiser gave up
    (``geometry_not_converged``). The count is the surer sign: the wording differs between versions.
    """
    if facts.leaving is not None:
        return _judge_ended(facts, facts.leaving)
    for status, pattern in ((AimsStatus.OUT_OF_MEMORY, _OUT_OF_MEMORY), (AimsStatus.KILLED, _KILLED)):
        if evidence := _matches(pattern, facts.tail):
            return status, evidence
    if facts.n_ionic_steps == 0 and (evidence := _matches(_INPUT_ERROR, facts.tail[-_ERROR_LINES:])):
        return AimsStatus.CRASHED_AT_INPUT, evidence
    if facts.scf_converged is False:
        return AimsStatus.SCF_NOT_CONVERGED, facts.landmark
    if facts.abort is not None:
        return _judge_relaxation(facts, facts.abort)
    return AimsStatus.INCOMPLETE, _last_words(facts)


def _judge_ended(facts: RunFacts, leaving: str) -> tuple[AimsStatus, str]:
    if facts.n_ionic_steps == 0:
        return AimsStatus.INCOMPLETE, f"{leaving} (but no self-consistency cycle was begun)"
    if facts.scf_converged is not True:
        return AimsStatus.SCF_NOT_CONVERGED, facts.landmark
    if facts.relaxation and facts.geometry_converged is not True:
        return _judge_relaxation(facts, facts.abort or facts.landmark)
    return AimsStatus.FINISHED, leaving


def _judge_relaxation(facts: RunFacts, evidence: str) -> tuple[AimsStatus, str]:
    limit = facts.max_relaxation_steps
    if limit is not None and facts.n_ionic_steps >= limit:
        return AimsStatus.STEP_LIMIT, f"{evidence} ({facts.n_ionic_steps} steps, max_relaxation_steps {limit})"
    places = [index for index, line in enumerate(facts.tail) if "Aborting optimization" in line]
    around = [line for index in places[-1:] for line in facts.tail[max(0, index - 4) : index + 5]]
    if words := _matches(_STEP_LIMIT, around):
        return AimsStatus.STEP_LIMIT, words
    return AimsStatus.GEOMETRY_NOT_CONVERGED, evidence


def _matches(pattern: re.Pattern[str], lines: Iterable[str]) -> str:
    """Return the lines that match, joined, without repetitions and without the comments of an echoed control.in."""
    heads = (line.strip()[:_MAX_EVIDENCE_LENGTH] for line in lines)
    found = (line for line in heads if not line.startswith("#") and pattern.search(line))
    return " | ".join(list(dict.fromkeys(found))[:_MAX_EVIDENCE_LINES])


def _last_words(facts: RunFacts) -> str:
    last = next((line.strip() for line in reversed(facts.tail) if line.strip(" -=\t\r")), "")
    if not last:
        return "the output is empty"
    return f"the output stops at: {last[:200]!r}" + (f"; before it: {facts.landmark}" if facts.landmark else "")
