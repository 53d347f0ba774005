"""Structure types of halides, as data: space group, shape of the cell, one atom of each orbit.

Coordinates are those of the compound that a type is named after, rounded, as they are tabulated in crystallography
(Wyckoff's "Crystal Structures"; the AFLOW encyclopedia of prototypes, doi 10.1016/j.commatsci.2017.01.017). They are
starting points of relaxations and no more exact than that. For AlBr3, CsAgBr2, Cs2AgBr3 and KOsF6 only the space group
and the occupied orbits were at hand, for AlBr3 the cell as well (Berg et al., Acta Chem. Scand. 51, 442 (1997)): their
coordinates are the lowest in energy that CHGNet relaxed to from guesses, random ones for the first three. The settings
are ASE's (rhombohedral groups on hexagonal axes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PROTOTYPES", "Prototype"]


@dataclass(frozen=True)
class Prototype:
    """A structure type.

    Attributes
    ----------
    name
        Of the compound or mineral it is named after.
    counts
        Role -> atoms per formula. Roles: ``C`` the large cation, ``M`` the other (or only) cation, ``D`` the halide.
    space_group
        Number in the International Tables.
    cell
        a, b, c in Angstrom, about those of the namesake, and angles in degrees; only the shape matters.
    sites
        Role and fractional coordinates of one atom of each orbit.
    setting
        1, or 2 for the second origin choice.
    """

    name: str
    counts: Mapping[str, int]
    space_group: int
    cell: tuple[float, float, float, float, float, float]
    sites: tuple[tuple[str, tuple[float, float, float]], ...]
    setting: int = 1


def _orthogonal(a: float, b: float, c: float) -> tuple[float, float, float, float, float, float]:
    return a, b, c, 90.0, 90.0, 90.0


def _hexagonal(a: float, c: float) -> tuple[float, float, float, float, float, float]:
    return a, a, c, 90.0, 90.0, 120.0


def _monoclinic(a: float, b: float, c: float, beta: float) -> tuple[float, float, float, float, float, float]:
    return a, b, c, 90.0, beta, 90.0


_CUBIC = _orthogonal(5.0, 5.0, 5.0)
_QUARTER = 1 / 4
_ON_2C = (1 / 3, 2 / 3, 1 / 4)

_MD = {"M": 1, "D": 1}
_MD2 = {"M": 1, "D": 2}
_MD3 = {"M": 1, "D": 3}
_MD4 = {"M": 1, "D": 4}
_CMD2 = {"C": 1, "M": 1, "D": 2}
_CMD3 = {"C": 1, "M": 1, "D": 3}
_CMD4 = {"C": 1, "M": 1, "D": 4}
_CMD6 = {"C": 1, "M": 1, "D": 6}
_CM2D3 = {"C": 1, "M": 2, "D": 3}
_CM2D5 = {"C": 1, "M": 2, "D": 5}
_C2MD3 = {"C": 2, "M": 1, "D": 3}
_C2MD4 = {"C": 2, "M": 1, "D": 4}
_C2MD6 = {"C": 2, "M": 1, "D": 6}
_C3MD5 = {"C": 3, "M": 1, "D": 5}
_C3MD6 = {"C": 3, "M": 1, "D": 6}
_C3M2D9 = {"C": 3, "M": 2, "D": 9}
_C4MD6 = {"C": 4, "M": 1, "D": 6}

PROTOTYPES: tuple[Prototype, ...] = (
    # One halide
    Prototype("rock salt", _MD, 225, _CUBIC, (("M", (0, 0, 0)), ("D", (0.5, 0.5, 0.5)))),
    Prototype("CsCl", _MD, 221, _CUBIC, (("M", (0, 0, 0)), ("D", (0.5, 0.5, 0.5)))),
    Prototype("zincblende", _MD, 216, _CUBIC, (("M", (0, 0, 0)), ("D", (0.25, 0.25, 0.25)))),
    Prototype(
        "TlI", _MD, 63, _orthogonal(4.57, 12.92, 5.24), (("M", (0, 0.392, _QUARTER)), ("D", (0, 0.133, _QUARTER)))
    ),
    Prototype("AuCl", _MD, 141, _orthogonal(6.734, 6.734, 8.674), (("M", (0, 0, 0)), ("D", (0, 0.25, 0.198))), 2),
    Prototype("calomel", _MD, 139, _orthogonal(4.48, 4.48, 10.91), (("M", (0, 0, 0.119)), ("D", (0, 0, 0.336)))),
    # Two halides
    Prototype("CdCl2", _MD2, 166, _hexagonal(3.846, 17.493), (("M", (0, 0, 0)), ("D", (0, 0, 0.252)))),
    Prototype("CdI2", _MD2, 164, _hexagonal(4.24, 6.84), (("M", (0, 0, 0)), ("D", (1 / 3, 2 / 3, 0.249)))),
    Prototype("rutile", _MD2, 136, _orthogonal(4.7, 4.7, 3.1), (("M", (0, 0, 0)), ("D", (0.305, 0.305, 0)))),
    Prototype("fluorite", _MD2, 225, _CUBIC, (("M", (0, 0, 0)), ("D", (0.25, 0.25, 0.25)))),
    Prototype(
        "cotunnite",
        _MD2,
        62,
        _orthogonal(7.6204, 4.5342, 9.0452),
        (("M", (0.2623, _QUARTER, 0.4041)), ("D", (0.375, _QUARTER, 0.0783)), ("D", (0.4798, _QUARTER, 0.663))),
    ),
    Prototype("HgI2", _MD2, 137, _orthogonal(4.37, 4.37, 12.44), (("M", (0, 0, 0)), ("D", (0, 0.5, 0.139)))),
    Prototype("BeCl2", _MD2, 72, _orthogonal(9.86, 5.36, 5.26), (("M", (0, 0, _QUARTER)), ("D", (0.109, 0.203, 0)))),
    Prototype("CuCl2", _MD2, 12, _monoclinic(6.904, 3.30, 6.82, 122.2), (("M", (0, 0, 0)), ("D", (0.5048, 0, 0.2294)))),
    Prototype(
        "HgCl2",
        _MD2,
        62,
        _orthogonal(12.735, 5.963, 4.325),
        (("M", (0.126, _QUARTER, 0.053)), ("D", (0.267, _QUARTER, 0.375)), ("D", (0.492, _QUARTER, 0.778))),
    ),
    # Three halides
    Prototype("BiI3", _MD3, 148, _hexagonal(7.496, 20.68), (("M", (0, 0, 1 / 3)), ("D", (0, 0.667, 0.088)))),
    Prototype(
        "AlCl3",
        _MD3,
        12,
        _monoclinic(5.914, 10.234, 6.148, 108.25),
        (("M", (0, 0.1662, 0)), ("D", (0.2147, 0, 0.2263)), ("D", (0.2482, 0.1787, 0.7752))),
    ),
    Prototype("FeF3", _MD3, 167, _hexagonal(5.196, 13.33), (("M", (0, 0, 0)), ("D", (0.412, 0, _QUARTER)))),
    Prototype("ReO3", _MD3, 221, _CUBIC, (("M", (0, 0, 0)), ("D", (0.5, 0, 0)))),
    Prototype(
        "YF3",
        _MD3,
        62,
        _orthogonal(6.353, 6.850, 4.393),
        (("M", (0.367, _QUARTER, 0.058)), ("D", (0.528, _QUARTER, 0.601)), ("D", (0.165, 0.060, 0.363))),
    ),
    Prototype("UCl3", _MD3, 176, _hexagonal(7.443, 4.321), (("M", _ON_2C), ("D", (0.3858, 0.3011, _QUARTER)))),
    Prototype("BCl3", _MD3, 176, _hexagonal(6.14, 6.60), (("M", _ON_2C), ("D", (0.0443, 0.3745, _QUARTER)))),
    Prototype(
        "SbCl3",
        _MD3,
        62,
        _orthogonal(8.111, 9.419, 6.313),
        (("M", (0.491, _QUARTER, 0.028)), ("D", (0.573, _QUARTER, 0.386)), ("D", (0.30, 0.068, 0.066))),
    ),
    # Molecules Al2Br6.
    Prototype(
        "AlBr3",
        _MD3,
        14,
        _monoclinic(7.532, 7.129, 10.336, 96.32),
        (
            ("M", (0.8048, 0.9015, 0.9544)),
            ("D", (0.9184, 0.0789, 0.1453)),
            ("D", (0.7469, 0.6019, 0.9979)),
            ("D", (0.5978, 0.0710, 0.8335)),
        ),
    ),
    # Four halides
    Prototype(
        "SnF4", _MD4, 139, _orthogonal(4.04, 4.04, 7.93), (("M", (0, 0, 0)), ("D", (0, 0.5, 0)), ("D", (0, 0, 0.237)))
    ),
    Prototype("SiF4", _MD4, 217, _CUBIC, (("M", (0, 0, 0)), ("D", (0.165, 0.165, 0.165)))),
    # Two cations
    Prototype(
        "NaFeO2", _CMD2, 166, _hexagonal(3.0, 16.1), (("C", (0, 0, 0)), ("M", (0, 0, 0.5)), ("D", (0, 0, 0.234)))
    ),
    Prototype(
        "CsAgBr2",
        _CMD2,
        63,
        _orthogonal(4.641, 19.932, 5.907),
        (
            ("C", (0.5, 0.9166, _QUARTER)),
            ("M", (0.5, 0.7031, _QUARTER)),
            ("D", (0.5, 0.5707, _QUARTER)),
            ("D", (0.5, 0.7233, 0.75)),
        ),
    ),
    Prototype(
        "KFeS2",
        _CMD2,
        15,
        _monoclinic(7.05, 11.28, 5.40, 112.5),
        (("C", (0, 0.357, _QUARTER)), ("M", (0, -0.008, _QUARTER)), ("D", (0.196, 0.111, 0.107))),
    ),
    Prototype(
        "Cs2AgBr3",
        _C2MD3,
        62,
        _orthogonal(14.055, 4.933, 13.721),
        (
            ("C", (0.6806, _QUARTER, 0.5187)),
            ("C", (0.0058, _QUARTER, 0.3209)),
            ("M", (0.7647, _QUARTER, 0.8059)),
            ("D", (0.1351, _QUARTER, 0.5500)),
            ("D", (0.2670, _QUARTER, 0.2778)),
            ("D", (0.9453, _QUARTER, 0.8662)),
        ),
    ),
    Prototype(
        "CsCu2I3",
        _CM2D3,
        63,
        _orthogonal(10.55, 13.17, 6.10),
        (
            ("C", (0, 0.44, _QUARTER)),
            ("M", (0.152, 0, 0)),
            ("D", (0, 0.883, _QUARTER)),
            ("D", (0.2115, 0.158, _QUARTER)),
        ),
    ),
    Prototype(
        "CsPb2Br5",
        _CM2D5,
        140,
        _orthogonal(8.48, 8.48, 15.25),
        (
            ("C", (0, 0, _QUARTER)),
            ("M", (0.168, 0.668, 0)),
            ("D", (0, 0, 0)),
            ("D", (0.1585, 0.6585, 0.371)),
        ),
    ),
    Prototype("perovskite", _CMD3, 221, _CUBIC, (("C", (0.5, 0.5, 0.5)), ("M", (0, 0, 0)), ("D", (0.5, 0, 0)))),
    Prototype(
        "GdFeO3",
        _CMD3,
        62,
        _orthogonal(5.44, 7.64, 5.38),
        (
            ("C", (0.036, _QUARTER, 0.993)),
            ("M", (0, 0, 0.5)),
            ("D", (0.484, _QUARTER, 0.071)),
            ("D", (0.290, 0.037, 0.709)),
        ),
    ),
    Prototype(
        "CsNiCl3",
        _CMD3,
        194,
        _hexagonal(7.17, 5.94),
        (("C", (1 / 3, 2 / 3, 0.75)), ("M", (0, 0, 0)), ("D", (0.156, 0.312, _QUARTER))),
    ),
    Prototype(
        "NH4CdCl3",
        _CMD3,
        62,
        _orthogonal(9.004, 3.971, 14.886),
        (
            ("C", (0.4345, _QUARTER, 0.8212)),
            ("M", (0.1685, _QUARTER, 0.0555)),
            ("D", (0.2782, _QUARTER, 0.2116)),
            ("D", (0.1623, _QUARTER, 0.4934)),
            ("D", (0.0276, _QUARTER, 0.8950)),
        ),
    ),
    Prototype(
        "CsGeCl3",
        _CMD3,
        160,
        _hexagonal(5.0 * 2**0.5, 5.0 * 3**0.5),
        (("C", (0, 0, 0)), ("M", (0, 0, 0.48)), ("D", (1 / 6, -1 / 6, 0.33))),
    ),
    Prototype(
        "TlAlF4",
        _CMD4,
        123,
        _orthogonal(3.62, 3.62, 6.28),
        (("C", (0.5, 0.5, 0.5)), ("M", (0, 0, 0)), ("D", (0, 0.5, 0)), ("D", (0, 0, 0.28))),
    ),
    Prototype(
        "CsAlCl4",
        _CMD4,
        62,
        _orthogonal(11.641, 7.116, 9.373),
        (
            ("C", (0.6806, _QUARTER, 0.1654)),
            ("M", (0.5702, _QUARTER, 0.6929)),
            ("D", (0.7119, _QUARTER, 0.5517)),
            ("D", (0.4100, _QUARTER, 0.5896)),
            ("D", (0.5874, 0.0092, 0.8270)),
        ),
    ),
    Prototype(
        "KBrF4",
        _CMD4,
        140,
        _orthogonal(5.99, 5.99, 11.38),
        (("C", (0, 0, _QUARTER)), ("M", (0, 0.5, 0)), ("D", (0.154, 0.654, 0.118))),
    ),
    Prototype(
        "KOsF6",
        _CMD6,
        148,
        _hexagonal(7.80, 8.15),
        (("C", (0, 0, 0)), ("M", (0, 0, 0.5)), ("D", (0.0424, 0.2184, 0.6388))),
    ),
    Prototype(
        "NaSbF6",
        _CMD6,
        225,
        _orthogonal(8.18, 8.18, 8.18),
        (("C", (0.5, 0.5, 0.5)), ("M", (0, 0, 0)), ("D", (0.23, 0, 0))),
    ),
    Prototype(
        "K2NiF4",
        _C2MD4,
        139,
        _orthogonal(4.0, 4.0, 13.1),
        (("C", (0, 0, 0.354)), ("M", (0, 0, 0)), ("D", (0, 0.5, 0)), ("D", (0, 0, 0.153))),
    ),
    Prototype(
        "K2SO4",
        _C2MD4,
        62,
        _orthogonal(9.74, 7.39, 12.97),
        (
            ("C", (0.137, _QUARTER, 0.102)),
            ("C", (0.976, _QUARTER, 0.674)),
            ("M", (0.235, _QUARTER, 0.422)),
            ("D", (0.004, _QUARTER, 0.400)),
            ("D", (0.317, _QUARTER, 0.581)),
            ("D", (0.325, -0.006, 0.345)),
        ),
    ),
    Prototype(
        "K2PtCl4",
        _C2MD4,
        123,
        _orthogonal(7.02, 7.02, 4.14),
        (("C", (0, 0.5, 0.5)), ("M", (0, 0, 0)), ("D", (0.232, 0.232, 0))),
    ),
    Prototype("K2PtCl6", _C2MD6, 225, _CUBIC, (("C", (0.25, 0.25, 0.25)), ("M", (0, 0, 0)), ("D", (0.24, 0, 0)))),
    Prototype(
        "K2GeF6",
        _C2MD6,
        164,
        _hexagonal(5.62, 4.65),
        (("C", (1 / 3, 2 / 3, 0.70)), ("M", (0, 0, 0)), ("D", (0.148, 0.852, 0.22))),
    ),
    Prototype(
        "Cs3CoCl5",
        _C3MD5,
        140,
        _orthogonal(9.219, 9.219, 14.554),
        (
            ("C", (0, 0, _QUARTER)),
            ("C", (0.663, 0.163, 0)),
            ("M", (0, 0.5, _QUARTER)),
            ("D", (0, 0, 0)),
            ("D", (0.140, 0.640, 0.158)),
        ),
    ),
    Prototype(
        "K3MoF6",
        _C3MD6,
        225,
        _CUBIC,
        (("C", (0.25, 0.25, 0.25)), ("C", (0.5, 0.5, 0.5)), ("M", (0, 0, 0)), ("D", (0.22, 0, 0))),
    ),
    # Na3AlF6 in P2_1/c instead of the usual P2_1/n: (x, y, z) -> (z - x, y, -z).
    Prototype(
        "cryolite",
        _C3MD6,
        14,
        _monoclinic(5.414, 5.601, 9.46, 55.27),
        (
            ("C", (0.5, 0, 0.5)),
            ("C", (-0.2659, -0.0519, -0.2474)),
            ("M", (0, 0, 0)),
            ("D", (0.1175, 0.0451, -0.2195)),
            ("D", (0.3181, 0.1731, -0.0456)),
            ("D", (-0.2249, 0.2697, 0.0631)),
        ),
    ),
    Prototype(
        "Cs3Bi2Br9",
        _C3M2D9,
        164,
        _hexagonal(7.97, 9.87),
        (
            ("C", (0, 0, 0)),
            ("C", (1 / 3, 2 / 3, 0.671)),
            ("M", (1 / 3, 2 / 3, 0.187)),
            ("D", (0.5, 0, 0)),
            ("D", (0.167, 0.833, 0.331)),
        ),
    ),
    Prototype(
        "Cs3Cr2Cl9",
        _C3M2D9,
        194,
        _hexagonal(8.4, 21.2),
        (
            ("C", (0, 0, _QUARTER)),
            ("C", (1 / 3, 2 / 3, 0.08)),
            ("M", (1 / 3, 2 / 3, 0.846)),
            ("D", (0.510, 1.020, _QUARTER)),
            ("D", (0.835, 1.670, 0.083)),
        ),
    ),
    Prototype(
        "K4CdCl6",
        _C4MD6,
        167,
        _hexagonal(13.73, 17.32),
        (
            ("C", (0.372, 0, _QUARTER)),
            ("C", (0, 0, _QUARTER)),
            ("M", (0, 0, 0)),
            ("D", (0.2, 0.04, 0.1)),
        ),
    ),
)
"""All structure types, in the order in which they are tried."""
