"""The job of `make demo`, in small, with every part real: daemon, training job, CHGNet, GPAW, report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from provenance_walk import assert_numbers_lead_back, report_data

# A training of seconds and the coarsest gap that is still HSE06 with spin-orbit coupling: Gamma alone, few plane waves.
OVERRIDES: dict[str, Any] = {
    "train": {"epochs": 4, "members": 2, "folds": 3, "fold_members": 2, "learning_curve": [0.5]},
    "gap": {"cutoff_ev": 200, "kpoints": [1, 1, 1], "max_halide_steps": 1},
    "screening": {
        "space": {
            "preset": None,
            "ab_elements": ["Ag", "Bi", "In", "Na"],
            "c_elements": ["Cs"],
            "d_elements": ["Cl", "Br"],
        },
        "selection": {"window_ev": [0.0, 9.0], "n_candidates": 1},
    },
}


@pytest.fixture
def campaign(aiida_profile_clean: Any, submit_and_await: Callable[..., Any], python_code: Any) -> Any:
    from aiida_perovskite.cli.campaigns import campaign_group
    from aiida_perovskite.cli.common import read_dataset
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
    node = submit_and_await(builder, timeout=900)
    campaign_group("test", create=True).add_nodes(node)
    return node


def test_from_the_dataset_to_a_report_whose_numbers_lead_back(campaign: Any, tmp_path: Path) -> None:
    from aiida_perovskite.report.write import write_report

    assert campaign.is_finished_ok, campaign.exit_message
    results = campaign.outputs.results.to_frame()
    assert len(results) == 1
    row = results.iloc[0]
    assert row["gap_hse06_ev"] > row["gap_pbe_ev"], "a hybrid functional opens the gap"
    assert row["gap_hse06_soc_ev"] <= row["gap_hse06_ev"] + 0.05, "spin-orbit coupling does not open it"
    known = campaign.inputs.dataset.to_frame()["formula"]
    assert row["formula"] not in set(known), "what the table holds is not computed again"

    report = tmp_path / "report.html"
    write_report(campaign, report)
    data = report_data(report.read_text(encoding="utf-8"))
    assert row["formula"] in data["tables"]["selection"]["columns"]["formula"]
    assert_numbers_lead_back(data, campaign)
