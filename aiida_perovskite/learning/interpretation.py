"""From a trained level model to families and their agreement with gradients: what the command `families` does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .checkpoint import atomic_path, write_json
from .families.agreement import Agreement, measure_agreement
from .families.analysis import FamilyAnalysis, analyse
from .families.descriptor import FamilyDataError, canonical_levels
from .families.settings import FamilySettings
from .levels.attribution import integrated_gradients
from .levels.model import LevelModel, levels_frame
from .levels.network import LevelNetwork
from .training import Progress

__all__ = ["Interpretation", "interpret_levels", "levels_of_members", "members_of_levels"]

TABLES = ("members", "scan", "families", "elements", "claims", "components", "stability")


@dataclass(frozen=True)
class Interpretation:
    """Families of compounds, and whether the attention that made them agrees with gradients.

    Attributes
    ----------
    analysis
        Of the first network; the others say how stable its clusters are.
    agreement
        Of the first network's attention with its integrated gradients.
    completeness_ev
        Largest deviation of a sum of attributions from the difference of gaps that it stands for.
    steps
        Points of the rule by which gradients were integrated.
    """

    analysis: FamilyAnalysis
    agreement: Agreement
    completeness_ev: float
    steps: int

    def save(self, folder: Path) -> None:
        """Write each table as CSV (the agreement by compound as attributions), summary.json and agreement.json."""
        tables = {name: getattr(self.analysis, name) for name in TABLES} | {"attributions": self.agreement.frame}
        for name, frame in tables.items():
            with atomic_path(folder / f"{name}.csv") as temporary:
                frame.to_csv(temporary, index=False)
        write_json(folder / "agreement.json", self.score)
        write_json(folder / "summary.json", self.analysis.summary)

    @property
    def score(self) -> dict[str, Any]:
        """The agreement in numbers."""
        return {**self.agreement.score, "completeness_ev": self.completeness_ev, "steps": self.steps}


def levels_of_members(model: LevelModel, formulas: Iterable[str]) -> pd.DataFrame:
    """Return the levels frames of all networks, one below the other, with the column ``member`` in front.

    Numbers have the single precision in which the networks compute.

    Raises
    ------
    UnseenElementError
        If a compound holds an element that training never saw.
    """
    names = list(formulas)
    frames = [levels_frame(network_alone(model, member), names, 0) for member in range(model.n_members)]
    joined = pd.concat(frames, keys=range(model.n_members), names=["member"]).reset_index("member")
    computed = joined.columns[joined.dtypes == "float64"].drop("target_ev")
    return joined.astype(dict.fromkeys(computed, "float32")).reset_index(drop=True)


def network_alone(model: LevelModel, member: int) -> LevelModel:
    """Return a model with one of the networks only: asking it costs a share of what asking all of them does."""
    network = model.network
    weights = {name: weight[member : member + 1] for name, weight in network.named_parameters()}
    shared = dict(network.named_buffers())
    features = shared["features"].numpy() if model.settings.element_features else None
    reference = np.full((len(model.elements), 2), np.nan)  # where the networks have one, it is among what they share
    alone = LevelNetwork(model.settings, len(model.elements), [0], features, reference)
    alone.load_state_dict(weights | shared)
    return replace(model, network=alone.eval().requires_grad_(False))


def members_of_levels(levels: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return name of a network -> its levels frame, in canonical order, from what `levels_of_members` gives.

    Raises
    ------
    FamilyDataError
        If columns are missing or a compound is listed twice.
    """
    if "member" not in levels.columns:
        raise FamilyDataError("The table of levels lacks the column member: make it with a level model.")
    return {
        f"member-{member}": canonical_levels(own.drop(columns="member").reset_index(drop=True))
        for member, own in levels.groupby("member", sort=True)
    }


def interpret_levels(
    model: LevelModel,
    levels: pd.DataFrame,
    settings: FamilySettings | None = None,
    *,
    attribution_steps: int = 32,
    progress: Progress | None = None,
) -> Interpretation:
    """Find families, and hold the attention of the first network against its integrated gradients.

    Parameters
    ----------
    model
        The networks.
    levels
        What they say about the compounds, as `levels_of_members` gives it.
    settings
        Defaults to `FamilySettings()`.
    attribution_steps
        Points of the rule by which gradients are integrated.
    progress
        Called with lines of text.

    Raises
    ------
    FamilyDataError
        If the levels will not do, see `families.analyse`.
    """
    settings = settings or FamilySettings()
    frames = members_of_levels(levels)
    analysis = analyse(frames, settings, progress=progress)
    first, own = next(iter(frames.items()))
    if progress is not None:
        progress(f"integrated gradients of {len(own)} compounds, {attribution_steps} steps")
    alone = network_alone(model, int(first.removeprefix("member-")))
    sites = alone.site_numbers(own["formula"])
    attributions, completeness = integrated_gradients(alone.network, sites, 0, attribution_steps)
    return Interpretation(analysis, measure_agreement(own, attributions, settings), completeness, attribution_steps)
