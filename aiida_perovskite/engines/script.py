"""Scripts that an engine's own interpreter runs, and running one from a plain Python prompt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent / "scripts"
SHARED_MODULES = (SCRIPTS / "perovskite_job.py",)
RELAXATION = SCRIPTS / "perovskite_relax.py"
"""Module that relaxations need beside the shared ones."""


@dataclass(frozen=True)
class JobScript:
    """A script and the modules of ours that it imports: all of them travel to where it runs.

    Attributes
    ----------
    path
        The script; it is called as ``python SCRIPT input.json``.
    modules
        What it needs beside itself.
    """

    path: Path
    modules: tuple[Path, ...] = SHARED_MODULES

    @property
    def files(self) -> tuple[Path, ...]:
        """The script and its modules."""
        return self.path, *self.modules


def run_script(
    script: JobScript, content: Mapping[str, Any] | str, folder: Path, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, without AiiDA; it leaves ``results.json`` (and ``arrays.npz``) there.

    Parameters
    ----------
    content
        What goes into ``input.json``.
    folder
        Must exist; the script and its modules are copied into it.
    python
        The interpreter that has the engine.
    """
    for file in script.files:
        shutil.copy(file, folder)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "input.json").write_text(text, encoding="utf-8")
    return subprocess.run(
        [python, script.path.name, "input.json"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
