"""Relaxation with GPAW."""

from __future__ import annotations

from aiida_perovskite.engines.gpaw import RELAX_SCRIPT
from aiida_perovskite.workflows.gpaw.restart import GpawWorkChain
from aiida_perovskite.workflows.interfaces import RelaxWorkChain


class GpawRelaxWorkChain(GpawWorkChain, RelaxWorkChain):
    """Relax a structure with GPAW's PBE forces and stress, Fm-3m kept or not."""

    _protocol_file = "gpaw_relax"
    _script = RELAX_SCRIPT
    _parser = "perovskite.gpaw.relax"
