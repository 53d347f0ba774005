"""How a run of the emulator ends before its end."""

from __future__ import annotations


class AbortRun(Exception):
    """The run stops here, as FHI-aims stops on bad input: a starred text on stdout and a non-zero status."""


class StopNow(Exception):
    """The process ends without another line on stdout.

    Attributes
    ----------
    status
        Exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
