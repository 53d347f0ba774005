"""The program ``aims-emulator``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from aiida_perovskite.engines.aims.emulator.errors import AbortRun, StopNow
from aiida_perovskite.engines.aims.emulator.failures import is_first_task
from aiida_perovskite.engines.aims.emulator.report import LABEL, NEWEST, Report
from aiida_perovskite.engines.aims.emulator.run import Run

VERSION_VARIABLE = "AIMS_EMULATOR_VERSION"


def main() -> int:
    """Run in the current folder; return the exit status.

    ``--version`` is the only option, as of FHI-aims itself; all else is set by environment variables.
    """
    if sys.argv[1:] == ["--version"]:
        version = os.environ.get(VERSION_VARIABLE) or NEWEST
        print(f"aims-emulator {version} ({LABEL.partition(':')[0]})")
        return 0
    if sys.argv[1:]:
        print("aims-emulator: the only option is --version; it reads control.in and geometry.in.", file=sys.stderr)
        return 2
    return emulate(Path.cwd(), sys.stdout, os.environ) if is_first_task(os.environ) else 0


def emulate(folder: Path, stream: TextIO, environment: Mapping[str, str]) -> int:
    """Run in a folder, with standard output to a stream; return the exit status.

    It is 0 whenever FHI-aims would leave in an orderly way, 1 after bad input, 2 if an environment variable cannot be
    understood, and that of the signal after a failure on demand.
    """
    version = environment.get(VERSION_VARIABLE) or NEWEST
    if not re.fullmatch(r"\d{6}\w*", version):
        print(f"aims-emulator: {VERSION_VARIABLE}={version!r} is no version; give one such as 240507.", file=sys.stderr)
        return 2
    report = Report(version, stream)
    try:
        run = Run(folder, report, environment)
    except ValueError as error:
        print(f"aims-emulator: {error}", file=sys.stderr)
        return 2
    try:
        run()
    except AbortRun as stop:
        report.abort(str(stop))
        return 1
    except StopNow as stop:
        return stop.status
    return 0
