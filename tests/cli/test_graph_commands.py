"""`trace`, `query`, `export` and `import` refuse what cannot be answered, and say so of an empty profile."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def test_nothing_to_trace(refused: Callable[..., str]) -> None:
    assert "no node '1'" in refused("trace", "1")
    assert "this profile holds: none" in refused("trace", "Cs2AgBiBr6", "-c", "halides")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--gap", "1.6", "0.9"], "1.6 to 0.9 of gap_hse06_soc_ev is empty"),
        (["--gap", "nan", "1"], "is empty"),
        (["--with", "Ag,Xx"], "Xx is no symbol of an element"),
        (["--with", "Ag", "--without", "Ag,Bi"], "Ag cannot be both"),
        (["--engine", "cook=gpaw"], "a step of relax, gap"),
        (["--since", "yesterday"], "write a date as"),
        (["--since", "0001-01-01"], "write a date as"),
        (["-c", "halides"], "no campaign 'halides'; this profile holds: none"),
        (["-o", "found.xlsx"], "neither in .csv nor in .parquet"),
        ([], "holds no computed compound yet"),
    ],
)
def test_bad_questions_are_refused(refused: Callable[..., str], arguments: list[str], sentence: str) -> None:
    assert sentence in refused("query", *arguments)
