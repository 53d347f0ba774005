from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from aiida_perovskite.chemistry import Composition
from aiida_perovskite.learning.families.descriptor import SITES, mirror_levels

# Three families as a level network might see them: which sites are attended to, which make the edges, and the gap.
# Written with A and B as in the tuples of elements, whatever the alphabet says.
IONIC = {
    "to": (0.05, 0.5, 0.05, 0.4),
    "vbm": (0.03, 0.05, 0.02, 0.9),
    "cbm": (0.05, 0.85, 0.05, 0.05),
    "gap": (3.5, 0.6),
}
SILVER = {"to": (0.7, 0.1, 0.1, 0.1), "vbm": (0.85, 0.05, 0.05, 0.05), "cbm": (0.1, 0.8, 0.05, 0.05), "gap": (1.2, 0.4)}
MAGNETIC = {
    "to": (0.1, 0.1, 0.7, 0.1),
    "vbm": (0.45, 0.45, 0.05, 0.05),
    "cbm": (0.45, 0.45, 0.05, 0.05),
    "gap": (0.4, 0.4),
}
OPEN_SHELL = ("Co", "Cr", "Fe", "Mn", "Mo", "Ni", "Os", "Re", "V", "W")


def _compounds() -> list[tuple[dict, str, str, str, str]]:
    ionic = product(("Li", "Na", "K"), ("Al", "Ga", "In", "La", "Sc", "Y"), ("Cs", "Rb"), ("F", "Cl"))
    silver = product(("Ag", "Cu"), ("Bi", "In", "Sb"), ("Cs", "K", "Rb"), ("Br", "I"))
    magnetic = [(*pair, c, "O") for pair, c in product(combinations(OPEN_SHELL, 2), ("Ba", "Sr"))]
    return [
        (kind, *sites) for kind, found in ((IONIC, ionic), (SILVER, silver), (MAGNETIC, magnetic)) for sites in found
    ]


def _noisy(weights: np.ndarray, random: np.random.Generator, noise: float) -> np.ndarray:
    scattered = np.log(weights) + noise * random.normal(size=weights.shape)
    return np.exp(scattered) / np.exp(scattered).sum(axis=-1, keepdims=True)


def planted_levels(seed: int = 0, noise: float = 0.2) -> pd.DataFrame:
    """198 compounds of three families; the true one is in the column `planted`."""
    random = np.random.default_rng(seed)
    frames = []
    for kind, a, b, c, d in _compounds():
        formula = Composition(a, b, c, d).formula
        gap = max(0.0, random.normal(*kind["gap"]))
        row: dict[str, object] = {"formula": formula, "a": a, "b": b, "c": c, "d": d, "gap_ev": gap, "target_ev": gap}
        for edge in ("vbm", "cbm"):
            weights = _noisy(np.array(kind[edge]), random, noise)
            row |= {f"{edge}_weight_{site}": weight for site, weight in zip(SITES, weights, strict=True)}
        for level in ("homo", "lumo"):
            row |= {f"{level}_{site}_ev": random.normal() for site in SITES}
        attention = np.tile(kind["to"], (4, 1))
        for layer, head in product((1, 2, 3), (1, 2, 3)):
            weights = _noisy(attention, random, noise)
            row |= {
                f"attention_{layer}_{head}_{i}{j}": weights[SITES.index(i), SITES.index(j)]
                for i in SITES
                for j in SITES
            }
        frame = pd.DataFrame([row])
        frames.append(frame if a < b else mirror_levels(frame))
    levels = pd.concat(frames, ignore_index=True)
    names = {id(IONIC): "ionic", id(SILVER): "silver", id(MAGNETIC): "magnetic"}
    levels["planted"] = [names[id(kind)] for kind, *_ in _compounds()]
    return levels.sort_values("formula", ignore_index=True)


@pytest.fixture(scope="session")
def make_levels() -> Callable[..., pd.DataFrame]:
    return planted_levels


@pytest.fixture(scope="session")
def planted() -> pd.DataFrame:
    """Formula -> planted family, in the order of `levels`."""
    return planted_levels()[["formula", "planted"]]


@pytest.fixture(scope="session")
def levels() -> pd.DataFrame:
    return planted_levels().drop(columns="planted")
