"""FHI-aims: what is asked of a run -> its input files, and its output files -> numbers.

The program is licensed and not part of this package: nothing here holds its source or its species defaults.
"""

from aiida_perovskite.engines.aims.bands import AimsBands, read_bands
from aiida_perovskite.engines.aims.densities import read_densities
from aiida_perovskite.engines.aims.existing import ExistingRun, read_request
from aiida_perovskite.engines.aims.output import AimsOutput, read_output
from aiida_perovskite.engines.aims.progress import PATIENCE, is_stalled
from aiida_perovskite.engines.aims.request import (
    AimsRequest,
    DensityOfStates,
    Dielectric,
    Relaxation,
    Segment,
    segments,
)
from aiida_perovskite.engines.aims.spectra import read_absorption, read_dielectric, read_dos
from aiida_perovskite.engines.aims.status import AimsStatus
from aiida_perovskite.engines.aims.structure_files import GeometryFile, read_geometry

__all__ = [
    "PATIENCE",
    "AimsBands",
    "AimsOutput",
    "AimsRequest",
    "AimsStatus",
    "DensityOfStates",
    "Dielectric",
    "ExistingRun",
    "GeometryFile",
    "Relaxation",
    "Segment",
    "is_stalled",
    "read_absorption",
    "read_bands",
    "read_densities",
    "read_dielectric",
    "read_dos",
    "read_geometry",
    "read_output",
    "read_request",
    "segments",
]
