"""The table of results: which of several numbers stands in it."""

from __future__ import annotations

from typing import Any

from aiida_perovskite.report.contents import Candidate, Record, Relaxed, Source
from aiida_perovskite.report.graph import numbers
from aiida_perovskite.report.results import masses_by_direction, rise


def record(content: dict[str, Any]) -> Record:
    """Return what the report knows of a Dict node."""
    origin = Source("uuid", 1, "Dict", "label")
    return Record(origin, content, numbers(content, origin))


def test_of_bands_that_meet_at_the_edge_the_heaviest_has_the_mass_of_its_direction() -> None:
    found = [("G-L", -0.57), ("G-L", -0.41), ("G-X", -0.26), ("G-X", -7.7), ("G-K", -0.3), ("G-K", None)]
    rows = [{"carrier": "hole", "direction": direction, "mass": mass, "limit": ""} for direction, mass in found]
    item = Candidate("AgInCs2Br6", step=None, masses=record({"rows": rows}))
    chosen = {one.direction: one.mass and one.mass.value for one in masses_by_direction(item, "hole")}
    assert chosen == {"G-L": -0.57, "G-X": -7.7, "G-K": None}
    assert masses_by_direction(item, "electron") == []


def test_a_relaxed_structure_that_lies_higher_is_told_and_one_without_energy_is_not() -> None:
    before, after = ({"energy_ev_per_atom": energy} for energy in (-2.774, -2.768))
    item = Candidate(
        "AgInCs2Br6", step=None, stability=record(before), relaxed=Relaxed(structure=None, stability=record(after))
    )
    assert round(rise(item) or 0.0, 6) == 6.0
    assert rise(Candidate("AgInCs2Br6", step=None, stability=record(before))) is None
