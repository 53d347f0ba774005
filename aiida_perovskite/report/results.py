"""The table of results: one row per computed compound, with the columns of tables 5.2 and 5.3 of the thesis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiida_perovskite.report.contents import CampaignReport, Candidate, Number, Record, Relaxed

if TYPE_CHECKING:
    import pandas as pd

N_MASSES = 2  # directions per carrier that the table has room for; the card has them all
CARRIERS = ("hole", "electron")

# Part of a candidate, and of its relaxed form -> column of the table -> key in the node of that part.
QUANTITIES = (
    ("stability", "decomposition_enthalpy_mev_per_atom", "binary.mev_per_atom"),
    ("stability", "hull_decomposition_enthalpy_mev_per_atom", "hull.mev_per_atom"),
    ("stability", "energy_ev_per_atom", "energy_ev_per_atom"),
    ("gap", "gap_ev", "gap_hse06_soc_ev"),
    ("optics", "absorption_onset_ev", "direct_allowed_gap_ev"),
    ("efficiency", "slme_percent", "slme_percent"),
)


@dataclass(frozen=True)
class Mass:
    """An effective mass along one direction; without a number ``limit`` says why."""

    carrier: str
    direction: str
    limit: str
    mass: Number | None
    r_squared: Number | None
    window_per_angstrom: Number | None
    multiplicity: Number | None


@dataclass(frozen=True)
class Comparison:
    """A quantity before and after the relaxation without symmetry constraint."""

    name: str
    unit: str
    form: str
    before: Number | None
    after: Number | None


def pick(record: Record | None, key: str) -> Number | None:
    """Return a number of a record; None where either is missing."""
    return record.numbers.get(key) if record else None


def doubtful(candidate: Candidate) -> bool:
    """Tell whether the gap comes from a hybrid step that began with the orbitals of a metal."""
    gap = candidate.gap.content if candidate.gap else {}
    return bool(gap.get("pbe_gapless")) and not gap.get("hybrid_self_consistent")


def masses(candidate: Candidate, carrier: str = "") -> list[Mass]:
    """Return the effective masses of a candidate in the order of its node, of one carrier or of both."""
    record = candidate.masses
    rows = (record.content.get("rows") or []) if record else []
    names = ("mass", "r_squared", "window_per_angstrom", "multiplicity")
    return [
        Mass(
            str(row.get("carrier") or ""),
            str(row.get("direction") or ""),
            str(row.get("limit") or ""),
            *(pick(record, f"rows.{index}.{name}") for name in names),
        )
        for index, row in enumerate(rows)
        if not carrier or row.get("carrier") == carrier
    ]


def masses_by_direction(candidate: Candidate, carrier: str) -> list[Mass]:
    """Return one mass for each direction, as the thesis prints them: that of the heaviest band at the edge.

    A band that is too flat to have a mass is heavier than any other.
    """
    found: dict[str, Mass] = {}
    for one in masses(candidate, carrier):
        if one.direction not in found or _weight(one) > _weight(found[one.direction]):
            found[one.direction] = one
    return list(found.values())


def _weight(mass: Mass) -> float:
    value = _value(mass.mass)
    return math.inf if value is None else abs(value)


def space_group(record: Record | None) -> str:
    """Return the symbol of the space group that a geometry has; nothing where it does not say."""
    return str((record.content.get("space_group") or "") if record else "")


def rise(candidate: Candidate) -> float | None:
    """Return how far the relaxed structure lies above the symmetric one, meV/atom, in the energy of the enthalpies."""
    after = candidate.relaxed or Relaxed()
    pair = [_value(pick(one.stability, "energy_ev_per_atom")) for one in (candidate, after)]
    return None if None in pair else 1000 * (pair[1] - pair[0])  # type: ignore[operator]


def comparisons(candidate: Candidate) -> list[Comparison]:
    """Return the quantities that were computed both for the symmetric and for the relaxed structure."""
    after = candidate.relaxed or Relaxed()
    names = {
        "gap_ev": ("gap", "eV", ".2f"),
        "absorption_onset_ev": ("onset (direct allowed gap)", "eV", ".2f"),
        "slme_percent": ("SLME", "%", ".1f"),
        "decomposition_enthalpy_mev_per_atom": ("decomposition enthalpy, stated reaction", "meV/atom", "+.0f"),
        "hull_decomposition_enthalpy_mev_per_atom": ("decomposition enthalpy, most favourable", "meV/atom", "+.0f"),
        "energy_ev_per_atom": ("energy that the enthalpies are of", "eV/atom", ".3f"),
    }
    keys = {column: (part, key) for part, column, key in QUANTITIES}
    found = []
    for column, labels in names.items():
        part, key = keys[column]
        pair = [pick(getattr(one, part), key) for one in (candidate, after)]
        if any(pair):
            found.append(Comparison(*labels, *pair))
    return found


def rows(report: CampaignReport) -> list[Candidate]:
    """Return the candidates that have something to show in the table of results."""
    parts = ("gap", "stability", "optics", "efficiency", "masses", "relaxed")
    return [item for item in report.candidates if any(getattr(item, part) for part in parts)]


def results_frame(report: CampaignReport) -> pd.DataFrame:
    """Return the table to take away: names as in the thesis's tables, then what was found after relaxation."""
    import pandas as pd

    frame = pd.DataFrame([_row(item) for item in rows(report)])
    for name in frame.columns:
        if name.endswith(("ev_per_atom", "_ev", "_percent")) or "_mass_" in name:
            frame[name] = frame[name].astype(float)
    return frame


def _row(item: Candidate) -> dict[str, Any]:
    after = item.relaxed or Relaxed()
    row: dict[str, Any] = {"formula": item.formula, "role": "reference" if item.reference else "candidate"}
    row |= {column: _value(pick(getattr(item, part), key)) for part, column, key in QUANTITIES}
    row["slme_cut_percent"] = _value(pick(item.efficiency, "slme_cut_percent"))
    for carrier in CARRIERS:
        found = masses_by_direction(item, carrier)[:N_MASSES]
        for place in range(N_MASSES):
            one = found[place] if place < len(found) else None
            row[f"{carrier}_mass_{place + 1}"] = _value(one.mass) if one else None
            row[f"{carrier}_direction_{place + 1}"] = one.direction if one else ""
            row[f"{carrier}_limit_{place + 1}"] = one.limit if one else ""
    row["decomposition_reaction"] = str((_part(item.stability, "binary")).get("reaction") or "")
    row["relaxed_spacegroup"] = space_group(after.geometry)
    row |= {f"relaxed_{column}": _value(pick(getattr(after, part), key)) for part, column, key in QUANTITIES}
    records = {part: getattr(item, part) for part in ("stability", "gap", "optics", "efficiency", "masses")}
    return row | {f"{part}_node": record.source.uuid if record else "" for part, record in records.items()}


def _part(record: Record | None, name: str) -> dict[str, Any]:
    content = (record.content.get(name) or {}) if record else {}
    return dict(content)


def _value(number: Number | None) -> float | int | None:
    return number.value if number else None
