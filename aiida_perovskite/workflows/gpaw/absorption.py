"""Absorption with GPAW."""

from __future__ import annotations

from aiida_perovskite.engines.gpaw import ABSORPTION_SCRIPT
from aiida_perovskite.workflows.gpaw.restart import GpawWorkChain
from aiida_perovskite.workflows.interfaces import AbsorptionWorkChain


class GpawAbsorptionWorkChain(GpawWorkChain, AbsorptionWorkChain):
    """Independent-particle (or RPA) absorption of a structure with GPAW, at the PBE level."""

    _protocol_file = "gpaw_absorption"
    _script = ABSORPTION_SCRIPT
    _parser = "perovskite.gpaw.absorption"
