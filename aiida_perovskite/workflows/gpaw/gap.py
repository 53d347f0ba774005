"""Hybrid-functional gap with GPAW."""

from __future__ import annotations

from aiida_perovskite.engines.gpaw import GAP_SCRIPT
from aiida_perovskite.workflows.gpaw.restart import GpawWorkChain
from aiida_perovskite.workflows.interfaces import GapWorkChain


class GpawGapWorkChain(GpawWorkChain, GapWorkChain):
    """PBE -> halide position from the PBE force -> HSE06 -> spin-orbit coupling, with GPAW."""

    _protocol_file = "gpaw_gap"
    _script = GAP_SCRIPT
    _parser = "perovskite.gpaw.gap"
