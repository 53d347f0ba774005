"""The chemistry of double perovskites ABC2D6: compositions, ions, tolerance factors and the Fm-3m prototype.

Importing this package is cheap: numpy alone. pymatgen, SMACT and ASE are imported where a function needs them.
"""

from aiida_perovskite.chemistry.composition import ELEMENTS, Composition, CompositionError
from aiida_perovskite.chemistry.space import (
    HALIDE_C,
    HALIDE_METALS,
    HALIDES,
    enumerate_space,
    halide_space,
    space_from_settings,
)

__all__ = [
    "ELEMENTS",
    "HALIDES",
    "HALIDE_C",
    "HALIDE_METALS",
    "Composition",
    "CompositionError",
    "enumerate_space",
    "halide_space",
    "space_from_settings",
]
