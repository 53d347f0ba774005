"""A generator against the truth, class by class, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .base_settings import GeneratorSettings
from .metrics import class_metrics
from .table import N_CLASSES, ElpasoliteTable, check_class
from .truth import Truth, TruthSettings

if TYPE_CHECKING:
    import pandas as pd

    from .generator import Generator

__all__ = ["EvaluationSettings", "evaluate"]


@dataclass(frozen=True)
class EvaluationSettings(GeneratorSettings):
    """What is drawn for an evaluation, and the regression that makes the truth."""

    classes: tuple[int, ...] = (1,)
    """Energy classes that are asked for."""
    samples: int = 10_000
    """Independent draws per class."""
    seed: int = 0
    """Of the draws."""
    sigma: float = 16.0
    """Length of the truth's Laplacian kernel, in rows or groups of the periodic table."""
    regularisation: float = 0.003
    """Added to the diagonal of its kernel matrix."""

    def ranges(self) -> dict[str, tuple[bool, str]]:
        """Return what will do, as `GeneratorSettings` asks."""
        return {
            "classes": (
                len(self.classes) > 0 and set(self.classes) <= set(range(1, N_CLASSES + 1)),
                f"numbers from 1 to {N_CLASSES}",
            ),
            "samples": (self.samples >= 1, "at least 1"),
            "seed": (self.seed >= 0, "at least 0"),
            "sigma": (self.sigma > 0, "above 0"),
            "regularisation": (self.regularisation > 0, "above 0"),
        }

    @property
    def truth(self) -> TruthSettings:
        """Settings of the truth."""
        return TruthSettings(self.sigma, self.regularisation)


def evaluate(
    generator: Generator, table: ElpasoliteTable, truth: Truth, settings: EvaluationSettings | None = None
) -> pd.DataFrame:
    """Return one row of metrics (`ClassMetrics`) per energy class, with the name of the generator in front.

    Raises
    ------
    GenerativeError
        If a class is empty in the training, or the truth has classes with other edges.
    """
    import pandas as pd

    settings = settings or EvaluationSettings()
    for number in settings.classes:
        check_class(number, generator.class_counts)
    rows = [
        class_metrics(generator.chunks(number, settings.samples, settings.seed), number, truth, table).to_dict()
        for number in settings.classes
    ]
    frame = pd.DataFrame(rows)
    frame.insert(0, "generator", generator.name)
    frame.insert(2, "class_upper_edge_ev_per_atom", generator.edges[np.array(settings.classes)])
    return frame
