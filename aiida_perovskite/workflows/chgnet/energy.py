"""Energy with CHGNet."""

from __future__ import annotations

from aiida_perovskite.engines.chgnet import ENERGY_SCRIPT
from aiida_perovskite.workflows.interfaces import EnergyWorkChain
from aiida_perovskite.workflows.scripts import ScriptWorkChain


class ChgnetEnergyWorkChain(ScriptWorkChain, EnergyWorkChain):
    """Energy of a structure with CHGNet."""

    _protocol_file = "chgnet_energy"
    _script = ENERGY_SCRIPT
    _parser = "perovskite.chgnet.energy"
