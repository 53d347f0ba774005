"""The report of an interpretation draws what nodes hold, whatever is there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from provenance_walk import report_data
from report.interpretation_nodes import FAILING, HOSTILE, Interpretation


@pytest.fixture(scope="module")
def collected(interpretation: Any) -> Any:
    from aiida_perovskite.report.interpret_collect import collect_interpretation

    return collect_interpretation(interpretation)


@pytest.fixture(scope="module")
def page(collected: Any) -> str:
    from aiida_perovskite.report.interpret_render import render_interpretation

    return render_interpretation(collected)


@pytest.fixture(scope="module")
def figures(page: str) -> dict[str, Any]:
    """Name -> figure as the page holds it."""
    found = re.findall(r'class="figure-data" data-figure="([^"]+)">(.*?)</script>', page, re.DOTALL)
    return {name: json.loads(content) for name, content in found}


def test_branches_stand_by_rising_weight_with_what_came_of_them(collected: Any) -> None:
    assert [branch.prior_weight.value for branch in collected.branches] == [0.0, FAILING, 1e-3]
    assert [branch.families is None for branch in collected.branches] == [False, True, False]
    assert collected.branches[1].steps[0].state == "failed"


def test_every_figure_of_the_chapter_is_there(figures: dict[str, Any], collected: Any) -> None:
    kinds = {"parity/{}/", "levels/{}/", "pca/{}/3d", "pca/{}/2d", "silhouettes/{}/", "components/{}/", "elements/{}/"}
    kinds |= {f"scan/{{}}/{name}" for name in ("silhouette", "inertia", "gap_statistic")}
    kinds |= {f"{name}/{{}}/" for name in ("stability", "numbers", "agreement", "sites", "correlations")}
    for branch in (collected.branches[0], collected.branches[2]):
        families = branch.families.frame["family"]
        own = {
            f"{name}/{{}}/{family}" for name in ("attention", "weights", "gaps", "by-element") for family in families
        }
        assert {name.format(branch.name) for name in kinds | own} <= set(figures)
    assert {"data/elements", "data/gaps", "sse", "reference", "accuracy"} <= set(figures)


def test_points_name_the_compound_and_its_elements_in_the_order_of_their_row(
    figures: dict[str, Any], collected: Any
) -> None:
    branch = collected.branches[2]
    members = branch.members.frame
    shown = {
        (text, elements, x)
        for trace in figures[f"pca/{branch.name}/2d"]["data"]
        for text, elements, x in zip(trace["text"], trace["customdata"], trace["x"], strict=True)
    }
    assert len(shown) == len(members)
    row = members[members["order"] == "BA"].iloc[0]
    name = f"{row['c']}2{row['b']}{row['a']}{row['d']}6"  # the formula has A before B in the alphabet
    assert (name, f"{row['a']} {row['b']} {row['c']} {row['d']}", round(row["pc1"], 4)) in shown


def test_attention_is_drawn_with_updated_sites_as_rows(figures: dict[str, Any], collected: Any) -> None:
    branch = collected.branches[2]
    row = branch.families.frame.iloc[0]
    mean, *layers = figures[f"attention/{branch.name}/{row['family']}"]["data"]
    assert mean["z"][0][3] == round(row["attention_ad"], 3)
    assert mean["z"][3][0] == round(row["attention_da"], 3)
    np.testing.assert_allclose(np.sum(mean["z"], axis=1), 1, atol=0.003)
    assert [layer["z"][1][2] for layer in layers] == [round(row[f"attention_{n}_bc"], 3) for n in (1, 2)]


def test_gaps_of_a_family_count_each_compound_once(figures: dict[str, Any], collected: Any) -> None:
    branch = collected.branches[0]
    for row in branch.families.frame.to_dict("records"):
        bars, everything = figures[f"gaps/{branch.name}/{row['family']}"]["data"]
        assert sum(bars["customdata"]) == row["n_compounds"]
        assert sum(everything["y"]) == pytest.approx(100, abs=0.3)


def test_periodic_tables_hold_every_element_where_it_belongs(figures: dict[str, Any], collected: Any) -> None:
    from aiida_perovskite.report.periodic import by_number, place

    places = [place(symbol) for symbol in by_number()]
    assert len(set(places)) == 103
    assert None not in places
    assert [place(symbol) for symbol in ("H", "He", "Cs", "La", "Lu", "Hf", "Bi")] == [
        (0, 0),
        (17, 0),
        (0, 5),
        (2, 8),
        (16, 8),
        (3, 5),
        (14, 5),
    ]
    branch = collected.branches[0]
    rows = branch.elements.frame.query("family == 1 and site == 'C'").set_index("element")["share_of_site"]
    table = next(
        trace
        for trace in figures[f"elements/{branch.name}/"]["data"]
        if trace["type"] == "heatmap" and trace.get("meta") == 0 and trace["xaxis"] == "x3"
    )
    column, line = place(rows.index[0])
    assert table["z"][line][column] == pytest.approx(100 * rows.iloc[0], abs=1e-3)
    assert table["text"][line][column] == rows.index[0]


def test_levels_by_element_are_means_over_all_sites(collected: Any) -> None:
    branch = collected.branches[0]
    frame = branch.compounds.frame
    values = np.concatenate([frame.loc[frame[site] == "Cs", f"homo_{site}_ev"] for site in "abcd"])
    row = branch.element_levels.frame.set_index("symbol").loc["Cs"]
    assert row["n"] == len(values)
    assert row["homo_mean_ev"] == pytest.approx(values.mean(), abs=1e-3)
    assert row["homo_std_ev"] == pytest.approx(values.std(), abs=1e-3)


def test_numbers_on_the_page_are_those_of_its_data_and_of_their_nodes(page: str) -> None:
    from aiida import orm

    class Shown(HTMLParser):
        numbers: list[tuple[float, str]] = []
        sources: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            if source := given.get("data-source"):
                self.sources.add(source)
                if tag == "data":
                    self.numbers.append((float(given["value"] or "nan"), source))

    shown = Shown()
    shown.feed(page)
    data = report_data(page)
    known = {(float(n["value"]), n["source"]) for n in data["numbers"].values() if n["value"] is not None}
    assert len(shown.numbers) > 50
    assert set(shown.numbers) <= known
    assert shown.sources <= set(data["sources"])
    for name in ("metrics.mae_ev", "summary.silhouette", "agreement.spearman_mean"):
        number = data["numbers"][f"branches.prior-0.{name.replace('.', '.numbers.')}"]
        assert orm.load_node(number["source"])[name.partition(".")[2]] == number["value"]


def test_sentences_are_shown_and_markup_of_a_stranger_is_text(page: str, collected: Any) -> None:
    for sentence in collected.branches[0].families.frame["sentence"]:
        assert sentence in page
    assert HOSTILE not in page
    assert "&lt;img src=x" in page


def test_a_page_of_thousands_of_compounds_stays_light(collected: Any) -> None:
    """With 2,103 compounds and three prior weights at most 8 MB, the library that draws left out."""
    import pandas as pd

    from aiida_perovskite.report.interpret_render import render_interpretation
    from aiida_perovskite.report.page import plotly

    def size(branch: Any) -> int:
        return len(render_interpretation(replace(collected, branches=(branch,)))) - len(str(plotly()))

    branch = collected.branches[0]
    by_compound = ("members", "compounds", "cross_validation", "attributions")
    tables = {name: getattr(branch, name) for name in by_compound}
    twice = {name: replace(table, frame=pd.concat([table.frame] * 2)) for name, table in tables.items()}
    once = size(branch)
    per_compound = (size(replace(branch, **twice)) - once) / len(branch.compounds.frame)
    assert per_compound > 100
    assert once + 3 * 2103 * per_compound < 8e6


@pytest.mark.parametrize(
    "parts",
    [
        ("families", "claims"),
        ("summary", "agreement", "attributions"),
        ("members",),
        ("scan", "components", "stability"),
        ("compounds", "element_levels", "elements"),
        ("model", "metrics", "cross_validation"),
    ],
)
def test_nothing_breaks_where_nodes_are_missing(collected: Any, parts: tuple[str, ...]) -> None:
    from aiida_perovskite.report.interpret_render import render_interpretation

    branch = replace(collected.branches[0], **dict.fromkeys(parts))
    page = render_interpretation(replace(collected, branches=(branch,), sse_gaps=None, sse_errors=None, reference=None))
    assert "There are no gaps from solid-state energies" in page


def test_fewer_components_and_a_reference_of_ones_own_are_drawn(collected: Any) -> None:
    from aiida_perovskite.report.interpret_render import draw

    branch = collected.branches[0]
    members = replace(branch.members, frame=branch.members.frame.drop(columns="pc3"))
    own = replace(collected.reference, frame=collected.reference.frame[["symbol", "homo_ev", "lumo_ev"]])
    drawn, _ = draw(replace(collected, branches=(replace(branch, members=members),), reference=own))
    assert f"pca/{branch.name}/2d" in drawn
    assert f"pca/{branch.name}/3d" not in drawn
    assert len(drawn["reference"]["data"][0]["x"]) == len(own.frame)


def test_a_failed_weight_says_why(page: str) -> None:
    panel = page.partition('id="panel-prior-0-0001"')[2].partition('role="tabpanel"')[0]
    assert "training failed: the loss is not a number" in panel
    assert "Missing, because a step failed: held-out predictions, levels, families" in panel


def test_while_it_runs_what_is_trained_is_shown(
    aiida_profile: Any, interpreted: SimpleNamespace, tmp_path: Path
) -> None:
    from aiida_perovskite.report.interpret_write import write_interpretation

    running = Interpretation(interpreted, tmp_path / "models", "running").store(finished=False)
    page = write_interpretation(running, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "still running" in page
    assert "Not there yet: levels, families" in page
    assert 'data-figure="parity/prior-0/"' in page
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["report.html"]


def test_another_node_is_refused(aiida_profile: Any, tmp_path: Path) -> None:
    from aiida.orm import WorkChainNode

    from aiida_perovskite.report.interpret_write import write_interpretation

    with pytest.raises(ValueError, match="is no InterpretWorkChain"):
        write_interpretation(WorkChainNode().store(), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
