"""Every number of the analysis of families that a user may tune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..settings import check_ranges, read_settings

__all__ = ["LAYERS", "RULES", "FamilySettings"]

LAYERS = ("all", "last")
RULES = ("silhouette", "elbow", "gap_statistic")


@dataclass(frozen=True)
class FamilySettings:
    """How compounds are grouped into families, and what may be said about a family.

    The defaults of components, range of k and rule are those of the thesis (SPEC 3). Two analyses with equal settings
    and equal tables give equal results.
    """

    layers: str = "all"
    """Whose attention enters the descriptor: 'all' message-passing layers, or the 'last' one."""
    components: int = 3
    """Principal components in which the clusters are sought; fewer if the descriptor has fewer varying columns."""
    standardise: bool = False
    """Divide each column by its standard deviation first: for tables whose columns have different units."""
    k_min: int = 2
    """Smallest number of clusters tried."""
    k_max: int = 12
    """Largest number of clusters tried."""
    rule: str = "silhouette"
    """What chooses the number of clusters: 'silhouette', 'elbow' or 'gap_statistic'."""
    n_init: int = 5
    """Starts of each k-means, of which the best is taken."""
    gap_references: int = 10
    """Uniform draws in the box of the data that the gap statistic compares with."""
    seed_runs: int = 10
    """Repetitions of the clustering with other seeds, for the stability."""
    bootstrap_runs: int = 20
    """Repetitions with resampled compounds (both orders of a compound together), for the stability."""
    permutations: int = 999
    """Relabellings that a claim about a family, or a score of agreement, is held against."""
    p_value: float = 0.01
    """A claim is made if at most this share of the relabellings gives any claim as strong, about any family."""
    smallest_difference: float = 0.1
    """Smallest difference from all compounds that is worth a claim: of weights, of shares, and of the mean gap in units
    of the standard deviation of all gaps."""
    named_share: float = 0.2
    """A site or a class of elements is named if it has at least this share of a band edge or of a family."""
    zero_gap_ev: float = 0.1
    """A gap below this counts as none."""
    seed: int = 0
    """Seed of k-means, reference draws, resampling and relabelling."""

    def __post_init__(self) -> None:
        checks = {
            "layers": self.layers in LAYERS,
            "components": self.components >= 1,
            "k_min": self.k_min >= 2,
            "k_max": self.k_max >= self.k_min,
            "rule": self.rule in RULES,
            "n_init": self.n_init >= 1,
            "gap_references": self.gap_references >= 2,
            "seed_runs": self.seed_runs >= 0,
            "bootstrap_runs": self.bootstrap_runs >= 0,
            "permutations": (self.permutations + 1) * self.p_value >= 1,
            "p_value": 0 < self.p_value < 1,
            "smallest_difference": 0 <= self.smallest_difference < 1,
            "named_share": 0 < self.named_share <= 0.25,
            "zero_gap_ev": self.zero_gap_ev >= 0,
            "seed": self.seed >= 0,
        }
        check_ranges(self, {name: (valid, _RANGES[name]) for name, valid in checks.items()}, "Family setting")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FamilySettings:
        """Build settings from a mapping, e.g. parsed JSON; an unknown key or a wrong type is a `SettingsError`."""
        return read_settings(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; `from_dict` reads them back."""
        return asdict(self)


_RANGES = {
    "layers": ", ".join(LAYERS),
    "components": "at least 1",
    "k_min": "at least 2",
    "k_max": "at least k_min",
    "rule": ", ".join(RULES),
    "n_init": "at least 1",
    "gap_references": "at least 2",
    "seed_runs": "at least 0",
    "bootstrap_runs": "at least 0",
    "permutations": "at least 1/p_value - 1, else no claim could ever be made",
    "p_value": "between 0 and 1",
    "smallest_difference": "from 0 to below 1",
    "named_share": "above 0 and at most 0.25, the share of a site among four equal ones",
    "zero_gap_ev": "at least 0",
    "seed": "at least 0",
}
