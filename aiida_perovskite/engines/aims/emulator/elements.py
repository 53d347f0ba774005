"""What the toy model knows of the elements.

Numbers: Pauling electronegativities, Slater's empirical atomic radii, Shannon's ionic radii (six neighbours, Angstrom),
and usual oxidation states, the commonest first. They set bond lengths and gaps of the right order, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

_PERIODIC_TABLE = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr
Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir
Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl
Mc Lv Ts Og
"""
_SYMBOLS = _PERIODIC_TABLE.split()

_TABLE = """
Ag 1.93 1.60 1:1.15 2:0.94 3:0.75
Al 1.61 1.25 3:0.535
As 2.18 1.15 3:0.58 5:0.46
Au 2.54 1.35 1:1.37 3:0.85
B  2.04 0.85 3:0.27
Ba 0.89 2.15 2:1.35
Be 1.57 1.05 2:0.45
Bi 2.02 1.60 3:1.03 5:0.76
Br 2.96 1.15 -1:1.96
C  2.55 0.70 4:0.16
Ca 1.00 1.80 2:1.00
Cd 1.69 1.55 2:0.95
Ce 1.12 1.85 3:1.01 4:0.87
Cl 3.16 1.00 -1:1.81
Co 1.88 1.35 2:0.745 3:0.61
Cr 1.66 1.40 3:0.615 2:0.80
Cs 0.79 2.60 1:1.67
Cu 1.90 1.35 1:0.77 2:0.73 3:0.54
F  3.98 0.50 -1:1.33
Fe 1.83 1.40 3:0.645 2:0.78
Ga 1.81 1.30 3:0.62
Ge 2.01 1.25 2:0.73 4:0.53
H  2.20 0.25 1:0.30
Hf 1.30 1.55 4:0.71
Hg 2.00 1.50 2:1.02 1:1.19
I  2.66 1.40 -1:2.20
In 1.78 1.55 3:0.80 1:1.40
Ir 2.20 1.35 3:0.68 4:0.625
K  0.82 2.20 1:1.38
La 1.10 1.95 3:1.032
Li 0.98 1.45 1:0.76
Mg 1.31 1.50 2:0.72
Mn 1.55 1.40 2:0.83 3:0.645 4:0.53
Mo 2.16 1.45 3:0.69 4:0.65 5:0.61
N  3.04 0.65 -3:1.46
Na 0.93 1.80 1:1.02
Nb 1.60 1.45 5:0.64 4:0.68 3:0.72
Ni 1.91 1.35 2:0.69 3:0.60
O  3.44 0.60 -2:1.40
P  2.19 1.00 5:0.38 3:0.44
Pb 2.33 1.80 2:1.19 4:0.775
Pd 2.20 1.40 2:0.86 4:0.615
Pt 2.28 1.35 2:0.80 4:0.625
Rb 0.82 2.35 1:1.52
Rh 2.28 1.35 3:0.665
Ru 2.20 1.30 3:0.68 4:0.62 2:0.80
S  2.58 1.00 -2:1.84
Sb 2.05 1.45 3:0.76 5:0.60
Sc 1.36 1.60 3:0.745
Se 2.55 1.15 -2:1.98
Si 1.90 1.10 4:0.40
Sn 1.96 1.45 2:1.15 4:0.69
Sr 0.95 2.00 2:1.18
Ta 1.50 1.45 5:0.64 4:0.68 3:0.72
Te 2.10 1.40 -2:2.21
Ti 1.54 1.40 4:0.605 3:0.67 2:0.86
Tl 1.62 1.90 1:1.50 3:0.885
V  1.63 1.35 3:0.64 4:0.58 2:0.79 5:0.54
W  2.36 1.35 4:0.66 5:0.62 6:0.60
Y  1.22 1.80 3:0.90
Zn 1.65 1.35 2:0.74
Zr 1.33 1.55 4:0.72
"""

ANIONS = frozenset({"F", "Cl", "Br", "I", "O", "S", "Se", "Te", "N"})
"""Elements that are negative beside anything outside of this set."""


@dataclass(frozen=True)
class Element:
    """An element: electronegativity, radius of its atom and of its ions by charge (Angstrom)."""

    symbol: str
    number: int
    electronegativity: float
    atomic_radius: float
    ionic_radii: dict[int, float]


@cache
def _table() -> dict[str, Element]:
    elements = {}
    for line in _TABLE.split("\n"):
        if line:
            symbol, electronegativity, radius, *ions = line.split()
            radii = {int(charge): float(value) for charge, value in (ion.split(":") for ion in ions)}
            number = _SYMBOLS.index(symbol) + 1
            elements[symbol] = Element(symbol, number, float(electronegativity), float(radius), radii)
    return elements


def element(number: int) -> Element:
    """Return an element by the charge of its nucleus; what the table does not hold is like a lanthanide."""
    symbol = _SYMBOLS[number - 1]
    return _table().get(symbol) or Element(symbol, number, 1.2, 1.8, {3: 0.95})


def ionic_charges(counts: Mapping[str, tuple[Element, int]]) -> dict[str, float]:
    """Return the charge of each species in units of the elementary charge.

    Parameters
    ----------
    counts
        Element and number of atoms by species name.

    Returns
    -------
    dict
        Usual oxidation states that balance, the commonest ones; scaled ones where none balances; zero where the
        species are all metals or all non-metals.
    """
    negative = [name for name, (kind, _) in counts.items() if kind.symbol in ANIONS]
    positive = [name for name in counts if name not in negative]
    if not negative or not positive:
        return dict.fromkeys(counts, 0.0)
    charges = {name: float(min(counts[name][0].ionic_radii)) for name in negative}
    wanted = -sum(charges[name] * counts[name][1] for name in negative)
    states = [list(counts[name][0].ionic_radii) for name in positive]
    options = [
        (sum(states[place].index(state) for place, state in enumerate(choice)), choice)
        for choice in product(*states)
        if sum(state * counts[name][1] for state, name in zip(choice, positive, strict=True)) == wanted
    ]
    if options:
        return charges | {name: float(state) for name, state in zip(positive, min(options)[1], strict=True)}
    usual = [kinds[0] for kinds in states]
    total = sum(state * counts[name][1] for state, name in zip(usual, positive, strict=True))
    return charges | {name: state * wanted / total for name, state in zip(positive, usual, strict=True)}


def radius(kind: Element, charge: float) -> float:
    """Return the radius (Angstrom) of an atom or of the ion whose charge is nearest."""
    if charge == 0.0:
        return kind.atomic_radius
    return kind.ionic_radii[min(kind.ionic_radii, key=lambda state: abs(state - charge))]
