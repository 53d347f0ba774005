"""How fast the networks learn and answer, and what share of this machine's matrix products that is.

``python benchmarks/learning_speed.py`` writes ``results/learning_speed.csv``: one training of the thesis's size (764
compounds, 1,000 epochs, batches of 100), as many side by side as there are cores, and the prediction of all 7,056
halides by five networks. A quarter of an hour on two cores, which should have nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import matrix_rate, processor

from aiida_perovskite.chemistry import halide_space
from aiida_perovskite.learning import encode
from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.learning.cnn import PeriodicTableCNN
from aiida_perovskite.learning.ensemble import Ensemble, Member
from aiida_perovskite.learning.settings import TrainingSettings
from aiida_perovskite.learning.training import Task, TrainingData, train_members

RESULTS = Path(__file__).parent / "results" / "learning_speed.csv"
SAMPLES = 764  # of SPEC 2.2
MEMBERS = 5


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    space = halide_space()
    cores = len(os.sched_getaffinity(0))
    rows = [training(space, options.epochs, threads) for threads in sorted({1, cores})]
    rows += [prediction(space, threads) for threads in sorted({1, cores})]
    table = pd.DataFrame(rows)
    table["share_of_matrix_rate"] = table["gflop_per_s"] / table["matrix_gflop_per_s"]
    table["machine"] = f"{processor()}, {cores} cores"
    print(table.drop(columns="machine").to_string(index=False, float_format="%.3f"))
    with atomic_path(options.output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g")


def training(space: Any, epochs: int, threads: int) -> dict[str, Any]:
    """Train one network per thread on the first compounds of the space; the targets do not matter for the speed."""
    grids = encode(space[:SAMPLES])
    data = TrainingData(grids, np.random.default_rng(0).normal(2.0, 1.0, SAMPLES))
    tasks = [Task("speed", member, np.arange(SAMPLES), np.arange(0)) for member in range(threads)]
    settings = TrainingSettings(epochs=epochs, batch_size=100, dropout=0.25)
    start = time.perf_counter()
    train_members(data, tasks, settings, threads=threads)
    seconds = time.perf_counter() - start
    # Forwards once; backwards twice, except that the first layer needs no gradient of its input.
    per_sample = 3 * forward_flop() - first_layer_flop()
    return row("training", SAMPLES, epochs, threads, threads, seconds, per_sample * SAMPLES * epochs * threads)


def prediction(space: Any, threads: int) -> dict[str, Any]:
    """Predict the space with untrained networks, encoding included; the best of three.

    Work that is done once for all windows that are alike still counts in full, so the share may exceed 1.
    """
    ensemble = Ensemble([Member(PeriodicTableCNN().eval().requires_grad_(False), 0.0, 1.0) for _ in range(MEMBERS)])
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        ensemble.predict(encode(space), threads)
        best = min(best, time.perf_counter() - start)
    return row("prediction", len(space), 1, MEMBERS, threads, best, forward_flop() * len(space) * MEMBERS)


def row(task: str, samples: int, epochs: int, networks: int, threads: int, seconds: float, flop: float) -> dict:
    """Return one line of the table."""
    return {
        "task": task,
        "samples": samples,
        "epochs": epochs,
        "networks": networks,
        "threads": threads,
        "seconds": seconds,
        "gflop_per_s": flop / seconds / 1e9,
        "matrix_gflop_per_s": matrix_rate(threads) / 1e9,
    }


def forward_flop() -> float:
    """Return the floating-point operations of one compound's way through the network: two per weight and place."""
    net, height, width, total = PeriodicTableCNN(), 5, 17, 0.0
    for convolution in net.convolutions:
        height, width = height - convolution.kernel_size[0] + 1, width - convolution.kernel_size[1] + 1
        total += 2.0 * convolution.weight.numel() * height * width
    return total + sum(2.0 * dense.weight.numel() for dense in net.dense)


def first_layer_flop() -> float:
    """Return the part of `forward_flop` that the first convolution has."""
    return 2.0 * PeriodicTableCNN().convolutions[0].weight.numel() * 4 * 16


if __name__ == "__main__":
    main()
