"""Explaining the gaps of a table, by real jobs with small networks."""

from __future__ import annotations

from typing import Any

import pytest
from level_inputs import OVERRIDES, gap_table


def inputs(code: Any, n_rows: int = 40, levels: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.interpret import InterpretWorkChain

    table = CompositionTableData.from_frame(gap_table(n_rows), name="gaps")
    overrides = {**OVERRIDES, "levels": {**OVERRIDES["levels"], **(levels or {})}}
    return InterpretWorkChain.get_builder_from_protocol(code, table, "gap_ev", overrides=overrides, **kwargs)


def test_from_a_table_to_families_one_weight_failing(aiida_profile_clean: Any, python_code: Any) -> None:
    """A weight at which the loss is no number any more does not sink the other one."""
    from aiida.engine import run_get_node
    from aiida.manage.caching import enable_caching
    from aiida.orm import CalcJobNode

    from aiida_perovskite.workflows.levels import FAMILY_NUMBERS, FAMILY_TABLES

    builder = inputs(python_code, levels={"prior_weights": [1e-3, 1e38]})
    with enable_caching():
        _, node = run_get_node(builder)
    assert node.exit_status == 410
    assert "prior weight 1e+38: " in node.exit_message
    assert "The training diverged" in node.exit_message
    assert set(node.outputs.networks) == {"prior_0_001"}
    network = node.outputs.networks.prior_0_001
    assert set(network) == {
        "model",
        "metrics",
        "cross_validation",
        "history",
        "levels",
        *FAMILY_TABLES,
        *FAMILY_NUMBERS,
    }
    model = network.model.load_level_model()
    assert model.settings.prior_weight == 1e-3
    assert network.metrics["mae_ev"] == pytest.approx(model.metrics["mae_ev"])
    levels, members = network.levels.to_frame(), network.members.to_frame()
    assert len(levels) == 3 * 40
    assert len(members) == 2 * 40
    families = network.families.to_frame()
    assert families["n_compounds"].sum() >= 40
    assert families["sentence"].str.len().min() > 10
    assert set(members["family"]) == set(families["family"])
    assert -1 <= network.agreement["spearman_mean"] <= 1
    assert network.summary["settings"]["k_max"] == 4
    assert node.outputs.sse.errors["rmse_after_ev"] <= node.outputs.sse.errors["rmse_before_ev"]
    # The prior is an input node, which says where each level is from.
    assert node.inputs.reference.to_frame().set_index("symbol").loc["Ag", "lumo_source"]

    # Again: what was trained and analysed comes from the cache.
    with enable_caching():
        _, again = run_get_node(inputs(python_code, levels={"prior_weights": [1e-3]}))
    assert again.is_finished_ok, again.exit_message
    jobs = [job for job in again.called_descendants if isinstance(job, CalcJobNode)]
    assert [job.base.caching.is_created_from_cache for job in jobs] == [True, True]
    assert again.outputs.networks.prior_0_001.families.sha256 == network.families.sha256


def test_protocols_hold_the_settings_of_the_dataclasses(python_code: Any) -> None:
    from aiida_perovskite.learning.families import FamilySettings
    from aiida_perovskite.learning.levels import LevelSettings
    from aiida_perovskite.learning.levels.sse import SseSettings
    from aiida_perovskite.workflows.protocols import available_protocols, load_protocol

    assert set(available_protocols("levels")) == set(available_protocols("interpret")) == {"fast", "balanced", "thesis"}
    for protocol in available_protocols("levels"):
        levels, analysis = load_protocol("levels", protocol), load_protocol("interpret", protocol)
        assert set(levels) - {"prior_weights"} == set(LevelSettings().to_dict()) - {"prior_weight"}
        assert set(analysis["families"]) == set(FamilySettings().to_dict())
        assert SseSettings(**analysis["sse"])
    thesis = load_protocol("levels", "thesis")
    weights = thesis.pop("prior_weights")
    assert weights == [0.0, 1e-4, 1e-3]
    assert LevelSettings.from_dict(thesis) == LevelSettings()
    assert FamilySettings.from_dict(load_protocol("interpret")["families"]) == FamilySettings()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prior_weights": []}, "prior_weights must be different numbers"),
        ({"prior_weights": [1e-3, 1e-3]}, "prior_weights must be different numbers"),
        ({"prior_weights": [-1.0]}, "prior_weight = -1.0 is out of its range"),
        ({"members": 4}, "a multiple of folds"),
    ],
)
def test_settings_that_make_no_sense_are_refused(python_code: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        inputs(python_code, levels=changes)


def test_tables_that_will_not_do_are_refused_before_anything_runs(python_code: Any) -> None:
    from aiida.orm import Str

    from aiida_perovskite.calculations.interpret import reference_table
    from aiida_perovskite.workflows.interpret import validate_together

    assert validate_together(inputs(python_code), None) is None
    assert "2 compounds, each in both orders" in validate_together(inputs(python_code, n_rows=2), None)
    assert "5 compounds are too few for 3 folds" in validate_together(inputs(python_code, n_rows=5), None)
    builder = inputs(python_code)
    builder.target = Str("gap")
    assert "no column gap; its columns are formula, gap_ev" in validate_together(builder, None)
    little = reference_table({"Cs": (-12.0, -3.0)}, "mine")
    assert "no reference levels of Ag, Al" in validate_together(inputs(python_code, reference=little), None)
    without_prior = inputs(python_code, reference=little, prior_weights=[0.0])
    assert validate_together(without_prior, None) is None
