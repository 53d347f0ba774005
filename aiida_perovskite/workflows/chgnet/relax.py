"""Relaxation with CHGNet."""

from __future__ import annotations

from aiida_perovskite.engines.chgnet import RELAX_SCRIPT
from aiida_perovskite.workflows.interfaces import RelaxWorkChain
from aiida_perovskite.workflows.scripts import ScriptWorkChain


class ChgnetRelaxWorkChain(ScriptWorkChain, RelaxWorkChain):
    """Relax a structure with CHGNet, Fm-3m kept or not."""

    _protocol_file = "chgnet_relax"
    _script = RELAX_SCRIPT
    _parser = "perovskite.chgnet.relax"
