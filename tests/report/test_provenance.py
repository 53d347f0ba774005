"""The report's numbers lead back through the graph; the walk itself finds what it is there to find."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from provenance_walk import absolute_paths, assert_numbers_lead_back, report_data


@pytest.fixture(scope="module")
def page(campaign: Any) -> str:
    from aiida_perovskite.report.collect import collect_campaign
    from aiida_perovskite.report.render import render

    return render(collect_campaign(campaign))


def test_every_number_leads_back(page: str, campaign: Any) -> None:
    data = report_data(page)
    assert len(data["numbers"]) > 100
    assert_numbers_lead_back(data, campaign)


def test_a_number_from_elsewhere_is_found(page: str, campaign: Any) -> None:
    from aiida import orm

    data = report_data(page)
    stranger = orm.Dict({"gap_hse06_soc_ev": 1.23}).store()
    data["sources"][stranger.uuid] = {"pk": stranger.pk, "kind": "Dict", "link_label": "gap"}
    data["numbers"]["invented"] = {"value": 1.23, "source": stranger.uuid, "key": "gap_hse06_soc_ev"}
    with pytest.raises(AssertionError, match="invented does not lead back"):
        assert_numbers_lead_back(data, campaign)


def test_numbers_are_those_of_their_nodes(page: str) -> None:
    from aiida import orm

    data = report_data(page)
    compared = 0
    for name, number in data["numbers"].items():
        node = orm.load_node(number["source"])
        content: Any = node.base.attributes.all
        for key in number["key"].split("."):
            if isinstance(content, dict | list):
                content = content[int(key)] if isinstance(content, list) else content.get(key)
        if isinstance(content, int | float):
            assert number["value"] == content, name
            compared += 1
    assert compared > 100
    for name, table in data["tables"].items():
        frame = orm.load_node(table["source"]).to_frame()
        column = "formula" if "formula" in frame else frame.columns[0]
        assert table["columns"][column] == frame[column].tolist(), name


def test_numbers_on_the_page_are_those_of_the_data(page: str) -> None:
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


@pytest.mark.parametrize(
    "text",
    ["/home/me/gaps.csv", "see /scratch/user/run.py", "~/data/gaps.csv", "file:///srv/x/y", r"C:\gaps\a.csv"],
)
def test_absolute_paths_are_found(aiida_profile: Any, text: str, tmp_path: Path) -> None:
    from aiida import orm

    assert absolute_paths([orm.Dict({"nested": [{"file": text}]})])
    assert absolute_paths([orm.SinglefileData(io.BytesIO(f"x = '{text}'".encode()), filename="a.py")])


def test_what_is_no_absolute_path_passes(aiida_profile: Any) -> None:
    from aiida import orm

    text = "#!/usr/bin/env python\n# eV/Angstrom/atom, https://doi.org/10.1/a/b, a / b / c, 1/2, tables/gaps.csv"
    assert absolute_paths([orm.Dict({"note": text})]) == []
    assert absolute_paths([orm.SinglefileData(io.BytesIO(text.encode()), filename="a.py")]) == []
