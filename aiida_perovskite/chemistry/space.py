"""Spaces of compositions to enumerate: the 7,056 halides, and any other choice of elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from aiida_perovskite.chemistry.composition import ELEMENTS, Composition, CompositionError

__all__ = [
    "HALIDES",
    "HALIDE_C",
    "HALIDE_METALS",
    "enumerate_space",
    "halide_space",
    "space_from_settings",
]

_METALS = """
    Ag Al As Au B Ba Be Bi Ca Cd Co Cr Cu Fe Ga Ge Hg In Ir K Li Mg Mn Mo Na Nb Ni Pb Pd Pt Rb Rh Ru Sb Sc Sn Sr Ta
    Ti Tl V Y Zn
"""
HALIDE_METALS: tuple[str, ...] = tuple(_METALS.split())
"""The 43 elements allowed on A and B of the halide space."""

HALIDE_C: tuple[str, ...] = ("Cs", "Rb")
HALIDES: tuple[str, ...] = ("F", "Cl", "Br", "I")


def enumerate_space(
    ab_elements: Iterable[str], c_elements: Iterable[str], d_elements: Iterable[str]
) -> Iterator[Composition]:
    """Walk every compound ABC2D6 of the given elements once, without holding the space in memory.

    A and B are an unordered pair of `ab_elements`; no element stands on two sites. The order is: C as given, then D as
    given, then A and B alphabetically. Repeated symbols count once.

    Parameters
    ----------
    ab_elements, c_elements, d_elements
        Symbols allowed on A and B, on C, and on D.

    Raises
    ------
    CompositionError
        At the call, if a symbol is not an element.
    """
    symbols_ab = sorted(_checked(ab_elements))
    return _walk(symbols_ab, _checked(c_elements), _checked(d_elements))


def _walk(symbols_ab: list[str], symbols_c: list[str], symbols_d: list[str]) -> Iterator[Composition]:
    for c in symbols_c:
        for d in symbols_d:
            if c != d:
                for a, b in combinations([symbol for symbol in symbols_ab if symbol not in (c, d)], 2):
                    yield Composition(a, b, c, d)


def _checked(symbols: Iterable[str]) -> list[str]:
    """Drop repeats, keep the order; refuse what is no element, and a text, whose letters would pass for elements."""
    if isinstance(symbols, str):
        raise CompositionError(f"{symbols!r} is one text; give a list of element symbols")
    unique = list(dict.fromkeys(symbols))
    for symbol in unique:
        if symbol not in ELEMENTS:
            raise CompositionError(f"{symbol!r} is not the symbol of an element; give a list of element symbols")
    return unique


def halide_space() -> list[Composition]:
    """List the 7,056 halide double perovskites: C of Cs, Rb; D of F, Cl, Br, I; A and B of `HALIDE_METALS`.

    Charge neutrality is not asked for.
    """
    return list(enumerate_space(HALIDE_METALS, HALIDE_C, HALIDES))


def space_from_settings(settings: dict[str, Any]) -> list[Composition]:
    """List the space that a settings file describes.

    Parameters
    ----------
    settings
        ``{'preset': 'halide'}``, or the three lists of symbols ``ab_elements``, ``c_elements`` and ``d_elements``.

    Raises
    ------
    ValueError
        If a key is unknown or missing, or the preset does not exist.
    """
    if set(settings) == {"preset"}:
        if settings["preset"] != "halide":
            raise ValueError(f"unknown preset of a space {settings['preset']!r}; the one that exists is 'halide'")
        return halide_space()
    keys = ("ab_elements", "c_elements", "d_elements")
    if set(settings) != set(keys):
        raise ValueError(
            f"a space needs a preset alone or {', '.join(keys)}, not {', '.join(sorted(settings)) or 'nothing'}"
        )
    return list(enumerate_space(*(settings[key] for key in keys)))
