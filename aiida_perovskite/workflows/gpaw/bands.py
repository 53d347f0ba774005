"""Bands with GPAW."""

from __future__ import annotations

from aiida_perovskite.engines.gpaw import BANDS_SCRIPT
from aiida_perovskite.workflows.gpaw.restart import GpawWorkChain
from aiida_perovskite.workflows.interfaces import BandsWorkChain


class GpawBandsWorkChain(GpawWorkChain, BandsWorkChain):
    """HSE06 + spin-orbit bands along lines with GPAW."""

    _protocol_file = "gpaw_bands"
    _script = BANDS_SCRIPT
    _parser = "perovskite.gpaw.bands"
