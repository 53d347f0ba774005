"""What the report of a benchmark of generators holds: the files that the benchmark wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida_perovskite.limits import MAX_JSON, parse_json, read_frame, read_text

if TYPE_CHECKING:
    import pandas as pd

THESIS = "thesis_"
ONE_ORDER = ", one order"  # behind the name of a model that learned no compound with A and B exchanged
FRAMES = ("metrics", "fits", "saturation", "js_matrix", "elements", "energies")
SIZE_COLUMNS = ("model", "training_rows", "precision", "coverage", "js_distance")
_NAMES = {
    "vae": "VAE",
    "gan": "GAN",
    "rl": "RL",
    "autoregressive": "autoregressive",
    "independent": "independent sites",
    "enumeration": "enumeration",
    "evolution": "evolution",
    "random": "random",
    "training": "training set",
    "truth": "full space",
}


@dataclass(frozen=True)
class BenchmarkReport:
    """Everything that the page shows.

    Attributes
    ----------
    name
        Of the folder.
    summary
        ``metrics.json`` without its rows: settings, seeds, versions, data, truth, and the nodes of a run within the
        provenance graph.
    metrics, fits, saturation, js_matrix, elements, energies
        Tables as `aiida_perovskite.learning.generative.benchmark.Benchmark` describes them.
    sizes
        Metrics by model and ``training_rows``, of another benchmark; None if not given.
    """

    name: str
    summary: dict[str, Any]
    metrics: pd.DataFrame
    fits: pd.DataFrame
    saturation: pd.DataFrame
    js_matrix: pd.DataFrame
    elements: pd.DataFrame
    energies: pd.DataFrame
    sizes: pd.DataFrame | None = None

    @property
    def classes(self) -> list[int]:
        """Energy classes that were asked for."""
        return list(self.summary["settings"]["classes"])

    @property
    def models(self) -> list[str]:
        """Models that were compared."""
        return list(self.summary["settings"]["models"])

    def of_class(self, frame: pd.DataFrame, number: int) -> pd.DataFrame:
        """Return the rows of a class."""
        return frame[frame["class"] == number] if len(frame) else frame


def read_benchmark(folder: Path, sizes: Path | None = None) -> BenchmarkReport:
    """Read what a benchmark wrote.

    Raises
    ------
    ValueError
        If a file is missing or damaged, or ``sizes`` is no table of training-set sizes.
    """
    try:
        summary = parse_json(read_text(folder / "metrics.json", MAX_JSON))
        frames = {name: read_frame(folder / f"{name}.csv") for name in FRAMES}
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} does not hold the files of a benchmark: {error}") from None
    shown = {key: value for key, value in summary.items() if key not in FRAMES}
    by_size = None if sizes is None else read_sizes(sizes)
    return BenchmarkReport(name=folder.resolve().name, summary=shown, sizes=by_size, **frames)


def read_sizes(path: Path) -> pd.DataFrame:
    """Read a table of metrics by training-set size; ValueError if it is none."""
    try:
        frame = read_frame(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from None
    if missing := [name for name in SIZE_COLUMNS if name not in frame]:
        raise ValueError(f"{path} is no table of training-set sizes: it lacks {', '.join(missing)}")
    return with_orders(frame)


def with_orders(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of sizes in which models that learned each compound in one order of A and B are models apart."""
    if "permuted" not in frame:
        return frame
    names = [
        model if both else model + ONE_ORDER for model, both in zip(frame["model"], frame["permuted"], strict=True)
    ]
    return frame.assign(model=names)


def label(model: str) -> str:
    """Return what the page calls a model; the thesis's rows have the names of ours."""
    if model.endswith(ONE_ORDER):
        return label(model.removesuffix(ONE_ORDER)) + ONE_ORDER
    model = model.removeprefix(THESIS)
    found = re.fullmatch(r"enrich_(\d+)", model)
    return f"enrichment {found[1]}" if found else _NAMES.get(model, model)
