"""Where a compound stands among those that were analysed: its family, and those most like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .descriptor import FamilyDataError, both_orders, build_descriptor, canonical_levels
from .reduction import reduce_dimensions
from .settings import FamilySettings
from .statistics import reference_gap

__all__ = ["Placement", "place"]


@dataclass(frozen=True)
class Placement:
    """The family of a compound and its nearest neighbours.

    Attributes
    ----------
    family, cluster
        Of the cluster whose centre is nearest in the principal components.
    in_family_order
        Whether A and B of the compound's canonical formula are A and B of the family's sentence; else they are
        exchanged there.
    neighbours
        The nearest compounds, without the compound itself: formula, distance (Euclidean, in the descriptor), exchanged
        (whether its B is like the compound's A), gap_ev (reference where known, else predicted), known.
    """

    family: int
    cluster: int
    in_family_order: bool
    neighbours: pd.DataFrame


def place(
    compound: pd.DataFrame,
    levels: pd.DataFrame,
    members: pd.DataFrame,
    settings: FamilySettings,
    n_neighbours: int = 5,
) -> Placement:
    """Find family and nearest neighbours of a compound.

    Parameters
    ----------
    compound
        Levels frame of one row.
    levels
        Levels frame of the compounds that were analysed, by the same network.
    members
        `FamilyAnalysis.members` of that analysis.
    settings
        Those of that analysis.
    n_neighbours
        How many neighbours are wanted.

    Raises
    ------
    FamilyDataError
        If a table lacks columns, or levels and members are not of the same compounds.
    """
    stacked = both_orders(canonical_levels(levels))
    if stacked["formula"].tolist() != members["formula"].tolist():
        raise FamilyDataError("The table of levels and that of the members are not of the same compounds.")
    descriptor = build_descriptor(stacked, settings.layers)
    own = build_descriptor(canonical_levels(compound), settings.layers).values
    score = reduce_dimensions(descriptor, settings.components, settings.standardise).project(own)[0]
    axes = [f"pc{number}" for number in range(1, len(score) + 1)]
    centres = members.groupby("cluster")[axes].mean()
    nearest = int(((centres - score) ** 2).sum(axis=1).idxmin())
    row = members[members["cluster"] == nearest].iloc[0]

    targets = stacked.get("target_ev", pd.Series(np.nan, index=stacked.index))
    table = pd.DataFrame(
        {
            "formula": stacked["formula"],
            "distance": np.linalg.norm(descriptor.values - own, axis=1),
            "exchanged": stacked["order"] == "BA",
            "gap_ev": reference_gap(stacked),
            "known": targets.notna(),
        }
    )
    others = table[table["formula"] != compound["formula"].iloc[0]]
    closest = others.sort_values("distance", kind="stable").drop_duplicates("formula").head(n_neighbours)
    return Placement(int(row["family"]), nearest, bool(row["in_family_order"]), closest.reset_index(drop=True))
