"""The job of `make demo`, in small, with every part real: daemon, training job, CHGNet, GPAW, report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from provenance_walk import assert_numbers_lead_back, report_data

# The coarsest that still takes every step: Gamma alone, few plane waves and bands, no hybrid functional along lines.
COARSE: dict[str, Any] = {
    "cutoff_ev": 200,
    "convergence_density": 1e-3,
    "convergence_eigenstates_ev2_per_electron": 1e-4,
}
OVERRIDES: dict[str, Any] = {
    "train": {"epochs": 4, "members": 2, "folds": 3, "fold_members": 2, "learning_curve": [0.5]},
    "candidate": {"leave_early": False},
    "stability": {"max_structures": 1},
    "masses": {"path_step_per_angstrom": 1.0},
    "gap": {"cutoff_ev": 200, "kpoints": [1, 1, 1], "max_halide_steps": 1},
    "energy": {**COARSE, "kpoint_density": 0.2},
    "absorption": {
        **COARSE,
        "kpoints": [1, 1, 1],
        "kpoints_optical": [1, 1, 1],
        "empty_bands": 4,
        "optical_empty_bands": 8,
    },
    "bands": {
        **COARSE,
        "kpoints": [1, 1, 1],
        "empty_bands": 6,
        "converged_empty_bands": 4,
        "line_bands_above": 4,
        "convergence_lines_ev2_per_electron": 1e-4,
        "hybrid": False,
    },
    "free_relax": {"starts": 1, "max_force_ev_per_angstrom": 0.05},
    "screening": {
        "space": {
            "preset": None,
            "ab_elements": ["Ag", "Bi", "In", "Na"],
            "c_elements": ["Cs"],
            "d_elements": ["Cl", "Br"],
        },
        "selection": {"window_ev": [0.0, 9.0], "n_candidates": 1},
        "references": [],
    },
}
BINARIES = [cation + halide for halide in ("Cl", "Br") for cation in ("Cs", "Ag", "Na")]
BINARIES += [cation + halide + "3" for halide in ("Cl", "Br") for cation in ("Bi", "In")]


@pytest.fixture
def campaign(aiida_profile_clean: Any, submit_and_await: Callable[..., Any], python_code: Any) -> Any:
    import pandas as pd

    from aiida_perovskite.cli.campaigns import campaign_group
    from aiida_perovskite.cli.common import read_dataset
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.screening import ScreeningWorkChain

    for engine in ("chgnet", "gpaw"):
        pytest.importorskip(engine, reason=f"{engine} is not installed here")
    table, target = read_dataset("halide-gaps-gpaw", None, None)
    builder = ScreeningWorkChain.get_builder_from_protocol(
        {"learning": python_code, "relax": python_code, "gap": python_code},
        dataset=table.store(),
        target=target,
        overrides=OVERRIDES,
    )
    existing = pd.DataFrame({"formula": BINARIES, "formation_energy_ev_per_atom": [-1.0] * len(BINARIES)})
    builder.known_phases = CompositionTableData.from_frame(existing, name="binaries").store()
    node = submit_and_await(builder, timeout=1800)
    campaign_group("test", create=True).add_nodes(node)
    return node


def test_from_the_dataset_to_a_report_whose_numbers_lead_back(campaign: Any, tmp_path: Path) -> None:
    from aiida_perovskite.report.write import write_report

    assert campaign.is_finished_ok, campaign.exit_message
    results = campaign.outputs.results.to_frame()
    assert len(results) == 1
    row = results.iloc[0]
    assert row["stage"] != "failed", row["reason"]
    assert row["gap_hse06_ev"] > row["gap_pbe_ev"], "a hybrid functional opens the gap"
    assert row["gap_hse06_soc_ev"] <= row["gap_hse06_ev"] + 0.05, "spin-orbit coupling does not open it"
    known = campaign.inputs.dataset.to_frame()["formula"]
    assert row["formula"] not in set(known), "what the table holds is not computed again"
    # Gamma alone gives no numbers to believe, but every step gives one.
    assert abs(row["decomposition_enthalpy_mev_per_atom"]) < 2000
    assert row["decomposition_enthalpy_mev_per_atom"] == pytest.approx(row["decomposition_enthalpy_hull_mev_per_atom"])
    assert 0 <= row["slme_cut_percent"] <= 34
    assert 0 <= row["slme_percent"] <= 34
    assert row["absorption_onset_ev"] >= row["gap_hse06_soc_ev"]
    assert {row["hole_direction_1"], row["electron_direction_1"]} <= {"G-X", "G-L"}
    assert row["relaxed_gap_ev"] > 0

    report = tmp_path / "report.html"
    write_report(campaign, report)
    data = report_data(report.read_text(encoding="utf-8"))
    assert row["formula"] in data["tables"]["selection"]["columns"]["formula"]
    assert_numbers_lead_back(data, campaign)
