"""The space of inverse design: ABC2D6 of four different main-group elements, each composition as one integer.

The 39 elements of the main groups from H to Bi are numbered 0 to 38 by atomic number, and a composition is the number
((a 39 + b) 39 + c) 39 + d. Of the 39^4 such codes, 39 * 38 * 37 * 36 = 1,974,024 have four different elements: these
are the space. A and B are told apart here (SPEC 4.1): a compound with A and B exchanged is another composition.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ELEMENTS",
    "GROUPS",
    "N_CODES",
    "N_COMPOSITIONS",
    "N_ELEMENTS",
    "N_GROUPS",
    "N_ROWS",
    "ROWS",
    "SITES",
    "GenerativeError",
    "code_of",
    "encode",
    "formula_of",
    "in_space",
    "join",
    "parse_code",
    "scale",
    "space_codes",
    "swap",
    "unscale",
]

Ints = NDArray[np.int64]
Floats32 = NDArray[np.float32]
Booleans = NDArray[np.bool_]

SITES = "ABCD"
N_ROWS = 6
N_GROUPS = 8

# Main groups 1 to 8 of the periods 1 to 6; the sixth ends at Bi. A dot is a cell without an element.
_PERIODIC_TABLE = """
    H  .  .  .  .  .  .  He
    Li Be B  C  N  O  F  Ne
    Na Mg Al Si P  S  Cl Ar
    K  Ca Ga Ge As Se Br Kr
    Rb Sr In Sn Sb Te I  Xe
    Cs Ba Tl Pb Bi .  .  .
"""
_CELLS = [
    (symbol, row, group)
    for row, line in enumerate(_PERIODIC_TABLE.split("\n")[1:-1], start=1)
    for group, symbol in enumerate(line.split(), start=1)
    if symbol != "."
]
ELEMENTS: tuple[str, ...] = tuple(symbol for symbol, _, _ in _CELLS)
"""Symbols of the 39 elements; the position of each is its number."""
ROWS: Ints = np.array([row for _, row, _ in _CELLS], dtype=np.int64)
"""Row of the periodic table (1 to 6) of each element."""
GROUPS: Ints = np.array([group for _, _, group in _CELLS], dtype=np.int64)
"""Main group (1 to 8) of each element."""
N_ELEMENTS = len(ELEMENTS)
N_CODES = N_ELEMENTS**4
N_COMPOSITIONS = N_ELEMENTS * (N_ELEMENTS - 1) * (N_ELEMENTS - 2) * (N_ELEMENTS - 3)

_INDEX = {symbol: index for index, symbol in enumerate(ELEMENTS)}
_STEPS: Ints = N_ELEMENTS ** np.arange(3, -1, -1, dtype=np.int64)
_ELEMENT_IN_CELL: Ints = np.full((N_ROWS, N_GROUPS), -1, dtype=np.int64)
_ELEMENT_IN_CELL[ROWS - 1, GROUPS - 1] = np.arange(N_ELEMENTS)
_BINS: Ints = np.tile(np.array([N_ROWS, N_GROUPS], dtype=np.int64), len(SITES))


class GenerativeError(ValueError):
    """A composition, table, energy class or number of samples with which inverse design cannot work."""


def encode(codes: ArrayLike) -> Ints:
    """Return the numbers of the elements on A, B, C, D, shape (N, 4), of codes (N,)."""
    return np.asarray(codes, dtype=np.int64)[..., None] // _STEPS % N_ELEMENTS


def join(elements: ArrayLike) -> Ints:
    """Return the codes (N,) of the numbers of the elements on A, B, C, D, shape (N, 4)."""
    codes: Ints = np.asarray(elements, dtype=np.int64) @ _STEPS
    return codes


def code_of(a: Any, b: Any, c: Any, d: Any) -> int:
    """Return the code of four symbols; raise `GenerativeError` if they are no composition of the space."""
    symbols = (a, b, c, d)
    for symbol in symbols:
        if symbol not in _INDEX:
            raise GenerativeError(
                f"{symbol!r} is not one of the {N_ELEMENTS} main-group elements from H to Bi that make up the space."
            )
    if len(set(symbols)) < len(symbols):
        raise GenerativeError(f"{a}{b}{c}2{d}6 has an element on two sites; a composition holds four different ones.")
    return int(join([_INDEX[symbol] for symbol in symbols]))


def formula_of(code: int) -> str:
    """Return the formula with A and B in the order of the code, e.g. ``AlNaK2F6``."""
    a, b, c, d = (ELEMENTS[index] for index in encode(code))
    return f"{a}{b}{c}2{d}6"


def parse_code(formula: str) -> int:
    """Return the code of a formula; A and B are taken in alphabetical order, as `Composition` writes them.

    Raises
    ------
    CompositionError
        If the text is no formula of an ABC2D6.
    GenerativeError
        If an element is not of the space.
    """
    from aiida_perovskite.chemistry import Composition

    return code_of(*Composition.parse(formula).elements)


def in_space(codes: ArrayLike) -> Booleans:
    """Say of each code whether it has four different elements. Numbers that are no code have not."""
    codes = np.asarray(codes, dtype=np.int64)
    a, b, c, d = np.moveaxis(encode(codes), -1, 0)
    different: Booleans = (a != b) & (a != c) & (a != d) & (b != c) & (b != d) & (c != d)
    valid: Booleans = different & (codes >= 0) & (codes < N_CODES)
    return valid


@cache
def space_codes() -> Ints:
    """Return the codes of the whole space, ascending, shape (1974024,); they cannot be changed."""
    codes = np.arange(N_CODES, dtype=np.int64)
    codes = codes[in_space(codes)]
    codes.setflags(write=False)
    return codes


def swap(codes: ArrayLike) -> Ints:
    """Return the codes with A and B exchanged."""
    return join(encode(codes)[..., [1, 0, 2, 3]])


def scale(codes: ArrayLike) -> Floats32:
    """Return row and group of each site, scaled into the open interval (-1, 1): shape (N, 8).

    The order is row A, group A, row B, ... An x of n is put at (2 x - 1) / n - 1, the middle of its bin when (-1, 1)
    is cut into n equal ones (n = 6 rows, 8 groups; SPEC 4.1, reading (b) of equation 7.1).
    """
    elements = encode(codes)
    numbers = np.stack([ROWS[elements], GROUPS[elements]], axis=-1).reshape(*elements.shape[:-1], 2 * len(SITES))
    return ((2 * numbers - 1) / _BINS - 1).astype(np.float32)


def unscale(values: ArrayLike) -> Ints:
    """Return the codes (N,) of scaled rows and groups (N, 8): of the bins that they fall into.

    The code is -1 where a cell of the periodic table has no element, elements repeat, or a value is not a number.
    """
    values = np.asarray(values)
    finite = np.isfinite(values).all(axis=-1)
    bins = np.floor((np.where(finite[..., None], values, 0.0) + 1) * (_BINS / 2)).astype(np.int64)
    np.clip(bins, 0, _BINS - 1, out=bins)  # tanh in single precision reaches -1 and 1
    elements = _ELEMENT_IN_CELL[bins[..., 0::2], bins[..., 1::2]]
    codes = join(elements)
    valid = finite & (elements >= 0).all(axis=-1) & in_space(codes)
    return np.where(valid, codes, -1)
