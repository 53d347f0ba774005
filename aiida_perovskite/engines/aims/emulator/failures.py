"""Failures on demand; the syntax is in the docstring of the package."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiida_perovskite.engines.aims.emulator.control import Control

VARIABLE = "AIMS_EMULATOR_FAIL"
STATE_VARIABLE = "AIMS_EMULATOR_STATE"
TASKS_VARIABLE = "AIMS_EMULATOR_TASKS"
# What mpirun of Intel/MPICH, Open MPI and Slurm set in each process.
_SIZES = (TASKS_VARIABLE, "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS")
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")

# What repairs a failure unless the request says otherwise: what the plugin's handlers change in control.in.
_REPAIRS = {
    "scf": "charge_mix_param<=0.02|density_read",
    "geometry": "never",
    "optimizer": "seen>=1&!hessian_read",
    "walltime": "never",
    "killed": "never",
    "oom": "never",
    "stacksize": "never",
    "input": "never",
    "coarse_grid": "k_grid>=6",
}
_STAGES = ("limit", "soc", "dielectric", "bands")
_FORM = re.compile(r"(?P<name>[a-z_]+)(?:@(?P<where>\w+))?(?P<options>(?::[^:]+)*)")
_CONDITION = re.compile(r"(?P<negated>!?)(?P<key>\w+)(?:(?P<sign><=|>=|<|>)(?P<value>[-+.\deE]+))?")


@dataclass(frozen=True)
class Failure:
    """One failure that is asked for.

    Attributes
    ----------
    where
        Ionic step as text (``0`` is the start) or a stage; empty for the first step.
    until
        Condition that keeps the failure from happening.
    times
        How often it happens at most; None for always.
    """

    name: str
    where: str
    until: str
    times: int | None


def parse_failures(text: str) -> list[Failure]:
    """Return the failures that ``AIMS_EMULATOR_FAIL`` asks for.

    Raises
    ------
    ValueError
        If the text does not follow the syntax.
    """
    failures = []
    for item in filter(None, re.split(r"[;,\s]+", text)):
        match = _FORM.fullmatch(item)
        if match is None or match["name"] not in _REPAIRS:
            raise ValueError(f"{VARIABLE}: cannot read {item!r}; names are {', '.join(_REPAIRS)}")
        where = match["where"] or ""
        if where and not where.isdigit() and where not in _STAGES:
            raise ValueError(f"{VARIABLE}: {where!r} in {item!r} is neither an ionic step nor one of {_STAGES}")
        until, times = _REPAIRS[match["name"]], None
        for option in filter(None, match["options"].split(":")):
            key, _, value = option.partition("=")
            if key == "once" and not value:
                times = 1
            elif key == "times" and value.isdigit():
                times = int(value)
            elif key == "until" and all(_CONDITION.fullmatch(part) for part in re.split(r"[|&]", value)):
                until = value
            else:
                raise ValueError(f"{VARIABLE}: unknown option {option!r} in {item!r}")
        failures.append(Failure(match["name"], where, until, times))
    return failures


def tasks(environment: Mapping[str, str]) -> int:
    """Return how many MPI tasks the run says it has."""
    return next((int(environment[name]) for name in _SIZES if environment.get(name, "").isdigit()), 1)


def is_first_task(environment: Mapping[str, str]) -> bool:
    """Return whether this process is the one that works; others of an ``mpirun`` have nothing to do."""
    return all(environment.get(name, "0") == "0" for name in _RANKS)


class Failures:
    """The failures of one run.

    Parameters
    ----------
    environment
        Of the process.

    Raises
    ------
    ValueError
        If a variable cannot be understood.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.asked = parse_failures(environment.get(VARIABLE, ""))
        self.state = Path(environment[STATE_VARIABLE]) if environment.get(STATE_VARIABLE) else None
        if self.state is None and any(failure.times is not None for failure in self.asked):
            raise ValueError(f"{VARIABLE}: 'once' and 'times' need a folder in {STATE_VARIABLE} to count in")
        self.facts: dict[str, float] = {"tasks": float(tasks(environment))}
        self.control: Control | None = None

    def learn(self, control: Control, density_read: bool, hessian_read: bool) -> None:
        """Take note of what conditions may ask about."""
        self.control = control
        self.facts["k_grid"] = float(min(control.k_grid))
        self.facts["bands"] = float(len(control.segments))
        asks_for_optics = control.dielectric is not None or any(words[0] == "dielectric" for words in control.outputs)
        self.facts |= {"dielectric": float(asks_for_optics), "density_read": float(density_read)}
        self.facts["hessian_read"] = float(hessian_read)

    def strikes(self, name: str, *places: str) -> bool:
        """Return whether a failure happens now.

        Parameters
        ----------
        name
            Its name.
        places
            What this point of the run may be called; an empty place of a request stands for ``1``.
        """
        for failure in self.asked:
            if failure.name == name and (not places or (failure.where or "1") in places):
                self.facts["seen"] = float(self._seen(failure))
                if self._repaired(failure) or (failure.times is not None and self.facts["seen"] >= failure.times):
                    continue
                self._count(failure)
                return True
        return False

    def _repaired(self, failure: Failure) -> bool:
        return any(all(map(self._holds, option.split("&"))) for option in failure.until.split("|"))

    def _holds(self, condition: str) -> bool:
        match = _CONDITION.fullmatch(condition)
        assert match is not None
        key = match["key"]
        value = self.facts.get(key)
        if value is None and self.control is not None and key in self.control.words:
            value = self.control.number(key, 0.0) if match["sign"] else 1.0
        if match["sign"] is None:
            return bool(value) != bool(match["negated"])
        if value is None:
            return False
        limit = float(match["value"])
        return {"<=": value <= limit, ">=": value >= limit, "<": value < limit, ">": value > limit}[match["sign"]]

    def _seen(self, failure: Failure) -> int:
        """Return how often a failure has happened in the runs that share the folder of counters."""
        counter = self.state / f"{failure.name}.count" if self.state is not None else None
        return int(counter.read_text()) if counter is not None and counter.exists() else 0

    def _count(self, failure: Failure) -> None:
        if self.state is not None:
            self.state.mkdir(parents=True, exist_ok=True)
            counter = self.state / f"{failure.name}.count"
            # Written whole, then renamed: a kill in between must not leave an empty counter.
            fresh = counter.with_suffix(f".{os.getpid()}")
            fresh.write_text(f"{self._seen(failure) + 1}\n")
            fresh.replace(counter)
