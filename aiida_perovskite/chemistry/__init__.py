"""The chemistry of double perovskites ABC2D6: compositions, ions, tolerance factors and the Fm-3m prototype.

Importing this package is cheap: numpy alone. pymatgen, SMACT and ASE are imported where a function needs them.
"""

from aiida_perovskite.chemistry.composition import ELEMENTS, Composition, CompositionError
from aiida_perovskite.chemistry.factors import bartel_factor, describe, goldschmidt_factor, octahedral_factor
from aiida_perovskite.chemistry.ions import (
    RELEVANT_SHARE,
    TOXIC_ELEMENTS,
    Charges,
    charge_assignments,
    is_charge_balanced,
    is_open_shell,
    likely_charges,
    shannon_radius,
    starting_radius,
    unpaired_electrons,
)
from aiida_perovskite.chemistry.prototype import prototype_atoms, prototype_structure
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
    "RELEVANT_SHARE",
    "TOXIC_ELEMENTS",
    "Charges",
    "Composition",
    "CompositionError",
    "bartel_factor",
    "charge_assignments",
    "describe",
    "enumerate_space",
    "goldschmidt_factor",
    "halide_space",
    "is_charge_balanced",
    "is_open_shell",
    "likely_charges",
    "octahedral_factor",
    "prototype_atoms",
    "prototype_structure",
    "shannon_radius",
    "space_from_settings",
    "starting_radius",
    "unpaired_electrons",
]
