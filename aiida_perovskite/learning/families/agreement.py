"""Whether the attention names the sites that the gradients name.

From attention and softmax weights follows a share of each site in the gap: the attention of the layers is followed back
from the read-outs to the embeddings (attention rollout, S. Abnar, W. Zuidema, ACL 2020, doi
10.18653/v1/2020.acl-main.385; half of each update is the residual connection), and the sites that make the band edges
are asked where their features came from. That is held against integrated gradients of the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from .descriptor import SITES, FamilyDataError, attention_tensor, site_columns
from .settings import FamilySettings

__all__ = ["Agreement", "attention_importance", "measure_agreement"]

_RESIDUAL = 0.5
"""Share of a site's own features in each update of a rollout: features and message are added."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """How well attention and gradients agree.

    Attributes
    ----------
    frame
        One row per compound: formula, spearman (nan where the four values of a side are equal), same_top (whether the
        same site is first), attention_a to attention_d (shares), gradient_a to gradient_d (shares of the absolute
        attributions).
    score
        n_compounds, n_undecided (without a rank correlation); spearman_mean and same_top_share; each with
        ``..._sites_p`` and ``..._sites_null``, against attributions whose four sites are shuffled in each compound, and
        ``..._compounds_p`` and ``..._compounds_null``, against attributions of other compounds: beating only the first
        means that both prefer the same sites in general, beating the second that they agree about single compounds.
        (null: mean; p: share of the permutations that agree at least as well.)
    """

    frame: pd.DataFrame
    score: dict[str, Any]


def attention_importance(levels: pd.DataFrame) -> Floats:
    """Return the share of each site in the gap by attention and softmax weights, shape (N, 4); rows add up to 1.

    With A_l the attention of layer l averaged over heads, R = prod_l (A_l + I)/2 (last layer first), and w the mean of
    a compound's two sets of softmax weights, the share of site j is sum_i w_i R_ij.
    """
    attention = attention_tensor(levels).mean(axis=2)
    rollout = np.broadcast_to(np.eye(4), (len(levels), 4, 4))
    for layer in range(attention.shape[1]):
        rollout = (_RESIDUAL * np.eye(4) + (1 - _RESIDUAL) * attention[:, layer]) @ rollout
    edges = (
        levels[site_columns("vbm_weight")].to_numpy(float) + levels[site_columns("cbm_weight")].to_numpy(float)
    ) / 2
    importance: Floats = np.einsum("ni,nij->nj", edges, rollout)
    return importance


def measure_agreement(levels: pd.DataFrame, attributions_ev: Floats, settings: FamilySettings) -> Agreement:
    """Hold the attention's sites against those of integrated gradients.

    Parameters
    ----------
    levels
        Levels frame of one network, N rows.
    attributions_ev
        What each site adds to the gap by integrated gradients, in eV, shape (N, 4), rows as in `levels`. The absolute
        values are ranked.
    settings
        Number of permutations and seed.

    Raises
    ------
    FamilyDataError
        If the shapes do not fit, an attribution is not a finite number, or no compound ranks its sites.
    """
    gradient = np.abs(np.asarray(attributions_ev, dtype=np.float64))
    if gradient.shape != (len(levels), 4) or not np.isfinite(gradient).all():
        raise FamilyDataError(
            f"The attributions must be finite numbers of shape ({len(levels)}, 4), one row per compound, not of shape "
            f"{gradient.shape}."
        )
    importance = attention_importance(levels)
    one, other = _ranks(importance), _ranks(gradient)
    decided = (np.ptp(one, axis=1) > 0) & (np.ptp(other, axis=1) > 0)
    if not decided.any():
        raise FamilyDataError("No compound ranks its sites: all attributions of a compound are equal.")
    spearman, same_top = _compare(one, other)
    frame = pd.DataFrame({"formula": levels["formula"].to_numpy()})
    frame["spearman"] = np.where(decided, spearman, np.nan)
    frame["same_top"] = same_top
    total = gradient.sum(axis=1, keepdims=True)
    frame[[f"attention_{site}" for site in SITES]] = importance
    frame[[f"gradient_{site}" for site in SITES]] = gradient / np.where(total > 0, total, 1.0)
    return Agreement(frame, _score(one[decided], other[decided], len(levels), settings))


def _ranks(values: Floats) -> Floats:
    ranks: Floats = rankdata(values.round(12), axis=1)
    return ranks


def _compare(one: Floats, other: Floats) -> tuple[Floats, Bools]:
    """Correlate ranks row by row, and tell whether the first sites are the same."""
    first, second = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    norm = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    correlation: Floats = (first * second).sum(axis=1) / np.where(norm > 0, norm, 1.0)
    return correlation, one.argmax(axis=1) == other.argmax(axis=1)


def _score(one: Floats, other: Floats, n_compounds: int, settings: FamilySettings) -> dict[str, Any]:
    random = np.random.default_rng([settings.seed, 4])
    shuffles: dict[str, Callable[[], Floats]] = {
        "sites": lambda: random.permuted(other, axis=1),
        "compounds": lambda: other[random.permutation(len(other))],
    }
    observed = [float(values.mean()) for values in _compare(one, other)]
    score: dict[str, Any] = {"n_compounds": n_compounds, "n_undecided": n_compounds - len(one)}
    score |= dict(zip(("spearman_mean", "same_top_share"), observed, strict=True))
    for name, shuffled in shuffles.items():
        drawn = np.array(
            [[values.mean() for values in _compare(one, shuffled())] for _ in range(settings.permutations)]
        )
        as_good = (drawn >= np.array(observed) - 1e-12).sum(axis=0)
        for place, measure in enumerate(("spearman", "same_top")):
            score[f"{measure}_{name}_null"] = float(drawn[:, place].mean())
            score[f"{measure}_{name}_p"] = float((1 + as_good[place]) / (1 + settings.permutations))
    return score
