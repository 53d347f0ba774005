"""Engines: text and files of electronic-structure codes in, plain dataclasses out.

A Python-driven engine is a script that its own interpreter runs as ``python script.py input.json``; no module here
imports the engine itself. What every script reads and writes is described in :mod:`aiida_perovskite.engines.results`.
"""

from aiida_perovskite.engines.results import (
    ERROR_CODES,
    EXIT_STATUS,
    NO_RESULTS,
    EnergyResult,
    EngineError,
    energy_record,
)
from aiida_perovskite.engines.script import JobScript, run_script

__all__ = [
    "ERROR_CODES",
    "EXIT_STATUS",
    "NO_RESULTS",
    "EnergyResult",
    "EngineError",
    "JobScript",
    "energy_record",
    "run_script",
]
