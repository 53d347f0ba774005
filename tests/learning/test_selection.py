"""The funnel's rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.learning.selection import SelectionSettings, select

SETTINGS = {
    "window_ev": [0.9, 1.6],
    "exclude_elements": ["Pb", "Tl"],
    "charge_balanced": True,
    "bartel_factor_max": 4.18,
    "in_domain": True,
    "closed_shell": True,
    "exclude_known": True,
    "n_candidates": 2,
}


def table(**changes: list[object]) -> pd.DataFrame:
    rows = {
        "formula": ["AgBiCs2Br6", "AgInCs2Br6", "PbSnCs2Br6", "AuAuCs2I6", "LiAlCs2I6"],
        "a": ["Ag", "Ag", "Pb", "Au", "Al"],
        "b": ["Bi", "In", "Sn", "Au", "Li"],
        "c": ["Cs"] * 5,
        "d": ["Br", "Br", "Br", "I", "I"],
        "gap_ev": [1.5, 1.2, 1.2, 1.2, 1.6],
        "probability_in_window": [0.5, 0.9, 0.9, 0.9, 0.5],
        "in_domain": [True] * 5,
        "charge_balanced": [True] * 5,
        "open_shell": [False] * 5,
        "bartel_factor": [4.0] * 5,
    }
    return pd.DataFrame({**rows, **changes})


def test_ranks_by_probability_then_formula_and_counts_every_stage() -> None:
    chosen, stages = select(table(), SelectionSettings.from_dict(SETTINGS), {"AuAuCs2I6"})
    assert chosen["formula"].tolist() == ["AgInCs2Br6", "AgBiCs2Br6", "LiAlCs2I6"]
    assert chosen["chosen"].tolist() == [True, True, False]
    assert [(stage["name"], stage["count"]) for stage in stages] == [
        ("space", 5),
        ("window", 5),
        ("elements", 4),
        ("charge", 4),
        ("bartel", 4),
        ("domain", 4),
        ("shell", 4),
        ("known", 3),
        ("chosen", 2),
    ]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("gap_ev", [0.89, 1.2, 1.2, 1.2, 1.2]),
        ("charge_balanced", [False, True, True, True, True]),
        ("in_domain", [False, True, True, True, True]),
        ("open_shell", [True, False, False, False, False]),
        ("bartel_factor", [4.18, 4.0, 4.0, 4.0, 4.0]),
        ("bartel_factor", [np.nan, 4.0, 4.0, 4.0, 4.0]),
    ],
)
def test_each_rule_drops_what_breaks_it(column: str, values: list[object]) -> None:
    chosen, _ = select(table(**{column: values}), SelectionSettings.from_dict(SETTINGS), set())
    assert "AgBiCs2Br6" not in set(chosen["formula"])


def test_the_thesis_funnel_has_no_charge_tau_or_domain_rule() -> None:
    from aiida_perovskite.workflows.protocols import load_protocol

    settings = SelectionSettings.from_dict(load_protocol("screening", "thesis")["selection"])
    bad = table(charge_balanced=[False] * 5, in_domain=[False] * 5, bartel_factor=[np.nan] * 5)
    chosen, stages = select(bad, settings, set())
    assert [s["name"] for s in stages] == ["space", "window", "elements", "known", "chosen"]
    assert len(chosen) == 4  # only the lead compound goes


@given(st.permutations(range(5)))
def test_the_order_of_the_table_never_matters(order: list[int]) -> None:
    settings = SelectionSettings.from_dict(SETTINGS)
    expected, _ = select(table(), settings, set())
    shuffled, _ = select(table().iloc[order], settings, set())
    pd.testing.assert_frame_equal(expected, shuffled)


@pytest.mark.parametrize(
    "change",
    [{"window": [1, 2]}, {"window_ev": [2.0, 1.0]}, {"window_ev": None}, {"window_ev": [1.0]}, {"n_candidates": -1}],
)
def test_settings_that_cannot_be_meant_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"window|n_candidates"):
        SelectionSettings.from_dict({**SETTINGS, **change})
