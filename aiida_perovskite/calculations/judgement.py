"""Calcfunctions that say whether a compound stays in the funnel, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiida.engine import calcfunction
from aiida.orm import Bool, Dict, List, Str, StructureData

if TYPE_CHECKING:
    from ase import Atoms

SAME_LATTICE = 0.01  # relative change of the volume up to which a relaxed cell is the one it started from


@calcfunction  # type: ignore[untyped-decorator]
def judge_gap(gap: Dict, window_ev: List) -> Dict:
    """Say whether the computed gap keeps the compound in the funnel, and why."""
    low, high = window_ev.get_list()
    value = gap["gap_hse06_soc_ev"]
    window = f"{low:g}-{high:g} eV"
    content = gap.get_dict()
    if content.get("pbe_gapless") and not content.get("hybrid_self_consistent"):
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
    ``geometry`` (``results`` with ``same_structure``, ``volume_change``, ``space_group_before`` and
    ``symmetrised_by_angstrom``, the farthest that an atom moved to where its symmetry wants it).
    """
    import numpy as np
    import spglib

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
    atoms, shift = after.get_ase(), 0.0
    if not same and now[0] > 1:
        atoms, shift = idealise(atoms, tolerance)
    moved = np.linalg.norm(after.get_ase().get_all_distances(mic=True) - before.get_ase().get_all_distances(mic=True))
    geometry = {
        **results.get_dict(),
        "space_group_number": now[0],
        "space_group": now[1],
        "space_group_before": was[1],
        "volume_change": change,
        "distance_change_angstrom": float(moved) / len(atoms),
        "symmetrised_by_angstrom": shift,
        "same_structure": bool(same),
    }
    # A node that is already stored cannot be the output of a process: the same structure becomes a copy.
    kept = before.clone() if same else StructureData(ase=atoms)
    return {"structure": kept, "geometry": Dict(geometry)}


def idealise(atoms: Atoms, tolerance: float) -> tuple[Atoms, float]:
    """Return a structure with the symmetry it has within ``tolerance`` (Angstrom) made exact, and how far atoms moved.

    The cell is spglib's standard primitive one, the order of the atoms is kept. An engine looks for symmetry at a
    thousandth of a picometre and among small integers: a refined cell with any other axes and orientation may miss it.
    The distance (Angstrom) is the largest of an atom at fixed cell, less the mean of all atoms.
    """
    import numpy as np
    import spglib
    from ase import Atoms
    from ase.spacegroup.symmetrize import refine_symmetry

    refined = atoms.copy()
    refine_symmetry(refined, symprec=tolerance)
    moved = refined.get_scaled_positions() - atoms.get_scaled_positions()
    moved = (moved - np.round(moved)) @ atoms.cell.array
    shift = float(np.linalg.norm(moved - moved.mean(axis=0), axis=1).max())
    found = spglib.standardize_cell(
        (refined.cell.array, refined.get_scaled_positions(), refined.numbers), to_primitive=True, symprec=tolerance
    )
    if found is None or sorted(found[2]) != sorted(atoms.numbers):
        return refined, shift
    # A stable sort of both by element says which atom of the standard cell stands for which of the given ones.
    order = np.empty(len(atoms), int)
    cell, positions, numbers = map(np.asarray, found)
    order[np.argsort(atoms.numbers, kind="stable")] = np.argsort(numbers, kind="stable")
    return Atoms(numbers=numbers[order], scaled_positions=positions[order], cell=cell, pbc=True), shift
