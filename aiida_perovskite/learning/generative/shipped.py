"""The generator that comes with the package, for users who have no table of formation energies.

``tools/ship_generator.py`` makes it, with its card.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from ..checkpoint import CheckpointError

__all__ = ["CARD", "CHECKSUMS", "shipped_folder"]

CARD = "MODEL_CARD.md"
CHECKSUMS = "SHA256SUMS"


def shipped_folder() -> Path:
    """Return the folder that `load_generator` reads; raise `CheckpointError` if a file was changed or is not there."""
    folder = Path(str(resources.files("aiida_perovskite.learning.generative") / "shipped_generator"))
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
        found = [(name, checksum, (folder / name).read_bytes()) for checksum, name in map(str.split, lines)]
    except OSError as error:
        raise CheckpointError(f"The shipped generator is not complete ({error}): install the package again.") from None
    for name, checksum, content in found:
        if hashlib.sha256(content).hexdigest() != checksum:
            raise CheckpointError(f"{name} of the shipped generator was changed: install the package again.")
    return folder
