"""Run commands as a user would, on the temporary profile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result


@pytest.fixture
def run(aiida_profile_clean: Any) -> Callable[..., Result]:
    """Run `aiida-perovskite ARGUMENTS`; a traceback instead of a message fails the test."""
    from aiida_perovskite.cli import cmd_root

    def command(*arguments: str) -> Result:
        result = CliRunner().invoke(cmd_root, ["-p", aiida_profile_clean.name, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return command


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """Run a command that must fail with one sentence, leaving no node behind; return the sentence."""
    from aiida.orm import Node, QueryBuilder

    def command(*arguments: str) -> str:
        before = QueryBuilder().append(Node).count()
        result = run(*arguments)
        assert result.exit_code == 1, result.output
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        assert len(lines) == 1, result.stderr
        assert "Traceback" not in result.output
        assert QueryBuilder().append(Node).count() == before, "a refused command left nodes behind"
        return lines[0]

    return command


@pytest.fixture
def codes(aiida_profile_clean: Any, aiida_localhost: Any, aiida_code_installed: Callable[..., Any]) -> None:
    """The three codes that `setup profile` makes."""
    for engine in ("learning", "chgnet", "gpaw"):
        aiida_code_installed(
            label=f"{engine}", default_calc_job_plugin="core.shell", filepath_executable=sys.executable
        )
