"""The files of a small benchmark of generators, for the tests of its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
from smooth_elpasolites import smooth_table

from aiida_perovskite.learning.generative.benchmark import BenchmarkSettings, run_benchmark
from aiida_perovskite.learning.generative.study import thesis_rows

MODELS = ("independent", "enrich_25", "random")
HOSTILE = "</script><img src=x onerror=\"document.title='broken into'\">"


def write_files(folder: Path) -> Path:
    """Run a benchmark of class 1 at the thesis's number of samples, and of class 4; return its folder."""
    settings = BenchmarkSettings.from_dict({"models": {name: {} for name in MODELS}, "fits": 2, "classes": [1, 4]})
    found = run_benchmark(smooth_table(300), settings, folder, say=lambda line: None)
    found.summary["data"]["name"] = HOSTILE
    # The thesis has no numbers for a made-up table; here they are to be drawn all the same.
    thesis = [{"class": 1, "samples": 10_000, **row} for row in thesis_rows(1, 10_000)]
    replace(found, metrics=pd.concat([found.metrics, pd.DataFrame(thesis)], ignore_index=True)).save(folder)
    return folder


def write_sizes(path: Path) -> Path:
    """Write a table of metrics by training-set size."""
    rows = [
        {
            "model": model,
            "training_rows": n,
            "precision": 0.5,
            "precision_std": 0.1,
            "coverage": 0.2,
            "js_distance": 0.3,
        }
        for model in MODELS
        for n in (250, 1000)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path
