"""The CHGNet scripts, run for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ase.build import bulk

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.engines import EngineError
from aiida_perovskite.engines.chgnet import (
    ENERGY_SCRIPT,
    PHASES_SCRIPT,
    RELAX_SCRIPT,
    energy_input,
    parse_energy,
    parse_phases,
    parse_relax,
    phases_input,
    relax_input,
)
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


@pytest.mark.parametrize(
    ("formula", "distorts"),
    [
        ("Cs2NaYCl6", False),  # cubic in experiment
        ("Rb2NaYCl6", True),  # Rb is too small for the same frame: octahedra tilt
        (
            "Cs2AgBiBr6",
            True,
        ),  # cubic at room temperature, tetragonal (I4/m) below 122 K, and CHGNet knows no temperature
    ],
)
def test_without_constraints_a_compound_distorts_where_that_lowers_its_energy(
    run_script: Callable[..., Any], formula: str, distorts: bool
) -> None:
    pytest.importorskip("chgnet")
    cubic = parse_relax(run_script(RELAX_SCRIPT, job(formula)).results)
    parameters = load_protocol("chgnet_relax", None, {"symmetry": "free", "starts": 2})
    free = parse_relax(run_script(RELAX_SCRIPT, relax_input(cubic.atoms, parameters)).results).properties
    assert cubic.properties["space_group"] == "Fm-3m"
    gained = cubic.properties["energy_chgnet_r2scan_ev_per_cell"] - free["energy_chgnet_r2scan_ev_per_cell"]
    assert (free["space_group"] != "Fm-3m") == distorts
    assert (gained > 1e-3) == distorts
    assert gained > -2e-3, "more freedom never costs energy"


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


def test_phases_are_ranked_and_the_lowest_is_kept(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("chgnet")
    # CsBr is no rock salt: with eight neighbours each, its ions are bound by a few hundredths of an eV more.
    structures = [
        ("rocksalt", bulk("CsBr", "rocksalt", a=7.3)),
        ("CsCl", bulk("CsBr", "cesiumchloride", a=4.4)),
    ]
    outcome = run_script(PHASES_SCRIPT, phases_input(structures, load_protocol("chgnet_phases")))
    assert outcome.status == 0, outcome.output
    result = parse_phases(outcome.results)
    rows = {row["name"]: row for row in result.properties["candidates"]}
    assert set(rows) == {"rocksalt", "CsCl"}
    assert {row["converged"] for row in rows.values()} == {True}
    lowest = min(rows.values(), key=lambda row: row["energy_ev_per_atom"])
    assert result.properties["name"] == lowest["name"]
    assert result.properties["energy_ev_per_atom"] == lowest["energy_ev_per_atom"]
    assert rows["CsCl"]["space_group"] == "Pm-3m"
    assert rows["rocksalt"]["space_group"] == "Fm-3m"
    assert abs(rows["CsCl"]["energy_ev_per_atom"] - rows["rocksalt"]["energy_ev_per_atom"]) < 0.1
    # The structure is the relaxed one of that name: its energy, computed alone, is the one that is told.
    outcome = run_script(ENERGY_SCRIPT, energy_input(result.atoms, load_protocol("chgnet_energy")))
    energy = parse_energy(outcome.results)
    assert energy.energy_ev_per_atom == pytest.approx(lowest["energy_ev_per_atom"], abs=1e-5)
    assert energy.functional == "CHGNet r2SCAN"
    assert energy.properties["max_force_ev_per_angstrom"] < 0.02


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            phases_input(
                [("one", bulk("CsBr", "rocksalt", a=7)), ("two", bulk("CsCl", "rocksalt", a=7))],
                load_protocol("chgnet_phases"),
            ),
            r"one formula, not \['BrCs', 'ClCs'\]",
        ),
        ({"structures": [], "parameters": load_protocol("chgnet_phases")}, "one formula"),
        ({"structures": [{"name": "a"}], "parameters": load_protocol("chgnet_phases")}, "no list of structures"),
        ({"parameters": load_protocol("chgnet_phases")}, "no list of structures"),
    ],
)
def test_phases_that_cannot_be_ranked_are_named(run_script: Callable[..., Any], content: Any, message: str) -> None:
    outcome = run_script(PHASES_SCRIPT, content)
    assert outcome.status != 0
    with pytest.raises(EngineError, match=message) as caught:
        parse_phases(outcome.results)
    assert caught.value.code == "bad_input"


def test_no_structure_of_a_phase_is_refused_before_anything_runs() -> None:
    with pytest.raises(EngineError, match="no structure to relax"):
        phases_input([], load_protocol("chgnet_phases"))


def test_a_phase_of_which_nothing_converges_is_an_error(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("chgnet")
    structures = [("far", bulk("CsBr", "rocksalt", a=6.0))]
    outcome = run_script(
        PHASES_SCRIPT, phases_input(structures, load_protocol("chgnet_phases", None, {"max_steps": 1}))
    )
    with pytest.raises(EngineError, match="none of the 1 structures converged; raise max_steps") as caught:
        parse_phases(outcome.results)
    assert caught.value.code == "geometry_not_converged"
