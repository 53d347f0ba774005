"""Protocols: every number a user may tune, in one YAML file per step.

Each file holds ``default_protocol``, ``default_inputs`` (every key with its value) and ``protocols`` (named sets of
changes with a ``description`` of what they cost and how converged they are).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

import yaml


class ProtocolError(ValueError):
    """An unknown protocol, or an override of a setting that does not exist."""


def available_steps() -> list[str]:
    """Return the names of the steps that have a protocol file."""
    return sorted(p.name.removesuffix(".yaml") for p in resources.files(__name__).iterdir() if p.name.endswith(".yaml"))


def available_protocols(step: str) -> dict[str, str]:
    """Return name -> description of the protocols of ``step``."""
    return {name: " ".join(content["description"].split()) for name, content in _read(step)["protocols"].items()}


def load_protocol(step: str, protocol: str | None = None, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings of one step.

    Parameters
    ----------
    step
        Name of the protocol file, e.g. ``gpaw_gap``.
    protocol
        Name of the protocol; the file's ``default_protocol`` if not given.
    overrides
        Settings to change, nested as in the file. It is not modified.

    Raises
    ------
    ProtocolError
        If the step, the protocol or a key of ``overrides`` does not exist: a misspelt setting must never be
        ignored silently.
    """
    content = _read(step)
    name = protocol or content["default_protocol"]
    if name not in content["protocols"]:
        raise ProtocolError(
            f"protocol {name!r} of {step} does not exist; choose from {', '.join(content['protocols'])}"
        )
    changes = {key: value for key, value in content["protocols"][name].items() if key != "description"}
    settings = deepcopy(content["default_inputs"])
    _update(settings, changes, f"{step}.{name}")
    _update(settings, overrides or {}, f"override of {step}")
    return settings


@cache
def _read(step: str) -> dict[str, Any]:
    if step not in available_steps():
        raise ProtocolError(f"there is no protocol file for {step!r}; choose from {', '.join(available_steps())}")
    content: dict[str, Any] = yaml.safe_load((resources.files(__name__) / f"{step}.yaml").read_text(encoding="utf-8"))
    return content


def _update(settings: dict[str, Any], changes: Mapping[str, Any], where: str) -> None:
    for key, value in changes.items():
        if key not in settings:
            raise ProtocolError(f"{where}: unknown setting {key!r}; known are {', '.join(map(str, settings))}")
        # A setting that is a free mapping (empty or None by default) is replaced, one with named keys is merged.
        if isinstance(settings[key], dict) and settings[key] and isinstance(value, Mapping):
            _update(settings[key], value, f"{where}.{key}")
        else:
            settings[key] = deepcopy(value)
