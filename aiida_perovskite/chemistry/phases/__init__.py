"""Phases that compete with a halide double perovskite: their formulas and their starting structures."""

from aiida_perovskite.chemistry.phases.competing import CompetingPhase, competing_compositions
from aiida_perovskite.chemistry.phases.formulas import (
    atom_counts,
    binary_decomposition,
    ionic_charges,
    reduced_formula,
)
from aiida_perovskite.chemistry.phases.prototypes import PROTOTYPES, Prototype
from aiida_perovskite.chemistry.phases.structures import build_structure, phase_structures

__all__ = [
    "PROTOTYPES",
    "CompetingPhase",
    "Prototype",
    "atom_counts",
    "binary_decomposition",
    "build_structure",
    "competing_compositions",
    "ionic_charges",
    "phase_structures",
    "reduced_formula",
]
