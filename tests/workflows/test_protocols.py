"""Protocols: what a user may tune, and that nothing misspelt passes."""

from __future__ import annotations

import pytest

from aiida_perovskite.workflows.protocols import ProtocolError, available_protocols, available_steps, load_protocol


@pytest.mark.parametrize("step", available_steps())
def test_every_protocol_loads_and_says_what_it_is(step: str) -> None:
    for name, description in available_protocols(step).items():
        assert len(description) > 20
        assert load_protocol(step, name)


def test_overrides_reach_nested_settings_and_leave_the_rest() -> None:
    changed = load_protocol("screening", overrides={"selection": {"n_candidates": 7}})
    plain = load_protocol("screening")
    assert changed["selection"].pop("n_candidates") == 7
    assert plain["selection"].pop("n_candidates") == 2
    assert changed == plain


@pytest.mark.parametrize("overrides", [{"selction": {}}, {"selection": {"n_candidate": 3}}])
def test_a_misspelt_override_is_an_error_that_names_it(overrides: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match=r"selction|n_candidate'"):
        load_protocol("screening", overrides=overrides)


def test_an_override_never_changes_the_dict_that_was_given() -> None:
    given = {"selection": {"window_ev": [1.0, 2.0]}}
    load_protocol("screening", overrides=given)["selection"]["window_ev"].append(3.0)
    assert given == {"selection": {"window_ev": [1.0, 2.0]}}


def test_unknown_step_and_protocol_name_the_choices() -> None:
    with pytest.raises(ProtocolError, match="screening"):
        load_protocol("screning")
    with pytest.raises(ProtocolError, match="default, gaps, thesis"):
        load_protocol("screening", "thsis")
