from __future__ import annotations

import pandas as pd
import pytest

from aiida_perovskite.chemistry import Composition
from aiida_perovskite.learning import GapModel, TrainingSettings

# The smallest training that still has every part: folds, an ensemble in each, a learning curve, averaged weights.
TINY = {
    "epochs": 3,
    "batch_size": 8,
    "members": 2,
    "folds": 3,
    "fold_members": 2,
    "learning_curve": [0.5],
    "averaged_fraction": 0.5,
}
METALS = {"Ag": 0.3, "Cu": -0.5, "Na": 1.4, "Tl": -0.2, "Bi": 0.1, "In": 0.4, "Sb": -0.1, "Al": 1.2}
HALIDES = {"F": 2.0, "Cl": 1.2, "Br": 0.5, "I": 0.1}


def additive_table() -> pd.DataFrame:
    """Gaps that are sums over the sites: any sensible model learns them."""
    rows = []
    for first, (one, three) in enumerate((one, three) for one in list(METALS)[:4] for three in list(METALS)[4:]):
        for second, halide in enumerate(HALIDES):
            if (first + second) % 2 == 0:
                gap = 1.5 + METALS[one] + METALS[three] + HALIDES[halide]
                rows.append({"formula": Composition.parse(f"Cs2{one}{three}{halide}6").formula, "gap_ev": gap})
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return additive_table()


@pytest.fixture(scope="session")
def model(table: pd.DataFrame) -> GapModel:
    return GapModel.train(table["formula"], table["gap_ev"], TrainingSettings.from_dict(TINY))
