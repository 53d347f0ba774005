"""Files of others: too large, nested, or damaged, each is one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aiida_perovskite import limits
from aiida_perovskite.limits import parse_json, parse_yaml, read_text


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 100_000])
def test_json_that_is_a_trap(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|limit"):
        parse_json(text)


def test_yaml_cannot_grow_by_aliases() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(ValueError, match="aliases"):
        parse_yaml("\n".join(lines))


@pytest.mark.parametrize("text", ["[" * 20_000, "a: !!python/object/apply:os.getcwd []", "a: {", "a: \x00"])
def test_yaml_that_is_no_plain_settings(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|could not|expected|not allowed"):
        parse_yaml(text)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([1] * 100))
    assert parse_json(read_text(path, 1000)) == [1] * 100
    with pytest.raises(ValueError, match="more than the"):
        read_text(path, 100)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="no regular file"):
            read_text(path, limits.MAX_JSON)
