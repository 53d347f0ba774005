"""Ranking of structures with CHGNet."""

from __future__ import annotations

from aiida.orm import SinglefileData

from aiida_perovskite.calculations.stability import write_phases_input
from aiida_perovskite.engines.chgnet import PHASES_SCRIPT
from aiida_perovskite.workflows.interfaces import PhasesWorkChain
from aiida_perovskite.workflows.scripts import ScriptWorkChain


class ChgnetPhasesWorkChain(ScriptWorkChain, PhasesWorkChain):
    """Relax the structure types of one formula with CHGNet and take the lowest."""

    _protocol_file = "chgnet_phases"
    _script = PHASES_SCRIPT
    _parser = "perovskite.chgnet.phases"

    def write_input(self) -> SinglefileData:
        """Return the input file of the script."""
        given = dict(self.inputs.get("structures") or {})
        file: SinglefileData = write_phases_input(
            self.inputs.formula, self.ctx.parameters, self.inputs.settings, **given
        )
        return file
