"""What the end of a running output tells: whether the density still converges."""

from __future__ import annotations

import re
from itertools import pairwise

# A cycle begins anew at each of these; what stands before belongs to another geometry.
BEGIN = re.compile(r"Begin self-consistency loop|Begin self-consistency iteration\s*#\s*1\s*$", re.MULTILINE)
CHANGE = re.compile(r"\|\s*Change of charge density\s*:\s*(\S+)")
CONVERGED = re.compile(r"Self-consistency cycle converged")
PATIENCE = 60  # iterations: half of what a slow insulator takes with default mixing
PROGRESS = 0.5  # the change of the density must have fallen by this factor within that many iterations


def density_changes(text: str) -> list[float]:
    """Return the change of the charge density at each iteration of the last self-consistency cycle in ``text``.

    Parameters
    ----------
    text
        The end of a standard output, from anywhere.
    """
    start = max((match.end() for match in BEGIN.finditer(text)), default=0)
    changes = []
    for match in CHANGE.finditer(text, start):
        try:
            changes.append(abs(float(match[1].replace("D", "E"))))
        except ValueError:  # asterisks where a number did not fit
            changes.append(float("inf"))
    return [] if CONVERGED.search(text, start) else changes


def is_stalled(text: str, patience: int = PATIENCE) -> bool:
    """Tell whether the density has stopped to converge.

    That is so when the best of the last ``patience`` iterations is not better than half the best before them; or when
    it came back to nearly the same change for all of them.
    """
    changes = density_changes(text)
    if len(changes) <= patience:
        return False
    recent, before = changes[-patience:], changes[:-patience]
    flat = all(abs(a - b) <= 1e-3 * max(a, b) for a, b in pairwise(recent))
    return flat or min(recent) > PROGRESS * min(before)
