"""Calcfunctions that say whether a compound stays in the funnel, and why."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Bool, Dict, List, Str, StructureData

SAME_LATTICE = 0.01  # relative change of the volume up to which a relaxed cell is the one it started from


@calcfunction  # type: ignore[untyped-decorator]
def judge_gap(gap: Dict, window_ev: List) -> Dict:
    """Say whether the computed gap keeps the compound in the funnel, and why."""
    low, high = window_ev.get_list()
    value = gap["gap_hse06_soc_ev"]
    window = f"{low:g}-{high:g} eV"
    if gap.get_dict().get("pbe_gapless"):
        passed, reason = False, "PBE has no gap: the hybrid gap starts from a metal and is not to be trusted"
    elif low <= value <= high:
        passed, reason = True, f"gap of {value:.2f} eV lies in {window}"
    else:
        passed, reason = False, f"gap of {value:.2f} eV lies outside {window}"
    return Dict({"stage": "gap", "passed": passed, "reason": reason})


@calcfunction  # type: ignore[untyped-decorator]
def judge_stability(stability: Dict, rules: Dict | None = None) -> Dict:
    """Say whether the decomposition enthalpy keeps the compound in the funnel, and why.

    ``rules`` holds ``reaction`` (``binary``, as in the thesis, or ``hull``) and ``enthalpy_min_mev_per_atom``.
    """
    from aiida_perovskite.photovoltaics import METASTABLE_MEV_PER_ATOM

    given = rules.get_dict() if rules is not None else {}
    reaction = given.get("reaction", "binary")
    lowest = given.get("enthalpy_min_mev_per_atom", METASTABLE_MEV_PER_ATOM)
    result = stability[reaction]
    value = result["mev_per_atom"]
    if value is None:
        passed, reason = False, f"the decomposition enthalpy is not known: {result['limit']}"
    else:
        passed = value >= lowest
        where = "above" if passed else "below"
        reason = f"decomposition enthalpy of {value:.0f} meV/atom ({reaction}) lies {where} {lowest:g} meV/atom"
    return Dict({"stage": "stability", "passed": passed, "reason": reason})


@calcfunction  # type: ignore[untyped-decorator]
def state_verdict(stage: Str, passed: Bool, reason: Str) -> Dict:
    """Make the verdict of a stage that was decided elsewhere."""
    return Dict({"stage": stage.value, "passed": passed.value, "reason": reason.value})


@calcfunction  # type: ignore[untyped-decorator]
def compare_structures(before: StructureData, after: StructureData, results: Dict) -> dict[str, Any]:
    """Say whether an unconstrained relaxation left the cubic structure, and bring the cell to its symmetry.

    Outputs: ``structure`` (the one before where it is the same, else the relaxed one with its symmetry made exact) and
    ``geometry`` (``results`` with ``same_structure``, ``volume_change`` and ``space_group_before``).
    """
    import numpy as np
    import spglib
    from ase.spacegroup.symmetrize import refine_symmetry

    tolerance = results["settings"]["space_group_tolerance_angstrom"]

    def space_group(node: StructureData) -> tuple[int, str]:
        atoms = node.get_ase()
        found = spglib.get_symmetry_dataset(
            (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=tolerance
        )
        return (int(found.number), str(found.international)) if found is not None else (1, "P1")

    was, now = space_group(before), space_group(after)
    change = after.get_cell_volume() / before.get_cell_volume() - 1
    same = was == now and abs(change) < SAME_LATTICE
    atoms = after.get_ase()
    if not same and now[0] > 1:
        refine_symmetry(atoms, symprec=tolerance)  # the next engine finds it at a much tighter tolerance
    moved = np.linalg.norm(after.get_ase().get_all_distances(mic=True) - before.get_ase().get_all_distances(mic=True))
    geometry = {
        **results.get_dict(),
        "space_group_number": now[0],
        "space_group": now[1],
        "space_group_before": was[1],
        "volume_change": change,
        "distance_change_angstrom": float(moved) / len(atoms),
        "same_structure": bool(same),
    }
    # A node that is already stored cannot be the output of a process: the same structure becomes a copy.
    kept = before.clone() if same else StructureData(ase=atoms)
    return {"structure": kept, "geometry": Dict(geometry)}
