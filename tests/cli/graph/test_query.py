"""`aiida-perovskite query`: computed compounds by what was found for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from campaign_in_graph import FAILED, REFERENCE

pytestmark = pytest.mark.production


@pytest.fixture
def chosen(campaign: Any) -> list[str]:
    formulas: list[str] = campaign.outputs.selection.to_frame().query("chosen")["formula"].tolist()
    return formulas


def found(run: Callable[..., Any], *arguments: str) -> list[str]:
    result = run("query", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return sorted(row["formula"] for row in json.loads(result.stdout))


def test_filters_leave_what_the_nodes_say(run: Callable[..., Any], campaign: Any, chosen: list[str]) -> None:
    everything = sorted([*chosen, REFERENCE])
    assert found(run) == everything
    low, high = campaign.inputs.selection["window_ev"]
    in_window = {chosen[0], chosen[3]} | ({REFERENCE} if low <= 1.9 <= high else set())
    assert found(run, "--gap", str(low), str(high)) == sorted(in_window)
    assert found(run, "--gap", "1.9", "1.9") == [REFERENCE]
    # No gap was computed for the one that failed: it is in no window, not even in the widest.
    assert found(run, "--gap", "-inf", "inf") == sorted(set(everything) - {chosen[FAILED]})
    assert found(run, "--stable") == sorted([chosen[3], REFERENCE])
    assert found(run, "--enthalpy", "-20", "0") == [chosen[0]]
    assert found(run, "--enthalpy", "-20", "0", "--reaction", "hull") == [REFERENCE]
    assert found(run, "--stable", "--relaxed", "--enthalpy", "10", "10") == [REFERENCE]
    assert found(run, "--stable", "--gap", "1.9", "2", "--with", "Ag,Bi", "--without", "F") == [REFERENCE]


def test_elements_are_symbols_and_not_letters(run: Callable[..., Any], campaign: Any, chosen: list[str]) -> None:
    with_bromine = [name for name in [*chosen, REFERENCE] if "Br" in name]
    assert found(run, "--with", "Br") == sorted(with_bromine)
    # The letter B begins Br and Bi, and is an element of its own.
    with_boron = [name for name in [*chosen, REFERENCE] if {"B"} & set(pd.Series([name]).str.findall("[A-Z][a-z]?")[0])]
    assert found(run, "--with", "B") == sorted(with_boron)
    assert REFERENCE not in found(run, "--with", "B")
    assert REFERENCE in found(run, "--without", "B")


def test_engine_date_and_campaign(run: Callable[..., Any], campaign: Any) -> None:
    from aiida_perovskite.cli.campaigns import campaign_group

    campaign_group("empty", create=True)
    assert len(found(run, "-c", "halides")) == 5
    assert found(run, "-c", "empty") == []
    assert len(found(run, "--engine", "gpaw")) == 5
    assert found(run, "--engine", "aims") == found(run, "--engine", "relax=gpaw") == []
    assert len(found(run, "--engine", "relax=chgnet", "--engine", "gap=gpaw")) == 5
    today = datetime.now().astimezone()
    assert len(found(run, "--since", f"{today - timedelta(days=1):%Y-%m-%d}")) == 5
    assert found(run, "--since", f"{today + timedelta(days=1):%Y-%m-%d}") == []
    last = campaign.base.links.get_outgoing(link_label_filter=f"candidate_{REFERENCE}").one().node
    assert found(run, "--since", last.ctime.isoformat()) == [REFERENCE]


def test_tables_hold_the_rows_of_the_results(
    run: Callable[..., Any], campaign: Any, chosen: list[str], tmp_path: Path
) -> None:
    csv, parquet = tmp_path / "found.csv", tmp_path / "found.parquet"
    for path in (csv, parquet):
        assert run("query", "-c", "halides", "-o", str(path)).exit_code == 0
    table, text = pd.read_parquet(parquet).set_index("formula"), pd.read_csv(csv).set_index("formula")
    results = campaign.outputs.results.to_frame().set_index("formula")
    columns = [name for name in results if not name.startswith(("predicted", "probability"))]
    passed = results.index.difference([chosen[FAILED]])  # its verdict is the campaign's, not a node of its own
    for name in columns:
        pd.testing.assert_series_equal(table.loc[passed, name], results.loc[passed, name], check_dtype=False)
    pd.testing.assert_series_equal(text["gap_hse06_soc_ev"], table["gap_hse06_soc_ev"])
    assert set(table["campaign"]) == {"halides"}
    assert set(table["engine"]) == {"gpaw"}
    links = campaign.base.links.get_outgoing(link_label_filter="candidate_%").all()
    assert set(table["process"]) == {link.node.uuid for link in links}


def test_the_screen_shows_the_first(run: Callable[..., Any], campaign: Any) -> None:
    result = run("query", "--limit", "2")
    assert "5 found" in result.output
    assert "3 more" in result.output
    assert "Cs2AgBiBr6" in run("query", "--with", "Ag,Bi").output
    assert "no computed compound fulfils" in run("query", "--gap", "20", "30").output
