"""A small table of gaps and settings of level networks that train in seconds; every part is the real one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

# Levels from which the gaps of the table follow: gap = lowest empty level - highest occupied level.
EMPTY = {"Ag": 0.0, "Cu": -0.4, "Na": 2.0, "K": 2.3, "Bi": -0.6, "In": 0.4, "Sb": -0.3, "Al": 1.2}
OCCUPIED = {"F": -5.0, "Cl": -3.2, "Br": -2.5, "I": -1.7}

OVERRIDES: dict[str, Any] = {
    "levels": {
        "prior_weights": [0.0, 1e-3],
        "layers": 2,
        "heads": 2,
        "hidden": 8,
        "embedding": 7,
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.01,
        "final_learning_rate": 0.01,
        "averaging": 0.0,
        "validate_every": 2,
        "folds": 3,
        "members": 3,
    },
    "interpret": {
        "families": {
            "k_max": 4,
            "n_init": 2,
            "gap_references": 2,
            "seed_runs": 2,
            "bootstrap_runs": 2,
            "permutations": 99,
        },
        "attribution_steps": 8,
        "sse": {"updates": 200},
    },
}


def gap_table(n_rows: int = 40) -> pd.DataFrame:
    """Return formulas (canonical) and gaps in eV."""
    names = sorted(EMPTY)
    rows = [
        {"formula": f"{one}{other}Cs2{halide}6", "gap_ev": min(EMPTY[one], EMPTY[other]) - OCCUPIED[halide]}
        for index, one in enumerate(names)
        for other in names[index + 1 :]
        for halide in OCCUPIED
    ]
    chosen = np.random.default_rng(0).permutation(len(rows))[:n_rows]
    return pd.DataFrame(rows).iloc[chosen].reset_index(drop=True)
