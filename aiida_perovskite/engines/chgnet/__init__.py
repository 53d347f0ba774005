"""CHGNet: what its scripts are given and what their results mean.

The scripts ``scripts/{relax,phases,energy}.py`` are run by an interpreter that has CHGNet; nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_perovskite.engines.results import (
    EnergyResult,
    EngineError,
    RelaxResult,
    parse_energy,
    read_relaxed,
    read_results,
    read_structure,
    require_numbers,
    script_input,
)
from aiida_perovskite.engines.script import RELAXATION, SHARED_MODULES, JobScript

if TYPE_CHECKING:
    from ase import Atoms

SCRIPTS = Path(__file__).parent / "scripts"
MODULES = (*SHARED_MODULES, SCRIPTS / "chgnet_calculator.py")
RELAX_SCRIPT = JobScript(SCRIPTS / "relax.py", (*MODULES, RELAXATION))
PHASES_SCRIPT = JobScript(SCRIPTS / "phases.py", (*MODULES, RELAXATION))
ENERGY_SCRIPT = JobScript(SCRIPTS / "energy.py", MODULES)

__all__ = [
    "ENERGY_SCRIPT",
    "PHASES_SCRIPT",
    "RELAX_SCRIPT",
    "EnergyResult",
    "PhaseResult",
    "RelaxResult",
    "energy_input",
    "parse_energy",
    "parse_phases",
    "parse_relax",
    "phases_input",
    "relax_input",
]


@dataclass(frozen=True)
class PhaseResult:
    """The lowest of several structures of one formula.

    Attributes
    ----------
    atoms
        The relaxed structure.
    properties
        ``name`` (of the structure that is lowest), ``energy_ev_per_atom``, ``space_group``, ``candidates`` (one row for
        each structure), ``settings``, ``versions``, ...
    """

    atoms: Atoms
    properties: dict[str, Any]


def relax_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``chgnet_relax`` protocol."""
    return script_input(atoms, parameters)


def energy_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``chgnet_energy`` protocol."""
    return script_input(atoms, parameters)


def phases_input(structures: Sequence[tuple[str, Atoms]], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json`` for structures with their names, all of one formula.

    ``parameters`` are the settings of a ``chgnet_phases`` protocol.

    Raises
    ------
    EngineError
        With code ``bad_input`` if there is no structure, or one that `script_input` refuses.
    """
    if not structures:
        raise EngineError("bad_input", "there is no structure to relax")
    inputs = [(name, script_input(atoms, parameters)) for name, atoms in structures]
    listed = [{"name": name, "structure": content["structure"]} for name, content in inputs]
    return {"structures": listed, "parameters": inputs[0][1]["parameters"]}


def parse_phases(results_text: str) -> PhaseResult:
    """Return the lowest structure from the text of ``results.json``.

    Raises
    ------
    EngineError
        If no structure converged or the script failed (the code says which), or the file is damaged.
    """
    content = read_results(results_text)
    require_numbers(content["properties"], ("energy_ev_per_atom",))
    return PhaseResult(atoms=read_structure(content["structure"]), properties=content["properties"])


def parse_relax(results_text: str) -> RelaxResult:
    """Return the relaxed structure from the text of ``results.json``.

    Its properties hold ``energy_chgnet_r2scan_ev_per_cell``, ``x_chgnet`` (A-D distance over ``a_angstrom``; None if
    Fm-3m is lost) and ``magnetic_moments_mu_b`` (magnitudes that CHGNet infers, one per atom) as well.

    Raises
    ------
    EngineError
        If the relaxation did not converge or the script failed (the code says which), or the file is damaged.
    """
    return read_relaxed(results_text, "energy_chgnet_r2scan_ev_per_cell")
