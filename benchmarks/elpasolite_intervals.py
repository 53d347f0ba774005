"""How often the intervals of predicted formation energies hold the energy, by cross-validation on the real table.

``python benchmarks/elpasolite_intervals.py --file PATH`` (or with AIIDA_PEROVSKITE_ELPASOLITE_PRL2016 set) writes
``results/elpasolite_intervals.csv`` in some minutes. Five folds, three times; and small training sets against all other
rows, as a design holds a small table against a large space. ``quantiles`` is what the intervals were before: quantiles
of the errors of a fixed number of neighbours.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aiida_perovskite.datasets import load_elpasolites_as_stored
from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.learning.generative.design import DesignSettings, EnergyTarget
from aiida_perovskite.learning.generative.energies import RegressionEnergies
from aiida_perovskite.learning.generative.table import ElpasoliteTable, Rows

RESULTS = Path(__file__).parent / "results"
FOLDS, REPEATS = 5, 3
SMALL = {1000: 20, 2500: 8}  # training rows: repeats
TARGET = EnergyTarget.parse("formation energy < -2.3")
SETTINGS = DesignSettings()


def main() -> None:
    """Compute, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    frame = load_elpasolites_as_stored(options.file).frame
    table = ElpasoliteTable.from_rows(*(frame[site] for site in "abcd"), frame["formation_energy_ev_per_atom"])
    rows = table.one_order
    known = Rows(table.codes[rows], table.energies_ev_per_atom[rows])
    counts = pd.concat([pd.DataFrame(judge(name, *parts, known, table)) for name, *parts in splits(len(known.codes))])
    result = counts.groupby(["training", "intervals", "compounds"], sort=False, as_index=False).sum()
    result.insert(4, "held", (result.pop("inside") / result["n"]).round(4))
    result["mean_width_ev_per_atom"] = (result.pop("width") / result["n"]).round(4)
    print(result.to_string(index=False))
    with atomic_path(RESULTS / "elpasolite_intervals.csv") as temporary:
        result.to_csv(temporary, index=False)


def splits(n: int) -> Iterator[tuple[str, Any, Any]]:
    """Yield a name, training rows and held-out rows."""
    random = np.random.default_rng(0)
    for _ in range(REPEATS):
        fold = random.permutation(n) % FOLDS
        for number in range(FOLDS):
            yield f"{FOLDS - 1} of {FOLDS} folds", np.flatnonzero(fold != number), np.flatnonzero(fold == number)
    for size, repeats in SMALL.items():
        for _ in range(repeats):
            order = random.permutation(n)
            yield f"{size} rows", order[:size], order[size:]


def judge(name: str, train: Any, test: Any, known: Rows, table: ElpasoliteTable) -> Iterator[dict[str, Any]]:
    """Yield counts and summed widths of kinds of intervals over groups of the held-out compounds."""
    model = RegressionEnergies(
        ElpasoliteTable.from_stored(Rows(known.codes[train], known.energies_ev_per_atom[train]), table.edges), SETTINGS
    )
    true, predicted = known.energies_ev_per_atom[test], model.predict(known.codes[test])
    lower, upper, _ = model.uncertainty(predicted, TARGET, SETTINGS.confidence)
    groups = {
        "all": np.full(len(true), True),
        "2 % of lowest prediction": predicted <= np.quantile(predicted, 0.02),
        "0.5 % of lowest prediction": predicted <= np.quantile(predicted, 0.005),
        "2 % of lowest energy": true <= np.quantile(true, 0.02),
    }
    for kind, (low, high) in {"quantiles": quantiles(model, predicted), "now": (lower, upper)}.items():
        inside = (low <= true) & (true <= high)
        for group, members in groups.items():
            counted = {"n": members.sum(), "inside": inside[members].sum(), "width": (high - low)[members].sum()}
            yield {"training": name, "intervals": kind, "compounds": group, **counted}


def quantiles(model: RegressionEnergies, predicted: Any) -> tuple[Any, Any]:
    """Return ends of intervals as they were before."""
    size = min(SETTINGS.neighbours, len(model.nearby.errors))
    windows = np.lib.stride_tricks.sliding_window_view(model.nearby.errors, size)
    place = np.clip(np.searchsorted(model.nearby.predicted, predicted) - size // 2, 0, len(windows) - 1)
    ends = [(1 - SETTINGS.confidence) / 2, (1 + SETTINGS.confidence) / 2]
    below, above = np.quantile(windows, ends, axis=1)[:, place]
    return predicted + below, predicted + above


if __name__ == "__main__":
    main()
