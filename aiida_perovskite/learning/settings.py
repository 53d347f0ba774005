"""Every number of a training that a user may tune, in one place and without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)

__all__ = ["LOSSES", "SettingsError", "TrainingSettings", "check_ranges", "read_settings"]

LOSSES = ("mse", "mae", "huber")


class SettingsError(ValueError):
    """A training setting is unknown or out of its range."""


@dataclass(frozen=True)
class TrainingSettings:
    """How an ensemble of networks is trained, cross-validated and calibrated.

    The defaults of optimiser, dropout and weight decay are those of the thesis (SPEC 2.2); the batch is smaller and the
    epochs are fewer, because the tables are (see ``benchmarks/README.md`` for what was compared).
    Two trainings with equal settings and equal data give identical weights.
    """

    epochs: int = 150
    """Passes over the training rows."""
    batch_size: int = 32
    """Largest minibatch; the rows of an epoch are cut into equal batches of at most this size."""
    learning_rate: float = 5e-4
    """Adam's step at the first epoch, annealed along a half cosine."""
    final_learning_rate: float = 0.0
    """Where the cosine ends."""
    weight_decay: float = 5e-4
    """L2 penalty added to the gradient, as torch's Adam does it."""
    dropout: float = 0.1
    """Chance that an activation is dropped; resolved to 1/256."""
    loss: str = "mse"
    """'mse', 'mae' or 'huber' (delta 1), on targets scaled to mean 0 and standard deviation 1 of the training rows."""
    averaged_fraction: float = 0.0
    """Last share of the epochs whose weights are averaged (stochastic weight averaging); 0 takes the last weights."""
    members: int = 5
    """Networks of the final ensemble, each trained on all rows from its own initial weights."""
    folds: int = 5
    """Folds of the cross-validation that measures errors and calibrates intervals."""
    fold_members: int = 3
    """Networks trained per fold, on the other folds' rows."""
    learning_curve: tuple[float, ...] = ()
    """Shares of the training folds, e.g. (0.25, 0.5), at which one further network per fold is trained."""
    seed: int = 0
    """Seed of folds, initial weights, shuffling and dropout."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_curve", tuple(float(share) for share in self.learning_curve))
        checks = {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 1,
            "learning_rate": self.learning_rate > 0,
            "final_learning_rate": 0 <= self.final_learning_rate <= self.learning_rate,
            "weight_decay": self.weight_decay >= 0,
            "dropout": 0 <= self.dropout < 1,
            "loss": self.loss in LOSSES,
            "averaged_fraction": 0 <= self.averaged_fraction <= 1,
            "members": self.members >= 2,
            "folds": self.folds >= 3,
            "fold_members": self.fold_members >= 2,
            "learning_curve": all(0 < share < 1 for share in self.learning_curve),
            "seed": self.seed >= 0,
        }
        check_ranges(self, {name: (valid, _RANGES[name]) for name, valid in checks.items()}, "Training setting")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingSettings:
        """Build settings from a mapping, e.g. parsed JSON; an unknown key or a wrong type is a `SettingsError`."""
        return read_settings(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; `from_dict` reads them back."""
        return asdict(self) | {"learning_curve": list(self.learning_curve)}


_RANGES = {
    "epochs": "at least 1",
    "batch_size": "at least 1",
    "learning_rate": "above 0",
    "final_learning_rate": "from 0 to learning_rate",
    "weight_decay": "at least 0",
    "dropout": "from 0 to below 1",
    "loss": ", ".join(LOSSES),
    "averaged_fraction": "from 0 to 1",
    "members": "at least 2, else there is no spread to scale intervals with",
    "folds": "at least 3",
    "fold_members": "at least 2, else there is no spread to scale intervals with",
    "learning_curve": "each share between 0 and 1",
    "seed": "at least 0",
}


def check_ranges(settings: Any, ranges: Mapping[str, tuple[bool, str]], kind: str = "Setting") -> None:
    """Raise `SettingsError` for the first setting that will not do; `ranges` says whether it does, and what would."""
    for name, (valid, allowed) in ranges.items():
        if not valid:
            raise SettingsError(f"{kind} {name} = {getattr(settings, name)!r} is out of its range ({allowed}).")


def check_names(kind: type[Any], values: Mapping[str, Any], what: str = "settings") -> None:
    """Raise `SettingsError` if a mapping has keys that are no fields of a settings dataclass."""
    known = [field.name for field in fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise SettingsError(f"Unknown {what} {', '.join(unknown)}; known are {', '.join(known)}.")


def read_settings(kind: type[S], values: Mapping[str, Any]) -> S:
    """Build a settings dataclass from a mapping; an unknown key or a wrong type is a `SettingsError`."""
    check_names(kind, values, "training settings")
    types = {field.name: str(field.type) for field in fields(kind)}
    for name, value in values.items():
        if not _has_type(value, types[name]):
            raise SettingsError(f"Training setting {name} = {value!r} must be of type {types[name]}.")
    return kind(**values)


def _has_type(value: Any, annotation: str) -> bool:
    if isinstance(value, bool) or annotation == "bool":
        return isinstance(value, bool) and annotation == "bool"
    if annotation == "int":
        return isinstance(value, int)
    if annotation == "float":
        return isinstance(value, (int, float))
    if annotation == "str":
        return isinstance(value, str)
    return isinstance(value, (list, tuple)) and all(_has_type(item, "float") for item in value)
