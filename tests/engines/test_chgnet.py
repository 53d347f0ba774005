"""The CHGNet script, run for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.engines import EngineError
from aiida_perovskite.engines.chgnet import RELAX_SCRIPT, parse_relax, relax_input
from aiida_perovskite.workflows.protocols import load_protocol


def job(formula: str, **overrides: Any) -> dict[str, Any]:
    return relax_input(prototype_atoms(Composition.parse(formula)), load_protocol("chgnet_relax", None, overrides))


def test_relaxation_gives_the_cell_of_the_dataset(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("chgnet")
    outcome = run_script(RELAX_SCRIPT, job("Cs2AgInCl6"))
    assert outcome.status == 0, outcome.output
    result = parse_relax(outcome.results)
    assert result.properties["space_group"] == "Fm-3m"
    assert result.properties["a_angstrom"] == pytest.approx(10.5757, abs=2e-3)
    assert result.properties["x_chgnet"] == pytest.approx(0.26119, abs=2e-4)
    assert result.properties["energy_chgnet_r2scan_ev_per_cell"] == pytest.approx(-146.974, abs=1e-3)


def test_symmetry_is_kept_where_it_is_no_minimum(run_script: Callable[..., Any]) -> None:
    # Without a constraint numerical noise grows here, and the cell leaves Fm-3m for one of lower energy.
    pytest.importorskip("chgnet")
    outcome = run_script(RELAX_SCRIPT, job("BeSnCs2Cl6", max_force_ev_per_angstrom=0.05))
    assert parse_relax(outcome.results).properties["space_group"] == "Fm-3m"


def test_free_relaxation_starts_from_distorted_copies(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("chgnet")
    outcome = run_script(RELAX_SCRIPT, job("Cs2AgInCl6", symmetry="free", starts=2, max_force_ev_per_angstrom=0.03))
    properties = parse_relax(outcome.results).properties
    energies = properties["energies_of_starts_ev_per_cell"]
    assert len(set(energies)) == 2
    assert properties["energy_chgnet_r2scan_ev_per_cell"] == min(energies)
    # The cubic cell is no deep minimum of CHGNet: distorted starts end near its energy, not always in its symmetry.
    assert min(energies) == pytest.approx(-146.974, abs=0.05)


def test_unconverged_relaxation_is_an_error(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("chgnet")
    outcome = run_script(RELAX_SCRIPT, job("Cs2AgInCl6", max_steps=1))
    assert outcome.status != 0
    with pytest.raises(EngineError, match="raise max_steps") as caught:
        parse_relax(outcome.results)
    assert caught.value.code == "geometry_not_converged"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ({"structure": {}}, "cannot be read"),
        (job("Cs2AgInCl6") | {"parameters": {"max_step": 3}}, r"unknown \['max_step'\]"),
        (job("Cs2AgInCl6", symmetry="kept"), "symmetry must be one of"),
        (job("Cs2AgInCl6", max_steps="many"), "max_steps must be of type int"),
    ],
)
def test_bad_input_is_named(run_script: Callable[..., Any], content: Any, message: str) -> None:
    outcome = run_script(RELAX_SCRIPT, content)
    assert outcome.status != 0
    with pytest.raises(EngineError, match=message) as caught:
        parse_relax(outcome.results)
    assert caught.value.code == "bad_input"
    assert json.loads(outcome.results)["error"]["message"] in outcome.output
