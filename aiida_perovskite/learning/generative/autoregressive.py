"""A conditional model of compositions: tractable likelihood, exact A/B symmetry, energy classes in their order.

The model is p(D, C, {A, B} | class) = p(D | class) p(C | D, class) p({A, B} | C, D, class). Its factors are not three
networks: by Bayes' rule the joint is p(class | A, B, C, D) p(A, B, C, D) / p(class), with each composition of the
space as likely as any other beforehand, and the space is small enough that all 987,012 compounds are summed exactly.
So only p(class | composition) is learned, by maximum likelihood from the training rows alone.

A network puts out a position and a width on the axis of the class numbers, and a class has the share of a logistic
distribution that falls between its edges. Neighbouring classes thus share what they know of elements, which is how 86
rows of a class can say something of thousands of compositions. The likelihood is of the energies, which classes of
equal width put on the same axis, or of the classes alone (`AutoregressiveSettings.labels`). The network adds up what
it makes of A and of B, so that it cannot tell the two apart.

An ensemble is averaged in probability. Each member leaves out one fold of the compounds; on what was left out, settings
are compared. Samples of a class are even draws from the compositions that are likeliest in it: from so many that the
precision and the coverage which the probabilities themselves predict are weighed best (`selection.likeliest`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .batched import BatchedLinear, Perceptron, resolve_device
from .calibration import calibrate, has_energy_axis, held_out
from .generator import GeneratorSettings, Progress
from .neural import NeuralGenerator
from .selection import compound_folds, held_out_log_likelihood, likeliest
from .settings import AutoregressiveSettings
from .space import GROUPS, N_ELEMENTS, N_GROUPS, N_ROWS, ROWS, GenerativeError, encode, in_space, join
from .table import N_CLASSES, ElpasoliteTable, check_class
from .training import Fits, Plan, cosine_rates, optimise

__all__ = ["Autoregressive", "EnergyNetwork"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

_FEATURES = N_ROWS + N_GROUPS + 2 + N_ELEMENTS
_SITES = ("AB", "C", "D")
_PAIRS: Ints = np.stack(np.triu_indices(N_ELEMENTS, 1), axis=1)  # the 741 {A, B}, A before B
_PAIR_OF = np.zeros((N_ELEMENTS, N_ELEMENTS), dtype=np.int64)
_PAIR_OF[_PAIRS[:, 0], _PAIRS[:, 1]] = _PAIR_OF[_PAIRS[:, 1], _PAIRS[:, 0]] = np.arange(len(_PAIRS))
_CELLS = N_ELEMENTS**2  # (C, D) of a pair
_BLOCK = 2**20  # activations held at a time: 4 MiB, which stay in the cache; 128 MiB take half as long again
_MIDDLE = (N_CLASSES + 1) / 2
_FAR = 1e3  # where the outermost classes end, in class widths


class EnergyNetwork(nn.Module):
    """M networks from composition to position and width on the axis of class numbers, class k from k - 1/2 to k + 1/2.

    Each site has a layer of its own that maps an element's features to an embedding; that of A and B is one layer, and
    the two embeddings are added. Normalised hidden layers follow.

    Parameters
    ----------
    members
        M.
    settings
        Their shape.
    """

    features: Tensor

    def __init__(self, members: int, settings: AutoregressiveSettings) -> None:
        super().__init__()
        hidden = [settings.width] * settings.hidden_layers
        self.least_width = settings.least_width
        self.embed = BatchedLinear(members, _FEATURES, len(_SITES) * settings.embedding)
        self.net = Perceptron(
            members, [len(_SITES) * settings.embedding, *hidden, 2], settings.activation, "before_activation"
        )
        self.register_buffer("features", torch.from_numpy(_element_features(settings.element_scale)), persistent=False)

    @staticmethod
    def inputs(elements: Tensor) -> Tensor:
        """Return what the network sees, (N, 3 x 39), of elements (N, 4): how often each is on A or B, on C, on D."""
        a, b, c, d = functional.one_hot(elements, N_ELEMENTS).float().unbind(-2)
        return torch.cat([a + b, c, d], dim=-1)

    def forward(self, inputs: Tensor, factors: Sequence[Tensor] = ()) -> Tensor:
        """Return position and width, (M, N, 2), at inputs (M, N, 117)."""
        hidden = torch.baddbmm(self._first.bias, inputs, torch.cat(self._first_by_element(), dim=1))
        return self._position_and_width(self.net.after_first(hidden, factors))

    def of_pairs(self, pairs: Tensor) -> Tensor:
        """Return position and width, (M, P, 39 x 39, 2), of P pairs {A, B}, (P, 2), with all C and D."""
        of_ab, of_c, of_d = self._first_by_element()
        of_cd = (of_c[:, :, None] + of_d[:, None, :]).flatten(1, 2) + self._first.bias
        hidden = (of_ab[:, pairs[:, 0]] + of_ab[:, pairs[:, 1]])[:, :, None] + of_cd[:, None]
        output: Tensor = self.net.after_first(hidden.flatten(1, 2))
        return self._position_and_width(output.reshape(len(output), len(pairs), _CELLS, 2))

    @property
    def _first(self) -> BatchedLinear:
        return cast(BatchedLinear, self.net.layers[0])

    def _first_by_element(self) -> list[Tensor]:
        """Return what each element on A or B, on C and on D adds to the first hidden layer: three of (M, 39, width).

        There are so few elements that the layers up to there are applied to all of them instead of to each row.
        """
        features = self.features.expand(len(self._first.bias), -1, -1)
        embedded = self.net.activation(self.embed(features)).chunk(len(_SITES), dim=-1)
        return [part @ weight for part, weight in zip(embedded, self._first.weight.chunk(len(_SITES), 1), strict=True)]

    def _position_and_width(self, output: Tensor) -> Tensor:
        position, width = output.unbind(-1)
        return torch.stack([_MIDDLE + position, self.least_width + functional.softplus(width - 1)], dim=-1)


class Autoregressive(NeuralGenerator):
    """A trained ensemble, and the distribution over the whole space that follows from it."""

    name = "autoregressive"
    settings_type = AutoregressiveSettings
    settings: AutoregressiveSettings
    net: EnergyNetwork
    held_out: dict[str, Any]
    """What networks say of the training rows that they did not see: log_likelihood of the classes, per row, and
    expected_rows, how many are expected in each class (10,), to be compared with `class_counts`."""
    device = torch.device("cpu")
    _kept: tuple[int, Ints] | None = None

    @classmethod
    def _fit_many(
        cls,
        tables: Sequence[ElpasoliteTable],
        settings: AutoregressiveSettings,
        seeds: Sequence[int],
        progress: Progress | None,
        workdir: Path | None,
        device: str,
    ) -> list[Autoregressive]:
        place = resolve_device(device)
        members = settings.members
        net = EnergyNetwork(members * len(seeds), settings).to(place)
        data = _Rows.of(tables, seeds, settings)
        objective = _Objective(net, data, settings, place)
        fits = Fits(
            seeds=[_member_seed(seed, member) for seed in seeds for member in range(members)],
            sizes=data.sizes,
            offsets=data.offsets,
            fingerprint=data.fingerprint,
        )
        plan = Plan(cosine_rates(settings.learning_rate, settings.updates), settings.batch_size, settings.weight_decay)
        optimise(objective, fits, plan, place, name=cls.name, progress=progress, workdir=workdir)
        fitted = cls._parted(net, tables, settings, seeds)
        for generator, table in zip(fitted, tables, strict=True):
            generator.device = place
            generator._look_at_held_out(table)
            if has_energy_axis(table.edges):
                generator.calibration = calibrate(*held_out(generator, table))
        return fitted

    @classmethod
    def _blank(cls, table: ElpasoliteTable, settings: GeneratorSettings, seed: int) -> Self:
        generator = super()._blank(table, settings, seed)
        generator.held_out = {}  # until it was looked at
        return generator

    @classmethod
    def _network(cls, settings: AutoregressiveSettings, fits: int) -> EnergyNetwork:
        return EnergyNetwork(fits * settings.members, settings)

    def class_probabilities(self, codes: Ints) -> Floats:
        """Return p(class | composition) of codes (N,), shape (N, 10): the mean over the members, not sharpened."""
        mean: Floats = self._member_probabilities(codes).mean(axis=0)
        return mean

    def log_probability(self, codes: Ints, energy_class: int) -> Floats:
        """Return the natural logarithm of the chance that a sample of a class is each of some codes, shape (N,).

        It is minus infinity for those that are not among the likeliest of the class.
        """
        check_class(energy_class, self.class_counts)
        chosen = self._chosen(energy_class)
        a, b, c, d = encode(codes).T
        cell = (_PAIR_OF[a, b] * N_ELEMENTS + c) * N_ELEMENTS + d
        among = in_space(codes) & np.isin(cell, chosen)
        return np.where(among, -np.log(2 * len(chosen)), -np.inf)

    def expected(self, energy_class: int) -> dict[str, float]:
        """Return what the model itself expects of many samples of a class, from its probabilities over the space.

        Returns
        -------
        dict
            precision, coverage, compositions (different ones among the samples, A and B told apart) and class_size.
        """
        check_class(energy_class, self.class_counts)
        probabilities = self._probabilities[energy_class - 1].astype(np.float64)
        chosen = self._chosen(energy_class)
        inside, total = probabilities[chosen].sum(), probabilities.sum()
        return {
            "precision": float(inside / len(chosen)),
            "coverage": float(inside / total),
            "compositions": float(2 * len(chosen)),
            "class_size": float(2 * total),
        }

    def _look_at_held_out(self, table: ElpasoliteTable) -> None:
        folds = compound_folds(table.codes, self.settings.folds, self.seed)
        each = self._member_probabilities(table.codes)
        absent = np.arange(self.settings.members)[:, None] % self.settings.folds == folds
        probabilities = (each * absent[..., None]).sum(axis=0) / absent.sum(axis=0)[:, None]
        self.held_out = {
            "log_likelihood": held_out_log_likelihood(probabilities, table.classes),
            "expected_rows": probabilities.sum(axis=0).tolist(),
        }

    @torch.inference_mode()
    def _member_probabilities(self, codes: Ints) -> Floats:
        """Return p(class | composition) of each member, shape (members, N, 10)."""
        inputs = self.net.inputs(torch.from_numpy(encode(codes)))
        output = self.net(inputs.expand(self.settings.members, *inputs.shape))
        probabilities: Floats = _class_probabilities(output).double().numpy()
        return probabilities

    @cached_property
    def _probabilities(self) -> Floats32:
        """p(class | composition) of the whole space, shape (10, 741 x 39 x 39); 0 where elements repeat."""
        net = self.net.to(self.device)
        per_pair = self.settings.members * _CELLS * max(self.settings.width, 2 * N_CLASSES)
        blocks = []
        with torch.inference_mode():
            for pairs in torch.split(torch.from_numpy(_PAIRS), max(1, _BLOCK // per_pair)):
                output = net.of_pairs(pairs.to(self.device))
                blocks.append(_class_probabilities(output).mean(dim=0).flatten(0, 1).T.cpu())
        self.net.to("cpu")
        return (torch.cat(blocks, dim=1) * torch.from_numpy(_different())).numpy()

    def _chosen(self, energy_class: int) -> Ints:
        """Return the cells from which samples of a class are drawn, ascending; the last class asked for is kept."""
        if self._kept is None or self._kept[0] != energy_class:
            probabilities = self._probabilities[energy_class - 1].astype(np.float64)
            number = likeliest(probabilities, self.settings.precision_weight)
            if number == 0:
                raise GenerativeError(
                    f"The model gives no composition a chance to be of class {energy_class}: train it on more rows."
                )
            descending = np.argsort(-probabilities, kind="stable")
            self._kept = energy_class, np.sort(descending[:number])
        return self._kept[1]

    def _propose(self, energy_class: int, n: int, random: np.random.Generator) -> Ints:
        chosen = self._chosen(energy_class)
        cells = chosen[random.integers(0, len(chosen), n)]
        pairs, c, d = cells // _CELLS, cells // N_ELEMENTS % N_ELEMENTS, cells % N_ELEMENTS
        first = random.integers(0, 2, n)
        rows = np.arange(n)
        ab = _PAIRS[pairs]
        return join(np.stack([ab[rows, first], ab[rows, 1 - first], c, d], axis=1))

    def _notes(self) -> dict[str, Any]:
        return {"held_out": self.held_out}

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        super()._restore(tensors, notes)
        self.held_out = dict(notes["held_out"])


@dataclass(frozen=True)
class _Rows:
    """Which rows each member trains on: stretches of `index`, which points into the joined distinct tables."""

    elements: Ints
    classes: Ints
    places: Floats32
    index: Ints
    sizes: list[int]
    offsets: list[int]
    fingerprint: str

    @classmethod
    def of(cls, tables: Sequence[ElpasoliteTable], seeds: Sequence[int], settings: AutoregressiveSettings) -> _Rows:
        digests = [table.sha256 for table in tables]
        distinct = dict(zip(digests, tables, strict=True))
        ends = np.cumsum([len(table.codes) for table in distinct.values()])
        start = dict(zip(distinct, [0, *ends], strict=False))
        stretches = []
        for digest, table, seed in zip(digests, tables, seeds, strict=True):
            folds = compound_folds(table.codes, settings.folds, seed)
            rows = [start[digest] + np.flatnonzero(folds != fold) for fold in range(settings.folds)]
            stretches += [rows[member % settings.folds] for member in range(settings.members)]
        sizes = [len(stretch) for stretch in stretches]
        return cls(
            elements=encode(np.concatenate([table.codes for table in distinct.values()])),
            classes=np.concatenate([table.classes for table in distinct.values()]),
            places=np.concatenate([_places(table) for table in distinct.values()]),
            index=np.concatenate(stretches),
            sizes=sizes,
            offsets=[0, *np.cumsum(sizes)[:-1].tolist()],
            fingerprint=hashlib.sha256(json.dumps([digests, settings.to_dict()]).encode()).hexdigest(),
        )


class _Objective:
    """Minus the logarithm of the likelihood of the rows: of the density at their energies, or of their classes."""

    def __init__(self, net: EnergyNetwork, data: _Rows, settings: AutoregressiveSettings, device: torch.device) -> None:
        self.net = net
        self.spread = (settings.dropout / (1 - settings.dropout)) ** 0.5
        self.layers = settings.hidden_layers
        self.noise_width = settings.width * settings.hidden_layers if settings.dropout > 0 else 0
        self.inputs = net.inputs(torch.from_numpy(data.elements).to(device))
        of_energies = settings.labels == "energies"
        self.labels = torch.from_numpy(data.places if of_energies else data.classes).to(device)
        self.log_likelihood = _log_density if of_energies else _log_likelihood
        self.index = torch.from_numpy(data.index).to(device)

    def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        rows = self.index[rows]
        factors = (1 + self.spread * noise).chunk(self.layers, dim=-1) if self.noise_width else ()
        return -self.log_likelihood(self.net(self.inputs[rows], factors), self.labels[rows]).mean(-1)


def _places(table: ElpasoliteTable) -> Floats32:
    """Return the energies (N,) on the axis of class numbers: k - 1/2 at the lower edge of class k, straight between.

    Edges that are given may leave energies outside; the first and the last class go on in their direction.
    """
    energies, edges = table.energies_ev_per_atom, table.edges
    classes = table.classes
    widths = np.diff(edges)[classes - 1]
    places: Floats32 = (classes - 0.5 + (energies - edges[classes - 1]) / widths).astype(np.float32)
    return places


def _element_features(element_scale: float) -> Floats32:
    """Return the features of each element, (39, 55): steps along rows and groups, both as numbers, one-hot element.

    Step k says whether the row (group) is k or a later one, so that neighbours differ in one feature only.
    """
    steps = [(ROWS[:, None] >= np.arange(1, N_ROWS + 1)) - 0.5, (GROUPS[:, None] >= np.arange(1, N_GROUPS + 1)) - 0.5]
    numbers = np.stack([(2 * ROWS - 1) / N_ROWS - 1, (2 * GROUPS - 1) / N_GROUPS - 1], axis=1)
    return np.concatenate([*steps, numbers, element_scale * np.eye(N_ELEMENTS)], axis=1).astype(np.float32)


def _log_likelihood(output: Tensor, classes: Tensor) -> Tensor:
    """Return ln p(class) of the classes (M, N) at position and width (M, N, 2).

    With x = (upper edge - position) / width and y likewise of the lower edge, the logistic distribution has the share
    s(x) - s(y) = s(x) s(-y) (1 - exp(y - x)) between them, in which no digit is lost far out.
    """
    position, width = output.unbind(-1)
    upper = torch.where(classes == N_CLASSES, _FAR, classes + 0.5)
    lower = torch.where(classes == 1, -_FAR, classes - 0.5)
    x, y = (upper - position) / width, (lower - position) / width
    return functional.logsigmoid(x) + functional.logsigmoid(-y) + torch.log(-torch.expm1(y - x))


def _log_density(output: Tensor, places: Tensor) -> Tensor:
    """Return the logarithm of the logistic density at places (M, N) on the axis, at position and width (M, N, 2)."""
    position, width = output.unbind(-1)
    z = (places - position) / width
    return functional.logsigmoid(z) + functional.logsigmoid(-z) - torch.log(width)


def _class_probabilities(output: Tensor) -> Tensor:
    """Return p(class), (..., 10), at position and width (..., 2)."""
    position, width = output.unbind(-1)
    edges = torch.arange(1, N_CLASSES, device=output.device) + 0.5
    below = torch.sigmoid((edges - position[..., None]) / width[..., None])
    return torch.diff(functional.pad(functional.pad(below, (1, 0), value=0.0), (0, 1), value=1.0), dim=-1)


def _different() -> Floats32:
    """Return 1 for each of the 741 x 39 x 39 cells whose elements are all different, else 0."""
    a, b = (_PAIRS[:, site, None, None] for site in (0, 1))
    c, d = np.arange(N_ELEMENTS)[:, None], np.arange(N_ELEMENTS)[None, :]
    different = (c != d) & (a != c) & (b != c) & (a != d) & (b != d)
    flags: Floats32 = different.astype(np.float32).ravel()
    return flags


def _member_seed(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])
