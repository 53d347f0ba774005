"""Time and memory of the metrics of 25 million samples, beside plain Python with a set and a dictionary, in one run.

``python benchmarks/generative_metrics.py --file PATH`` (or with AIIDA_PEROVSKITE_ELPASOLITE_PRL2016 set) writes
``results/generative_metrics.csv``. The samples are drawn from class 5 of the truth, with one in ten from anywhere, and
arrive in chunks, as from a generator. Both versions get the same samples on one core, and must agree. The plain version
computes the metrics of SPEC 4.3 without the extra columns. A few minutes.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: the claim is about one core

import numpy as np
import pandas as pd
from machine import processor

from aiida_perovskite.datasets import load_elpasolites_as_stored
from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.learning.generative.metrics import ClassMetrics, SampleCounter
from aiida_perovskite.learning.generative.space import space_codes
from aiida_perovskite.learning.generative.table import ElpasoliteTable
from aiida_perovskite.learning.generative.truth import Truth, TruthSettings

RESULTS = Path(__file__).parent / "results" / "generative_metrics.csv"
CLASS = 5
CHUNK = 500_000


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--samples", type=int, default=25_000_000)
    parser.add_argument("--plain-samples", type=int, help="only the first of them by plain Python, and scale")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    frame = load_elpasolites_as_stored(options.file).frame
    table = ElpasoliteTable.from_rows(*(frame[site] for site in "abcd"), frame["formation_energy_ev_per_atom"])
    # Few rows suffice: the time of metrics does not depend on whether the truth is good.
    truth = Truth.fit(table.subset(2000, seed=0), TruthSettings(cross_validate=False))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, extra_seconds, found = measure(truth, table, options.samples)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_plain = options.plain_samples or options.samples
    plain_seconds = measure_plain(truth, table, n_plain, found if n_plain == options.samples else None)
    rate, plain_rate = options.samples / seconds, n_plain / plain_seconds
    result = pd.DataFrame(
        [
            ("samples", options.samples, ""),
            ("counting and metrics", seconds, "s"),
            ("neutrality and diversity beside it", extra_seconds, "s"),
            ("peak memory of the process", memory / 2**20, "GiB"),
            ("peak memory before counting", before / 2**20, "GiB"),
            ("samples in plain Python", n_plain, ""),
            ("plain Python", plain_seconds, "s"),
            ("rate over that of plain Python", rate / plain_rate, "ratio"),
        ],
        columns=["quantity", "value", "unit"],
    )
    result["machine"] = processor()
    print(result.drop(columns="machine").to_string(index=False, float_format="%.4g"))
    with atomic_path(options.output) as temporary:
        result.to_csv(temporary, index=False, float_format="%.10g")


def chunks(truth: Truth, n: int) -> Iterator[np.ndarray]:
    """Yield samples."""
    random = np.random.default_rng(0)
    right, space = truth.codes_of_class(CLASS), space_codes()
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        yield np.where(random.random(size) < 0.9, random.choice(right, size), random.choice(space, size))


def measure(truth: Truth, table: ElpasoliteTable, n: int) -> tuple[float, float, ClassMetrics]:
    """Return the seconds that counting and metrics take, those of the extra columns, and the metrics."""
    start = time.perf_counter()
    counter = SampleCounter(truth, table)
    seconds = time.perf_counter() - start
    for codes in chunks(truth, n):
        start = time.perf_counter()
        counter.add(codes)
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    found = counter.metrics(CLASS, extra=False)
    middle = time.perf_counter()
    counter.metrics(CLASS)
    return seconds + middle - start, time.perf_counter() - middle, found


def measure_plain(truth: Truth, table: ElpasoliteTable, n: int, expected: ClassMetrics | None) -> float:
    """Return the seconds of plain Python for the same metrics, having checked that they are the same."""
    classes = truth.classes
    class_of = {int(code): int(classes[code]) for code in np.flatnonzero(classes)}
    sizes = truth.counts.tolist()
    training = set(table.codes.tolist())
    spread = truth.element_distribution(CLASS).tolist()
    seconds = 0.0
    seen: set[int] = set()
    samples, sites = [0] * 11, [[0] * 39 for _ in range(4)]
    for codes in chunks(truth, n):
        listed = codes.tolist()
        start = time.perf_counter()
        for code in listed:
            seen.add(code)
            samples[class_of[code]] += 1
            sites[3][code % 39] += 1
            sites[2][code // 39 % 39] += 1
            sites[1][code // 1521 % 39] += 1
            sites[0][code // 59319] += 1
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    unique = [0] * 11
    for code in seen:
        unique[class_of[code]] += 1
    rediscovered = len(seen & training)
    roots = [math.sqrt(divergence([count / n for count in p], q)) for p, q in zip(sites, spread, strict=True)]
    seconds += time.perf_counter() - start
    if expected is not None:
        found = (samples[CLASS] / n, unique[CLASS] / sizes[CLASS - 1], sum(roots) / 4, len(seen), rediscovered)
        ours = (expected.precision, expected.coverage, expected.js_distance, expected.unique, expected.rediscovered)
        np.testing.assert_allclose(found, ours, rtol=1e-12)
    return seconds


def divergence(p: list[float], q: list[float]) -> float:
    """Return the Jensen-Shannon divergence to base 2."""
    total = 0.0
    for x, y in zip(p, q, strict=True):
        middle = (x + y) / 2
        total += (x * math.log2(x / middle) if x else 0.0) / 2 + (y * math.log2(y / middle) if y else 0.0) / 2
    return total


if __name__ == "__main__":
    main()
