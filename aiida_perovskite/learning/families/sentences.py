"""One plain sentence per family, made from its statistics alone.

Only what was found to differ from all compounds (`claims`) is said; a family of which nothing differs is called so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from .classes import HALIDE_KINDS
from .descriptor import SITES, site_columns
from .settings import FamilySettings

__all__ = ["NOT_DISTINGUISHABLE", "describe_family"]

NOT_DISTINGUISHABLE = "Not distinguishable from all compounds"
"""How the sentence of a family begins about which nothing can be said."""

_NONE, _ALL = 0.05, 0.95
"""Shares from which on a sentence says 'without' and 'with' instead of a percentage."""
_DOUBTFUL = 0.9
"""Share of mirrored rows that must confirm a family's clusters, else its sentence says so."""


def describe_family(family: Mapping[Any, Any], claims: pd.DataFrame, settings: FamilySettings) -> str:
    """Say in one sentence what sets a family apart.

    Parameters
    ----------
    family
        Its row of `statistics.family_table`.
    claims
        Its rows of `claims.find_claims`.
    settings
        `named_share` decides which sites and classes are named.

    Returns
    -------
    str
        E.g. 'Valence band from D (91 %), conduction band from B (84 %); oxides (35 %) and fluorides (41 %) without open
        d shells; on A: alkali metals (63 %); gap 2.8 ± 0.9 eV (n = 412).'
    """
    statistics = claims.set_index("statistic")
    claimed = statistics[statistics["claimed"]]
    number = f"n = {family['n_compounds']}"
    if claimed.empty:
        return (
            f"{NOT_DISTINGUISHABLE}: nothing differs by more than in {settings.permutations} random relabellings of "
            f"the compounds ({number})."
        )
    parts = [
        _band_edges(statistics, settings.named_share),
        _attention(claimed, settings.named_share),
        _compounds(claimed, settings.named_share),
        *_sites(claimed, settings.named_share),
        f"{_gap(family, claimed)} ({number})",
    ]
    if family["confirmed_share"] < _DOUBTFUL:
        parts.append(f"only {_percent(family['confirmed_share'])} of the mirrored compounds confirm its clusters")
    text = "; ".join(part for part in parts if part)
    return text[0].upper() + text[1:] + "."


def _band_edges(statistics: pd.DataFrame, named_share: float) -> str:
    """Say which sites make an edge, where one of its weights differs from all compounds."""
    edges = {}
    for name, kind in (("valence band", "vbm_weight"), ("conduction band", "cbm_weight")):
        weights = statistics.loc[site_columns(kind)]
        if weights["claimed"].any():
            named = weights["mean"][weights["mean"] >= named_share].sort_values(ascending=False, kind="stable")
            edges[name] = _join([f"{str(site)[-1].upper()} ({_percent(share)})" for site, share in named.items()])
    return ", ".join(f"{name} from {sites}" for name, sites in edges.items())


def _attention(claimed: pd.DataFrame, named_share: float) -> str:
    found = _more(claimed, "attention_to_", named_share)
    sites = [f"{name.upper()} ({_percent(share)})" for name, share in found.items()]
    return f"attention on {_join(sites)}" if sites else ""


def _compounds(claimed: pd.DataFrame, named_share: float) -> str:
    """Name the anions and the open shells."""
    kinds = _more(claimed, "class_d=", named_share)
    halides = claimed["difference"].get("halides", 0.0) > 0
    if halides and not set(kinds) & set(HALIDE_KINDS.values()):
        kinds = {"halides": float(claimed["mean"]["halides"]), **kinds}
    shells = [_shell(f"open {shell} shells", claimed, f"open_{shell}") for shell in "df"]
    said = _join([f"{kind} ({_percent(share)})" for kind, share in kinds.items()])
    qualified = _join([shell for shell in shells if shell])
    return " ".join(part for part in (said or ("compounds" if qualified else ""), qualified) if part)


def _shell(name: str, claimed: pd.DataFrame, statistic: str) -> str:
    if statistic not in claimed.index:
        return ""
    share = float(claimed["mean"][statistic])
    if share <= _NONE:
        return f"without {name}"
    if share >= _ALL:
        return f"with {name}"
    often = "more often" if claimed["difference"][statistic] > 0 else "less often"
    return f"{often} with {name} ({_percent(share)} instead of {_percent(claimed['overall_mean'][statistic])})"


def _sites(claimed: pd.DataFrame, named_share: float) -> list[str]:
    """Name the elements on A, B and C; sites that hold the same (A and B of a self-mirrored family) share a part."""
    sites: dict[str, list[str]] = {}
    for site in SITES[:3]:
        kinds = _more(claimed, f"class_{site}=", named_share)
        if kinds:
            sites.setdefault(_join([f"{kind} ({_percent(share)})" for kind, share in kinds.items()]), []).append(site)
    return [f"on {_join([site.upper() for site in found])}: {text}" for text, found in sites.items()]


def _gap(family: Mapping[Any, Any], claimed: pd.DataFrame) -> str:
    value = f"{family['gap_mean_ev']:.1f} ± {family['gap_std_ev']:.1f} eV"
    if "gap_ev" not in claimed.index:
        value = f"as in all compounds, {value}"
    if "zero_gap" in claimed.index:
        value += f", {_percent(claimed['mean']['zero_gap'])} without a gap"
    return f"gap {value}"


def _more(claimed: pd.DataFrame, prefix: str, named_share: float) -> dict[str, float]:
    """Return the shares, largest first, of what begins with a prefix and is more common than in all compounds."""
    rows = claimed[
        claimed.index.str.startswith(prefix) & (claimed["difference"] > 0) & (claimed["mean"] >= named_share)
    ]
    shares = rows["mean"].sort_values(ascending=False, kind="stable")
    return {str(name).removeprefix(prefix): float(share) for name, share in shares.items()}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _join(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
