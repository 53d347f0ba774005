"""The report of an interpretation as a reader meets it: opened from a file, offline, in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report.browser import By, WebDriverWait, assert_no_complaints, in_view, too_wide

SECONDS = 60


@pytest.fixture(scope="module")
def report(chromium: Any, interpretation: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from aiida_perovskite.report.interpret_write import write_interpretation

    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    write_interpretation(interpretation, path)
    chromium.get(path.as_uri())
    return chromium


def press(report: Any, selector: str) -> None:
    in_view(report, report.find_element(By.CSS_SELECTOR, selector)).click()


def chosen(report: Any, selector: str, value: str) -> None:
    """Choose from a menu as a reader would."""
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
    report.execute_script(script, report.find_element(By.CSS_SELECTOR, selector), value)


def test_one_tab_is_open_and_its_figures_alone_are_drawn(report: Any) -> None:
    panels = report.find_elements(By.CSS_SELECTOR, "[role=tabpanel]")
    assert [panel.is_displayed() for panel in panels] == [False, False, True]
    hidden = report.find_elements(By.CSS_SELECTOR, "#panel-prior-0 .plot")
    assert len(hidden) > 10
    assert report.find_elements(By.CSS_SELECTOR, "#panel-prior-0 svg.main-svg") == []


@pytest.mark.parametrize("tab", ["prior-0", "prior-0-001"])
def test_every_figure_is_drawn_and_nothing_is_complained_of(report: Any, tab: str) -> None:
    press(report, f"#tab-{tab}")
    report.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    places = [place for place in report.find_elements(By.CSS_SELECTOR, ".plot") if place.is_displayed()]
    assert len(places) > 25
    for place in places:
        in_view(report, place)
        WebDriverWait(report, SECONDS).until(
            lambda _, place=place: place.find_elements(By.CSS_SELECTOR, "svg.main-svg, canvas")
        )
    assert_no_complaints(report)


def test_menus_change_what_is_drawn(report: Any) -> None:
    press(report, "#tab-prior-0")
    visible = "return arguments[0].data.filter(({ visible }) => visible !== false).map(({ meta }) => meta ?? null)"
    for name, layers in (("elements/prior-0/", "elements/prior-0/"), ("attention/prior-0/1", "attention/prior-0/")):
        place = in_view(report, report.find_element(By.CSS_SELECTOR, f'[data-plot="{name}"]'))
        WebDriverWait(report, SECONDS).until(
            lambda _, place=place: place.find_elements(By.CSS_SELECTOR, "svg.main-svg")
        )
        for value in ("1", "0"):
            chosen(report, f'select[data-layers="{layers}"]', value)
            assert set(report.execute_script(visible, place)) - {None} == {int(value)}


def test_a_compound_is_found_in_any_spelling(report: Any) -> None:
    lookup = report.find_element(By.ID, "compound-name")
    names = report.execute_script(
        "return JSON.parse(document.querySelector('#report-data').textContent).tables['branches.prior-0.compounds']"
        ".columns.formula"
    )
    a, b, c, d = report.execute_script("return arguments[0].match(/[A-Z][a-z]?/g)", names[0])
    for spelling in (names[0], f"{c}2{b}{a}{d}6"):
        lookup.clear()
        lookup.send_keys(spelling)
        assert report.find_element(By.ID, "compound-answer").text == f"{c}2{a}{b}{d}6"
        cards = [card for card in report.find_elements(By.CSS_SELECTOR, ".compound") if card.is_displayed()]
        assert len(cards) == 2
        for card in cards:
            rows = card.find_elements(By.CSS_SELECTOR, "tbody tr")
            assert [row.text.split()[:2] for row in rows] == [[s, e] for s, e in zip("ABCD", (a, b, c, d), strict=True)]
            assert "Family" in card.find_element(By.CSS_SELECTOR, ".facts").text
            assert card.find_elements(By.CSS_SELECTOR, ".levels-diagram svg.main-svg")


def test_compounds_are_found_by_their_elements(report: Any) -> None:
    lookup = report.find_element(By.ID, "compound-name")
    lookup.clear()
    lookup.send_keys("Ag Br")
    buttons = report.find_elements(By.CSS_SELECTOR, "#matches button")
    assert buttons
    assert all("Ag" in button.text and "Br" in button.text for button in buttons)
    name = buttons[0].text
    report.execute_script("arguments[0].click()", buttons[0])
    assert report.find_element(By.ID, "compound-answer").text == name
    lookup.clear()
    lookup.send_keys("Li2NaKO6")
    assert report.find_element(By.ID, "compound-answer").text == "Li2NaKO6 is not in the table".replace("NaK", "KNa")


def test_tables_become_csv(report: Any) -> None:
    script = """
        const blobs = [];
        const before = URL.createObjectURL;
        URL.createObjectURL = (blob) => { blobs.push(blob); return before(blob); };
        document.querySelector('button[data-table="branches.prior-0.members"]').click();
        URL.createObjectURL = before;
        return blobs[0].text();
    """
    lines = report.execute_script(script).splitlines()
    assert lines[0].startswith("formula,order,a,b,c,d,pc1")
    assert len({line.count(",") for line in lines}) == 1
    assert len(lines) > 100


def test_nothing_is_fetched_and_no_markup_of_a_stranger_runs(report: Any) -> None:
    fetched = report.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in fetched if not name.startswith(("data:", "blob:"))] == []
    assert "broken into" not in report.title
    assert report.find_elements(By.CSS_SELECTOR, "img[src=x]") == []


def test_the_page_fits_a_telephone(report: Any) -> None:
    assert too_wide(report) == []
