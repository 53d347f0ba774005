"""Energy with GPAW."""

from __future__ import annotations

from aiida_perovskite.engines.gpaw import ENERGY_SCRIPT
from aiida_perovskite.workflows.gpaw.restart import GpawWorkChain
from aiida_perovskite.workflows.interfaces import EnergyWorkChain


class GpawEnergyWorkChain(GpawWorkChain, EnergyWorkChain):
    """PBE energy of a structure with GPAW."""

    _protocol_file = "gpaw_energy"
    _script = ENERGY_SCRIPT
    _parser = "perovskite.gpaw.energy"
