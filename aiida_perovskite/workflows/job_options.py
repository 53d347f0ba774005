"""Options of jobs by step: queue, account, walltime, processes, memory, GPUs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiida.engine import CalcJob
from aiida.orm import AbstractCode

__all__ = ["ALL", "JOB_OPTIONS", "checked_options"]

SCRIPTS = "core.shell"  # calculation plugin of codes that run a script of this package

ALL = "all"
"""Name under which options of every step stand."""
JOB_OPTIONS = (
    "account",
    "append_text",
    "custom_scheduler_commands",
    "environment_variables",
    "import_sys_environment",
    "max_memory_kb",
    "max_wallclock_seconds",
    "mpirun_extra_params",
    "prepend_text",
    "priority",
    "qos",
    "queue_name",
    "resources",
    "withmpi",
)
"""What a user may say of a job; names of files, parsers and what is retrieved are the step's own."""


def checked_options(
    options: Mapping[str, Mapping[str, Any]] | None, step: str, code: AbstractCode, steps: Collection[str] = ()
) -> dict[str, Any]:
    """Return the options of a step's jobs: those of all steps, and on top of them its own.

    Parameters
    ----------
    options
        Step, or ``all``, -> options as AiiDA names them.
    step
        Whose jobs.
    code
        What they run, which says on which computer.
    steps
        Other names of steps that may stand in `options`.

    Raises
    ------
    ValueError
        For a step, an option, a type or resources that do not exist, before anything is submitted.
    """
    options = options or {}
    if unknown := sorted(set(options) - {ALL, step, *steps}):
        known = ", ".join(sorted({ALL, step, *steps}))
        raise ValueError(f"job options of {', '.join(unknown)}: give them by step, which is one of {known}")
    merged: dict[str, Any] = {}
    for name in (ALL, step):
        given = options.get(name) or {}
        if not isinstance(given, Mapping):
            raise ValueError(f"job options of {name}: give names and values, e.g. queue_name: short")
        merged |= given
    _check_types(step, merged)
    if merged.get("withmpi") and code.default_calc_job_plugin == SCRIPTS:
        raise ValueError(
            f"job options of {step}: jobs of {code.full_label} are one process each; leave withmpi out, since many "
            "compounds side by side use the cores"
        )
    if "resources" in merged:
        _check_resources(step, code, merged["resources"])
    return merged


def _check_types(step: str, options: Mapping[str, Any]) -> None:
    ports: Any = CalcJob.spec().inputs["metadata"]["options"]  # type: ignore[index]
    for name, value in options.items():
        if name not in JOB_OPTIONS:
            raise ValueError(f"job options of {step}: there is no {name!r}; there are {', '.join(JOB_OPTIONS)}")
        if not isinstance(value, ports[name].valid_type) or (isinstance(value, bool) and name.startswith("max_")):
            raise ValueError(f"job options of {step}: {name} cannot be {value!r}")


def _check_resources(step: str, code: AbstractCode, resources: Mapping[str, Any]) -> None:
    computer = code.computer
    if computer is None:
        return
    scheduler = computer.get_scheduler()
    filled = dict(resources)
    try:
        scheduler.preprocess_resources(filled, computer.get_default_mpiprocs_per_machine())
        scheduler.validate_resources(**filled)
    except (ValueError, TypeError) as error:
        raise ValueError(f"job options of {step}: resources on {computer.label}: {error}") from None
