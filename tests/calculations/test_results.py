"""The rows of the results table."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_perovskite.calculations.results import mass_columns


def row(carrier: str, direction: str, mass: float | None) -> dict[str, Any]:
    return {"carrier": carrier, "direction": direction, "mass": mass}


def test_of_bands_that_meet_the_heavier_counts_and_a_flat_one_leaves_no_number() -> None:
    rows = [
        row("hole", "X-G", -0.2),
        row("hole", "X-G", -0.9),
        row("hole", "X-W", -0.3),
        row("electron", "L-G", 0.3),
        row("electron", "L-W", None),
        row("electron", "L-W", 0.5),
        row("electron", "", 0.1),
    ]
    assert mass_columns(rows) == {
        "hole_direction_1": "X-G",
        "hole_mass_1": -0.9,
        "hole_direction_2": "X-W",
        "hole_mass_2": -0.3,
        "electron_direction_1": "L-G",
        "electron_mass_1": 0.3,
        "electron_direction_2": "L-W",
    }
    assert mass_columns([]) == {}


def test_a_row_holds_what_was_found_and_nothing_else(aiida_profile: Any) -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.results import summarise_candidate

    found = summarise_candidate(
        geometry=Dict({"a_angstrom": 11.2}),
        gap=Dict({"gap_hse06_soc_ev": 1.4, "vbm_ev": {"pbe": 3.0}, "warnings": [], "pbe_gapless": False}),
        stability=Dict({"binary": {"mev_per_atom": 12.0}, "hull": {"mev_per_atom": None}}),
        relaxed__geometry=Dict({"space_group": "I4/m", "same_structure": False}),
        relaxed__gap=Dict({"gap_hse06_soc_ev": 1.5}),
    ).get_dict()
    assert found == {
        "lattice_angstrom": 11.2,
        "gap_hse06_soc_ev": 1.4,
        "pbe_gapless": False,
        "decomposition_enthalpy_mev_per_atom": 12.0,
        "relaxed_space_group": "I4/m",
        "relaxed_same_structure": False,
        "relaxed_gap_ev": 1.5,
    }


@pytest.mark.parametrize("in_parts", [False, True])
def test_results_keep_the_order_of_the_ranking_and_references_come_last(aiida_profile: Any, in_parts: bool) -> None:
    import pandas as pd
    from aiida.orm import Dict

    from aiida_perovskite.calculations.results import collect_results, collect_rows
    from aiida_perovskite.data.table import CompositionTableData

    ranked = ["CuBiCs2Br6", "AgBiCs2Cl6", "AgInCs2Cl6"]
    frame = pd.DataFrame(
        {"formula": ranked, "gap_ev": [1.0, 1.1, 1.2], "lower_ev": 0.5, "upper_ev": 2.0, "probability_in_window": 0.5}
    )
    verdict = {"stage": "gap", "passed": True, "reason": "in the window"}
    candidates = {
        "summary_AgBiCs2Cl6": Dict({"lattice_angstrom": 10.7}),
        "summary_AgBiCs2Br6": Dict({"gap_hse06_soc_ev": 1.9}),
        "verdict_AgBiCs2Br6": Dict(verdict),
        "summary_CuBiCs2Br6": Dict({"gap_hse06_soc_ev": 0.9}),
        "verdict_CuBiCs2Br6": Dict(verdict),
    }
    rows: dict[str, Any] = candidates
    if in_parts:
        parts = [{name: node for name, node in candidates.items() if metal in name} for metal in ("Ag", "Cu")]
        rows = {f"rows_{number}": collect_rows(**part) for number, part in enumerate(parts)}
    selection = CompositionTableData.from_frame(frame, name="selection")
    table = collect_results(selection, Dict({"AgBiCs2Cl6": "band gap failed: killed"}), **rows).to_frame()
    assert table["formula"].tolist() == ["CuBiCs2Br6", "AgBiCs2Cl6", "AgBiCs2Br6"]
    assert table["predicted_gap_ev"].tolist()[:2] == [1.0, 1.1]
    assert pd.isna(table["predicted_gap_ev"].iloc[2])
    failed = table.iloc[1]
    assert (failed["stage"], failed["passed"], failed["lattice_angstrom"]) == ("failed", False, 10.7)
    assert failed["reason"] == "band gap failed: killed"
    assert table["gap_hse06_soc_ev"].tolist()[::2] == pytest.approx([0.9, 1.9])
