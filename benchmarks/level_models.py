"""Level networks against baselines: writes results/level_models.csv.

    python benchmarks/level_models.py --file mp-abc2d6-legacy2023=PATH --file mp-abc2d6-2026=PATH

Steps, each of which keeps what is finished in the folder --work and skips it the next time:

prepare   reads the datasets, splits them, and writes problem files of plain arrays;
train     trains the networks of these files, on a GPU if there is one; it needs only torch, numpy, pandas and
          safetensors, so the folder can be taken to a machine that has nothing else (--only train);
explore   compares settings on the validation rows of the random draws and writes results/level_choices.csv;
baselines fits the baselines, on --jobs processes;
score     scores everything on the test rows, each looked at once, and writes the table.

Splits: `random` (five random draws in the proportions of the thesis, 1500/220/221), `random-common` (the test rows of
the same draws that have a place on the grid of the screening's CNN, which is trained on those of the training rows that
have), `element:X` (all compounds with X are the test set), `anion:X` (all with X on the D site). Epochs are chosen on
the validation rows. Of the thesis's network the first draw has two seeds, of which the one that validates best is
scored;
`level_network_best` is the mean of five networks (two where elements are left out).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aiida_perovskite.learning.checkpoint import atomic_path, write_json
from aiida_perovskite.learning.levels.settings import LevelSettings
from aiida_perovskite.learning.metrics import error_metrics

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

RESULTS = Path(__file__).parent / "results"
TARGETS = {"mp-abc2d6-legacy2023": "gap_pbe_ev", "mp-abc2d6-2026": "gap_pbe_ev", "halide-gaps-gpaw": "gap_hse06_soc_ev"}
MAIN = "mp-abc2d6-legacy2023"
DRAWS = 5
SHARES = (1500 / 1941, 220 / 1941)  # of training and validation rows, as in the thesis
ELEMENTS_OUT = ("Li", "Na", "Cs", "Ca", "Ti", "Cu", "Ag", "In", "Tl", "Bi")
ANIONS_OUT = ("F", "Cl", "Br", "I", "O")
PRIOR_WEIGHTS = (0.0, 1e-4, 1e-3)
SEEDS = 2
SHORT = 200  # epochs of the thesis's network, as many as of the best; its 1,000 take five times as long
MEMBERS = 5
COLUMNS = ["dataset", "model", "split", "n", "mae_ev", "rmse_ev", "r2", "spread", "mae_spread_ev", "coverage_90"]

THESIS = LevelSettings()
# Where the search for a better network began; `explore` changes one thing at a time.
EXPLORED = LevelSettings(
    prior_weight=1e-3,
    element_features=True,
    censored=True,
    epochs=200,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    weight_decay=1e-2,
    dropout=0.1,
    averaging=0.995,
)
# What it came to, on the validation rows of the random draws (benchmarks/README.md).
BEST = replace(EXPLORED, dropout=0.0, prior_weight=1e-4, reference_floor_ev=-30.0)


@dataclass(frozen=True)
class Problem:
    """One dataset as plain arrays, with its splits."""

    name: str
    formulas: list[str]
    elements: list[str]
    sites: Rows
    targets: Floats
    reference: Floats
    features: NDArray[np.float32]
    ions: Rows  # indices of the sites' ions in the solid-state energies, -1 where there is none
    energies: Floats  # solid-state energies, the last one nan
    grids: NDArray[np.float32]  # of the screening's CNN; zeros where a compound has no place
    splits: dict[str, tuple[Rows, Rows, Rows]]

    @property
    def on_grid(self) -> NDArray[np.bool_]:
        """Which compounds have a place on the grid of the screening's CNN."""
        return self.grids.any(axis=(1, 2, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH", help="copy of a registered dataset")
    parser.add_argument("--work", type=Path, default=Path("level-models"), help="folder for what is finished")
    parser.add_argument(
        "--only", choices=["prepare", "explore", "train", "baselines", "score"], help="one of the steps"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--jobs", type=int, default=1, help="processes that fit baselines")
    parser.add_argument("--without", action="append", default=[], metavar="BASELINE", help="leave a baseline out")
    parser.add_argument("--epochs", type=int, help="fewer epochs, to try the program out")
    parser.add_argument("--group", action="append", help="train these groups only, or explore these changes")
    parser.add_argument("--output", type=Path, default=RESULTS / "level_models.csv")
    given = parser.parse_args()
    for name in given.without:
        BASELINES.pop(name)
    files = dict(item.split("=", 1) for item in given.file)
    if given.only in (None, "prepare"):
        for name in TARGETS:
            prepare(name, files.get(name), given.work)
    if given.only == "explore":
        explore(given.work, given.device, given.epochs, given.group or list(CHANGES))
    if given.only in (None, "train"):
        for group in GROUPS:
            if given.group is None or group in given.group:
                train(group, given.work, given.device, given.epochs)
    if given.only in (None, "baselines"):
        fit_baselines(given.work, given.jobs)
    if given.only in (None, "score"):
        score(given.work, given.output)


def prepare(name: str, file: str | None, work: Path) -> None:
    """Write the problem file of a dataset, unless it is there or the dataset is not to be had."""
    from aiida_perovskite.chemistry import Composition
    from aiida_perovskite.chemistry.atomic_levels import reference_levels
    from aiida_perovskite.chemistry.descriptors import element_descriptors
    from aiida_perovskite.chemistry.solid_state_energy import solid_state_energies
    from aiida_perovskite.datasets import DatasetError, load_dataset
    from aiida_perovskite.learning import EncodingError, encode

    path = work / f"{name}.npz"
    if path.exists():
        return
    try:
        frame = load_dataset(name, file=file).frame
    except DatasetError as error:
        print(f"without {name}: {error}", flush=True)
        return
    frame = frame.sort_values("formula").reset_index(drop=True)
    items = [Composition.parse(formula) for formula in frame["formula"]]
    elements = sorted({symbol for item in items for symbol in (item.a, item.b, item.c, item.d)})
    levels, table = reference_levels(), solid_state_energies()
    grids = np.zeros((len(items), 3, 5, 17), dtype=np.float32)
    for row, item in enumerate(items):
        try:
            grids[row] = encode([item])[0]
        except EncodingError:
            continue
    sites = np.array([[elements.index(symbol) for symbol in (item.a, item.b, item.c, item.d)] for item in items])
    splits = make_splits(sites, elements, full=name == MAIN)
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(
            handle,
            formulas=np.array([item.formula for item in items]),
            elements=np.array(elements),
            sites=sites,
            targets=frame[TARGETS[name]].to_numpy(float),
            reference=np.array([levels.get(symbol, (np.nan, np.nan)) for symbol in elements], dtype=float),
            features=element_descriptors(elements).astype(np.float32),
            ions=table.element_indices(items),
            energies=np.append(table.energies_ev, np.nan),
            grids=grids,
            **{
                f"split/{key}/{part}": rows
                for key, parts in splits.items()
                for part, rows in zip("tvs", parts, strict=True)
            },
        )
    print(f"{name}: {len(items)} compounds of {len(elements)} elements, {len(splits)} splits", flush=True)


def make_splits(sites: Rows, elements: list[str], full: bool) -> dict[str, tuple[Rows, Rows, Rows]]:
    """Return split -> training, validation and test rows; rows are compounds, whatever the order of A and B."""
    everything, splits = np.arange(len(sites)), {}
    for draw in range(DRAWS):
        order = np.random.default_rng([2026, draw]).permutation(everything)
        ends = np.round(np.cumsum(SHARES) * len(order)).astype(int)
        parts = np.split(order, ends)
        splits[f"random:{draw}"] = (np.sort(parts[0]), np.sort(parts[1]), np.sort(parts[2]))
    if full:
        for kind, symbols, columns in (("element", ELEMENTS_OUT, [0, 1, 2, 3]), ("anion", ANIONS_OUT, [3])):
            for symbol in symbols:
                out = (sites[:, columns] == elements.index(symbol)).any(axis=1)
                rest = np.random.default_rng([2026, len(splits)]).permutation(everything[~out])
                n_valid = round(len(rest) * SHARES[1] / sum(SHARES))
                splits[f"{kind}:{symbol}"] = (np.sort(rest[n_valid:]), np.sort(rest[:n_valid]), everything[out])
    return splits


def read_problem(name: str, work: Path) -> Problem | None:
    path = work / f"{name}.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        keys = {key.split("/")[1] for key in file.files if key.startswith("split/")}
        splits = {key: tuple(file[f"split/{key}/{part}"] for part in "tvs") for key in sorted(keys)}
        return Problem(
            name,
            file["formulas"].tolist(),
            file["elements"].tolist(),
            *(file[key] for key in ("sites", "targets", "reference", "features", "ions", "energies", "grids")),
            splits,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Group:
    """Networks that train together: a dataset, settings, and (model, splits, seeds, prior weight) of each."""

    dataset: str
    settings: LevelSettings
    networks: tuple[tuple[str, str, range, float], ...]


def _thesis(
    prefix: str, weights: tuple[float, ...], seeds: range = range(1)
) -> tuple[tuple[str, str, range, float], ...]:
    return tuple((f"level_network_{weight:g}", prefix, seeds, weight) for weight in weights)


def _best(*prefixes: str, members: int = MEMBERS) -> tuple[tuple[str, str, range, float], ...]:
    return tuple(("level_network_best", prefix, range(members), BEST.prior_weight) for prefix in prefixes)


GROUPS: dict[str, Group] = {
    # Of the first draw another seed, for `level_families.py`.
    "thesis-random": Group(
        MAIN,
        replace(THESIS, epochs=SHORT),
        (*_thesis("random", PRIOR_WEIGHTS), *_thesis("random:0", PRIOR_WEIGHTS, range(1, SEEDS))),
    ),
    "best-random": Group(MAIN, BEST, _best("random")),
    "free-random": Group(
        MAIN,
        replace(BEST, prior_weight=0.0),
        (("level_network_best_no_prior", "random", range(MEMBERS), 0.0),),
    ),
    "best-out": Group(MAIN, BEST, _best("element", "anion", members=2)),
    "thesis-out": Group(
        MAIN, replace(THESIS, epochs=SHORT), (*_thesis("element", (1e-3,)), *_thesis("anion", (1e-3,)))
    ),
    "thesis-halides": Group("halide-gaps-gpaw", THESIS, _thesis("random", (0.0, 1e-3))),
    "best-halides": Group("halide-gaps-gpaw", BEST, _best("random")),
    "best-2026": Group("mp-abc2d6-2026", BEST, _best("random")),
}


# What was compared for the better network: one change at a time.
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "without descriptors": {"element_features": False},
    "gaps of zero count in full": {"censored": False},
    "no dropout": {"dropout": 0.0},
    "dropout 0.2": {"dropout": 0.2},
    "half the learning rate": {"learning_rate": 5e-4},
    "Huber loss": {"loss": "huber"},
    "weight decay 1e-4": {"weight_decay": 1e-4},
    "weight decay 0.1": {"weight_decay": 0.1},
    "no prior": {"prior_weight": 0.0},
    "batches of 32": {"batch_size": 32},
    "anchored": {"anchored": True, "reference_floor_ev": -30.0},
    "prior 1e-4, no dropout": {"prior_weight": 1e-4, "reference_floor_ev": -30.0, "dropout": 0.0},
    "prior 1e-4, no dropout, rescaled": {
        "prior_weight": 1e-4,
        "reference_floor_ev": -30.0,
        "dropout": 0.0,
        "rescaled": True,
    },
    "no prior, no dropout": {"prior_weight": 0.0, "reference_floor_ev": -30.0, "dropout": 0.0},
    "anchored, no dropout": {"anchored": True, "reference_floor_ev": -30.0, "dropout": 0.0},
}


def explore(work: Path, device: str, epochs: int | None, changes: list[str]) -> None:
    """Train two networks per draw for each change and keep their errors on the validation rows.

    Where a group has been trained with the settings of a change, its first two networks are taken.
    """
    from aiida_perovskite.learning.levels.training import LevelProblem, LevelTask, train_networks

    problem = read_problem(MAIN, work)
    assert problem is not None, f"prepare {MAIN} first"
    arrays = LevelProblem(problem.sites, problem.targets, problem.reference, problem.features)
    draws = [parts for split, parts in problem.splits.items() if split.startswith("random:")]
    tasks = [
        LevelTask(f"explore:{draw}:{seed}", seed, rows, validation)
        for draw, (rows, validation, _) in enumerate(draws)
        for seed in range(2)
    ]
    for name in changes:
        change = CHANGES[name]
        path = work / "explore" / f"{name.replace(' ', '-')}.json"
        if path.exists():
            continue
        settings = replace(EXPLORED, **(change if epochs is None else change | {"epochs": epochs}))
        start = time.perf_counter()
        found = trained_pairs(settings, work)
        if found is None:
            result = train_networks(arrays, tasks, settings, device=device)
            import torch

            gaps = result.network(torch.from_numpy(problem.sites)).clamp(min=0).double().numpy()
            epochs_taken, seconds = result.best_epoch, time.perf_counter() - start
        else:
            gaps, epochs_taken, seconds = *found, None
        single, pairs = [], []
        for draw, (_, validation, _) in enumerate(draws):
            both, target = gaps[2 * draw : 2 * draw + 2, validation], problem.targets[validation]
            single += np.abs(both - target).mean(axis=1).tolist()
            pairs.append(float(np.abs(both.mean(axis=0) - target).mean()))
        row = {
            "change": name,
            "validation_mae_ev": float(np.mean(single)),
            "validation_mae_of_two_ev": float(np.mean(pairs)),
            "standard_error_ev": float(np.std(pairs, ddof=1) / np.sqrt(len(pairs))),
            "median_best_epoch": float(np.median(epochs_taken)),
            "seconds": seconds,
        }
        print(row, flush=True)
        write_json(path, row)


def trained_pairs(settings: LevelSettings, work: Path) -> tuple[Floats, list[int]] | None:
    """Return gaps and epochs of the first two networks of each random draw, if a group was trained with these settings.

    Returns
    -------
    gaps, epochs
        (2 * DRAWS, n_compounds), eV, the two of a draw one after the other; and the epochs that validated best.
    """
    for name, group in GROUPS.items():
        path = work / f"{name}.json"
        if group.dataset == MAIN and group.settings == settings and path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            pairs = [
                (one["gap_ev"], epoch)
                for one, epoch in zip(found["networks"], found["best_epoch"], strict=True)
                if one["split"].startswith("random:") and one["seed"] < 2
            ]
            if len(pairs) == 2 * DRAWS:
                return np.array([gaps for gaps, _ in pairs]), [epoch for _, epoch in pairs]
    return None


def write_choices(work: Path, output: Path) -> None:
    """Write what was explored, if anything was."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((work / "explore").glob("*.json"))]
    if found:
        with atomic_path(output) as temporary:
            pd.DataFrame(found).sort_values("validation_mae_of_two_ev").to_csv(
                temporary, index=False, float_format="%.4f"
            )


def train(group: str, work: Path, device: str, epochs: int | None) -> None:
    """Train the networks of a group and keep what they predict for all rows."""
    from aiida_perovskite.learning.levels.training import LevelProblem, LevelTask, choose_device, train_networks

    part, chosen = work / f"{group}.json", GROUPS[group]
    problem = read_problem(chosen.dataset, work)
    if part.exists() or problem is None:
        return
    settings = chosen.settings if epochs is None else replace(chosen.settings, epochs=epochs)
    labels, tasks = [], []
    for model, prefix, seeds, weight in chosen.networks:
        for split, (rows, validation, _) in problem.splits.items():
            if split == prefix or split.startswith(f"{prefix}:"):
                for seed in seeds:
                    labels.append((model, split, seed))
                    tasks.append(LevelTask(f"{split}:{seed}", seed, rows, validation, weight))
    arrays = LevelProblem(problem.sites, problem.targets, problem.reference, problem.features)
    start = time.perf_counter()
    result = train_networks(
        arrays,
        tasks,
        settings,
        device=device,
        workdir=work / group,
        progress=lambda line: print(f"{group}: {line}", flush=True),
    )
    seconds = time.perf_counter() - start
    import torch

    gaps = result.network(torch.from_numpy(problem.sites)).clamp(min=0).double().numpy()
    if group == "thesis-random":
        keep_first_draw(result.network, tasks, labels, work)
    write_json(
        part,
        {
            "device": _device_name(choose_device(device).type),
            "seconds": seconds,
            "settings": settings.to_dict(),
            "best_epoch": result.best_epoch,
            "networks": [
                {"model": model, "split": split, "seed": seed, "gap_ev": np.round(row, 5).tolist()}
                for (model, split, seed), row in zip(labels, gaps, strict=True)
            ],
        },
    )
    print(f"{group}: {len(tasks)} networks in {seconds:.0f} s", flush=True)


def keep_first_draw(network: Any, tasks: list[Any], labels: list[tuple[str, str, int]], work: Path) -> None:
    """Keep the weights of the networks of the first draw, for `level_families.py`: a file per weight of the prior."""
    from aiida_perovskite.learning.checkpoint import write_tensors

    for model in sorted({model for model, _, _ in labels}):
        chosen = [number for number, (other, split, _) in enumerate(labels) if (other, split) == (model, "random:0")]
        tensors = {
            name: tensor if name == "fractions" else tensor[chosen] for name, tensor in network.state_dict().items()
        }
        write_tensors(work / f"{model}.safetensors", tensors, {"n_members": str(len(chosen))})


def _device_name(kind: str) -> str:
    import torch
    from machine import processor

    return torch.cuda.get_device_name() if kind == "cuda" else processor()


def score(work: Path, output: Path) -> None:
    """Score networks and baselines on the test rows and write the table."""
    rows: list[dict[str, Any]] = []
    for name in TARGETS:
        problem = read_problem(name, work)
        if problem is None:
            continue
        predicted = dict(network_predictions(problem, work))
        predicted |= {(model, split): baseline(problem, model, split, work) for model, split in baseline_keys(problem)}
        rows += summary(problem, predicted)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    with atomic_path(output) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.4f")
    print(frame.to_string(index=False, float_format="%.3f"))
    write_choices(work, output.with_name("level_choices.csv"))
    print_noise_floor(work)


def network_predictions(problem: Problem, work: Path) -> Iterator[tuple[tuple[str, str], Floats]]:
    """Yield (model, split) -> gaps of all rows: of one network the seed that validates best, of `best` the mean."""
    for name, group in GROUPS.items():
        part = work / f"{name}.json"
        if group.dataset != problem.name or not part.exists():
            continue
        found: dict[tuple[str, str], list[Floats]] = {}
        for network in json.loads(part.read_text(encoding="utf-8"))["networks"]:
            found.setdefault((network["model"], network["split"]), []).append(np.array(network["gap_ev"]))
        for (model, split), gaps in found.items():
            validation = problem.splits[split][1]
            errors = [np.abs(one - problem.targets)[validation].mean() for one in gaps]
            is_best = model.startswith("level_network_best")
            yield (model, split), np.mean(gaps, axis=0) if is_best else gaps[int(np.argmin(errors))]


def baseline_keys(problem: Problem) -> list[tuple[str, str]]:
    """Return (model, split) of all baselines of a dataset; the slow ones first."""
    random = [split for split in problem.splits if split.startswith("random:")]
    cnns = [("screening_cnn", split) for split in random if problem.name == MAIN and "screening_cnn" in BASELINES]
    return cnns + [(model, split) for model in BASELINES if model != "screening_cnn" for split in problem.splits]


def baseline(problem: Problem, model: str, split: str, work: Path) -> Floats:
    """Return what a baseline, fitted to training and validation rows, predicts for all rows; kept in a file."""
    path = work / "baselines" / f"{problem.name}-{model}-{split.replace(':', '-')}.json"
    if not path.exists():
        gaps = BASELINES[model](problem, np.concatenate(problem.splits[split][:2]))
        write_json(path, {"gap_ev": [None if np.isnan(gap) else round(float(gap), 5) for gap in gaps]})
        print(f"{problem.name} {split} {model}", flush=True)
    return np.array(json.loads(path.read_text(encoding="utf-8"))["gap_ev"], dtype=float)


def fit_baselines(work: Path, jobs: int) -> None:
    """Fit all baselines that can be fitted here; solid-state energies need more than numpy and are left to `score`."""
    problems = [problem for name in TARGETS if (problem := read_problem(name, work)) is not None]
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [
            pool.submit(baseline, problem, model, split, work)
            for problem in problems
            for model, split in baseline_keys(problem)
            if not model.startswith("sse")
        ]
        for job in waiting:
            job.result()


def one_hots(problem: Problem) -> Floats:
    """Return site one-hots, A and B being one site."""
    n, size = len(problem.sites), len(problem.elements)
    features = np.zeros((n, 3 * size))
    for column, offset in ((0, 0), (1, 0), (2, size), (3, 2 * size)):
        features[np.arange(n), offset + problem.sites[:, column]] = 1
    return features


def regression(name: str) -> Callable[[Problem, Rows], Floats]:
    def predict(problem: Problem, learned: Rows) -> Floats:
        from aiida_perovskite.learning.baselines import BASELINES as REGRESSIONS

        features = one_hots(problem)
        fitted = REGRESSIONS[name](0).fit(features[learned], problem.targets[learned])
        return np.maximum(fitted.predict(features), 0.0)

    return predict


def solid_state(refit: bool) -> Callable[[Problem, Rows], Floats]:
    """Return gaps from solid-state energies; a compound without them gets the mean of the training rows."""

    def predict(problem: Problem, learned: Rows) -> Floats:
        from aiida_perovskite.chemistry.solid_state_energy import CATION_THRESHOLD_EV, gaps_of_sites
        from aiida_perovskite.learning.levels.sse import fit_solid_state_energies

        energies, ions = problem.energies, problem.ions
        cation = energies > CATION_THRESHOLD_EV
        if refit:
            energies = fit_solid_state_energies(ions[learned], problem.targets[learned], energies).energies_ev
        gaps = np.maximum(gaps_of_sites(energies[ions], is_cation=cation[ions]).gap_ev, 0.0)
        return np.where(np.isnan(gaps), problem.targets[learned].mean(), gaps)

    return predict


def cnn(problem: Problem, learned: Rows) -> Floats:
    """Return what five networks of the screening, trained on the rows that have a place on their grid, predict."""
    from aiida_perovskite.learning.ensemble import Ensemble
    from aiida_perovskite.learning.settings import TrainingSettings
    from aiida_perovskite.learning.training import Task, TrainingData, train_members

    rows = learned[problem.on_grid[learned]]
    tasks = [Task("cnn", member, rows, rows[:0]) for member in range(MEMBERS)]
    result = train_members(TrainingData(problem.grids, problem.targets), tasks, TrainingSettings())
    gaps = Ensemble(list(result.members.values())).predict(problem.grids).mean(axis=0)
    return np.where(problem.on_grid, np.maximum(gaps, 0.0), np.nan)


BASELINES: dict[str, Callable[[Problem, Rows], Floats]] = {
    "mean": regression("mean"),
    "sse": solid_state(refit=False),
    "sse_refitted": solid_state(refit=True),
    "gradient_boosting": regression("gradient_boosting"),
    "extremely_randomised_trees": regression("extremely_randomised_trees"),
    "screening_cnn": cnn,
}


def summary(problem: Problem, predicted: Mapping[tuple[str, str], Floats]) -> Iterator[dict[str, Any]]:
    """Yield a row per model and kind of split: means over the draws, and the spread of the errors between draws."""
    models = sorted({model for model, _ in predicted})
    for model in models:
        is_network = model not in BASELINES  # baselines learned from the validation rows too, and promise no interval
        mine = {split: gaps for (other, split), gaps in predicted.items() if other == model}
        kinds: dict[str, list[dict[str, float]]] = {}
        for split, gaps in mine.items():
            kind = "random" if split.startswith("random:") else split
            _, validation, test = problem.splits[split]
            if model != "screening_cnn":
                kinds.setdefault(kind, []).append(errors(problem, gaps, validation, test))
            if kind == "random" and problem.name == MAIN:
                parts = (part[problem.on_grid[part]] for part in (validation, test))
                kinds.setdefault("random-common", []).append(errors(problem, gaps, *parts))
        for kind, found in kinds.items():
            frame = pd.DataFrame(found)
            spread = frame.std(ddof=1) if len(frame) > 1 else frame.iloc[0] * np.nan
            yield {
                "dataset": problem.name,
                "model": model,
                "split": kind,
                **(frame if is_network else frame.drop(columns="coverage_90")).mean().to_dict(),
                "spread": float(problem.targets.std()),
                "mae_spread_ev": spread["mae_ev"],
            }


def errors(problem: Problem, gaps: Floats, validation: Rows, test: Rows) -> dict[str, float]:
    target = problem.targets[test]
    width = np.quantile(np.abs(gaps - problem.targets)[validation], 0.9)
    return {
        "n": len(test),
        **error_metrics(target, gaps[test]),
        "r2": 1 - float(((gaps[test] - target) ** 2).sum() / ((target - target.mean()) ** 2).sum()),
        "coverage_90": float((np.abs(gaps[test] - target) <= width).mean()),
    }


def print_noise_floor(work: Path) -> None:
    """Print how far the labels of two snapshots of the Materials Project are apart: no model can beat that."""
    problems = [read_problem(name, work) for name in ("mp-abc2d6-legacy2023", "mp-abc2d6-2026")]
    first, second = (pd.Series(one.targets, index=one.formulas) for one in problems if one is not None)
    both = pd.concat([first, second], axis=1, join="inner", keys=["a", "b"])
    difference = (both["a"] - both["b"]).abs()
    print(
        f"labels of the two snapshots, {len(both)} compounds in both: mean difference {difference.mean():.3f} eV, more "
        f"than 0.3 eV for {100 * (difference > 0.3).mean():.1f} %"
    )


if __name__ == "__main__":
    main()
