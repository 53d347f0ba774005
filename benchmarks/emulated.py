"""A profile of its own whose engines answer in milliseconds: what benchmarks of the bookkeeping share.

The engines are those of the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # of whose helpers the benchmarks use some

from emulation import EMULATOR

CODE = "emulator@localhost"
GIVE_UP_S = 3600 * 6


class Home:
    """An AiiDA folder with one profile, used as by a user: through commands.

    Parameters
    ----------
    folder
        Where it is, or is made.
    name
        Of the profile.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.environment = {
            **os.environ,
            "AIIDA_PATH": str(folder),
            "OMP_NUM_THREADS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        complete = folder / "complete"
        if not complete.exists():
            shutil.rmtree(folder / ".aiida", ignore_errors=True)
            (folder / ".aiida").mkdir(parents=True)
            self.set_up()
            complete.touch()

    def set_up(self) -> None:
        """Make the profile and the code."""
        self.run("aiida-perovskite", "setup", "profile", self.name)
        executable = self.folder / "emulated-python"
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{EMULATOR}" "$@"\n', encoding="utf-8")
        executable.chmod(0o755)
        self.run(
            *("verdi", "-p", self.name, "code", "create", "core.code.installed", "--non-interactive"),
            *("--label", "emulator", "--computer", "localhost", "--filepath-executable", str(executable)),
            *("--default-calc-job-plugin", "core.shell"),
        )

    def run(self, *words: str, fails: bool = False) -> str:
        """Run a command; return its standard output. RuntimeError if it fails."""
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=GIVE_UP_S, env=self.environment
        )
        if done.returncode and not fails:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout} {done.stderr}")
        return done.stdout

    def perovskite(self, *words: str) -> str:
        """Run ``aiida-perovskite`` on the profile."""
        return self.run("aiida-perovskite", "-p", self.name, *words)

    def verdi(self, *words: str, fails: bool = False) -> str:
        """Run ``verdi`` on the profile."""
        return self.run("verdi", "-p", self.name, *words, fails=fails)
