"""The report as a reader meets it: opened from a file, offline, in headless Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from report.browser import By, WebDriverWait, assert_no_complaints, in_view, too_wide

SECONDS = 60


@pytest.fixture(scope="module")
def report(chromium: Any, campaign: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from aiida_perovskite.report.write import write_report

    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(campaign, path)
    chromium.get(path.as_uri())
    return chromium


def column(report: Any, number: int) -> list[str]:
    """Return what the visible rows of the ranking show in a column (from 1)."""
    script = """
        return [...document.querySelectorAll("#survivors tbody tr")].filter((row) => !row.hidden)
            .map((row) => { const cell = row.cells[arguments[0] - 1]; return cell.dataset.value ?? cell.textContent; });
    """
    return [str(text).strip() for text in report.execute_script(script, number)]


def press(report: Any, selector: str) -> None:
    in_view(report, report.find_element(By.CSS_SELECTOR, selector)).click()


def test_every_figure_is_drawn_and_nothing_is_complained_of(report: Any) -> None:
    places = report.find_elements(By.CSS_SELECTOR, ".plot")
    assert len(places) > 20
    for place in places:
        in_view(report, place)
        WebDriverWait(report, SECONDS).until(
            lambda _, place=place: place.find_elements(By.CSS_SELECTOR, "svg.main-svg, canvas")
        )
    assert_no_complaints(report)


@pytest.mark.parametrize("kind", ["structure", "levels", "bands", "absorption", "current"])
def test_a_card_has_every_figure_with_something_drawn_in_it(report: Any, kind: str) -> None:
    place = report.find_element(By.CSS_SELECTOR, f'[data-plot="{kind}-AgBiCs2Br6"]')
    in_view(report, place)
    WebDriverWait(report, SECONDS).until(lambda _: place.find_elements(By.CSS_SELECTOR, "svg.main-svg"))
    points = report.execute_script("return arguments[0].data.map((trace) => (trace.x || []).length)", place)
    assert points
    assert min(points) > 0


def test_compounds_are_named_in_both_comparisons(report: Any) -> None:
    for kind in ("enthalpies", "efficiencies"):
        place = report.find_element(By.CSS_SELECTOR, f'[data-plot="{kind}"]')
        in_view(report, place)
        WebDriverWait(report, SECONDS).until(lambda _, place=place: "Cs2AgBiBr6" in place.text)
        names = [note.text for note in place.find_elements(By.CSS_SELECTOR, ".annotation")]
        assert sum(name.startswith(("Cs2", "Rb2", "K2", "Na2", "Li2")) for name in names) == 3


def test_the_results_sort_by_number_with_what_is_missing_last(report: Any) -> None:
    script = """
        const rows = [...document.querySelectorAll("#compounds tbody tr")];
        return rows.map((row) => row.cells[arguments[0]].dataset.value);
    """
    for column in (2, 6, 12):
        press(report, f"#compounds thead tr:last-child th:nth-child({column + 1}) .sort")
        shown = report.execute_script(script, column)
        numbers = [float(text) for text in shown if text]
        assert len(numbers) == 3
        assert numbers == sorted(numbers)
        assert shown[-1] == ""


def test_what_is_missing_is_said(report: Any) -> None:
    notes = " ".join(note.text for note in report.find_elements(By.CSS_SELECTOR, ".candidate .note"))
    assert "Not computed, because the compound had left the funnel: bands along a path" in notes
    assert "Missing, because the computation failed: the structure, the band gap" in notes


def test_nothing_is_fetched_and_no_markup_of_a_stranger_runs(report: Any) -> None:
    fetched = report.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in fetched if not name.startswith(("data:", "blob:"))] == []
    assert "broken into" not in report.title
    assert report.find_elements(By.CSS_SELECTOR, "img[src=x]") == []


def test_the_ranking_sorts_by_number_both_ways_and_by_name(report: Any) -> None:
    ranked = column(report, 1)
    assert ranked == [str(number) for number in range(1, len(ranked) + 1)]
    press(report, "#survivors th:nth-child(3) .sort")
    gaps = [float(text) for text in column(report, 3)]
    assert gaps == sorted(gaps)
    assert len(set(gaps)) > 10
    press(report, "#survivors th:nth-child(3) .sort")
    assert [float(text) for text in column(report, 3)] == sorted(gaps, reverse=True)
    press(report, "#survivors th:nth-child(2) .sort")
    names = column(report, 2)
    assert names == sorted(names, key=str.casefold)
    press(report, "#survivors th:nth-child(1) .sort")
    assert column(report, 1) == ranked


def test_the_ranking_filters_by_elements_and_by_what_was_computed(report: Any) -> None:
    names = column(report, 2)
    everything = len(names)
    words = report.find_element(By.ID, "filter")
    # Which compounds survive the funnel changes as the shipped table grows: take what the first one is made of.
    one, other = re.findall("[A-Z][a-z]?", names[0])[-2:]
    words.send_keys(f"{one} {other}")
    shown = column(report, 2)
    assert shown == [name for name in names if {one, other} <= set(re.findall("[A-Z][a-z]?", name))]
    assert report.find_element(By.ID, "shown").text == f"{len(shown)} of {everything} shown"
    words.clear()
    words.send_keys(" ")
    press(report, "#only-computed")
    assert len(column(report, 2)) == 4
    press(report, "#only-computed")
    assert len(column(report, 2)) == everything


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("Cs2AgBiBr6", "AgBiCs2Br6: "), ("AgBiCs2Br6", " eV, "), ("Li2NaKO6", "is not in this space"), ("x", "type a")],
)
def test_a_compound_of_the_space_is_looked_up(report: Any, typed: str, answer: str) -> None:
    lookup = report.find_element(By.ID, "lookup")
    lookup.clear()
    lookup.send_keys(typed)
    assert answer in report.find_element(By.ID, "answer").text


def test_the_page_fits_a_telephone(report: Any) -> None:
    assert too_wide(report) == []
