"""One campaign, stored once, about which all commands of this folder are asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign_in_graph import store_campaign
from click.testing import CliRunner, Result


@pytest.fixture(scope="package")
def campaign(aiida_profile: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The finished campaign `halides`, alone in the profile."""
    aiida_profile.reset_storage()
    return store_campaign(tmp_path_factory.mktemp("model"))


@pytest.fixture
def run(aiida_profile: Any) -> Callable[..., Result]:
    """Run `aiida-perovskite ARGUMENTS` on what the profile holds; a traceback fails the test."""
    from aiida_perovskite.cli import cmd_root

    def command(*arguments: str) -> Result:
        result = CliRunner().invoke(cmd_root, ["-p", aiida_profile.name, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return command


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Import last of all: that empties the profile in which the others look at the campaign."""
    here = Path(__file__).parent
    own = [item for item in items if item.path.parent == here]
    places = [place for place, item in enumerate(items) if item.path.parent == here]
    for place, item in zip(places, sorted(own, key=lambda item: item.path.name == "test_archive.py"), strict=True):
        items[place] = item
