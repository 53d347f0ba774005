"""Train the generator that the package ships, and write its card: ``ship_generator.py TABLE [--seed N]``.

TABLE is the file of the dataset elpasolite-prl2016. Run it again whenever the defaults of the autoregressive generator
change; a test compares them with what is shipped. Weights go into the package, the table does not.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np

from aiida_perovskite.datasets import load_elpasolites_as_stored
from aiida_perovskite.learning.checkpoint import atomic_path, read_tensors, write_tensors
from aiida_perovskite.learning.generative import generator_type, load_generator
from aiida_perovskite.learning.generative.calibration import calibrate, held_out
from aiida_perovskite.learning.generative.design import EnergyTarget
from aiida_perovskite.learning.generative.energies import ClassEnergies
from aiida_perovskite.learning.generative.evaluation import EvaluationSettings, evaluate
from aiida_perovskite.learning.generative.generator import JSON_FILE, TENSOR_FILE, Generator
from aiida_perovskite.learning.generative.shipped import CARD, CHECKSUMS
from aiida_perovskite.learning.generative.table import ElpasoliteTable
from aiida_perovskite.learning.generative.truth import Truth

FOLDER = Path(__file__).parents[1] / "aiida_perovskite" / "learning" / "generative" / "shipped_generator"
CLASSES = (1, 2, 5)
COMPARED = ("precision", "coverage", "js_distance")
TOLERANCE = 0.01  # halving the weights may change no metric by more
CONFIDENCE = 0.9
TAIL = 0.02
SPLITS = 10  # into halves, one of which calibrates
TARGET = EnergyTarget.parse("formation energy < 0")  # any: only intervals are looked at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write; the package by default")
    arguments = parser.parse_args()

    dataset = load_elpasolites_as_stored(arguments.table)
    frame = dataset.frame
    table = ElpasoliteTable.from_rows(*(frame[name] for name in (*"abcd", dataset.target)))
    start = time.process_time()
    trained = generator_type("autoregressive").fit(table, seed=arguments.seed, progress=print)
    seconds = time.process_time() - start
    with tempfile.TemporaryDirectory() as name:
        halved = halve(trained, Path(name))
    halved.calibration = calibrate(*held_out(halved, table))
    truth = Truth.fit(table)
    settings = EvaluationSettings(classes=CLASSES)
    full, half = (evaluate(generator, table, truth, settings) for generator in (trained, halved))
    change = float(np.abs(full[list(COMPARED)] - half[list(COMPARED)]).to_numpy().max())
    print(f"weights of 16 bits change {', '.join(COMPARED)} by up to {change:.4f}")
    if change > TOLERANCE:
        raise SystemExit(f"that is more than {TOLERANCE}: ship weights of 32 bits instead")
    save_halved(halved, arguments.folder)
    card = wrapped(card_text(halved, table, dataset.card, half, change, seconds))
    write(arguments.folder / CARD, card)
    names = (TENSOR_FILE, JSON_FILE, CARD)
    sums = [f"{hashlib.sha256((arguments.folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    write(arguments.folder / CHECKSUMS, "".join(sums))
    print(card)


def halve(generator: Generator, folder: Path) -> Any:
    """Return the generator as it is after its weights have been stored with 16 bits each."""
    save_halved(generator, folder)
    return load_generator(folder)


def save_halved(generator: Generator, folder: Path) -> None:
    generator.save(folder)
    tensors, metadata = read_tensors(folder / TENSOR_FILE)
    write_tensors(folder / TENSOR_FILE, {name: tensor.half() for name, tensor in tensors.items()}, metadata)


def write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def interval_coverage(generator: Any, table: ElpasoliteTable) -> dict[str, float]:
    """Return how often intervals hold the energy of compounds that neither the networks nor the calibration saw."""
    energies, predicted = held_out(generator, table)
    tail = predicted <= np.quantile(predicted, TAIL)
    corrected, lower, upper = np.empty((3, SPLITS, len(energies)))
    random = np.random.default_rng(0)
    for split in range(SPLITS):
        halves = random.permutation(len(energies)) % 2
        for part in (0, 1):
            here = halves == part
            judge = copy.copy(generator)
            judge.calibration = calibrate(energies[~here], predicted[~here])
            ready = ClassEnergies(judge)
            corrected[split, here] = ready.correct(predicted[here])
            ends = ready.uncertainty(corrected[split, here], TARGET, CONFIDENCE)
            lower[split, here], upper[split, here] = ends[:2]
    inside = (lower <= energies) & (energies <= upper)
    return {
        "all": float(inside.mean()),
        "tail": float(inside[:, tail].mean()),
        "mae": float(np.abs(energies - corrected).mean()),
        "mae_tail": float(np.abs(energies - corrected)[:, tail].mean()),
        "width": float((upper - lower).mean()),
        "width_tail": float((upper - lower)[:, tail].mean()),
    }


def wrapped(text: str) -> str:
    """Return the text with long lines broken."""
    broken = []
    for line in text.splitlines():
        indent = "  " if line.startswith("- ") else ""
        broken += textwrap.wrap(line, 120, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return "\n".join(broken) + "\n"


def card_text(generator: Any, table: ElpasoliteTable, dataset: Any, metrics: Any, change: float, seconds: float) -> str:
    """Return the card; every number in it is computed."""
    coverage = interval_coverage(generator, table)
    source = (
        f"{dataset.title}. {dataset.citation}. Licence of the data: {dataset.licence}. SHA-256 of the file: "
        f"`{dataset.sha256}`. {table.n_compounds} compounds, both orders of A and B. The table is not shipped."
    )
    settings = ", ".join(f"{name} {value}" for name, value in generator.settings.to_dict().items())
    rows = "\n".join(
        f"| {row.requested} | {row.precision:.3f} | {row.coverage:.3f} | {row.js_distance:.3f} |"
        for row in metrics.itertuples()
    )
    return f"""# The shipped generator of elpasolites

Proposes compounds ABC2D6 of the 39 main-group elements from H to Bi by energy class, and predicts their formation
energies. It is what `aiida-perovskite generate` takes where there is no table to learn from.

- Kind: `{generator.name}`, seed {generator.seed}; settings {settings}
- Learned from: {source}
- Classes: ten of equal width from {generator.edges[0]:.4f} to {generator.edges[-1]:.4f} eV/atom.
- Versions: {", ".join(f"{name} {version}" for name, version in generator.versions.items())}
- Training: {seconds:.0f} s of CPU. Weights have 16 bits, which changes no metric below by more than {change:.4f}.
- Licence of the weights: that of the package (MIT).

## How good it is

10,000 draws per class against a kernel ridge regression of the whole space, which learned the same table:

| class | precision | coverage | JS distance |
|---|---|---|---|
{rows}

Energies of compounds, by the networks that did not see them: mean error {coverage["mae"]:.3f} eV/atom. Intervals of
{CONFIDENCE:.0%}, calibrated on the other half of the compounds, hold {coverage["all"]:.1%} of all energies and are
{coverage["width"]:.2f} eV/atom wide. Of the {TAIL:.0%} of lowest prediction they hold {coverage["tail"]:.1%}, with a
mean error of {coverage["mae_tail"]:.3f} eV/atom and a width of {coverage["width_tail"]:.2f} eV/atom.

`python tools/ship_generator.py TABLE` trains it again, and writes weights, numbers and this card.

## What it is not for

- Energies are those of the ideal Fm-3m structure against the elements, with the functional of the paper (PBE): not
  against competing phases. A low one does not say that a compound exists.
- Without the table nobody can tell which compounds are in it: give the table where you have it.
- Compounds beyond the energies of the table are extrapolated. Other elements and other structures are refused.
"""


if __name__ == "__main__":
    main()
