"""The ports by which a step's engine is chosen, the same in every WorkChain that calls steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.orm import AbstractCode, Dict, Str

from aiida_perovskite.workflows.interfaces import workflow_of
from aiida_perovskite.workflows.job_options import checked_options
from aiida_perovskite.workflows.protocols import load_protocol

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

# Protocol that is no engine's -> port of the candidate that takes it.
PARTS = {"candidate": "rules", "stability": "stability", "masses": "masses", "efficiency": "efficiency"}
TRAIN = "train"  # the step that is no engine's
FREE = {"symmetry": "free"}  # what makes a relaxation unconstrained


def with_engine(engines: Mapping[str, str | None], engine: str | None) -> dict[str, str | None]:
    """Return step -> engine with every step that is done at all, and can be, done by ``engine``.

    Raises
    ------
    ValueError
        If ``engine`` offers none of the steps.
    """
    if engine is None:
        return dict(engines)
    chosen = {step: name if name is None or not _offers(engine, step) else engine for step, name in engines.items()}
    if engine not in chosen.values():
        raise ValueError(f"no installed engine {engine!r} offers any of the steps {', '.join(engines)}")
    return chosen


def _offers(engine: str, step: str) -> bool:
    try:
        workflow_of(engine, STEPS[step][1])
    except ValueError:
        return False
    return True


def fill_ports(
    builder: Any,
    engines: Mapping[str, str | None],
    codes: Mapping[str, AbstractCode],
    protocols: Mapping[str, str | None],
    overrides: Mapping[str, Any],
    options: Mapping[str, Mapping[str, Any]] | None,
) -> None:
    """Fill the ports of all steps from protocols.

    Parameters
    ----------
    engines
        Step -> engine; None leaves the step out.
    codes
        Step, or engine, -> code. A step without one takes that of another step with the same engine.
    protocols, overrides
        Name of the protocol and changed settings, by step or part.
    options
        Step, or ``all``, -> options of its jobs.

    Raises
    ------
    ValueError
        If no installed engine offers a step, no code is given for it, or job options will not do.
    ProtocolError
        For a protocol or setting that does not exist.
    """
    for part, port in PARTS.items():
        builder[port] = Dict(load_protocol(part, protocols.get(part), overrides.get(part)))
    chosen = {step: engine for step, engine in engines.items() if engine is not None}
    by_engine = {chosen[step]: code for step, code in codes.items() if step in chosen}
    for step, engine in chosen.items():
        interface = STEPS[step][1]
        workflow_of(engine, interface)
        code = codes.get(step) or codes.get(engine) or by_engine.get(engine)
        if code is None:
            raise ValueError(f"no code is given for {step}, nor for another step by {engine}")
        changes = {**FREE, **overrides.get(step, {})} if step == "free_relax" else overrides.get(step)
        builder[step]["engine"] = Str(engine)
        builder[step]["code"] = code
        builder[step]["parameters"] = Dict(load_protocol(f"{engine}_{interface}", protocols.get(step), changes))
        if own := checked_options(options, step, code, {TRAIN, *STEPS}):
            builder[step]["options"] = own


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
