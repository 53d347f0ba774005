"""GPAW's energies, absorption and bands: the functions of the scripts, then small real runs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_perovskite.engines import EngineError
from aiida_perovskite.engines.gpaw import (
    ABSORPTION_SCRIPT,
    BANDS_SCRIPT,
    ENERGY_SCRIPT,
    GAP_SCRIPT,
    absorption_input,
    bands_input,
    energy_input,
    gap_input,
    parse_absorption,
    parse_bands,
    parse_energy,
    parse_gap,
)
from aiida_perovskite.workflows.protocols import load_protocol

HBAR_C = 1.973269804e-5  # eV cm
# Two atoms and few plane waves: seconds. The steps are those of the real thing.
GROUND = {"cutoff_ev": 250, "cutoff_fluoride_ev": 300, "convergence_eigenstates_ev2_per_electron": 1e-6}
OPTICS = {
    **GROUND,
    "empty_bands": 4,
    "kpoints_optical": [3, 3, 3],
    "optical_empty_bands": 8,
    "convergence_optical_ev2_per_electron": 1e-7,
    "max_energy_ev": 20.0,
    "energy_step_ev": 0.05,
    "broadening_ev": 0.1,
}
LINES = {"path": [[0, 0, 0], [0.25, 0, 0.25], [0.5, 0, 0.5]], "hole X-G": [[0.5, 0, 0.5], [0.25, 0, 0.25]]}
# Four bands above: no level that symmetry makes threefold is cut in two.
BANDS = {**GROUND, "empty_bands": 8, "converged_empty_bands": 4, "line_bands_below": 4, "line_bands_above": 4}
LEVELS = {
    "empty_bands": 8,
    "converged_empty_bands": 4,
    "hybrid_bands_below": 4,
    "hybrid_bands_above": 4,
    "spin_orbit_bands_above": 4,
}


def lithium_fluoride() -> Atoms:
    return bulk("LiF", "rocksalt", a=4.03)


def silicon() -> Atoms:
    return bulk("Si", "diamond", a=5.43)


def optics(atoms: Atoms, **changes: Any) -> dict[str, Any]:
    return absorption_input(atoms, load_protocol("gpaw_absorption", None, OPTICS | changes))


# --- functions of the scripts


def test_one_transition_gives_its_oscillator(script_module: Callable[[str], ModuleType]) -> None:
    script = script_module("absorption")
    strengths = np.zeros(3000)
    strengths[2000] = 30.0  # at 4 eV
    energies = np.arange(1001) * 0.02
    eps = script.dielectric_function(strengths, energies, 0.05)
    centre = 2000 * script.BIN_EV
    assert np.trapezoid(eps.imag, energies) == pytest.approx(30.0)
    assert energies[eps.imag.argmax()] == pytest.approx(centre)
    # Far from the transition the width does not count: eps = 1 + 2/pi S E0 / (E0^2 - E^2).
    far = abs(energies - centre) > 1.5
    expected = 1 + 2 / np.pi * 30.0 * centre / (centre**2 - energies[far] ** 2)
    assert eps.real[far] == pytest.approx(expected, rel=5e-3, abs=1e-3)
    assert eps.imag[0] == 0


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(1.0, 9.0), st.floats(0.1, 10.0)), min_size=1, max_size=5), st.floats(0.03, 0.2))
def test_real_and_imaginary_part_are_each_others_transforms(
    script_module: Callable[[str], ModuleType], lines: list[tuple[float, float]], broadening: float
) -> None:
    script = script_module("absorption")
    strengths = np.zeros(6000)
    for energy, strength in lines:
        strengths[round(energy / script.BIN_EV)] += strength
    energies = np.arange(1, 12001) * 1e-3
    eps = script.dielectric_function(strengths, np.concatenate([[0.0], energies]), broadening)
    static = 1 + 2 / np.pi * np.trapezoid(eps.imag[1:] / energies, energies)
    assert eps[0].real == pytest.approx(static, rel=1e-3)


@given(st.floats(1.0, 20.0), st.floats(0.0, 20.0), st.floats(0.1, 10.0))
def test_absorption_follows_from_the_refractive_index(
    script_module: Callable[[str], ModuleType], real: float, imaginary: float, energy: float
) -> None:
    script = script_module("absorption")
    (alpha,) = script.absorption_coefficient(np.array([energy]), np.array([complex(real, imaginary)]))
    kappa = alpha * HBAR_C / (2 * energy)
    n = np.sqrt((abs(complex(real, imaginary)) + real) / 2)
    assert 2 * n * kappa == pytest.approx(imaginary, abs=1e-6)
    assert alpha >= 0


def test_operations_of_the_lattice_are_rotations(script_module: Callable[[str], ModuleType]) -> None:
    script = script_module("absorption")
    atoms = lithium_fluoride()
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    # In fractions of the primitive face-centred cubic cell: a threefold rotation and the inversion.
    fractional = np.array([np.eye(3), [[0, 1, 0], [0, 0, 1], [1, 0, 0]], -np.eye(3)], dtype=int)
    ibz = SimpleNamespace(symmetries=SimpleNamespace(rotation_scc=fractional))
    calc = SimpleNamespace(atoms=atoms, dft=SimpleNamespace(ibzwfs=SimpleNamespace(ibz=ibz)))
    for matrix in script.rotations(calc):
        assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-12)
        assert abs(np.linalg.det(matrix)) == pytest.approx(1)


def test_points_that_lines_share_are_computed_once(script_module: Callable[[str], ModuleType]) -> None:
    script = script_module("bands")
    kpoints, indices = script.read_lines({"lines": LINES})
    assert len(kpoints) == 3
    assert indices == {"path": [0, 1, 2], "hole X-G": [2, 1]}
    for name, line in LINES.items():
        assert kpoints[indices[name]] == pytest.approx(np.array(line))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "names no lines"),
        ({}, "names no lines"),
        ({"hole X-G": [[0, 0]]}, "line hole X-G must be a list of k-points"),
        ({"path": []}, "line path must be"),
        ({"path": [[0, 0, float("nan")]]}, "line path must be"),
        ({"path": [[0, 0, "X"]]}, "line path must be"),
        ({"path": [[0, 0, 0], [0, 0]]}, "line path must be"),
    ],
)
def test_bad_lines_are_named(script_module: Callable[[str], ModuleType], lines: Any, message: str) -> None:
    script, job = script_module("bands"), script_module("perovskite_job")
    with pytest.raises(job.ScriptError, match=message) as caught:
        script.read_lines({"lines": lines})
    assert caught.value.code == "bad_input"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"local_fields": "yes"}, "local_fields must be of type bool"),
        ({"local_fields": 1}, "local_fields must be of type bool"),
        ({"broadening_ev": 0}, "broadening_ev must be positive"),
        ({"broadening_ev": True}, "broadening_ev must be of type float"),
        ({"kpoints_optical": [4, 4]}, "kpoints_optical must be three"),
        ({"optical_empty_bands": 2.5}, "optical_empty_bands must be of type int"),
    ],
)
def test_senseless_settings_are_named(
    script_module: Callable[[str], ModuleType], change: dict[str, Any], message: str
) -> None:
    script, job = script_module("absorption"), script_module("perovskite_job")
    job.check_settings(load_protocol("gpaw_absorption"), script.SETTINGS)
    with pytest.raises(job.ScriptError, match=message):
        job.check_settings({**load_protocol("gpaw_absorption"), **change}, script.SETTINGS)


@pytest.mark.parametrize("name", ["energy", "absorption", "bands", "gap"])
def test_every_protocol_has_the_settings_of_its_script(script_module: Callable[[str], ModuleType], name: str) -> None:
    from aiida_perovskite.workflows.protocols import available_protocols

    script, job = script_module(name), script_module("perovskite_job")
    for protocol in available_protocols(f"gpaw_{name}"):
        job.check_settings(load_protocol(f"gpaw_{name}", protocol), script.SETTINGS)


# --- files that the scripts leave, whole and damaged


def spectrum_files(**changes: Any) -> tuple[str, bytes]:
    energies = np.linspace(0, 5, 11)
    arrays: dict[str, Any] = {
        "energy_ev": energies,
        **dict.fromkeys(("absorption_per_cm", "epsilon_real", "epsilon_imaginary"), np.ones((3, 11))),
        "valence_ev": np.zeros((1, 2, 3)),
        "conduction_ev": np.ones((1, 2, 4)),
        "squared_momentum": np.ones((1, 2, 3, 4)),
        "dos_energy_ev": energies,
        "dos_total": energies,
    }
    properties = {
        "lowest_direct_transition_ev": 1.0,
        "gap_on_optical_grid_ev": 1.0,
        "static_dielectric_constant": 4.0,
        "densities": ["total"],
    }
    return packed(properties, arrays | changes)


def packed(properties: dict[str, Any], arrays: dict[str, Any]) -> tuple[str, bytes]:
    file = io.BytesIO()
    np.savez(file, **arrays)
    structure = {"symbols": ["Si"], "positions": [[0, 0, 0]], "cell": np.eye(3).tolist()}
    return json.dumps({"status": "ok", "structure": structure, "properties": properties}), file.getvalue()


def test_a_spectrum_is_read_and_of_another_calculation_refused() -> None:
    result = parse_absorption(*spectrum_files())
    assert result.epsilon.shape == result.absorption_per_cm.shape == (11, 3)
    for change in (
        {"epsilon_real": np.ones((3, 10))},
        {"absorption_per_cm": np.ones((11, 3))},
        {"energy_ev": np.ones((11, 1))},
    ):
        with pytest.raises(EngineError, match="do not fit their energies"):
            parse_absorption(*spectrum_files(**change))
    with pytest.raises(EngineError, match="not finite in dos_total"):
        parse_absorption(*spectrum_files(dos_total=np.full(11, np.nan)))


@settings(max_examples=25)
@given(st.data())
def test_truncated_files_are_an_error(data: st.DataObject) -> None:
    text, arrays = spectrum_files()
    with pytest.raises(EngineError, match=r"arrays\.npz"):
        parse_absorption(text, arrays[: data.draw(st.integers(0, len(arrays) - 1))])
    with pytest.raises(EngineError, match="truncated"):
        parse_absorption(text[: data.draw(st.integers(0, len(text) - 1))], arrays)
    for parse in (parse_bands, parse_absorption):
        with pytest.raises(EngineError, match=r"results\.json"):
            parse(json.dumps({"status": "ok", "structure": {}, "properties": {}}), arrays)
    with pytest.raises(EngineError, match="finite number 'energy_ev_per_atom'"):
        parse_energy(json.dumps({"status": "ok", "structure": {}, "properties": {"functional": "PBE"}}))


def test_bands_of_other_points_are_refused() -> None:
    properties = {"lines": {"path": [0, 1]}, "levels": ["pbe", "hse06_soc"]}
    arrays = {
        "kpoints": np.zeros((2, 3)),
        "n_occupied": np.array([1]),
        "n_occupied_soc": np.array([2]),
        "eigenvalues_pbe_ev": np.zeros((1, 2, 4)),
        "eigenvalues_hse06_soc_ev": np.zeros((1, 2, 8)),
    }
    assert parse_bands(*packed(properties, arrays)).n_occupied_soc == (2,)
    with pytest.raises(EngineError, match="do not fit the k-points"):
        parse_bands(*packed(properties, arrays | {"eigenvalues_pbe_ev": np.zeros((1, 3, 4))}))
    with pytest.raises(EngineError, match="incomplete"):
        parse_bands(*packed({**properties, "levels": ["hse06"]}, arrays))


# --- the whole scripts


def test_energy_is_that_of_the_gap_script_at_equal_settings(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    atoms = silicon()
    parameters = load_protocol("gpaw_energy", None, GROUND | {"kpoint_density": 0.9})
    outcome = run_script(ENERGY_SCRIPT, energy_input(atoms, parameters))
    assert outcome.status == 0, outcome.output
    energy = parse_energy(outcome.results)
    assert energy.functional == "PBE"
    assert energy.properties["energy_ev_per_cell"] == pytest.approx(2 * energy.energy_ev_per_atom)
    assert energy.properties["max_force_ev_per_angstrom"] < 1e-2, "both atoms lie on centres of inversion"
    assert energy.properties["kpoints"] == [2, 2, 2]
    parameters = load_protocol("gpaw_gap", None, GROUND | LEVELS | {"kpoints": [2, 2, 2]})
    outcome = run_script(GAP_SCRIPT, gap_input(atoms, parameters))
    gap = parse_gap(outcome.results, outcome.arrays)
    assert energy.properties["energy_ev_per_cell"] == pytest.approx(gap.properties["energy_pbe_ev_per_cell"], abs=1e-4)


def test_spectrum_of_a_cubic_crystal(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    outcome = run_script(ABSORPTION_SCRIPT, optics(silicon(), kpoints_optical=[6, 6, 6], optical_empty_bands=12))
    assert outcome.status == 0, outcome.output
    result = parse_absorption(outcome.results, outcome.arrays)
    properties, energies = result.properties, result.energy_ev
    # Isotropic although only the irreducible k-points were computed.
    assert np.ptp(result.epsilon, axis=1) == pytest.approx(0, abs=1e-8 * abs(result.epsilon).max())
    assert properties["static_dielectric_constant"] == pytest.approx(result.epsilon[0].real.mean())
    assert 11 < properties["static_dielectric_constant"] < 18, "13 to 14 in the literature, with denser grids"
    assert properties["gap_on_optical_grid_ev"] < properties["lowest_direct_transition_ev"]
    assert 2.3 < properties["lowest_direct_transition_ev"] < 2.8, "PBE has 2.56 eV at Gamma"
    imaginary = result.epsilon.imag
    kramers_kronig = 1 + 2 / np.pi * np.trapezoid(imaginary[1:] / energies[1:, None], energies[1:], axis=0)
    assert kramers_kronig == pytest.approx(result.epsilon[0].real, rel=0.02)
    # Below the onset there is nothing but the tail of the Gaussians.
    below = energies < properties["lowest_direct_transition_ev"] - 5 * OPTICS["broadening_ev"]
    assert imaginary[below].max() < 1e-4 * imaginary.max()
    assert result.absorption_per_cm.max() > 1e6
    total = np.trapezoid(result.densities["total"], result.dos_energy_ev)
    assert total > 0
    assert {"Si_s", "Si_p"} <= set(result.densities)


def test_symmetry_saves_work_and_changes_nothing(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    moved, turned = silicon(), silicon()
    moved.positions[1] += [2e-4, 1e-4, -3e-4]  # off their symmetry by a hair: all k-points are computed
    turned.rotate(31, (1, 2, 3), rotate_cell=True)
    outcomes = [run_script(ABSORPTION_SCRIPT, optics(atoms)) for atoms in (silicon(), moved, turned)]
    cubic, without, rotated = (parse_absorption(outcome.results, outcome.arrays) for outcome in outcomes)
    assert without.properties["n_irreducible_kpoints"] > cubic.properties["n_irreducible_kpoints"]
    largest = abs(cubic.epsilon).max()
    assert without.epsilon == pytest.approx(cubic.epsilon, abs=0.01 * largest)
    # A cubic crystal answers the same along all axes, however it lies in space.
    assert rotated.epsilon == pytest.approx(cubic.epsilon, abs=0.01 * largest)


def test_local_fields_screen(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    small = {"kpoints_optical": [2, 2, 2], "max_energy_ev": 8.0, "energy_step_ev": 0.1, "local_fields": True}
    outcome = run_script(ABSORPTION_SCRIPT, optics(silicon(), **small, local_field_cutoff_ev=30))
    assert outcome.status == 0, outcome.output
    result = parse_absorption(outcome.results, outcome.arrays)
    assert result.properties["approximation"] == "RPA with local fields"
    assert result.epsilon.shape == (81, 3)
    assert result.epsilon[0].real.min() > 1
    static = result.properties["static_dielectric_constant"]
    assert static == pytest.approx(result.epsilon[0].real.mean()), "what is told is of the spectrum that is given"


def test_a_metal_has_no_spectrum_of_an_insulator(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    # Two atoms, so that the number of electrons is even and the metal no magnet.
    atoms = bulk("Al", "fcc", a=4.05) * (1, 1, 2)
    outcome = run_script(ABSORPTION_SCRIPT, optics(atoms, smearing_ev=0.1, max_energy_ev=5.0))
    assert outcome.status != 0
    with pytest.raises(EngineError, match="PBE has no gap") as caught:
        parse_absorption(outcome.results, outcome.arrays)
    assert caught.value.code == "no_gap"


@pytest.mark.parametrize("hybrid", [False, True])
def test_bands_along_lines_agree_with_the_grid(run_script: Callable[..., Any], hybrid: bool) -> None:
    pytest.importorskip("gpaw")
    atoms = silicon()
    parameters = load_protocol("gpaw_bands", None, BANDS | {"hybrid": hybrid})
    outcome = run_script(BANDS_SCRIPT, bands_input(atoms, LINES, parameters))
    assert outcome.status == 0, outcome.output
    lines = parse_bands(outcome.results, outcome.arrays)
    best = "hse06" if hybrid else "pbe"
    assert list(lines.eigenvalues_ev) == (["pbe", "hse06", "hse06_soc"] if hybrid else ["pbe", "pbe_soc"])
    assert (lines.n_occupied, lines.n_occupied_soc) == ((4,), (8,))
    # Gamma and X lie on the grid of the gap script: same levels there, whichever way.
    outcome = run_script(GAP_SCRIPT, gap_input(atoms, load_protocol("gpaw_gap", None, GROUND | LEVELS)))
    gap = parse_gap(outcome.results, outcome.arrays)
    grid = getattr(gap, f"eigenvalues_{best}_ev")[0] + gap.properties["vbm_ev"][best]
    for k in (0, 2):
        away = (gap.kpoints - lines.kpoints[k]) % 1
        index = int(np.argmin(np.minimum(away, 1 - away).sum(axis=1)))
        assert lines.eigenvalues_ev[best][0, k, :6] == pytest.approx(grid[index, :6], abs=0.01)
    # Silicon is light: each level twice, the top of the valence band split by a few hundredths of an eV.
    coupled = lines.eigenvalues_ev[f"{best}_soc"][0]
    assert coupled[:, ::2] == pytest.approx(coupled[:, 1::2], abs=1e-3)
    split = coupled[0, 7] - coupled[0, 3]
    assert 0.02 < split < 0.08
    if hybrid:
        opened = (lines.eigenvalues_ev["hse06"] - lines.eigenvalues_ev["pbe"])[0]
        assert (opened[:, 4] - opened[:, 3]).min() > 0.3
