"""Families of compounds by prior weight, and how far to trust them: writes results/level_families.csv.

    python benchmarks/level_families.py --work level-models

Takes the networks of the first random draw that ``level_models.py`` trained and left in its folder: of each weight of
the prior those of two seeds. The one that validated best is analysed, with the layers' attention and the softmax
weights of all compounds; the other seed says how stable its clusters are. Beside each figure stands the thesis's. A
minute or two per weight on one core.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import pandas as pd
import torch
from level_models import MAIN, PRIOR_WEIGHTS, THESIS, read_problem
from machine import processor

from aiida_perovskite.chemistry import Composition
from aiida_perovskite.learning.checkpoint import atomic_path, read_tensors
from aiida_perovskite.learning.families import FamilySettings, analyse, measure_agreement
from aiida_perovskite.learning.families.descriptor import both_orders, build_descriptor
from aiida_perovskite.learning.families.reduction import reduce_dimensions
from aiida_perovskite.learning.levels.attribution import integrated_gradients
from aiida_perovskite.learning.levels.model import frame_of_outputs
from aiida_perovskite.learning.levels.network import LevelNetwork, LevelOutputs

RESULTS = Path(__file__).parent / "results"
# Section 6.4 to 6.6 of the thesis: explained variance of three components in %, and number of clusters.
THESIS_FIGURES: dict[float, tuple[float, int]] = {0.0: (96, 3), 1e-4: (np.nan, 4), 1e-3: (94, 6)}


def main() -> None:
    """Analyse the networks of each weight and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("level-models"), help="folder of level_models.py")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows, families = [], []
    for weight in PRIOR_WEIGHTS:
        row, found = families_of(weight, options.work)
        rows.append(row)
        families.append(found.assign(prior_weight=weight))
        print(json.dumps(row, indent=1), flush=True)
        for sentence in found["sentence"]:
            print(" -", sentence, flush=True)
    for name, frame in (
        ("level_families.csv", pd.DataFrame(rows)),
        ("level_family_sentences.csv", pd.concat(families)),
    ):
        with atomic_path(options.output / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.4g")


def families_of(weight: float, work: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return a line of the table, and the families with their sentences."""
    problem = read_problem(MAIN, work)
    assert problem is not None, f"level_models.py has not prepared {MAIN} in {work}"
    tensors, metadata = read_tensors(work / f"level_network_{weight:g}.safetensors")
    network = LevelNetwork(THESIS, len(problem.elements), [0] * int(metadata["n_members"]))
    network.load_state_dict(tensors)
    network.eval().requires_grad_(False)
    compounds = [Composition.parse(formula) for formula in problem.formulas]
    with torch.no_grad():
        levels = network.levels(torch.from_numpy(problem.sites))
    frames = [
        frame_of_outputs(compounds, LevelOutputs.of_member(levels, member)).assign(target_ev=problem.targets)
        for member in range(network.n_members)
    ]
    validation = problem.splits["random:0"][1]
    errors = [float(np.abs(frame["gap_ev"].clip(lower=0) - problem.targets)[validation].mean()) for frame in frames]
    order = np.argsort(errors)
    settings = FamilySettings()
    found = analyse({f"seed-{member}": frames[member] for member in order}, settings)
    attributions, _ = integrated_gradients(network, problem.sites, int(order[0]))
    agreement = measure_agreement(frames[order[0]], attributions, settings).score
    variance = found.summary["explained_variance"]
    thesis_variance, thesis_k = THESIS_FIGURES[weight]
    row = {
        "prior_weight": weight,
        "n_compounds": len(compounds),
        "validation_mae_ev": errors[order[0]],
        **{f"explained_variance_{number + 1}": value for number, value in enumerate(variance)},
        "explained_variance": sum(variance),
        # The thesis does not say whether it took all layers.
        "explained_variance_last_layer": last_layer_variance(frames[order[0]]),
        "thesis_explained_variance": thesis_variance / 100,
        "k": found.summary["n_clusters"],
        "thesis_k": thesis_k,
        "n_families": found.summary["n_families"],
        "silhouette": found.summary["silhouette"],
        "confirmed_share": found.summary["confirmed_share"],
    }
    for kind, group in found.stability.groupby("kind"):
        row |= {f"ari_{kind}_mean": group["ari"].mean(), f"ari_{kind}_min": group["ari"].min()}
        row[f"same_k_{kind}"] = float((group["k"] == found.summary["n_clusters"]).mean())
    row |= {f"agreement_{name}": value for name, value in agreement.items() if isinstance(value, (int, float))}
    return row | {"machine": processor()}, found.families[["family", "clusters", "n_compounds", "sentence"]]


def last_layer_variance(levels: pd.DataFrame) -> float:
    """Return the share of variance in three components if attention is taken from the last layer only."""
    return float(reduce_dimensions(build_descriptor(both_orders(levels), "last")).explained_variance_ratio.sum())


if __name__ == "__main__":
    main()
