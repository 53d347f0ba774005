"""A trained ensemble of level networks: gaps, levels and attention from formulas, and what it was trained from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from aiida_perovskite.chemistry import Composition
from aiida_perovskite.chemistry.descriptors import element_descriptors

from ..calibration import Calibration, cross_intervals
from ..checkpoint import (
    CheckpointError,
    frame_columns,
    read_model_files,
    require_network,
    tensor_hash,
    versions,
    write_json,
    write_tensors,
)
from ..metrics import error_metrics, interval_metrics
from ..representation import as_compositions
from ..rows import assign_folds, canonical_rows, data_hash, seen_elements
from ..training import Progress
from .network import ARCHITECTURE, SITES, LevelNetwork, LevelOutputs
from .settings import LevelSettings
from .training import LevelProblem, LevelTask, train_networks

__all__ = ["JSON_FILE", "TENSOR_FILE", "LevelModel", "UnseenElementError", "levels_frame"]

TENSOR_FILE = "model.safetensors"
JSON_FILE = "model.json"
_FORMAT = 1
_CONFIDENCE = 0.9
_BLOCK = 256  # compounds per forward pass: a few hundred MB for ten networks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Levels = Mapping[str, tuple[float, float]]


class UnseenElementError(ValueError):
    """A compound holds an element that no training row held."""


@dataclass
class LevelModel:
    """Level networks trained together on one target, with intervals from the folds they held out.

    Make one with `LevelModel.train` or `LevelModel.load`. Network m never trained on fold m (modulo the number of
    folds); its epoch was chosen there, which makes the errors below a little too small (benchmarks/README.md measures
    by how much).

    Attributes
    ----------
    settings
        How it was trained.
    target
        Name of the target column.
    elements
        The elements that training saw; number n of the network is the n-th.
    reference
        Element -> reference HOMO and LUMO in eV, of all elements that had one.
    network
        The trained networks.
    cross_validation
        One row per training compound: formula, target_ev, gap_ev, std_ev, lower_ev, upper_ev (confidence 0.9,
        calibrated on the other folds), fold. Predicted by networks that held the row out.
    history
        One row per report and network: task, epoch, learning_rate, training_loss, held_out_mae_ev (best so far).
    best_epoch
        The epoch whose weights each network kept.
    metrics
        mae_ev, rmse_ev, r2, interval_coverage_90, interval_width_ev, n.
    seen
        Site (ab, c, d) -> elements that training saw there.
    data_sha256
        Hash of the canonical training rows.
    versions
        Of this package and the libraries that shape the result.
    """

    settings: LevelSettings
    target: str
    elements: tuple[str, ...]
    reference: dict[str, tuple[float, float]]
    network: LevelNetwork
    cross_validation: pd.DataFrame
    seen: dict[str, list[str]]
    data_sha256: str
    best_epoch: list[int]
    metrics: dict[str, Any] = field(default_factory=dict)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frame = self.cross_validation
        residual = frame["target_ev"].to_numpy(float) - frame["gap_ev"].to_numpy(float)
        self._calibration = Calibration(residual, np.zeros(len(frame)))

    @classmethod
    def train(
        cls,
        formulas: Iterable[str],
        targets_ev: Iterable[float],
        settings: LevelSettings | None = None,
        *,
        target: str = "gap_ev",
        reference: Levels | None = None,
        progress: Progress | None = None,
        workdir: str | Path | None = None,
        threads: int | None = None,
        device: str = "cpu",
    ) -> LevelModel:
        """Train an ensemble. The order of the rows does not matter.

        Parameters
        ----------
        formulas, targets_ev
            Compounds in any spelling, and their gaps in eV.
        settings
            How to train; defaults to `LevelSettings()`.
        target
            Name of the target column, kept in the checkpoint.
        reference
            Element -> HOMO and LUMO in eV; by default those of `chemistry.reference_levels`.
        progress
            Called with a line of text some fifty times.
        workdir
            Folder in which the training keeps its state: called again after a kill, it resumes there.
        threads, device
            Threads of torch; 'cpu', 'cuda' or 'auto'.

        Raises
        ------
        TrainingDataError
            If a target is not a number, a compound is listed twice, or there are too few rows.
        ValueError
            If the prior has a weight, but an element of the training rows has no reference levels.
        CheckpointError
            If `workdir` holds the state of another training.
        """
        settings = settings or LevelSettings()
        formulas, targets = canonical_rows(formulas, targets_ev)
        fold = assign_folds(len(formulas), settings.folds, settings.seed)
        elements = tuple(sorted({symbol for item in as_compositions(formulas) for symbol in _symbols(item)}))
        known = _reference(reference, elements, settings)
        result = train_networks(
            LevelProblem(_sites(formulas, elements), targets, *_element_arrays(elements, known)),
            [_task(member, fold, settings) for member in range(settings.members)],
            settings,
            progress=progress,
            workdir=None if workdir is None else Path(workdir),
            device=device,
            threads=threads,
        )
        frame = _cross_validate(result.network, _sites(formulas, elements), formulas, targets, fold, settings)
        return cls(
            settings=settings,
            target=target,
            elements=elements,
            reference=known,
            network=result.network,
            cross_validation=frame,
            seen=seen_elements(formulas),
            data_sha256=data_hash(formulas, targets, target),
            best_epoch=result.best_epoch,
            metrics=_metrics(frame),
            history=pd.DataFrame(result.history),
            versions=versions(),
        )

    @property
    def n_members(self) -> int:
        """Number of networks."""
        return self.network.n_members

    def predict(
        self, formulas: Iterable[str], *, confidence: float = _CONFIDENCE, allow_unseen: bool = False
    ) -> pd.DataFrame:
        """Predict gaps and band edges by all networks.

        Parameters
        ----------
        formulas
            Compounds (text or `Composition`).
        confidence
            Share of compounds, drawn like the training rows, whose gap the interval is to hold; between 0 and 1.
        allow_unseen
            Predict compounds with an element that training never saw, and say so in the column `unseen`, instead of
            raising `UnseenElementError`.

        Returns
        -------
        pandas.DataFrame
            formula (canonical), gap_ev (mean of the networks, not below 0), std_ev (their spread), lower_ev, upper_ev,
            vbm_ev, cbm_ev (means), in_domain (training saw each element on its site), unseen (elements, joined by a
            blank, that training never saw).
        """
        if not 0 < confidence < 1:
            raise ValueError(f"The confidence {confidence} must lie between 0 and 1, e.g. 0.9.")
        compositions = as_compositions(formulas)
        unseen = [_unseen(item, self.elements) for item in compositions]
        network, elements = self._network_for(unseen, allow_unseen)
        sites = _sites(compositions, elements)
        parts = [network.levels(block) for block in _blocks(sites)]
        gaps = _joined([part.gap_ev for part in parts])
        mean, std = gaps.mean(axis=0), gaps.std(axis=0, ddof=1)
        lower, upper = self._calibration.interval(mean, np.zeros(len(mean)), confidence)
        return pd.DataFrame(
            {
                "formula": [item.formula for item in compositions],
                "gap_ev": np.maximum(mean, 0.0),
                "std_ev": std,
                "lower_ev": lower,
                "upper_ev": upper,
                "vbm_ev": _joined([part.vbm_ev for part in parts]).mean(axis=0),
                "cbm_ev": _joined([part.cbm_ev for part in parts]).mean(axis=0),
                "in_domain": [self._in_domain(item) for item in compositions],
                "unseen": [" ".join(missing) for missing in unseen],
            }
        )

    def outputs(
        self, formulas: Iterable[str | Composition], member: int, *, allow_unseen: bool = False
    ) -> LevelOutputs:
        """Return levels, weights and attention of every layer and head of one network.

        Sites are in the order of the canonical formula (A before B in the alphabet).
        """
        if not 0 <= member < self.n_members:
            raise ValueError(f"There is no network {member}: the model has {self.n_members}, counted from 0.")
        compositions = as_compositions(formulas)
        unseen = [_unseen(item, self.elements) for item in compositions]
        network, elements = self._network_for(unseen, allow_unseen)
        parts = [
            LevelOutputs.of_member(network.levels(block), member) for block in _blocks(_sites(compositions, elements))
        ]
        return LevelOutputs(*(np.concatenate([getattr(part, name) for part in parts]) for name in _OUTPUTS))

    def site_numbers(self, formulas: Iterable[str]) -> Ints:
        """Return the numbers of the elements on A, B, C, D, shape (N, 4); `UnseenElementError` for a new element."""
        compositions = as_compositions(formulas)
        self._network_for([_unseen(item, self.elements) for item in compositions], allowed=False)
        return _sites(compositions, self.elements)

    def _network_for(self, unseen: Sequence[list[str]], allowed: bool) -> tuple[LevelNetwork, tuple[str, ...]]:
        """Return the networks, with a row more for each element that training never saw."""
        new = tuple(sorted({symbol for missing in unseen for symbol in missing}))
        if not new:
            return self.network, self.elements
        if not allowed:
            raise UnseenElementError(
                f"Training saw no compound of {', '.join(new)}, so a prediction would be a guess: allow unseen "
                "elements to have it all the same, or train on a table that holds them."
            )
        elements = self.elements + new
        features = element_descriptors(elements).astype(np.float32) if self.settings.element_features else None
        reference, _ = _element_arrays(elements, self._reference_of(new))
        network = LevelNetwork(self.settings, len(elements), [0] * self.n_members, features, reference)
        weights = dict(self.network.state_dict())
        # Without descriptors nothing is known of a new element: the mean of the others stands in for it.
        embedding = weights["embedding"]
        filling = 0 * embedding.mean(1) if self.settings.element_features else embedding.mean(1)
        weights["embedding"] = torch.cat([embedding, filling[:, None].expand(-1, len(new), -1)], dim=1)
        weights |= dict(network.named_buffers())
        network.load_state_dict(weights)
        return network.eval().requires_grad_(False), elements

    def _reference_of(self, new: Sequence[str]) -> Levels:
        """Return the reference levels, with those of new elements where the shipped table has them."""
        from aiida_perovskite.chemistry.atomic_levels import reference_levels

        shipped = reference_levels()
        return self.reference | {symbol: shipped[symbol] for symbol in new if symbol in shipped}

    def _in_domain(self, item: Composition) -> bool:
        return {item.a, item.b} <= set(self.seen["ab"]) and item.c in self.seen["c"] and item.d in self.seen["d"]

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into a folder, which is made if need be."""
        folder = Path(folder)
        tensors = {name: tensor.cpu() for name, tensor in self.network.state_dict().items()}
        digest = tensor_hash(tensors)
        write_tensors(folder / TENSOR_FILE, tensors, {"weights_sha256": digest})
        frame = self.cross_validation
        write_json(
            folder / JSON_FILE,
            {
                "format": _FORMAT,
                "architecture": ARCHITECTURE,
                "weights_sha256": digest,
                "settings": self.settings.to_dict(),
                "seed": self.settings.seed,
                "target": self.target,
                "elements": list(self.elements),
                "reference_ev": {symbol: list(levels) for symbol, levels in self.reference.items()},
                "n_members": self.n_members,
                "best_epoch": self.best_epoch,
                "seen_elements": self.seen,
                "data_sha256": self.data_sha256,
                "split": {formula: int(fold) for formula, fold in frame[["formula", "fold"]].to_numpy()},
                "cross_validation": frame_columns(frame),
                "history": frame_columns(self.history),
                "metrics": self.metrics,
                "versions": self.versions,
            },
        )

    @classmethod
    def load(cls, safetensors_path: str | Path, json_path: str | Path) -> LevelModel:
        """Read a model that `save` wrote.

        Raises
        ------
        CheckpointError
            If a file is missing or damaged, the two do not belong together, or they hold another architecture.
        """
        expected = {"format": _FORMAT, "architecture": ARCHITECTURE}
        content, tensors = read_model_files(Path(safetensors_path), Path(json_path), expected)
        try:
            return cls._from_content(content, tensors)
        except (KeyError, TypeError, RuntimeError, AttributeError, OverflowError, ValueError) as error:
            raise CheckpointError(f"{json_path} does not describe a model of this version ({error}).") from None

    @classmethod
    def _from_content(cls, content: dict[str, Any], tensors: dict[str, torch.Tensor]) -> LevelModel:
        settings = LevelSettings.from_dict(content["settings"])
        features = tensors["features"].numpy() if settings.element_features else None
        elements = content["elements"]
        n_members, layers = int(content["n_members"]), settings.layers
        shapes = {
            "embedding": (n_members, len(elements), settings.embedding),
            "hidden_weight.0": (n_members, 2, settings.heads, settings.embedding + 1, 2 * settings.hidden),
            f"hidden_bias.{layers - 1}": (n_members, 2, settings.heads, settings.hidden),
        }
        require_network(tensors, shapes, ("features", "reference"))
        reference = np.full((len(elements), 2), np.nan)  # the checkpoint's tensors hold it
        network = LevelNetwork(settings, len(elements), [0] * n_members, features, reference)
        network.load_state_dict(tensors)
        return cls(
            settings=settings,
            target=content["target"],
            elements=tuple(content["elements"]),
            reference={symbol: (float(homo), float(lumo)) for symbol, (homo, lumo) in content["reference_ev"].items()},
            network=network.eval().requires_grad_(False),
            cross_validation=pd.DataFrame(content["cross_validation"]),
            seen=content["seen_elements"],
            data_sha256=content["data_sha256"],
            best_epoch=content["best_epoch"],
            metrics=content["metrics"],
            history=pd.DataFrame(content["history"]),
            versions=content["versions"],
        )


_OUTPUTS = ("gap_ev", "vbm_ev", "cbm_ev", "homo_ev", "lumo_ev", "vbm_weights", "cbm_weights", "attention")


def levels_frame(
    model: LevelModel, formulas: Iterable[str], member: int, *, allow_unseen: bool = False
) -> pd.DataFrame:
    """Return what one network says about compounds as a table, one row per compound.

    The columns are those of `frame_of_outputs`, and target_ev, nan where training had no such compound.
    """
    compositions = as_compositions(formulas)
    frame = frame_of_outputs(compositions, model.outputs(compositions, member, allow_unseen=allow_unseen))
    targets = model.cross_validation.set_index("formula")["target_ev"]
    return frame.assign(target_ev=frame["formula"].map(targets).astype(float))


def frame_of_outputs(compositions: Sequence[Composition], found: LevelOutputs) -> pd.DataFrame:
    """Return the outputs of one network as a table, one row per compound.

    Columns: formula, a, b, c, d (elements), gap_ev (negative where the edges overlap), vbm_ev, cbm_ev, homo_a_ev to
    homo_d_ev, lumo_a_ev to lumo_d_ev, vbm_weight_a to _d, cbm_weight_a to _d, and attention_{layer}_{head}_{ij}, layers
    and heads counted from 1, i the updated site and j its partner.
    """
    columns: dict[str, Any] = {"formula": [item.formula for item in compositions]}
    columns |= {site: [getattr(item, site) for item in compositions] for site in SITES}
    columns |= {name: getattr(found, name) for name in ("gap_ev", "vbm_ev", "cbm_ev")}
    for index, site in enumerate(SITES):
        columns |= {f"homo_{site}_ev": found.homo_ev[:, index], f"lumo_{site}_ev": found.lumo_ev[:, index]}
        columns |= {
            f"vbm_weight_{site}": found.vbm_weights[:, index],
            f"cbm_weight_{site}": found.cbm_weights[:, index],
        }
    layers, heads = found.attention.shape[1:3]
    for layer in range(layers):
        for head in range(heads):
            for i, own in enumerate(SITES):
                for j, partner in enumerate(SITES):
                    name = f"attention_{layer + 1}_{head + 1}_{own}{partner}"
                    columns[name] = found.attention[:, layer, head, i, j]
    return pd.DataFrame(columns)


def _symbols(item: Composition) -> tuple[str, str, str, str]:
    return item.a, item.b, item.c, item.d


def _unseen(item: Composition, elements: Sequence[str]) -> list[str]:
    return [symbol for symbol in _symbols(item) if symbol not in elements]


def _sites(formulas: Iterable[str | Composition], elements: Sequence[str]) -> Ints:
    number = {symbol: index for index, symbol in enumerate(elements)}
    rows = [[number[symbol] for symbol in _symbols(item)] for item in as_compositions(formulas)]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _reference(
    given: Levels | None, elements: Sequence[str], settings: LevelSettings
) -> dict[str, tuple[float, float]]:
    from aiida_perovskite.chemistry.atomic_levels import reference_levels

    levels = reference_levels() if given is None else given
    missing = [symbol for symbol in elements if symbol not in levels]
    if settings.prior_weight > 0 and missing:
        raise ValueError(
            f"There are no reference levels of {', '.join(missing)}: add them to the table of levels, or train without "
            "prior (prior_weight = 0)."
        )
    return {symbol: (float(levels[symbol][0]), float(levels[symbol][1])) for symbol in elements if symbol in levels}


def _element_arrays(elements: Sequence[str], reference: Levels) -> tuple[Floats, NDArray[np.float32]]:
    nothing = (np.nan, np.nan)
    levels = np.array([reference.get(symbol, nothing) for symbol in elements], dtype=np.float64)
    return levels, element_descriptors(elements).astype(np.float32)


def _task(member: int, fold: Ints, settings: LevelSettings) -> LevelTask:
    mine = fold == member % settings.folds
    return LevelTask(f"member-{member}", member, np.flatnonzero(~mine), np.flatnonzero(mine))


def _blocks(sites: Ints) -> list[torch.Tensor]:
    return [torch.from_numpy(sites[start : start + _BLOCK]) for start in range(0, max(len(sites), 1), _BLOCK)]


def _joined(parts: Sequence[torch.Tensor]) -> Floats:
    joined: Floats = torch.cat(list(parts), dim=1).double().numpy()
    return joined


def _cross_validate(
    network: LevelNetwork, sites: Ints, formulas: Sequence[str], targets: Floats, fold: Ints, settings: LevelSettings
) -> pd.DataFrame:
    """Predict every row by the mean of the networks that held it out."""
    gaps = _joined([network(block) for block in _blocks(sites)])
    members = np.arange(network.n_members) % settings.folds
    held_out = members[:, None] == fold
    n_networks = network.n_members // settings.folds
    mean = (gaps * held_out).sum(axis=0) / n_networks
    std = np.sqrt(((gaps - mean) ** 2 * held_out).sum(axis=0) / n_networks)
    lower, upper = cross_intervals(targets, mean, np.zeros(len(mean)), fold, _CONFIDENCE)
    return pd.DataFrame(
        {
            "formula": list(formulas),
            "target_ev": targets,
            "gap_ev": mean,
            "std_ev": std,
            "lower_ev": lower,
            "upper_ev": upper,
            "fold": fold,
        }
    )


def _metrics(frame: pd.DataFrame) -> dict[str, Any]:
    targets, predicted = frame["target_ev"].to_numpy(float), np.maximum(frame["gap_ev"].to_numpy(float), 0.0)
    intervals = interval_metrics(targets, frame["lower_ev"], frame["upper_ev"])
    spread = float(np.sum((targets - targets.mean()) ** 2))
    return {
        "n": len(frame),
        **error_metrics(targets, predicted),
        "r2": 1 - float(np.sum((targets - predicted) ** 2)) / spread if spread else None,
        "interval_coverage_90": intervals["interval_coverage"],
        "interval_width_ev": intervals["interval_width_ev"],
    }
