"""What a family looks like: attention, weights of the sites, elements per site, gaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .descriptor import SITES, attention_tensor, site_columns
from .mirrors import Family

__all__ = ["element_table", "family_table", "reference_gap"]

_PAIRS = tuple(i + j for i in SITES for j in SITES)
_WEIGHTS = site_columns("vbm_weight") + site_columns("cbm_weight")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def reference_gap(levels: pd.DataFrame) -> pd.Series[float]:
    """Return the gap of each compound in eV: ``target_ev`` where the table knows it, else the model's, not below 0."""
    predicted = levels["gap_ev"].clip(lower=0.0)
    if "target_ev" not in levels.columns:
        return predicted
    return pd.to_numeric(levels["target_ev"]).fillna(predicted)


def family_table(oriented: pd.DataFrame, family: Ints, families: Sequence[Family], zero_gap_ev: float) -> pd.DataFrame:
    """Average over the rows of each family.

    Parameters
    ----------
    oriented
        Levels of the 2 N rows, each written in the order of its family.
    family
        Family of each row.
    families
        What is known of the families.
    zero_gap_ev
        A gap below this counts as none.

    Returns
    -------
    pandas.DataFrame
        One row per family: family, clusters (numbers joined by '+'), n_compounds (those with a row in the family),
        confirmed_share, gap_mean_ev, gap_std_ev, gap_median_ev, zero_gap_share, ``vbm_weight_a`` ... ``cbm_weight_d``,
        ``attention_{ij}`` (mean over heads and layers) and ``attention_{layer}_{ij}``.
    """
    attention = _attention(oriented)
    gap = reference_gap(oriented)
    rows = []
    for one in families:
        own = family == one.number
        rows.append(
            {
                "family": one.number,
                "clusters": "+".join(map(str, one.clusters)),
                "n_compounds": int(oriented.loc[own, "formula"].nunique()),
                "confirmed_share": one.confirmed_share,
                "gap_mean_ev": float(gap[own].mean()),
                "gap_std_ev": float(gap[own].std(ddof=0)),
                "gap_median_ev": float(gap[own].median()),
                "zero_gap_share": float((gap[own] < zero_gap_ev).mean()),
                **oriented.loc[own, _WEIGHTS].mean().to_dict(),
                **attention[own].mean().to_dict(),
            }
        )
    return pd.DataFrame(rows)


def _attention(oriented: pd.DataFrame) -> pd.DataFrame:
    """Average the attention over heads (one column per layer and pair) and also over layers (one per pair)."""
    per_layer = attention_tensor(oriented).mean(axis=2)
    layers = range(1, per_layer.shape[1] + 1)
    names = [f"attention_{pair}" for pair in _PAIRS]
    names += [f"attention_{layer}_{pair}" for layer in layers for pair in _PAIRS]
    flat = per_layer.reshape(len(oriented), -1)
    return pd.DataFrame(
        np.hstack([per_layer.mean(axis=1).reshape(len(oriented), -1), flat]), columns=names, index=oriented.index
    )


def element_table(oriented: pd.DataFrame, family: Ints) -> pd.DataFrame:
    """Count the elements on each site of each family, normalised both ways, with their mean softmax weights.

    Parameters
    ----------
    oriented, family
        As for `family_table`.

    Returns
    -------
    pandas.DataFrame
        family, site ('A' to 'D', or 'all'), element; n: number of compounds with the element there (halves where only
        one of the two rows of a compound counts, as in a self-mirrored family, whose A and B are alike); share_of_site:
        n over all n of the site in the family; share_of_element: n over all n of the element on the site in any family;
        vbm_weight, cbm_weight: mean weight of the element's site in the band edges.
    """
    long = pd.concat(
        [
            pd.DataFrame(
                {
                    "family": family,
                    "site": site.upper(),
                    "element": oriented[site].to_numpy(),
                    "vbm_weight": oriented[f"vbm_weight_{site}"].to_numpy(),
                    "cbm_weight": oriented[f"cbm_weight_{site}"].to_numpy(),
                }
            )
            for site in SITES
        ],
        ignore_index=True,
    )
    long = pd.concat([long, long.assign(site="all")], ignore_index=True)
    keys = ["family", "site", "element"]
    table = long.groupby(keys, as_index=False).agg(
        n=("vbm_weight", "size"), vbm_weight=("vbm_weight", "mean"), cbm_weight=("cbm_weight", "mean")
    )
    table["n"] = table["n"] / 2
    table["share_of_site"] = table["n"] / table.groupby(["family", "site"])["n"].transform("sum")
    table["share_of_element"] = table["n"] / table.groupby(["site", "element"])["n"].transform("sum")
    return table[[*keys, "n", "share_of_site", "share_of_element", "vbm_weight", "cbm_weight"]]
