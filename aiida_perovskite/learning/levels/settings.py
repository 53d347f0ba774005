"""Every number of a training of level networks that a user may tune, in one place and without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..settings import check_ranges, read_settings

__all__ = ["LOSSES", "LevelSettings"]

LOSSES = ("mse", "huber")


@dataclass(frozen=True)
class LevelSettings:
    """How level networks are built and trained.

    The defaults are those of SPEC 3 where it states them (embedding, layers, heads, nodes, epochs) and of Roost (R. E.
    A. Goodall, A. A. Lee, Nat. Commun. 11, 6280, 2020) for the optimiser. Each network holds out one fold of the rows
    and keeps the weights of the epoch that predicted this fold best.
    """

    prior_weight: float = 0.0
    """The lambda of SPEC 3: weight of the squared distance (eV^2) of all levels from the reference levels."""
    reference_floor_ev: float = -200.0
    """Reference levels below this are raised to it: a closed inner shell (Al 2p at -70 eV) makes no band edge wherever
    it lies, but its square would rule the penalty. The default lies below all of the shipped table."""
    anchored: bool = False
    """Let the network read out how far a level is from its reference, instead of the level itself: it then starts from
    the prior instead of having to learn it, and the penalty is on what it reads out."""
    rescaled: bool = False
    """Draw the levels to a straight line of the reference levels instead of these themselves, one for HOMO and one for
    LUMO, whose slopes and shifts are learned along: a crystal's levels lie closer together than those of free ions."""
    layers: int = 3
    """Message-passing layers."""
    heads: int = 3
    """Attention heads per layer."""
    hidden: int = 250
    """Nodes of the hidden layer of the attention network and of the message network."""
    embedding: int = 63
    """Features of an element; its fraction in the formula is appended as one more."""
    learn_exponent: bool = False
    """Learn the exponent of the fractions in the softmax, per layer and head, as Roost does; else it is 1."""
    element_features: bool = False
    """Add a learned projection of the periodic table (group, period, block, electronegativity, reference levels) to the
    embedding, so that elements share what they have in common and one never seen is not a random vector."""
    epochs: int = 1000
    """Passes over the training rows."""
    batch_size: int = 64
    """Largest minibatch of compounds, each in one order of A and B: 64 of them are 128 of the doubled set of SPEC 3."""
    learning_rate: float = 3e-4
    """AdamW's step at the first epoch."""
    final_learning_rate: float = 3e-4
    """AdamW's step at the last epoch; in between it follows half a cosine."""
    weight_decay: float = 1e-6
    """AdamW's decoupled weight decay."""
    dropout: float = 0.0
    """Chance that an entry of a message is dropped."""
    loss: str = "mse"
    """'mse' or 'huber' (robust against labels that are wrong)."""
    huber_delta_ev: float = 0.5
    """Where the Huber loss goes from square to linear, eV."""
    censored: bool = False
    """A compound without a gap costs nothing while its band edges overlap: its label says no more than that."""
    averaging: float = 0.0
    """Decay per step of the exponential average of the weights that is kept instead of the last ones; 0: no average."""
    validate_every: int = 5
    """Epochs between two looks at the held-out fold."""
    folds: int = 5
    """Folds of the rows."""
    members: int = 5
    """Networks, trained together; number m holds out fold m modulo `folds`, so a multiple of `folds`."""
    seed: int = 0
    """Seed of folds, initial weights, shuffling and dropout."""

    def __post_init__(self) -> None:
        checks = {
            "prior_weight": self.prior_weight >= 0,
            "reference_floor_ev": self.reference_floor_ev < 0,
            "layers": self.layers >= 1,
            "heads": self.heads >= 1,
            "hidden": self.hidden >= 1,
            "embedding": self.embedding >= 1,
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 1,
            "learning_rate": self.learning_rate > 0,
            "final_learning_rate": 0 <= self.final_learning_rate <= self.learning_rate,
            "weight_decay": self.weight_decay >= 0,
            "dropout": 0 <= self.dropout < 1,
            "loss": self.loss in LOSSES,
            "huber_delta_ev": self.huber_delta_ev > 0,
            "averaging": 0 <= self.averaging < 1,
            "validate_every": self.validate_every >= 1,
            "folds": self.folds >= 2,
            "members": self.members >= self.folds and self.members % self.folds == 0,
            "seed": self.seed >= 0,
        }
        check_ranges(self, {name: (valid, _RANGES[name]) for name, valid in checks.items()}, "Level setting")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LevelSettings:
        """Build settings from a mapping, e.g. parsed JSON; an unknown key or a wrong type is a `SettingsError`."""
        return read_settings(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; `from_dict` reads them back."""
        return asdict(self)


_RANGES = {
    "prior_weight": "at least 0",
    "reference_floor_ev": "below 0",
    "layers": "at least 1",
    "heads": "at least 1",
    "hidden": "at least 1",
    "embedding": "at least 1",
    "epochs": "at least 1",
    "batch_size": "at least 1",
    "learning_rate": "above 0",
    "final_learning_rate": "from 0 to learning_rate",
    "weight_decay": "at least 0",
    "dropout": "from 0 to below 1",
    "loss": ", ".join(LOSSES),
    "huber_delta_ev": "above 0",
    "averaging": "from 0 to below 1",
    "validate_every": "at least 1",
    "folds": "at least 2",
    "members": "a multiple of folds, so that every compound is held out equally often",
    "seed": "at least 0",
}
