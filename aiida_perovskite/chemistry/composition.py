"""The composition of a double perovskite and its one canonical spelling.

A double perovskite ABC2D6 holds four different elements: A and B on the octahedra, C in the large hole, D the anion.
A and B are equivalent by symmetry, so ABC2D6 and BAC2D6 are one compound: here A is the one that comes first
alphabetically.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ELEMENTS", "Composition", "CompositionError"]

_SYMBOLS = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb
    Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg
    Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv
    Ts Og
"""
ELEMENTS: frozenset[str] = frozenset(_SYMBOLS.split())
"""Symbols of the 118 elements."""

_TOKEN = re.compile(r"([A-Z][a-z]?)([1-9][0-9]*)?")
_EXPECTED = "expected four different elements as 1:1:2:6, e.g. Cs2AgBiBr6"
_LONGEST_QUOTE = 60


class CompositionError(ValueError):
    """A text or a choice of elements is not the composition of a double perovskite."""


@dataclass(frozen=True, order=True, slots=True)
class Composition:
    """A double perovskite ABC2D6; `a` and `b` are put into alphabetical order.

    Parameters
    ----------
    a, b
        Symbols of the elements on the two octahedral sites, in any order.
    c
        Symbol of the element in the 12-fold hole (two per formula).
    d
        Symbol of the anion (six per formula).

    Raises
    ------
    CompositionError
        If a symbol is not an element, or an element stands on two sites.

    Examples
    --------
    >>> Composition('Bi', 'Ag', 'Cs', 'Br')
    Composition(a='Ag', b='Bi', c='Cs', d='Br')
    >>> Composition.parse('Cs2AgBiBr6').formula
    'AgBiCs2Br6'
    >>> Composition.parse('AgBiCs2Br6').pretty
    'Cs2AgBiBr6'
    """

    a: str
    b: str
    c: str
    d: str

    def __post_init__(self) -> None:
        for symbol in self.elements:
            if symbol not in ELEMENTS:
                raise CompositionError(f"{_quote(symbol)} is not the symbol of an element; {_EXPECTED}")
        if len(set(self.elements)) < 4:
            repeated = next(symbol for symbol in self.elements if self.elements.count(symbol) > 1)
            raise CompositionError(f"{repeated} stands on more than one site; {_EXPECTED}")
        if self.b < self.a:
            first, second = self.b, self.a
            object.__setattr__(self, "a", first)
            object.__setattr__(self, "b", second)

    @classmethod
    def parse(cls, text: str) -> Composition:
        """Read a formula: the four elements in any order, with or without spaces.

        The element counted 2 is C, the one counted 6 is D, the other two are A and B.

        Parameters
        ----------
        text
            A formula such as ``Cs2AgBiBr6``, ``AgBiCs2Br6`` or ``Br6 Cs2 Bi1 Ag1``.

        Raises
        ------
        CompositionError
            If the text is no formula, or not that of a double perovskite.
        """
        if not isinstance(text, str):
            raise CompositionError(f"a formula must be text, not {type(text).__name__}; {_EXPECTED}")
        counts = _count_elements(text)
        by_count: dict[int, list[str]] = {}
        for symbol, count in counts.items():
            by_count.setdefault(count, []).append(symbol)
        if {count: len(symbols) for count, symbols in by_count.items()} != {1: 2, 2: 1, 6: 1}:
            stated = ", ".join(f"{symbol} {_shorten(str(count))}" for symbol, count in list(counts.items())[:8])
            raise CompositionError(f"{_quote(text)} is no double perovskite (found {stated}); {_EXPECTED}")
        (first, second), (c,), (d,) = by_count[1], by_count[2], by_count[6]
        return cls(first, second, c, d)

    @property
    def elements(self) -> tuple[str, str, str, str]:
        """The symbols on A, B, C and D."""
        return self.a, self.b, self.c, self.d

    @property
    def formula(self) -> str:
        """The canonical formula, by which tables are joined: ``AgBiCs2Br6``."""
        return f"{self.a}{self.b}{self.c}2{self.d}6"

    @property
    def pretty(self) -> str:
        """The formula as chemists write it: ``Cs2AgBiBr6``."""
        return f"{self.c}2{self.a}{self.b}{self.d}6"

    def __str__(self) -> str:
        return self.formula


def _count_elements(text: str) -> dict[str, int]:
    """Split a formula into symbols and counts (1 where none is written)."""
    compact = "".join(text.split())
    if not compact:
        raise CompositionError(f"the formula is empty; {_EXPECTED}")
    counts: dict[str, int] = {}
    position = 0
    while position < len(compact):
        token = _TOKEN.match(compact, position)
        if token is None:
            odd = compact[position]
            raise CompositionError(
                f"cannot read {_quote(odd)} in the formula {_quote(text)}: only element symbols and plain digits, "
                f"no brackets or subscript characters; {_EXPECTED}"
            )
        symbol, digits = token.groups()
        if symbol not in ELEMENTS:
            raise CompositionError(f"{symbol} in {_quote(text)} is not the symbol of an element; {_EXPECTED}")
        if symbol in counts:
            raise CompositionError(f"{symbol} occurs twice in {_quote(text)}; {_EXPECTED}")
        # Longer digit strings are no sensible counts, and Python refuses to convert thousands of digits.
        counts[symbol] = int(digits[:9]) if digits else 1
        position = token.end()
    return counts


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."


def _quote(value: object) -> str:
    """Quote for a message: escaped, so that an odd character shows, and cut, so that it stays one sentence."""
    return ascii(_shorten(value)) if isinstance(value, str) else f"a {type(value).__name__}"
