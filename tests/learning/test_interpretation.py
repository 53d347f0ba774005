"""From level networks to families, without AiiDA: levels of all networks, the command, and placing a compound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from level_inputs import OVERRIDES, gap_table

from aiida_perovskite.learning.families import FamilyDataError, FamilySettings, mirror_levels
from aiida_perovskite.learning.families.placement import place
from aiida_perovskite.learning.interpretation import (
    Interpretation,
    interpret_levels,
    levels_of_members,
    members_of_levels,
    network_alone,
)
from aiida_perovskite.learning.levels import LevelModel, LevelSettings, levels_frame

FAMILIES = OVERRIDES["interpret"]["families"]


@pytest.fixture(scope="module")
def model() -> LevelModel:
    settings = {name: value for name, value in OVERRIDES["levels"].items() if name != "prior_weights"}
    table = gap_table()
    return LevelModel.train(table["formula"], table["gap_ev"], LevelSettings.from_dict(settings), reference={})


@pytest.fixture(scope="module")
def levels(model: LevelModel) -> pd.DataFrame:
    return levels_of_members(model, gap_table()["formula"])


@pytest.fixture(scope="module")
def found(model: LevelModel, levels: pd.DataFrame) -> Interpretation:
    return interpret_levels(model, levels, FamilySettings.from_dict(FAMILIES), attribution_steps=16)


def test_every_network_speaks_for_itself(model: LevelModel, levels: pd.DataFrame) -> None:
    assert sorted(levels["member"].unique()) == [0, 1, 2]
    own = levels[levels["member"] == 2].drop(columns="member").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        own, levels_frame(model, gap_table()["formula"], 2), check_dtype=False, rtol=1e-4, atol=1e-5
    )


def test_the_first_network_is_analysed_and_the_others_tell_how_stable_it_is(found: Interpretation) -> None:
    assert found.analysis.summary["member"] == "member-0"
    assert set(found.analysis.stability["kind"]) == {"seed", "bootstrap", "member"}
    assert found.agreement.frame["formula"].tolist() == sorted(gap_table()["formula"])
    # The attributions of a compound add up to the gap that they are to explain.
    assert found.completeness_ev < 0.01


def test_the_command_writes_what_the_function_finds(model: LevelModel, found: Interpretation, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    (tmp_path / "settings.json").write_text(json.dumps(FAMILIES))
    command = ["families", "--model", "model", "--settings", "settings.json", "--output", "out"]
    done = subprocess.run(
        [sys.executable, "-m", "aiida_perovskite.learning", *command, "--attribution-steps", "16"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Family 1, ")
    written = pd.read_csv(tmp_path / "out" / "families.csv", dtype={"clusters": str})
    assert written["sentence"].tolist() == found.analysis.families["sentence"].tolist()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["n_compounds"] == 40
    assert json.loads((tmp_path / "out" / "agreement.json").read_text())["steps"] == 16
    assert len(pd.read_parquet(tmp_path / "out" / "levels.parquet")) == 3 * 40


def test_a_compound_is_placed_where_the_analysis_put_it(
    model: LevelModel, levels: pd.DataFrame, found: Interpretation
) -> None:
    own = members_of_levels(levels)["member-0"]
    members = found.analysis.members
    settings = FamilySettings.from_dict(FAMILIES)
    for formula in own["formula"].iloc[:5]:
        row = members[(members["formula"] == formula) & (members["order"] == "AB")].iloc[0]
        placement = place(own[own["formula"] == formula], own, members, settings, 4)
        assert (placement.cluster, placement.family) == (row["cluster"], row["family"])
        assert placement.in_family_order == row["in_family_order"]
        assert len(placement.neighbours) == 4
        assert formula not in set(placement.neighbours["formula"])
        assert placement.neighbours["distance"].is_monotonic_increasing
        assert placement.neighbours["known"].all()


def test_exchanged_sites_are_no_distance(levels: pd.DataFrame, found: Interpretation) -> None:
    """A compound like another one with A and B exchanged lies on it, and is said to be exchanged."""
    own = members_of_levels(levels)["member-0"]
    one = own.iloc[[0]]
    # Ac stands before every element of the table, Zr behind: written with them, the sites change places.
    twin = mirror_levels(one).assign(a="Ac", b="Zr", formula=f"AcZr{one['c'].iloc[0]}2{one['d'].iloc[0]}6")
    nearest = place(twin, own, found.analysis.members, FamilySettings.from_dict(FAMILIES), 1).neighbours.iloc[0]
    assert nearest["formula"] == one["formula"].iloc[0]
    assert nearest["distance"] == pytest.approx(0.0, abs=1e-9)
    assert nearest["exchanged"]


def test_tables_of_other_compounds_are_refused(levels: pd.DataFrame, found: Interpretation) -> None:
    own = members_of_levels(levels)["member-0"]
    settings = FamilySettings.from_dict(FAMILIES)
    with pytest.raises(FamilyDataError, match="not of the same compounds"):
        place(own.iloc[[0]], own.iloc[1:], found.analysis.members, settings)
    with pytest.raises(FamilyDataError, match="column member"):
        members_of_levels(own)
    doubled: Any = pd.concat([levels, levels.iloc[[0]]])
    with pytest.raises(FamilyDataError, match="more than once"):
        members_of_levels(doubled)


@pytest.mark.parametrize("option", ["anchored", "element_features", "learn_exponent"])
def test_a_network_alone_says_what_it_says_among_the_others(option: str) -> None:
    settings = {name: value for name, value in OVERRIDES["levels"].items() if name != "prior_weights"}
    settings |= {"epochs": 1, option: True}
    table = gap_table(20)
    model = LevelModel.train(table["formula"], table["gap_ev"], LevelSettings.from_dict(settings))
    alone = levels_frame(network_alone(model, 1), table["formula"], 0)
    pd.testing.assert_frame_equal(alone, levels_frame(model, table["formula"], 1), rtol=1e-4, atol=1e-5)
