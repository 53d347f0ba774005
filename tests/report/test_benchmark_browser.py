"""The report of a benchmark of generators as a reader meets it, in headless Chromium without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report.browser import By, WebDriverWait, assert_no_complaints, in_view, too_wide

SECONDS = 60


@pytest.fixture(scope="module")
def report(chromium: Any, benchmark_folder: Path) -> Any:
    chromium.get((benchmark_folder / "report.html").as_uri())
    return chromium


def test_every_figure_is_drawn_and_nothing_is_complained_of(report: Any) -> None:
    places = report.find_elements(By.CSS_SELECTOR, ".plot")
    assert len(places) == 12
    for place in places:
        in_view(report, place)
        WebDriverWait(report, SECONDS).until(
            lambda _, place=place: place.find_elements(By.CSS_SELECTOR, "svg.main-svg")
        )
    assert_no_complaints(report)
    assert "generators of compositions" in report.title


def test_a_menu_changes_the_lower_row_and_leaves_the_upper(report: Any) -> None:
    place = in_view(report, report.find_element(By.CSS_SELECTOR, '[data-plot="elements/4/"]'))
    WebDriverWait(report, SECONDS).until(lambda _: place.find_elements(By.CSS_SELECTOR, "svg.main-svg"))
    menu = report.find_element(By.CSS_SELECTOR, 'select[data-layers="elements/4/"]')
    for value in ("2", "0"):
        report.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", menu, value
        )
        shown = report.execute_script(
            "return arguments[0].data.filter(({ visible }) => visible !== false).map(({ meta }) => meta ?? null)", place
        )
        assert sorted(shown, key=str) == [int(value)] * 8 + [None] * 8


def test_nothing_is_fetched_and_the_page_fits_a_telephone(report: Any) -> None:
    fetched = report.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in fetched if not name.startswith(("data:", "blob:"))] == []
    assert too_wide(report) == []
