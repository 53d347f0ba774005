"""The funnel: which predicted compounds go on to be computed, and how many each rule leaves."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

DROPPED = ["formula", "rule", "reason"]
"""Columns of what leaves the funnel."""


@dataclass(frozen=True)
class SelectionSettings:
    """Rules of the funnel, applied in this order; a rule that is None or False is left out, but for the window.

    Attributes
    ----------
    window_ev
        Lowest and highest predicted gap, eV. Never left out, because it ranks and judges as well; [0, 99] keeps all.
    exclude_elements
        No compound may hold one of these (the toxic set).
    charge_balanced
        Keep only compounds with a neutral assignment of common oxidation states.
    bartel_factor_max
        Keep only compounds whose Bartel factor tau is defined and below this (4.18 for perovskites).
    in_domain
        Keep only compounds each of whose elements was seen in training on that site.
    closed_shell
        Keep only compounds whose ions are closed-shell in their likeliest charges. A model that saw an element as a
        closed-shell ion (Cu+) knows nothing of its open-shell one (Cu2+).
    exclude_known
        Drop compounds that the given tables already hold.
    n_candidates
        How many of the best go on to be computed.
    """

    window_ev: tuple[float, float]
    exclude_elements: tuple[str, ...]
    charge_balanced: bool
    bartel_factor_max: float | None
    in_domain: bool
    closed_shell: bool
    exclude_known: bool
    n_candidates: int

    def __post_init__(self) -> None:
        window = self.window_ev
        if window is None or len(window) != 2 or not 0 <= window[0] < window[1]:
            raise ValueError(f"window_ev must be two rising gaps in eV ([0, 99] keeps all), got {window}")
        if self.n_candidates < 0:
            raise ValueError(f"n_candidates must not be negative, got {self.n_candidates}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SelectionSettings:
        """Build the settings from plain values; an unknown or missing name is a ValueError."""
        known = {field.name for field in fields(cls)}
        if set(values) != known:
            raise ValueError(
                f"selection settings: unknown {sorted(set(values) - known)}, missing {sorted(known - set(values))}"
            )
        plain = dict(values)
        plain["window_ev"] = plain["window_ev"] and tuple(plain["window_ev"])
        plain["exclude_elements"] = tuple(sorted(plain["exclude_elements"]))
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def select(
    table: pd.DataFrame, settings: SelectionSettings, known: Set[str]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Apply the rules and rank the survivors by their probability of lying in the window.

    Parameters
    ----------
    table
        One row per compound with ``formula``, ``a`` to ``d``, ``gap_ev``, ``probability_in_window``, ``in_domain``,
        ``charge_balanced``, ``open_shell`` and ``bartel_factor``.
    settings
        The rules.
    known
        Formulas that need no calculation.

    Returns
    -------
    survivors
        The rows that passed, best first, with ``rank`` (from 1) and ``chosen`` (the first ``n_candidates``). Equal
        probabilities are ordered by formula, so that the order never depends on that of the input.
    stages
        One dict per stage: ``name``, ``label``, ``count``.
    """
    passed = np.ones(len(table), dtype=bool)
    stages: list[dict[str, Any]] = [{"name": "space", "label": "compositions predicted", "count": len(table)}]
    for name, label, rule in _rules(table, settings, known):
        passed &= rule
        stages.append({"name": name, "label": label, "count": int(passed.sum())})

    survivors = table[passed].sort_values(["probability_in_window", "formula"], ascending=[False, True])
    survivors = survivors.reset_index(drop=True)
    survivors.insert(0, "rank", np.arange(1, len(survivors) + 1))
    survivors["chosen"] = survivors["rank"] <= settings.n_candidates
    stages.append({"name": "chosen", "label": "sent to be computed", "count": int(survivors["chosen"].sum())})
    return survivors, stages


def dropped(table: pd.DataFrame, settings: SelectionSettings, known: Set[str]) -> pd.DataFrame:
    """Say of each compound that `select` leaves out which rules it does not meet.

    Returns
    -------
    pandas.DataFrame
        One row per compound and rule: ``formula``, ``rule`` (the stage's name), ``reason`` (in words); in the
        order of the input.
    """
    import pandas as pd

    failed = [
        (row, name, f'the rule "{label}" is not met')
        for name, label, rule in _rules(table, settings, known)
        for row in np.flatnonzero(~rule)
    ]
    failed.sort(key=lambda item: item[0])
    formulas = table["formula"].tolist()
    return pd.DataFrame(
        [(formulas[row], name, reason) for row, name, reason in failed],
        columns=DROPPED,
        dtype=str,
    )


def _rules(
    table: pd.DataFrame, settings: SelectionSettings, known: Set[str]
) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Return name, words and outcome for each row of the rules that are not left out, in their order."""
    low, high = settings.window_ev
    sites = table[["a", "b", "c", "d"]]
    rules: list[tuple[str, str, Any]] = [
        ("window", f"predicted gap in {low:g}-{high:g} eV", table["gap_ev"].between(low, high)),
    ]
    if settings.exclude_elements:
        excluded = sites.isin(settings.exclude_elements).any(axis=1)
        rules.append(("elements", f"without {', '.join(settings.exclude_elements)}", ~excluded))
    if settings.charge_balanced:
        rules.append(("charge", "charge-balanced", table["charge_balanced"]))
    if settings.bartel_factor_max is not None:
        limit = settings.bartel_factor_max
        rules.append(("bartel", f"Bartel factor below {limit:g}", table["bartel_factor"] < limit))
    if settings.in_domain:
        rules.append(("domain", "every element seen in training on its site", table["in_domain"]))
    if settings.closed_shell:
        rules.append(("shell", "closed-shell ions only", ~table["open_shell"].astype(bool)))
    if settings.exclude_known:
        rules.append(("known", "not in the known tables", ~table["formula"].isin(known)))
    return [(name, label, rule.to_numpy(dtype=bool)) for name, label, rule in rules]
