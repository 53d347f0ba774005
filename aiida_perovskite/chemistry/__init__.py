"""The chemistry of double perovskites ABC2D6: compositions, ions, their levels, tolerance factors, the Fm-3m prototype.

Importing this package is cheap: numpy alone. pymatgen, SMACT and ASE are imported where a function needs them.
"""

from aiida_perovskite.chemistry.atomic_levels import (
    AtomicLevel,
    AtomicOrbital,
    LevelTableError,
    ion_level,
    load_atomic_levels,
    load_atomic_orbitals,
    prior_levels,
    read_levels,
    reference_levels,
)
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
from aiida_perovskite.chemistry.solid_state_energy import (
    CATION_THRESHOLD_EV,
    SSE_TABLES,
    SolidStateEnergies,
    SseGaps,
    gaps_of_sites,
    solid_state_energies,
    sse_gap,
)
from aiida_perovskite.chemistry.space import (
    HALIDE_C,
    HALIDE_METALS,
    HALIDES,
    enumerate_space,
    halide_space,
    space_from_settings,
)

__all__ = [
    "CATION_THRESHOLD_EV",
    "ELEMENTS",
    "HALIDES",
    "HALIDE_C",
    "HALIDE_METALS",
    "RELEVANT_SHARE",
    "SSE_TABLES",
    "TOXIC_ELEMENTS",
    "AtomicLevel",
    "AtomicOrbital",
    "Charges",
    "Composition",
    "CompositionError",
    "LevelTableError",
    "SolidStateEnergies",
    "SseGaps",
    "bartel_factor",
    "charge_assignments",
    "describe",
    "enumerate_space",
    "gaps_of_sites",
    "goldschmidt_factor",
    "halide_space",
    "ion_level",
    "is_charge_balanced",
    "is_open_shell",
    "likely_charges",
    "load_atomic_levels",
    "load_atomic_orbitals",
    "octahedral_factor",
    "prior_levels",
    "prototype_atoms",
    "prototype_structure",
    "read_levels",
    "reference_levels",
    "shannon_radius",
    "solid_state_energies",
    "space_from_settings",
    "sse_gap",
    "starting_radius",
    "unpaired_electrons",
]
