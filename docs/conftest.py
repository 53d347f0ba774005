"""Runs what the pages show: ``python`` blocks in this interpreter, ``console`` blocks in a shell.

A line of a console block that begins with ``$`` is a command; what stands below it is its output, in which ``...`` may
stand for anything. A ``yaml`` block whose first line is a comment with a file name is that file. Each page has a folder
and an AiiDA configuration of its own. Blocks marked ``bash`` are not run: they take long, or need a cluster.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

if TYPE_CHECKING:
    from production_servers import Servers

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
COMMAND_SECONDS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in a folder of its own while the blocks of a page run."""
    path = tmp_path_factory.mktemp("page")
    (path / ".aiida").mkdir()
    before = Path.cwd()
    os.chdir(path)
    yield path
    os.chdir(before)


@pytest.fixture(scope="module")
def halides(folder: Path, aiida_profile: Any) -> None:
    """Leave the campaign `halides` in the profile, and its archive in the folder; its numbers are made up."""
    from campaign_in_graph import seal_all, store_campaign

    from aiida_perovskite.cli.archive import report_of
    from aiida_perovskite.cli.campaigns import campaign_group
    from aiida_perovskite.report.archive import REPORT, export_campaign

    aiida_profile.reset_storage()
    run = store_campaign(folder)
    seal_all()
    export_campaign(campaign_group("halides"), {REPORT: report_of(run)}, folder / "halides.aiida")


@pytest.fixture(scope="module")
def on_servers(folder: Path, servers: Servers) -> Iterator[None]:
    """Let commands find the PostgreSQL and RabbitMQ of the tests where the page has those of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in servers.environment.items():
            patch.setenv(name, value)
        patch.setenv("AIIDA_PEROVSKITE_POSTGRES", f"postgresql://{servers.postgres.rpartition('@')[2]}")
        patch.setenv("AIIDA_PEROVSKITE_RABBITMQ", servers.rabbitmq)
        yield
        # Where a block failed, workers would look for their servers for ever.
        subprocess.run(["verdi", "daemon", "stop", "--all"], env={**os.environ, "AIIDA_PATH": str(folder)}, check=False)


def run_console(example: Example) -> None:
    """Run the commands of a block, one after another, and compare what they print."""
    folder = example.namespace["folder"]
    # The root conftest.py puts this environment's commands first on PATH.
    environment = {**os.environ, "AIIDA_PATH": str(folder), "COLUMNS": "120"}
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


def write_file(example: Example) -> None:
    """Write the file that a block shows, if it says its name."""
    found = re.match(r"# (\S+\.yaml)\n", str(example.parsed))
    if found:
        (example.namespace["folder"] / found[1]).write_text(str(example.parsed), encoding="utf-8")


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
        CodeBlockParser(language="yaml", evaluator=write_file),
        SkipParser(),
    ]
    return Sybil(parsers=parsers, patterns=pages, excludes=[*excludes, "_build/**"], fixtures=fixtures)


WITH_PROFILE = [
    "concepts/provenance.md",
    "how-to/screen-your-own-space.md",
    "how-to/use-fhi-aims.md",
    "how-to/write-your-own-selection.md",
    "reference/fhi-aims.md",
]

WITH_CAMPAIGN = ["how-to/answers-from-the-graph.md"]
WITH_SERVERS = ["how-to/production-profile.md"]

pytest_collect_file = SybilCollection(
    [
        sybil(["**/*.md"], WITH_PROFILE + WITH_CAMPAIGN + WITH_SERVERS, ["folder"]),
        sybil(WITH_PROFILE, [], ["folder", "aiida_profile"]),
        sybil(WITH_CAMPAIGN, [], ["folder", "halides"]),
        sybil(WITH_SERVERS, [], ["folder", "on_servers"]),
    ]
).pytest()
