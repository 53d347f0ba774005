"""The whole analysis: from levels to families with sentences, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .claims import find_claims
from .classes import HALIDE_KINDS, anion_kind, describe_elements
from .clustering import Progress, Scan, scan_clusters
from .descriptor import (
    FamilyDataError,
    both_orders,
    build_descriptor,
    canonical_levels,
    numeric_descriptor,
)
from .mirrors import Family, find_families, orient
from .reduction import Reduction, reduce_dimensions
from .sentences import NOT_DISTINGUISHABLE, describe_family
from .settings import FamilySettings
from .stability import measure_stability, summarise_stability
from .statistics import element_table, family_table, reference_gap

__all__ = ["FamilyAnalysis", "FamilyDescription", "TableClusters", "analyse", "cluster_table", "describe_families"]

Ints = NDArray[np.int64]

_CIRCULAR = (
    "Attention and weights are what the clusters were made from, so they differ between families by construction; "
    "elements and gaps were not, and their differences are findings."
)


@dataclass(frozen=True)
class FamilyDescription:
    """What can be said about families, given the cluster of each row.

    Attributes
    ----------
    found
        The families.
    family, oriented
        Of each row: its family, and the row that says the same in the family's order.
    families
        One row per family, see `statistics.family_table`, with its sentence.
    elements
        See `statistics.element_table`.
    claims
        See `claims.find_claims`.
    """

    found: list[Family]
    family: Ints
    oriented: Ints
    families: pd.DataFrame
    elements: pd.DataFrame
    claims: pd.DataFrame


@dataclass(frozen=True)
class FamilyAnalysis:
    """Families of compounds, with everything that they rest on.

    Attributes
    ----------
    members
        One row per compound and order of A and B: formula, order ('AB' or 'BA'), a to d, pc1 ..., cluster, family,
        in_family_order (whether A and B are meant as in this row where the family's statistics speak of them),
        silhouette, gap_ev (reference where known, else predicted).
    scan
        k, silhouette, inertia, gap_statistic, gap_statistic_std, chosen.
    families, elements, claims
        See `FamilyDescription`.
    components
        component, explained_variance, one column of loadings per column of the descriptor.
    stability
        kind ('seed', 'bootstrap', 'member'), run, k, ari.
    summary
        Plain values: n_compounds, n_rows, n_clusters, n_families (mirror pairs counted once), k_by_rule,
        silhouette, explained_variance, confirmed_share, n_distinguishable, member (whose levels these are), stability
        (see `stability.summarise_stability`), settings, notes.
    """

    members: pd.DataFrame
    scan: pd.DataFrame
    families: pd.DataFrame
    elements: pd.DataFrame
    claims: pd.DataFrame
    components: pd.DataFrame
    stability: pd.DataFrame
    summary: dict[str, Any]


@dataclass(frozen=True)
class TableClusters:
    """Clusters of the rows of any table.

    Attributes
    ----------
    rows
        The labels, pc1 ..., cluster (from 1, the largest first), silhouette.
    scan, components, stability
        As in `FamilyAnalysis`; there are no members.
    summary
        n_rows, n_clusters, k_by_rule, silhouette, explained_variance, stability, settings, notes.
    """

    rows: pd.DataFrame
    scan: pd.DataFrame
    components: pd.DataFrame
    stability: pd.DataFrame
    summary: dict[str, Any]


def analyse(
    levels_by_member: Mapping[str, pd.DataFrame],
    settings: FamilySettings | None = None,
    *,
    progress: Progress | None = None,
) -> FamilyAnalysis:
    """Find families of compounds by what a level network attends to.

    Every compound stands in both orders of A and B, as in the thesis, so that clusters come in mirror pairs.

    Parameters
    ----------
    levels_by_member
        Name of a network -> its levels frame. The first one is analysed; the others, of the same compounds, say how
        stable its clusters are.
    settings
        Defaults to `FamilySettings()`.
    progress
        Called with lines of text.

    Raises
    ------
    FamilyDataError
        If a table lacks columns, holds values that are not numbers, lists a compound twice, has too few compounds for
        the clusters, or does not vary; or the networks' tables are of different compounds.
    CompositionError
        If a table names what is no element.
    """
    settings = settings or FamilySettings()
    tables = _same_compounds(levels_by_member)
    first, levels = next(iter(tables.items()))
    stacked = {name: both_orders(table) for name, table in tables.items()}
    descriptors = {name: build_descriptor(table, settings.layers) for name, table in stacked.items()}
    reduction = reduce_dimensions(descriptors[first], settings.components, settings.standardise)
    scan = scan_clusters(reduction.scores, settings, progress)
    clusters = scan.clusterings[scan.k].labels + 1
    if progress is not None:
        progress(f"{scan.k} clusters by the {settings.rule}; relabelling {settings.permutations} times")
    description = describe_families(levels, clusters, settings)
    stability = measure_stability(
        descriptors[first],
        reduction,
        scan,
        settings,
        copies=2,
        others={name: descriptor for name, descriptor in descriptors.items() if name != first},
        progress=progress,
    )
    summary = {
        "member": first,
        "n_compounds": len(levels),
        **_summary(reduction, scan, stability, settings),
        **_family_summary(description),
    }
    summary["notes"] = _scan_notes(scan, settings) + _family_notes(levels)
    return FamilyAnalysis(
        members=_members(stacked[first], reduction, scan, description),
        scan=scan.frame,
        families=description.families,
        elements=description.elements,
        claims=description.claims,
        components=reduction.frame(),
        stability=stability,
        summary=summary,
    )


def _same_compounds(levels_by_member: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    tables = {name: canonical_levels(levels) for name, levels in levels_by_member.items()}
    if not tables:
        raise FamilyDataError("There are no levels to analyse: give the table of at least one network.")
    first, *others = tables
    for name in others:
        if tables[name]["formula"].tolist() != tables[first]["formula"].tolist():
            raise FamilyDataError(f"The tables of {first} and {name} are not of the same compounds: predict one list.")
    return tables


def describe_families(levels: pd.DataFrame, clusters: Ints, settings: FamilySettings) -> FamilyDescription:
    """Pair clusters by the mirror and describe each family.

    Parameters
    ----------
    levels
        Levels frame as `canonical_levels` returns it, N rows.
    clusters
        Clusters of the 2 N rows of `both_orders(levels)`, numbered from 1.
    settings
        What may be claimed.
    """
    both = both_orders(levels.join(describe_elements(levels)))
    found = find_families(both, clusters)
    family, oriented = orient(found, clusters)
    rows = both.iloc[oriented].reset_index(drop=True)
    claims = find_claims(both, family, oriented, found, settings)
    families = family_table(rows, family, found, settings.zero_gap_ev)
    sentences = [
        describe_family(row, claims[claims["family"] == row["family"]], settings)
        for row in families.to_dict(orient="records")
    ]
    families.insert(4, "sentence", sentences)
    return FamilyDescription(found, family, oriented, families, element_table(rows, family), claims)


def cluster_table(
    frame: pd.DataFrame,
    settings: FamilySettings | None = None,
    *,
    labels: Sequence[str] = ("formula",),
    progress: Progress | None = None,
) -> TableClusters:
    """Reduce and cluster any table of numbers: principal components, k-means for every k, stability.

    Parameters
    ----------
    frame
        One row per sample; all columns but `labels` are the descriptor. Where their units differ, set
        `FamilySettings.standardise`.
    settings
        Defaults to `FamilySettings()`; what concerns families is not used.
    labels
        Columns that only name the samples; those that the table lacks are ignored.
    progress
        Called with lines of text.

    Raises
    ------
    FamilyDataError
        If a column holds anything but finite numbers, a row occurs twice, no column varies, or there are not more
        distinct rows than clusters.
    """
    settings = settings or FamilySettings()
    descriptor = numeric_descriptor(frame, labels)
    reduction = reduce_dimensions(descriptor, settings.components, settings.standardise)
    scan = scan_clusters(reduction.scores, settings, progress)
    stability = measure_stability(descriptor, reduction, scan, settings, progress=progress)
    summary = _summary(reduction, scan, stability, settings) | {"notes": _scan_notes(scan, settings)}
    named = frame[[name for name in labels if name in frame.columns]].reset_index(drop=True)
    return TableClusters(named.join(_placed(reduction, scan)), scan.frame, reduction.frame(), stability, summary)


def _placed(reduction: Reduction, scan: Scan) -> pd.DataFrame:
    """Return components, cluster and silhouette of each row."""
    scores = {f"pc{number}": column for number, column in enumerate(reduction.scores.T, start=1)}
    return pd.DataFrame(
        scores | {"cluster": scan.clusterings[scan.k].labels + 1, "silhouette": scan.silhouettes[scan.k]}
    )


def _members(both: pd.DataFrame, reduction: Reduction, scan: Scan, description: FamilyDescription) -> pd.DataFrame:
    members = both[["formula", "order", "a", "b", "c", "d"]].join(_placed(reduction, scan))
    members["family"] = description.family
    members["in_family_order"] = description.oriented == np.arange(len(both))
    members["gap_ev"] = reference_gap(both)
    return members


def _summary(reduction: Reduction, scan: Scan, stability: pd.DataFrame, settings: FamilySettings) -> dict[str, Any]:
    return {
        "n_rows": len(reduction.scores),
        "n_clusters": scan.k,
        "k_by_rule": dict(scan.choices),
        "silhouette": float(scan.silhouettes[scan.k].mean()),
        "explained_variance": [float(share) for share in reduction.explained_variance_ratio],
        "stability": summarise_stability(stability, scan.k),
        "settings": settings.to_dict(),
    }


def _family_summary(description: FamilyDescription) -> dict[str, Any]:
    sizes = np.bincount(description.family)[1:]
    confirmed = [family.confirmed_share for family in description.found]
    distinct = ~description.families["sentence"].str.startswith(NOT_DISTINGUISHABLE)
    return {
        "n_families": len(description.found),
        "confirmed_share": float(np.average(confirmed, weights=sizes)),
        "n_distinguishable": int(distinct.sum()),
    }


def _scan_notes(scan: Scan, settings: FamilySettings) -> list[str]:
    notes = []
    if scan.choices["gap_statistic"] == 1:
        notes.append("The gap statistic finds no clusters: one cluster describes the rows as well as several.")
    if scan.k in (settings.k_min, settings.k_max) and settings.k_min < settings.k_max:
        notes.append(
            f"The chosen k = {scan.k} lies at an end of the range tried, {settings.k_min} to {settings.k_max}."
        )
    return notes


def _family_notes(levels: pd.DataFrame) -> list[str]:
    notes = [_CIRCULAR]
    kinds = {anion_kind(symbol) for symbol in levels["d"]}
    if len(kinds) == 1:
        notes.append(f"All compounds are {kinds.pop()}, so that anions cannot tell families apart.")
    elif kinds <= set(HALIDE_KINDS.values()):
        notes.append("All compounds are halides: families can differ in their halogen only.")
    return notes
