"""The ports by which a step's engine is chosen, the same in every WorkChain that calls steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import AbstractCode, Dict, Str

from aiida_perovskite.workflows.interfaces import workflow_of

# Step that a user configures -> what it does, and the interface that does it.
STEPS = {
    "relax": ("geometry, space group kept", "relax"),
    "gap": ("band gap", "gap"),
    "phases": ("geometry of competing phases", "phases"),
    "energy": ("energy of the compound and its competitors", "energy"),
    "absorption": ("absorption and densities of states", "absorption"),
    "bands": ("bands along lines", "bands"),
    "free_relax": ("geometry, nothing kept", "relax"),
}


def define_step(spec: Any, step: str, required: bool) -> None:
    """Add the namespace of one step: ``engine``, ``code``, ``parameters`` and ``options``."""
    what = STEPS[step][0]
    spec.input_namespace(step, required=required, populate_defaults=False, help=f"Who does the {what}, and how.")
    spec.input(f"{step}.engine", valid_type=Str, help=f"Engine that does the {what}.")
    spec.input(f"{step}.code", valid_type=AbstractCode, help="Interpreter or program of that engine.")
    spec.input(f"{step}.parameters", valid_type=Dict, help=f"Settings of the {what}, as a protocol gives them.")
    spec.input(f"{step}.options", valid_type=dict, non_db=True, required=False, help="Job options.")


def step_inputs(step: str, settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the WorkChain that does a step and what its engine's ports say."""
    inputs = {name: settings[name] for name in ("code", "parameters", "options") if name in settings}
    return workflow_of(settings["engine"].value, STEPS[step][1]), inputs
