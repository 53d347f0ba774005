from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from aiida_perovskite.learning.levels import LevelModel, LevelSettings

# The smallest training that has every part.
TINY: dict[str, Any] = {
    "layers": 2,
    "heads": 2,
    "hidden": 8,
    "embedding": 7,
    "epochs": 4,
    "batch_size": 16,
    "learning_rate": 0.01,
    "final_learning_rate": 0.01,
    "validate_every": 2,
    "folds": 3,
    "members": 3,
    "seed": 1,
}
# Levels from which the gaps of the invented table follow: gap = lowest empty level - highest occupied level.
EMPTY = {"Ag": 0.0, "Cu": -0.4, "Na": 2.0, "K": 2.3, "Bi": -0.6, "In": 0.4, "Sb": -0.3, "Al": 1.2}
OCCUPIED = {"F": -5.0, "Cl": -3.2, "Br": -2.5, "I": -1.7}


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    names = list(EMPTY)
    rows = [
        {"formula": f"Cs2{one}{other}{halide}6", "gap_ev": min(EMPTY[one], EMPTY[other]) - OCCUPIED[halide]}
        for index, one in enumerate(names)
        for other in names[index + 1 :]
        for halide in OCCUPIED
    ]
    chosen = np.random.default_rng(0).permutation(len(rows))[:60]
    return pd.DataFrame(rows).iloc[chosen].reset_index(drop=True)


@pytest.fixture(scope="session")
def tiny() -> LevelSettings:
    return LevelSettings.from_dict(TINY)


@pytest.fixture(scope="session")
def model(table: pd.DataFrame, tiny: LevelSettings) -> LevelModel:
    return LevelModel.train(table["formula"], table["gap_ev"], tiny, reference={})
