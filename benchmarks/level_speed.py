"""Speed of the level network's training: writes results/level_speed.csv.

    python benchmarks/level_speed.py

One fit of the thesis's size (1,500 compounds, 1,000 epochs, SPEC 3) on all cores, as time and as share of the rate at
which this machine multiplies matrices; and, in the same run, some epochs of the same network and data written per edge,
with gather and scatter, over both orders of A and B as the thesis doubles its data (batches of 128 of them instead of
64 compounds). Then ensembles, trained together. Some six minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from machine import matrix_rate, processor

from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.learning.levels.network import LevelNetwork
from aiida_perovskite.learning.levels.settings import LevelSettings
from aiida_perovskite.learning.levels.training import LevelProblem, LevelTask, train_networks

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from gather_scatter_levels import GatherScatterLevels

RESULTS = Path(__file__).parent / "results" / "level_speed.csv"
TRAINING, VALIDATION, ELEMENTS = 1500, 220, 80  # of SPEC 3; the number of elements is that of its data, roughly


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=1000, help="of the whole fit")
    parser.add_argument("--short", type=int, default=10, help="epochs of what is only compared")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    problem = invented_problem()
    rows = [dense(problem, options.short, 1), gather_scatter(problem, options.short), dense(problem, options.short, 5)]
    rows.append(dense(problem, options.epochs, 1))
    table = pd.DataFrame(rows)
    table["matrix_gflop_per_s"] = matrix_rate(cores) / 1e9
    table["share_of_matrix_rate"] = table["gflop_per_s"] / table["matrix_gflop_per_s"]
    per_network = table["seconds"] / table["epochs"] / table["networks"]
    table["times_faster_than_gather_scatter"] = per_network[1] / per_network
    table["machine"] = f"{processor()}, {cores} cores"
    print(table.drop(columns="machine").to_string(index=False, float_format="%.3f"))
    with atomic_path(options.output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g")


def invented_problem() -> LevelProblem:
    """Return compounds of random elements; the targets do not matter for the speed."""
    random = np.random.default_rng(0)
    sites = np.array([random.permutation(ELEMENTS)[:4] for _ in range(TRAINING + VALIDATION)])
    return LevelProblem(sites, np.abs(random.normal(2.0, 1.0, len(sites))), np.zeros((ELEMENTS, 2)))


def dense(problem: LevelProblem, epochs: int, members: int) -> dict[str, Any]:
    """Train the package's network."""
    settings = LevelSettings(epochs=epochs)
    rows = np.arange(len(problem.sites))
    tasks = [LevelTask("speed", seed, rows[:TRAINING], rows[TRAINING:]) for seed in range(members)]
    start = time.perf_counter()
    train_networks(problem, tasks, settings)
    return row("dense", epochs, members, time.perf_counter() - start)


def gather_scatter(problem: LevelProblem, epochs: int) -> dict[str, Any]:
    """Train the same network per edge, on both orders of A and B."""
    settings = LevelSettings()
    network = GatherScatterLevels(LevelNetwork(settings, ELEMENTS, [0]))
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, fused=True)
    sites = torch.from_numpy(problem.sites[:TRAINING])
    sites = torch.cat([sites, sites[:, [1, 0, 2, 3]]])
    targets = torch.from_numpy(problem.targets_ev[:TRAINING]).float().repeat(2)
    start = time.perf_counter()
    for _ in range(epochs):
        for batch in torch.randperm(len(sites)).split(2 * settings.batch_size):
            optimiser.zero_grad()
            (network(sites[batch]) - targets[batch]).square().mean().backward()
            optimiser.step()
    return row("gather_scatter", epochs, 1, time.perf_counter() - start)


def row(name: str, epochs: int, members: int, seconds: float) -> dict[str, Any]:
    """Return one line of the table; the operations are those that the dense network needs, in every row."""
    flop = 3 * forward_flop() * TRAINING * epochs * members
    return {
        "network": name,
        "networks": members,
        "epochs": epochs,
        "seconds": seconds,
        "gflop_per_s": flop / seconds / 1e9,
    }


def forward_flop() -> float:
    """Return the floating-point operations of one compound in matrix products, forwards: two per weight and use.

    Backwards takes twice as many. The sums over pairs are left out: they are no matrix products.
    """
    s = LevelSettings()
    width = s.embedding + 1
    hidden = 2 * s.heads * 4 * width * 2 * s.hidden  # both networks, four sites, as own site and as partner
    gate = s.heads * 16 * s.hidden
    message = 4 * s.heads * s.hidden * width
    return 2.0 * s.layers * (hidden + gate + message)


if __name__ == "__main__":
    main()
