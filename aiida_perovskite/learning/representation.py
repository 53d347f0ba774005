"""The periodic-table representation of a double perovskite: three small pictures of the periodic table.

Each composition ABC2D6 becomes an array of shape (3, 5, 17). The rows are periods 2 to 6, the columns groups 1 to 17
(hydrogen, noble gases, lanthanides and actinides have no place), the channels the C site, the A and B sites together,
and the D site. At an element's place stands its stoichiometric coefficient (2 for C, 1 each for A and B, 6 for D),
everywhere else 0. A and B share a channel, so a compound and its A/B swap are the same array.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from aiida_perovskite.chemistry import Composition

__all__ = ["CHANNEL_AB", "CHANNEL_C", "CHANNEL_D", "GRID_SHAPE", "PLACES", "EncodingError", "as_compositions", "encode"]

_PERIODS = (
    "Li Be .  .  .  .  .  .  .  .  .  .  B  C  N  O  F",
    "Na Mg .  .  .  .  .  .  .  .  .  .  Al Si P  S  Cl",
    "K  Ca Sc Ti V  Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br",
    "Rb Sr Y  Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I",
    "Cs Ba .  Hf Ta W  Re Os Ir Pt Au Hg Tl Pb Bi Po At",
)

PLACES: dict[str, tuple[int, int]] = {
    symbol: (row, column)
    for row, period in enumerate(_PERIODS)
    for column, symbol in enumerate(period.split())
    if symbol != "."
}
"""Element symbol -> (row, column) in the grid, both counted from 0."""

GRID_SHAPE = (3, 5, 17)
CHANNEL_C, CHANNEL_AB, CHANNEL_D = 0, 1, 2


class EncodingError(ValueError):
    """A composition holds an element that has no place in the representation."""


def as_compositions(compositions: Iterable[Composition | str]) -> list[Composition]:
    """Parse what is text; raise `CompositionError` for a formula that is not a double perovskite."""
    from aiida_perovskite.chemistry import Composition

    if isinstance(compositions, str):
        compositions = [compositions]
    return [Composition.parse(item) if isinstance(item, str) else item for item in compositions]


def encode(compositions: Iterable[Composition | str]) -> NDArray[np.float32]:
    """Encode compositions for the network.

    Parameters
    ----------
    compositions
        `Composition` objects or formulas such as ``'Cs2AgBiBr6'``.

    Returns
    -------
    numpy.ndarray
        float32, shape (N, 3, 5, 17): channel (C, A and B, D), period 2-6, group 1-17.

    Raises
    ------
    EncodingError
        If an element is hydrogen, a noble gas, a lanthanide, an actinide or of period 7.
    """
    parsed = as_compositions(compositions)
    grid = np.zeros((len(parsed), *GRID_SHAPE), dtype=np.float32)
    for index, composition in enumerate(parsed):
        sites = (
            (CHANNEL_AB, composition.a, 1),
            (CHANNEL_AB, composition.b, 1),
            (CHANNEL_C, composition.c, 2),
            (CHANNEL_D, composition.d, 6),
        )
        for channel, symbol, coefficient in sites:
            try:
                row, column = PLACES[symbol]
            except KeyError:
                raise EncodingError(
                    f"{symbol} in {composition.pretty} has no place in the periodic-table representation: use "
                    "elements of periods 2-6 and groups 1-17 (no hydrogen, noble gases, lanthanides or actinides)."
                ) from None
            grid[index, channel, row, column] = coefficient
    return grid
