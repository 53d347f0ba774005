"""Runs what the pages show: ``python`` blocks in this interpreter, ``console`` blocks in a shell.

A line of a console block that begins with ``$`` is a command; what stands below it is its output, in which ``...`` may
stand for anything. Each page has a folder and an AiiDA configuration of its own. Blocks marked ``bash`` are not run:
they take long, or need a cluster.
"""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

# Importing aiida creates a configuration folder: never in the home of whoever runs the tests.
os.environ.setdefault("AIIDA_PATH", tempfile.mkdtemp(prefix="aiida-perovskite-docs-"))
pytest_plugins = "aiida.tools.pytest_fixtures"

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
COMMAND_SECONDS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Work in a folder of its own while the blocks of a page run."""
    path = tmp_path_factory.mktemp("page")
    (path / ".aiida").mkdir()
    before = Path.cwd()
    os.chdir(path)
    yield path
    os.chdir(before)


@pytest.fixture(scope="module")
def profile(aiida_config: Any, aiida_profile_factory: Callable[..., Any]) -> Iterator[Any]:
    """Load a temporary profile for pages whose Python blocks talk to AiiDA."""
    with aiida_profile_factory(aiida_config) as loaded:
        yield loaded


def run_console(example: Example) -> None:
    """Run the commands of a block, one after another, and compare what they print."""
    folder = example.namespace["folder"]
    environment = {
        **os.environ,
        "AIIDA_PATH": str(folder),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
    }
    for command, expected in commands(str(example.parsed)):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        if expected and not doctest.OutputChecker().check_output(expected, done.stdout, OPTIONS):
            raise AssertionError(f"$ {command}\nthe page shows\n{expected}\nbut it printed\n{done.stdout}")
        if not expected and done.returncode != 0:
            raise AssertionError(f"$ {command}\nended with exit status {done.returncode} and printed\n{done.stdout}")


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a block, with its continuation lines, and the output shown below it."""
    command, output = "", ""
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line.removeprefix("$ "), ""
        elif command.endswith("\\"):
            command += f"\n{line}"
        else:
            output += f"{line}\n"
    if command:
        yield command, output


def sybil(pages: list[str], excludes: list[str], fixtures: list[str]) -> Sybil:
    """Collect some pages, with fixtures."""
    parsers = [
        PythonCodeBlockParser(doctest_optionflags=OPTIONS),
        CodeBlockParser(language="console", evaluator=run_console),
        SkipParser(),
    ]
    return Sybil(parsers=parsers, patterns=pages, excludes=[*excludes, "_build/**"], fixtures=fixtures)


WITH_PROFILE = ["concepts/provenance.md", "how-to/write-your-own-selection.md"]

pytest_collect_file = (
    sybil(["**/*.md"], WITH_PROFILE, ["folder"]) + sybil(WITH_PROFILE, [], ["folder", "profile"])
).pytest()
