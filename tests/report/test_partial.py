"""A page never breaks on what a campaign does not have: it says so."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

REFERENCE = "AgBiCs2Br6"


@pytest.fixture(scope="module")
def collected(campaign: Any) -> Any:
    from aiida_perovskite.report.collect import collect_campaign

    return collect_campaign(campaign)


def rendered(collected: Any, **parts: Any) -> str:
    """Return the card of the reference with other parts, as the page has it."""
    from aiida_perovskite.report.render import render

    item = replace(collected.candidates[-1], **parts)
    page = render(replace(collected, candidates=(*collected.candidates[:-1], item)))
    return page.partition(f'<article class="candidate" id="{REFERENCE}">')[2].partition("</article>")[0]


def hollow(part: Any) -> Any:
    """Return the same part as if its node held nothing."""
    if hasattr(part, "numbers"):
        return replace(part, content={}, numbers={})
    if hasattr(part, "columns"):
        return replace(part, columns={})
    return replace(
        part, **{item.name: hollow(getattr(part, item.name)) for item in fields(part) if item.name != "structure"}
    )


def test_references_are_shown_and_not_counted(collected: Any) -> None:
    assert [item.formula for item in collected.candidates if item.reference] == [REFERENCE]
    assert {name: number.value for name, number in collected.counts.items() if name != "ranked"} == {
        "chosen": 4,
        "computed": 3,
        "in_window": 2,
        "failed": 1,
        "stable": 1,
        "metastable": 1,
    }
    assert "Computed to compare with" in rendered(collected)


def test_nodes_that_hold_nothing_leave_dashes(collected: Any) -> None:
    names = ("stability", "absorption", "optics", "efficiency", "efficiency_curves", "masses", "densities", "relaxed")
    card = rendered(collected, **{name: hollow(getattr(collected.candidates[-1], name)) for name in names})
    assert "No direction was fitted." in card
    assert '<span class="none">–</span>' in card
    assert "absorption-" not in card


def test_a_compound_that_gives_no_power_has_no_curve_of_it(collected: Any) -> None:
    curves = collected.candidates[-1].efficiency_curves
    names = ("power_density_w_per_m2", "slme_percent")
    dark = {
        name: replace(curves.columns[name], values=np.full_like(curves.columns[name].values, np.nan)) for name in names
    }
    card = rendered(collected, efficiency_curves=replace(curves, columns={**curves.columns, **dark}))
    assert "current-" not in card
    assert "absorption-" in card


def test_what_is_not_there_is_named(collected: Any) -> None:
    names = ("stability", "absorption", "efficiency", "masses", "band_structure", "densities", "relaxed")
    card = rendered(collected, verdict=None, optics=None, efficiency_curves=None, **dict.fromkeys(names))
    assert "Not part of what was computed: bands along a path, densities of states, the decomposition enthalpy" in card
    running = replace(collected.candidates[-1].step, state="running")
    assert "Not there yet: effective masses." in rendered(collected, verdict=None, masses=None, step=running)


def test_an_enthalpy_that_could_not_be_had_gives_its_reason(collected: Any) -> None:
    stability = collected.candidates[-1].stability
    hull = {"mev_per_atom": None, "reaction": "", "verdict": None, "limit": "no energy of BiBr3 <b>"}
    numbers = {name: number for name, number in stability.numbers.items() if not name.startswith("hull")}
    card = rendered(
        collected, stability=replace(stability, content={**stability.content, "hull": hull}, numbers=numbers)
    )
    assert "no energy of BiBr3 &lt;b&gt;" in card


def test_names_at_the_ends_of_lines_keep_their_distance() -> None:
    from aiida_perovskite.report.figures_results import spread

    heights = [20.0, 20.0, 0.0, 30.0, 19.9, 0.0]
    places = np.array(spread(heights, top=31.8, large=False))
    assert np.diff(np.sort(places)).min() > 1.4
    assert places.min() >= 0
    assert places.max() <= 31.8
    assert (np.argsort(places) == np.argsort(heights, kind="stable")).all()


def test_names_of_points_cover_neither_points_nor_each_other() -> None:
    from aiida_perovskite.report.figures_results import LARGE, NAME, point_names

    points = np.random.default_rng(5).uniform((0.9, -50), (1.6, 60), (28, 2))
    ranges = [[0.8, 1.7], [-100.0, 350.0]]
    notes = point_names([str(number) for number in range(28)], points, np.empty((0, 2)), ranges)
    low, high = np.array(ranges).T
    centres = (points - low) / (high - low) * np.array(LARGE) + [(note["ax"], -note["ay"]) for note in notes]
    apart = np.abs(centres[:, None] - centres[None]) >= np.array(NAME) - 0.5
    np.fill_diagonal(apart[..., 0], True)
    assert apart.any(axis=-1).all()
