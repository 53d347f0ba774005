"""Speed of the neural generators of compositions: writes results/generative_speed.csv.

``python benchmarks/generative_speed.py --file PATH`` (or with AIIDA_PEROVSKITE_ELPASOLITE_PRL2016 set). In one run, for
each network, on one core and on all: some updates of one fit alone, and of sixteen trained together; how much faster
than the best of one fit after the other that is; the floating-point operations of an update, counted by torch; and what
share that is of the rate at which as many cores multiply matrices. ``--whole vae`` trains one fit to its end as well.
Some minutes on a machine that does nothing else: beside other work two threads wait for each other, and are slower
than one.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))  # before numpy

import pandas as pd
import torch
from machine import matrix_rate, processor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from aiida_perovskite.datasets import load_elpasolites_as_stored
from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.learning.generative.study import NEURAL, model_settings, model_type
from aiida_perovskite.learning.generative.table import ElpasoliteTable

RESULTS = Path(__file__).parent / "results" / "generative_speed.csv"
TOGETHER = 16
UPDATES = {"vae": 500, "gan": 300, "rl": 60, "autoregressive": 60}  # of what is only compared: some seconds a fit
FEW = (5, 15)  # updates between which operations are counted, and which tell starting from updating


class Operations(TorchDispatchMode):
    """Counts floating-point operations of matrix products; torch's own counter cannot follow a gradient penalty."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--models", default=",".join(NEURAL))
    parser.add_argument("--whole", default="vae", help="models trained to their end as well; empty for none")
    parser.add_argument("--updates", type=int, help="of what is only compared")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    frame = load_elpasolites_as_stored(options.file).frame
    table = ElpasoliteTable.from_rows(*(frame[site] for site in "abcd"), frame["formation_energy_ev_per_atom"])
    rows = []
    for model in options.models.split(","):
        for row in measured(model, table, options.updates or UPDATES[model], model in options.whole.split(",")):
            print(row, flush=True)
            rows.append(row)
    result = pd.DataFrame(rows)
    rates = {threads: matrix_rate(threads) / 1e9 for threads in sorted(set(result["threads"]))}
    result["matrix_gflop_per_s"] = result["threads"].map(rates)
    result["share_of_matrix_rate"] = result["gflop_per_s"] / result["matrix_gflop_per_s"]
    result["machine"] = f"{processor()}, {len(os.sched_getaffinity(0))} cores"
    print(result.drop(columns="machine").to_string(index=False, float_format="%.4g"))
    with atomic_path(options.output) as temporary:
        result.to_csv(temporary, index=False, float_format="%.4g")


def measured(model: str, table: ElpasoliteTable, updates: int, whole: bool) -> list[dict[str, Any]]:
    """Return rows for one fit and many, on one core and all, and the time of a whole fit on as many as suit it best."""
    flop = operations(model, table)
    seconds: dict[tuple[int, int], float] = {}
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        torch.set_num_threads(threads)
        seconds[threads, 1] = per_update(model, table, updates, 1)
        seconds[threads, TOGETHER] = per_update(model, table, max(FEW[0], updates // TOGETHER), TOGETHER) / TOGETHER
    alone = {threads: value for (threads, fits), value in seconds.items() if fits == 1}
    best = min(alone, key=lambda threads: alone[threads])
    torch.set_num_threads(best)
    whole_s = fit_seconds(model, table, None, 1) if whole else None
    return [
        {
            "model": model,
            "threads": threads,
            "fits": fits,
            "updates_per_s": 1 / value,
            "times_faster_than_in_turn": alone[best] / value,
            "gflop_per_update": flop / 1e9,
            "gflop_per_s": flop / value / 1e9,
            "whole_fit_s": whole_s if (threads, fits) == (best, 1) else None,
        }
        for (threads, fits), value in seconds.items()
    ]


def operations(model: str, table: ElpasoliteTable) -> float:
    """Return the floating-point operations of matrix products in one update of one fit, as torch counts them."""
    counts = []
    for updates in FEW:
        with Operations() as counter:
            fit(model, table, updates, 1)
        counts.append(counter.total)
    return (counts[1] - counts[0]) / (FEW[1] - FEW[0])


def per_update(model: str, table: ElpasoliteTable, updates: int, fits: int) -> float:
    """Return the seconds of one update of all fits, without what a training takes to start and to end."""
    start_and_few = min(fit_seconds(model, table, FEW[0], fits) for _ in range(2))
    return (fit_seconds(model, table, updates + FEW[0], fits) - start_and_few) / updates


def fit_seconds(model: str, table: ElpasoliteTable, updates: int | None, fits: int) -> float:
    start = time.perf_counter()
    fit(model, table, updates, fits)
    return time.perf_counter() - start


def fit(model: str, table: ElpasoliteTable, updates: int | None, fits: int) -> None:
    settings: Any = model_settings(model, classes=(1,))
    settings = settings if updates is None else replace(settings, updates=updates)
    model_type(model).fit_many(table, settings, range(fits))


if __name__ == "__main__":
    main()
