"""Relaxation with CHGNet: what the script is given and what its results mean.

The script ``scripts/relax.py`` is run by an interpreter that has CHGNet; nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_perovskite.engines.results import read_results, read_structure, require_numbers, script_input

if TYPE_CHECKING:
    from ase import Atoms

RELAX_SCRIPT = Path(__file__).parent / "scripts" / "relax.py"


@dataclass(frozen=True)
class RelaxResult:
    """A relaxed structure.

    Attributes
    ----------
    atoms
        The relaxed structure; cell and positions in Angstrom.
    properties
        ``energy_chgnet_r2scan_ev_per_cell``, ``a_angstrom`` (edge of the cube of 40 atoms with this density),
        ``x_chgnet`` (A-D distance over ``a_angstrom``; None if Fm-3m is lost), ``a_initial_angstrom``, ``x_initial``,
        ``max_force_ev_per_angstrom``, ``max_stress_ev_per_cubic_angstrom``, ``steps``, ``space_group_number`` and
        ``space_group`` (found at ``space_group_tolerance_angstrom``), ``magnetic_moments_mu_b`` (magnitudes that
        CHGNet infers, one per atom), ``cpu_s``, ``wall_s``, ``versions``, ``settings``, ``warnings``.
    """

    atoms: Atoms
    properties: dict[str, Any]


def relax_input(atoms: Atoms, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``input.json``; ``parameters`` are the settings of a ``chgnet_relax`` protocol."""
    return script_input(atoms, parameters)


def parse_relax(results_text: str) -> RelaxResult:
    """Return the relaxed structure from the text of ``results.json``.

    Raises
    ------
    EngineError
        If the relaxation did not converge or the script failed (the code says which), or the file is damaged.
    """
    content = read_results(results_text)
    properties = content["properties"]
    require_numbers(properties, ("energy_chgnet_r2scan_ev_per_cell", "a_angstrom", "max_force_ev_per_angstrom"))
    return RelaxResult(atoms=read_structure(content["structure"]), properties=properties)
