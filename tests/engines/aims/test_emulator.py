"""What the emulator computes, writes and refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from engines.aims.emulated import BASICS, OPTICS, PATH, PBE, RELAX, SOC, SYMMETRY, perovskite, run, species
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_perovskite.engines.aims import (
    AimsRequest,
    AimsStatus,
    read_absorption,
    read_bands,
    read_dielectric,
    read_dos,
    read_geometry,
)
from aiida_perovskite.engines.aims.emulator.control import read_control
from aiida_perovskite.engines.aims.emulator.electrons import Electrons, Grid
from aiida_perovskite.engines.aims.emulator.energy import Model
from aiida_perovskite.engines.aims.emulator.errors import AbortRun
from aiida_perovskite.engines.aims.emulator.expressions import parse_expression
from aiida_perovskite.engines.aims.emulator.geometry import Geometry
from aiida_perovskite.engines.aims.emulator.geometry import read_geometry as read_emulated
from aiida_perovskite.engines.aims.emulator.relaxation import Relaxation
from aiida_perovskite.engines.aims.emulator.report import fortran
from aiida_perovskite.engines.aims.structure_files import check_hessian


def model_of(text: str, keywords: str = BASICS, blocks: str | None = None) -> tuple[Model, Geometry]:
    control = read_control(keywords + (species("Cs", "Ag", "Bi", "Br") if blocks is None else blocks))
    geometry = read_emulated(text)
    return Model.of(geometry, control), geometry


def disturbed(seed: int, displacement: float = 0.05, strain: float = 0.005) -> str:
    """A geometry without symmetry."""
    _, geometry = model_of(perovskite())
    assert geometry.lattice is not None
    random = np.random.default_rng(seed)
    stretch = np.eye(3) + random.normal(0.0, strain, (3, 3))
    positions = (geometry.positions + random.normal(0.0, displacement, geometry.positions.shape)) @ stretch
    rows = [f"lattice_vector {a} {b} {c}" for a, b, c in (geometry.lattice @ stretch).tolist()]
    rows += [f"atom {a} {b} {c} {s}" for (a, b, c), s in zip(positions.tolist(), geometry.species, strict=True)]
    return "\n".join(rows) + "\n"


# The model


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_forces_and_stress_are_the_derivatives_of_the_energy(seed: int) -> None:
    model, geometry = model_of(disturbed(seed, displacement=0.15, strain=0.02))
    lattice, positions = geometry.lattice, geometry.positions
    assert lattice is not None
    _, forces, virial = model.evaluate(lattice, positions)
    random = np.random.default_rng(seed)
    move, strain, h = random.normal(size=positions.shape), random.normal(size=(3, 3)), 1e-4
    ends = [model.evaluate(lattice, positions + sign * h * move)[0] for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(-np.sum(forces * move), abs=1e-4)
    stretches = [np.eye(3) + sign * h * strain for sign in (1, -1)]
    ends = [model.evaluate(lattice @ stretch, positions @ stretch)[0] for stretch in stretches]
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(np.sum(virial * strain), abs=1e-3)
    assert np.abs(forces.sum(axis=0)).max() < 1e-9


def test_energy_does_not_depend_on_the_choice_of_the_cell() -> None:
    model, geometry = model_of(disturbed(3))
    assert geometry.lattice is not None
    energy = model.evaluate(geometry.lattice, geometry.positions)[0]
    other = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ geometry.lattice
    shifted = geometry.positions + geometry.lattice[0] - 2 * geometry.lattice[2] + 0.37
    assert model.evaluate(other, shifted)[0] == pytest.approx(energy, abs=1e-8)
    doubled = Model(model.kinds * 2, np.tile(model.charges, 2), model.hybrid)
    positions = np.concatenate([geometry.positions, geometry.positions + geometry.lattice[1]])
    assert doubled.evaluate(geometry.lattice * [[1], [2], [1]], positions)[0] == pytest.approx(2 * energy, abs=1e-8)


def test_untilted_structure_is_stationary_but_for_its_two_parameters() -> None:
    model, geometry = model_of(perovskite() + SYMMETRY)
    _, forces, virial = model.evaluate(geometry.lattice, geometry.positions)
    free = Relaxation(model, geometry, "full")
    assert len(free.free) == 2
    assert free.forces().atoms == pytest.approx(forces, abs=1e-9)
    assert virial == pytest.approx(np.eye(3) * virial[0, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("elements", "gap"),
    [(("Cs", "Ag", "Bi", "Br"), 2.2), (("Cs", "Na", "Bi", "Cl"), 4.4), (("Cs", "Cu", "In", "Cl"), 2.5)],
)
def test_gaps_are_of_the_order_of_real_ones(elements: tuple[str, ...], gap: float) -> None:
    text = perovskite(elements=elements)
    hybrid, geometry = model_of(text, BASICS, species(*elements))
    semilocal, _ = model_of(text, PBE, species(*elements))
    wide, narrow = (Electrons(model, geometry.lattice, False, 0.0) for model in (hybrid, semilocal))
    assert wide.gap_ev == pytest.approx(gap, abs=0.8)
    assert 0.3 < narrow.gap_ev < wide.gap_ev - 0.4
    assert 0.0 < wide.spin_orbit_ev <= 0.3


def test_bands_have_the_symmetry_of_the_lattice_and_a_mass_at_their_edges() -> None:
    model, geometry = model_of(perovskite())
    electrons = Electrons(model, geometry.lattice, False, 0.0)
    k = np.random.default_rng(0).random((40, 3))
    bands = electrons.bands(k)
    assert electrons.bands(-k) == pytest.approx(bands)
    assert electrons.bands(k + np.array([1, -2, 0])) == pytest.approx(bands)
    assert electrons.bands(k[:, [2, 0, 1]]) == pytest.approx(bands)  # a threefold axis
    edges = electrons.edges(Grid.of((8, 8, 8), True), "scalar")
    assert edges.gap_ev == pytest.approx(electrons.gap_ev, abs=1e-3)
    # Nowhere in the zone is there a smaller gap, and around X and L the bands bend in every direction.
    everywhere = np.random.default_rng(1).random((4000, 3))
    occupied = electrons.occupied[0]
    assert electrons.bands(everywhere)[0, :, occupied - 1].max() <= edges.vbm_ev + 1e-9
    assert electrons.bands(everywhere)[0, :, occupied].min() >= edges.cbm_ev - 1e-9
    for point, band, sign in (([0.5, 0.0, 0.5], occupied - 1, -1), ([0.5, 0.5, 0.5], occupied, 1)):
        around = np.array(point) + 0.02 * np.concatenate([np.eye(3), -np.eye(3)])
        change = electrons.bands(around)[0, :, band] - electrons.bands(np.array([point]))[0, 0, band]
        assert np.all(sign * change > 1e-4)


def test_a_small_strain_changes_bands_a_little() -> None:
    model, geometry = model_of(perovskite())
    assert geometry.lattice is not None
    strained = geometry.lattice @ (np.eye(3) + 1e-3 * np.array([[1, 2, 0], [0, -1, 1], [0, 0, 2]]))
    k = np.random.default_rng(0).random((20, 3))
    first, second = (Electrons(model, cell, False, 0.0).bands(k)[0] for cell in (geometry.lattice, strained))
    assert np.abs(first - second).max() < 0.02


# What it writes


def test_constrained_relaxation_ends_in_one_minimum_wherever_it_starts(tmp_path: Path) -> None:
    found = []
    for a, x in ((11.25, 0.249), (12.3, 0.265)):
        status, output = run(tmp_path, BASICS + RELAX, perovskite(a, x) + SYMMETRY)
        assert (status, output.status) == (0, AimsStatus.FINISHED)
        assert 3 <= len(output.steps) <= 10
        energies = [step.energy_ev for step in output.steps if step.energy_ev is not None]
        assert energies == sorted(energies, reverse=True)
        assert output.structure is not None
        assert output.structure.cell is not None
        found.append((energies[-1], output.structure.cell[0, 1], output.structure.positions[4, 0]))
        assert output.structure.cell[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-3)
    assert found[0] == pytest.approx(found[1], abs=1e-2)
    restart = read_geometry(tmp_path / "geometry.in.next_step")
    assert restart.symmetry == ()
    assert restart.atoms.cell.array == pytest.approx(output.structure.cell, abs=1e-7)
    check_hessian(tmp_path / "hessian.aims", 10)


@pytest.mark.parametrize("cell", ["none", "full", "fixed_angles"])
def test_relaxation_moves_only_what_is_free(tmp_path: Path, cell: str) -> None:
    start = disturbed(1, displacement=0.03)
    _, output = run(tmp_path, BASICS + f"relax_geometry trm 2e-2\nrelax_unit_cell {cell}\n", start)
    assert output.finished
    assert output.structure is not None
    assert output.structure.cell is not None
    before, after = np.array(read_geometry(start).atoms.cell.array), output.structure.cell
    lengths = [np.linalg.norm(vectors, axis=1) for vectors in (before, after)]
    directions = [vectors / norm[:, None] for vectors, norm in zip((before, after), lengths, strict=True)]
    assert np.allclose(lengths[0], lengths[1], atol=1e-6) == (cell == "none")
    assert np.allclose(directions[0], directions[1], atol=1e-6) == (cell != "full")


def test_relaxation_goes_on_from_next_step(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    _, output = run(first, BASICS + RELAX.replace("100", "2"), disturbed(2, displacement=0.02))
    assert output.status is AimsStatus.STEP_LIMIT
    start = (first / "geometry.in.next_step").read_text()
    status, _ = run(tmp_path, BASICS + RELAX, start)
    assert status == 1  # the Hessian that the file announces is not there
    (tmp_path / "hessian.aims").write_bytes((first / "hessian.aims").read_bytes())
    status, again = run(tmp_path, BASICS + RELAX, start)
    assert again.finished
    assert again.steps[0].energy_ev == pytest.approx(output.steps[-1].energy_ev, abs=1e-5)


@pytest.mark.parametrize("version", ["171221_1", "240507"])
@pytest.mark.parametrize("coupled", [False, True])
def test_bands_files_and_output_tell_one_story(tmp_path: Path, version: str, coupled: bool) -> None:
    _, output = run(tmp_path, BASICS + PATH + (SOC if coupled else "spin none\n"), VERSION=version)
    assert output.finished
    assert output.version == f"{version}-emulator"
    scalar = read_bands(tmp_path, soc=False, output=output)
    assert scalar.gap_ev == pytest.approx(output.gap_ev, abs=2e-5)
    assert scalar.gap_ev == pytest.approx(output.path_gap_ev, abs=2e-5)
    assert scalar.vbm_k == pytest.approx((0.5, 0.0, 0.5))
    assert scalar.cbm_k == pytest.approx((0.5, 0.5, 0.5))
    assert (output.soc_gap_ev is not None) is coupled
    if coupled:
        bands = read_bands(tmp_path, soc=True, output=output)
        assert bands.eigenvalues_ev.shape[2] == 2 * scalar.eigenvalues_ev.shape[2]
        assert bands.gap_ev == pytest.approx(output.soc_gap_ev, abs=2e-5)
        assert 0.05 < scalar.gap_ev - bands.gap_ev < 0.31
        assert abs((bands.zero_ev or 0.0) - (scalar.zero_ev or 0.0)) > 1e-3


def test_gap_of_the_grid_is_not_below_that_of_the_path(tmp_path: Path) -> None:
    _, output = run(tmp_path, BASICS.replace("4 4 4", "3 3 3") + PATH)
    assert output.gap_ev is not None
    assert output.path_gap_ev is not None
    assert output.gap_ev > output.path_gap_ev + 0.1


def test_absorption_follows_from_epsilon_and_begins_at_the_lowest_direct_transition(tmp_path: Path) -> None:
    _, output = run(tmp_path, BASICS.replace("4 4 4", "8 8 8") + OPTICS)
    energies, alpha = read_absorption(tmp_path)
    _, epsilon = read_dielectric(tmp_path)
    assert energies[0] == pytest.approx(0.005)
    assert len(energies) == 1000
    assert energies[-1] < 10.0 - 0.005
    expected = 2.0 * energies[:, None] * np.sqrt(epsilon).imag / 1.973269804e-5
    assert alpha == pytest.approx(expected, rel=2e-3, abs=1.0)
    assert alpha[:, 0] == pytest.approx(alpha[:, 2])
    assert output.direct_gap_ev is not None
    assert alpha[energies < output.direct_gap_ev - 0.3].max() < 1.0
    assert alpha[(energies > output.direct_gap_ev + 0.1) & (energies < 8.0)].min() > 1e3
    assert 2.0 < epsilon[0, 0].real < 6.0
    # Kramers and Kronig: the static value is the integral over all absorption.
    moment = 1.0 + 2.0 / np.pi * np.sum(epsilon[:, 0].imag / energies) * (energies[1] - energies[0])
    assert epsilon[0, 0].real == pytest.approx(moment, rel=0.01)


def test_densities_of_states_count_the_electrons(tmp_path: Path) -> None:
    asked = (
        "output dos -14 2 1601 0.05\noutput atom_proj_dos -14 2 1601 0.05\noutput species_proj_dos -14 2 1601 0.05\n"
    )
    _, output = run(tmp_path, BASICS + "spin none\n" + asked)
    total = read_dos(tmp_path / "KS_DOS_total.dat")
    raw = read_dos(tmp_path / "KS_DOS_total_raw.dat")
    assert total.energies_ev == pytest.approx(raw.energies_ev, abs=1e-5)
    assert total.zero_ev == pytest.approx(output.chemical_potential_ev, abs=1e-5)
    assert output.vbm_ev is not None
    window = (total.energies_ev > output.vbm_ev - 5.0) & (total.energies_ev < output.vbm_ev + 0.5)
    assert np.sum(total.densities_per_ev[0][window]) * 0.01 == pytest.approx(12.0, abs=0.1)  # six bands
    parts = sum(read_dos(tmp_path / f"{name}_l_proj_dos.dat").densities_per_ev[0] for name in ("Cs", "Ag", "Bi", "Br"))
    assert parts == pytest.approx(total.densities_per_ev[0], abs=1e-6)
    bromine = sum(read_dos(path).densities_per_ev[0] for path in tmp_path.glob("atom_proj_dos_Br00??.dat"))
    assert np.sum(bromine[window]) > 0.5 * np.sum(total.densities_per_ev[0][window])


@pytest.mark.parametrize(("moments", "expected"), [((5.0, 0.0), 5.0), ((2.0, -2.0), 0.0)])
def test_moments_are_kept(tmp_path: Path, moments: tuple[float, float], expected: float) -> None:
    elements = ("Cs", "Ag", "Fe", "Br") if expected else ("Cs", "Cu", "In", "Br")
    lines = perovskite(elements=elements).splitlines()
    lines.insert(6, f"  initial_moment {moments[1]}")
    lines.insert(7 + 1, f"  initial_moment {moments[0]}")
    _, output = run(tmp_path, PBE + "spin collinear\n", "\n".join(lines), species(*elements))
    assert output.finished
    assert output.magnetic_moment == pytest.approx(expected)
    assert output.gap_ev is not None
    assert output.gap_ev > 0.1


def test_an_odd_electron_without_spin_makes_a_metal(tmp_path: Path) -> None:
    _, output = run(
        tmp_path, PBE + "spin none\n", perovskite(elements=("Cs", "Na", "Fe", "Br")), species("Cs", "Na", "Fe", "Br")
    )
    assert output.finished
    assert output.gap_ev is not None
    assert output.gap_ev < 0.2


def test_density_restart_shortens_the_first_cycle(tmp_path: Path) -> None:
    keywords = BASICS + "elsi_restart read_and_write 10\n"
    _, first = run(tmp_path, keywords)
    assert (tmp_path / "D_spin_01_kpt_000001.csc").is_file()
    _, second = run(tmp_path, keywords)
    assert second.n_scf_iterations < first.n_scf_iterations
    assert second.total_energy_ev == first.total_energy_ev


def test_every_file_says_that_it_is_emulated(tmp_path: Path) -> None:
    dos = "output dos -14 2 101 0.1\noutput species_proj_dos -14 2 101 0.1\nelsi_restart write 10\n"
    run(tmp_path, BASICS + SOC + PATH + OPTICS + dos + RELAX, perovskite() + SYMMETRY)
    silent = {path.name for path in tmp_path.iterdir() if b"aims-emulator" not in path.read_bytes()}
    no_room = {
        name for name in silent if re.fullmatch(r"band\d{4}\.out(\.no_soc)?|hessian\.aims|(control|geometry)\.in", name)
    }
    assert silent == no_room
    _, output = run(tmp_path, BASICS)
    assert any("aims-emulator" in warning for warning in output.warnings)


# What it refuses


@pytest.mark.parametrize(
    ("keywords", "geometry", "blocks", "message"),
    [
        (BASICS + "k_gird 4 4 4\n", None, None, "Unknown keyword 'k_gird'"),
        (BASICS + "k_grid 4 4 4\n", None, None, "given twice"),
        (BASICS + "include_spin_orbit yes\n", None, None, "does not take 'yes'"),
        (BASICS + "sc_accuracy_rho tight\n", None, None, "does not take 'tight'"),
        (BASICS + "output band 0 0 0 0.5 0.5 G L\n", None, None, "does not take"),
        (BASICS.replace("k_grid 4 4 4\n", ""), None, None, "no k_grid"),
        (BASICS, None, species("Cs", "Ag", "Br"), "Species Bi of geometry.in is not defined"),
        (BASICS, None, species("Cs", "Ag", "Bi") + "species Br\n", "no 'nucleus'"),
        (BASICS.replace("hse_unit bohr-1\n", ""), None, None, "hse_unit"),
        (BASICS + PATH.replace("exx_band_structure_version 1\n", ""), None, None, "exx_band_structure_version"),
        (BASICS, perovskite() + "atom_fract 0 0 0 Br\n", None, "Unknown keyword 'atom_fract'"),
        (BASICS, perovskite() + "atom_frac 0 0 Br\n", None, "Syntax error in geometry.in"),
        (BASICS, perovskite() + "atom_frac 0 0 0.001 Br\n", None, "on top of each other"),
        (BASICS, perovskite() + SYMMETRY.replace("2 1 1", "3 2 1"), None, "names behind 'symmetry_params'"),
        (BASICS, perovskite() + SYMMETRY.replace("-x , -x , x\n", "-x , -x , y\n"), None, "unknown parameter 'y'"),
        (BASICS, perovskite() + SYMMETRY.replace("-x , -x , x\n", "-x , -x , 2*(x\n"), None, "cannot parse"),
        (BASICS, perovskite() + SYMMETRY.replace("-x , -x , x\n", "-x , -x , x*x\n"), None, "multiplies parameters"),
        (BASICS, perovskite() + SYMMETRY.rpartition("symmetry_frac")[0], None, "'symmetry_frac' lines"),
        (BASICS, perovskite() + SYMMETRY.replace("-x , -x , x\n", "-x , x , x\n"), None, "contradict"),
        (BASICS, perovskite() + SYMMETRY.replace("0.5 , 0.5 , 0.5", "0.5 , 0.5 , 0.4"), None, "contradict"),
    ],
)
def test_bad_input_is_refused(
    tmp_path: Path, keywords: str, geometry: str | None, blocks: str | None, message: str
) -> None:
    status, output = run(tmp_path, keywords, geometry, blocks)
    assert status == 1
    assert message in (tmp_path / "aims.out").read_text()
    assert output.status is AimsStatus.CRASHED_AT_INPUT


@pytest.mark.parametrize("missing", ["control.in", "geometry.in"])
def test_program_in_a_folder_without_input(tmp_path: Path, missing: str) -> None:
    (tmp_path / "control.in").write_text(BASICS + species("Cs", "Ag", "Bi", "Br"))
    (tmp_path / "geometry.in").write_text(perovskite())
    (tmp_path / missing).unlink()
    command = [sys.executable, "-m", "aiida_perovskite.engines.aims.emulator"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Input file {missing} not found" in done.stdout


def test_program_knows_its_version_and_leaves_work_to_one_task(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "aiida_perovskite.engines.aims.emulator"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert "not FHI-aims" in version.stdout
    second = {**os.environ, "OMPI_COMM_WORLD_RANK": "1"}
    assert subprocess.run(command, cwd=tmp_path, env=second, capture_output=True, check=True).stdout == b""


def test_symmetry_block_written_by_the_package_is_understood() -> None:
    affine = parse_expression("-(1.0/2.0)*a + 3*(x - .25)/2e0 - -x", ["a", "x"])
    assert affine == pytest.approx([-0.375, -0.5, 2.5])
    for bad in ("", "a+", "a b", "2**a", "a/x", "a/0", "(a", "a)", "__import__('os')", "a;x", "1e"):
        with pytest.raises(AbortRun):
            parse_expression(bad, ["a", "x"])


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="xa0123456789.+-*/() eE", max_size=20))
def test_expressions_parse_or_are_refused(text: str) -> None:
    try:
        value = parse_expression(text, ["x", "a"])
    except AbortRun:
        return
    assert value.shape == (3,)


def test_numbers_are_written_as_fortran_writes_them() -> None:
    assert fortran(-15800.0997410391, 15, 31) == "         -0.158000997410391E+05"
    assert fortran(0.0, 6, 14) == "  0.000000E+00"
    assert fortran(0.1525, 4, 12) == "  0.1525E+00"
    assert fortran(-5.0012414, 8, 14) == "-.50012414E+01"
    assert fortran(9.99999999e-3, 4, 12) == "  0.1000E-01"


# How it is stopped


def test_graceful_stop_between_iterations_and_steps(tmp_path: Path) -> None:
    (tmp_path / "abort_scf").touch()
    status, output = run(tmp_path, BASICS + RELAX, perovskite() + SYMMETRY)
    assert (status, output.status) == (0, AimsStatus.SCF_NOT_CONVERGED)
    assert output.n_scf_iterations == 1
    (tmp_path / "abort_scf").unlink()
    (tmp_path / "abort_opt").touch()
    status, output = run(tmp_path, BASICS + RELAX, perovskite() + SYMMETRY)
    assert (status, output.status) == (0, AimsStatus.GEOMETRY_NOT_CONVERGED)
    assert (tmp_path / "geometry.in.next_step").is_file()


def test_kill_in_a_relaxation_leaves_what_a_restart_needs(tmp_path: Path) -> None:
    (tmp_path / "control.in").write_text(BASICS + RELAX + species("Cs", "Ag", "Bi", "Br"))
    (tmp_path / "geometry.in").write_text(perovskite() + SYMMETRY)
    command = [sys.executable, "-m", "aiida_perovskite.engines.aims.emulator"]
    environment = {**os.environ, "AIMS_EMULATOR_DELAY": "0.02"}
    with (tmp_path / "aims.out").open("w") as stream:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=stream, env=environment)
        deadline = time.monotonic() + 60.0
        while not (tmp_path / "geometry.in.next_step").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
    assert "Leaving" not in (tmp_path / "aims.out").read_text()
    start = (tmp_path / "geometry.in.next_step").read_text()
    _, output = run(tmp_path, BASICS + RELAX, start + SYMMETRY)
    assert output.finished


def test_real_inputs_are_understood(shared_folder: Path) -> None:
    folders = [path.parent for path in (shared_folder / "aims-outputs").glob("**/control.in")]
    assert len(folders) > 8
    for folder in folders:
        text = (folder / "control.in").read_text()
        if "inputs_cs2agbibr6" in folder.parts:
            text += species("Cs", "Ag", "Bi", "Br")  # left out there
        control = read_control(text)
        assert Model.of(read_emulated((folder / "geometry.in").read_text()), control).electrons > 0


def test_molecule_relaxes_without_cell(tmp_path: Path) -> None:
    keywords = "xc pbe\nrelativistic atomic_zora scalar\nrelax_geometry trm 1e-3\n"
    _, output = run(tmp_path, keywords, "atom 0 0 0 Cl\natom 0 0 2.2 Cl\n", species("Cl"))
    assert output.finished
    assert output.structure is not None
    assert output.structure.cell is None
    check_hessian(tmp_path / "hessian.aims", 2)


def test_inputs_of_the_package_run(tmp_path: Path) -> None:
    keywords = {"xc": "hse06 0.11", "hse_unit": "bohr-1", "relativistic": "atomic_zora scalar"}
    blocks = {name: species(name) for name in ("Cs", "Ag", "Bi", "Br")}
    (tmp_path / "start.in").write_text(perovskite())
    atoms = read_geometry(tmp_path / "start.in").atoms
    for settings_ in (
        {"symmetric": True, "relaxation": {"algorithm": "trm"}, "density_restart": True},
        {
            "keywords": keywords | {"exx_band_structure_version": 1},
            "spin_orbit": True,
            "initial_moments": [0.0] * 10,
            "bands": [{"start": (0, 0, 0), "end": (0.5, 0, 0.5), "n_points": 9, "names": ("G", "X")}],
        },
        {"dielectric": {"style": "compute_dielectric"}, "dos": {}},
        {"dielectric": {"style": "output_dielectric"}},
    ):
        files = AimsRequest.from_dict({"keywords": keywords, "k_grid": (4, 4, 4), **settings_}).files(atoms, blocks)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        _, output = run(folder, files["control.in"], files["geometry.in"], "")
        assert output.finished, (folder / "aims.out").read_text()[-500:]
