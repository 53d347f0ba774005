"""The GPAW script: its geometry and its names of k-points, then small real runs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.chemistry import Composition, prototype_atoms
from aiida_perovskite.engines import EngineError
from aiida_perovskite.engines import run_script as run_in_folder
from aiida_perovskite.engines.gpaw import GAP_SCRIPT, gap_input, parse_gap
from aiida_perovskite.workflows.protocols import load_protocol

# Few bands at Gamma: seconds instead of a minute. The steps are those of the real thing.
QUICK = {
    "cutoff_ev": 200,
    "kpoints": [1, 1, 1],
    "empty_bands": 8,
    "converged_empty_bands": 3,
    "hybrid_bands_below": 4,
    "hybrid_bands_above": 3,
    "spin_orbit_bands_above": 4,
    "convergence_eigenstates_ev2_per_electron": 1e-4,
}
TO_CUBIC = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])


def job(atoms: Atoms, **overrides: Any) -> dict[str, Any]:
    return gap_input(atoms, load_protocol("gpaw_gap", None, QUICK | overrides))


# --- functions of the script


@pytest.mark.parametrize(
    ("k", "label"),
    [
        ((0, 0, 0), "G"),
        ((0.5, 0, 0.5), "X"),
        ((0.5, 0.5, 0.5), "L"),
        ((0.5, 0, 0), "L"),
        ((0.5, 0.25, 0.75), "W"),
        ((0.375, 0.375, 0.75), "K"),
        ((0.25, 0.25, 0), "G-X"),
        ((1 / 3, 0, 0), "G-L"),
        ((0.25, 0.25, 0.5), "G-K"),
    ],
)
def test_points_of_the_fcc_zone_have_their_names(gap_script: ModuleType, k: tuple[float, ...], label: str) -> None:
    assert gap_script.label_fcc(np.array(k)) == label


@given(
    st.sampled_from([(0, 0, 0), (0.5, 0, 0.5), (0.5, 0, 0), (0.5, 0.25, 0.75), (0.375, 0.375, 0.75), (0.2, 0.2, 0)]),
    st.sampled_from(list(permutations(range(3)))),
    st.sampled_from(list(product((1, -1), repeat=3))),
    st.tuples(*[st.integers(-1, 1)] * 3),
)
def test_names_are_those_of_all_equivalent_points(
    gap_script: ModuleType, k: tuple[float, ...], order: tuple[int, ...], signs: tuple[int, ...], shift: tuple[int, ...]
) -> None:
    cubic = (np.array(k) @ TO_CUBIC)[list(order)] * signs
    image = cubic @ np.linalg.inv(TO_CUBIC) + shift
    assert gap_script.label_fcc(image) == gap_script.label_fcc(np.array(k))


@given(st.floats(9, 13), st.floats(0.2, 0.3), st.floats(0.2, 0.3), st.tuples(*[st.floats(-180, 180)] * 3))
def test_halides_move_along_their_bonds_only(
    gap_script: ModuleType, a: float, x: float, target: float, angles: tuple[float, float, float]
) -> None:
    atoms = prototype_atoms(Composition.parse("Cs2AgBiBr6"), lattice_angstrom=a, x_halide=x)
    atoms.rotate(angles[0], "x", rotate_cell=True)
    atoms.rotate(angles[1], "z", rotate_cell=True)
    atoms.translate(angles)
    atoms.wrap()
    octahedra = gap_script.Octahedra.find(atoms)
    assert octahedra.x == pytest.approx(x)
    octahedra.move(atoms, target)
    found = gap_script.Octahedra.find(atoms)
    assert (found.a, found.x) == pytest.approx((a, target))
    outwards = np.zeros((10, 3))
    outwards[found.halides] = 0.3 * found.directions  # away from A
    assert found.force(outwards) == pytest.approx(0.3)


def test_distorted_cells_have_no_single_halide_coordinate(gap_script: ModuleType) -> None:
    atoms = prototype_atoms(Composition.parse("Cs2AgBiBr6"))
    atoms.positions[4] += [0, 0.05, 0]
    assert gap_script.Octahedra.find(atoms) is None
    assert gap_script.Octahedra.find(bulk("NaCl", "rocksalt", a=5.6)) is None


@given(st.floats(-15, -4), st.floats(0.24, 0.26), st.floats(-0.03, 0.03))
def test_secant_finds_the_halide_of_a_harmonic_bond(
    gap_script: ModuleType, force_constant: float, start: float, offset: float
) -> None:
    a, best = 11.0, start + offset
    xs, forces = [start], [force_constant * (start - best) * a]
    while abs(forces[-1]) >= 0.2 and len(xs) < 5:
        xs.append(gap_script.next_x(xs, forces, a))
        assert abs(xs[-1] - xs[-2]) <= 0.015 + 1e-12
        forces.append(force_constant * (xs[-1] - best) * a)
    assert abs(forces[-1]) < 0.2


def test_overlapping_bands_have_no_gap_but_a_raw_one(gap_script: ModuleType) -> None:
    kpoints = np.array([[0, 0, 0], [0.5, 0, 0]])
    bands = gap_script.Bands(np.array([[[0.0, 2.0], [1.5, 1.0]]]), [1], kpoints)  # unsorted at the second point
    properties = bands.properties("hse06")
    assert (properties["gap_hse06_ev"], properties["raw_gap_hse06_ev"]) == (0.5, 0.5)
    assert (properties["direct_gap_hse06_ev"], properties["gamma_gap_hse06_ev"]) == (0.5, 2.0)
    overlapping = gap_script.Bands(np.array([[[0.0, 1.0], [1.5, 2.5]]]), [1], kpoints).properties("hse06")
    assert (overlapping["gap_hse06_ev"], overlapping["raw_gap_hse06_ev"]) == (0.0, -0.5)


def test_gap_lies_between_the_spins(gap_script: ModuleType) -> None:
    spins = np.array([[[-1.0, 0.0, 3.0]], [[-2.0, 1.0, 4.0]]])
    bands = gap_script.Bands(spins, [2, 1], np.zeros((1, 3)))
    assert bands.raw_gap == 1.0
    one_spin_empty = gap_script.Bands(spins, [1, 0], np.zeros((1, 3)))
    assert one_spin_empty.raw_gap == -1.0


# --- the whole script


def test_double_perovskite_runs_to_the_end(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    start = prototype_atoms(Composition.parse("Cs2AgInCl6"), lattice_angstrom=10.5757, x_halide=0.25328)
    outcome = run_script(GAP_SCRIPT, job(start))
    assert outcome.status == 0, outcome.output
    result = parse_gap(outcome.results, outcome.arrays)
    properties = result.properties
    assert properties["halide_steps"] > 1
    assert abs(properties["force_on_halide_ev_per_angstrom"]) < 0.2
    assert properties["x_halide"] > properties["x_chgnet"] == pytest.approx(0.25328)
    moved = result.atoms.get_distance(2, 4, mic=True)
    assert moved == pytest.approx(properties["x_halide"] * properties["a_angstrom"])
    assert 1.0 < properties["gap_hse06_ev"] - properties["gap_pbe_ev"] < 2.5
    assert properties["gap_hse06_soc_ev"] == pytest.approx(properties["gap_hse06_ev"], abs=0.05)
    assert "force on the halide" in outcome.output


@pytest.mark.parametrize("kpoints", [[1, 1, 1], [2, 2, 2]])  # real and complex orbitals
def test_a_self_consistent_hybrid_is_that_of_gpaw_itself(run_script: Callable[..., Any], kpoints: list[int]) -> None:
    gpaw = pytest.importorskip("gpaw")
    salt = bulk("LiF", "rocksalt", a=4.0)
    given = {"cutoff_fluoride_ev": 250, "kpoints": kpoints, "hybrid_tolerance_ev": 0.001}
    outcome = run_script(GAP_SCRIPT, job(salt, self_consistent_hybrid="always", **given))
    found = parse_gap(outcome.results, outcome.arrays).properties
    assert found["hybrid_self_consistent"]
    assert not found["pbe_gapless"]
    # The same without compression: exact exchange in every step, which takes five times as long.
    salt.calc = gpaw.GPAW(
        mode=gpaw.PW(250),
        xc="HSE06",
        kpts={"size": tuple(kpoints), "gamma": True},
        nbands=9,
        occupations=gpaw.FermiDirac(0.01),
        convergence={"bands": 6, "eigenstates": 1e-5, "density": 1e-4},
        txt=None,
    )
    salt.get_potential_energy()
    bands = np.array([salt.calc.get_eigenvalues(k) for k in range(len(salt.calc.get_ibz_k_points()))])
    assert found["gap_hse06_ev"] == pytest.approx(bands[:, 4].min() - bands[:, 3].max(), abs=0.003)
    # What comes without: the first order in the difference of the functionals.
    other = run_script(GAP_SCRIPT, job(bulk("LiF", "rocksalt", a=4.0), self_consistent_hybrid="gapless", **given))
    first_order = parse_gap(other.results, other.arrays).properties
    assert not first_order["hybrid_self_consistent"]
    assert 0.001 < abs(first_order["gap_hse06_ev"] - found["gap_hse06_ev"]) < 0.5


def test_the_halide_goes_where_gpaws_own_hybrid_leaves_no_force(run_script: Callable[..., Any]) -> None:
    gpaw = pytest.importorskip("gpaw")
    # An elpasolite of light atoms: 34 valence electrons. PBE does not move the halide, so HSE06 has to.
    start = prototype_atoms(Composition.parse("NaAlK2H6"), lattice_angstrom=8.1, x_halide=0.22)
    tight = {"convergence_eigenstates_ev2_per_electron": 1e-6, "convergence_density": 1e-5}
    wanted = {"self_consistent_hybrid": "always", "max_hybrid_halide_force_ev_per_angstrom": 0.03}
    outcome = run_script(GAP_SCRIPT, job(start, max_halide_steps=1, **tight, **wanted))
    result = parse_gap(outcome.results, outcome.arrays)
    found = result.properties
    assert found["x_pbe"] == found["x_chgnet"] == pytest.approx(0.22)
    assert found["x_halide"] == pytest.approx(0.2172, abs=0.0005)
    left = found["force_hse06_on_halide_ev_per_angstrom"]
    assert abs(left) < 0.03
    assert not any("force" in note for note in found["warnings"] if note.startswith("HSE06"))
    moved = result.atoms.copy()
    assert moved.get_distance(2, 4, mic=True) == pytest.approx(8.1 * found["x_halide"])
    # The same without compression: exact exchange in every step.
    moved.calc = gpaw.GPAW(
        mode=gpaw.PW(200),
        xc="HSE06",
        kpts={"size": (1, 1, 1), "gamma": True},
        nbands=22,
        occupations=gpaw.FermiDirac(0.01),
        convergence={"bands": 17, "eigenstates": 1e-6, "density": 1e-5},
        txt=None,
    )
    to_halides = moved.get_distances(2, range(4, 10), mic=True, vector=True)
    outward = np.einsum("ij,ij->i", moved.get_forces()[4:], to_halides) / np.linalg.norm(to_halides, axis=1)
    assert left == pytest.approx(outward.mean(), abs=0.01)


def test_two_spins_keep_their_electrons(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    # The nitrogen atom: 4 electrons up, 1 down (the 2s pair and three 2p of one spin).
    atom = Atoms("N", cell=[4.5] * 3, pbc=True, magmoms=[3])
    outcome = run_script(GAP_SCRIPT, job(atom, cutoff_ev=300))
    result = parse_gap(outcome.results, outcome.arrays)
    assert result.n_occupied["hse06"] == (4, 1)
    assert result.n_occupied["hse06_soc"] == (5,)
    assert result.properties["magnetic_moment_mu_b"] == pytest.approx(3, abs=0.01)
    assert result.properties["magnetic_order_kept"]
    assert 1 < result.properties["gap_pbe_ev"] < result.properties["gap_hse06_ev"]
    assert result.properties["gap_hse06_soc_ev"] == pytest.approx(result.properties["gap_hse06_ev"], abs=0.05)


def test_odd_electrons_are_never_paired(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    outcome = run_script(GAP_SCRIPT, job(Atoms("H", cell=[4] * 3, pbc=True)))
    result = parse_gap(outcome.results, outcome.arrays)
    assert result.n_occupied["pbe"] == (1, 0)
    assert result.properties["magnetic_moment_mu_b"] == pytest.approx(1, abs=0.01)
    assert any("odd number of electrons" in note for note in result.properties["warnings"])


def test_density_that_does_not_converge_is_an_error(run_script: Callable[..., Any]) -> None:
    pytest.importorskip("gpaw")
    outcome = run_script(GAP_SCRIPT, job(bulk("LiF", "rocksalt", a=4.03), max_scf_steps=2))
    assert outcome.status != 0
    with pytest.raises(EngineError, match="max_scf_steps") as caught:
        parse_gap(outcome.results, outcome.arrays)
    assert caught.value.code == "scf_not_converged"


@pytest.mark.parametrize(
    ("atoms", "change", "message"),
    [
        (bulk("LiF", "rocksalt", a=4.03), {"cutoff": 300}, r"unknown \['cutoff'\]"),
        (bulk("LiF", "rocksalt", a=4.03), {"kpoints": [2, 2]}, "kpoints must be three"),
        (bulk("LiF", "rocksalt", a=4.03), {"kpoints": [2, 2, 0]}, "kpoints must be positive"),
        (bulk("LiF", "rocksalt", a=4.03), {"hybrid_bands_above": 7}, "must not be below hybrid_bands_above"),
        (bulk("LiF", "rocksalt", a=0.4), {}, "span a volume"),
        (bulk("LiF", "wurtzite", a=3.1, c=5.0, u=0.02), {}, "closer than"),
        (bulk("U", "fcc", a=5.0), {}, "no PAW setup for U"),
    ],
)
def test_bad_input_is_named(run_script: Callable[..., Any], atoms: Atoms, change: dict[str, Any], message: str) -> None:
    pytest.importorskip("gpaw")
    content = job(atoms)
    content["parameters"] |= change
    outcome = run_script(GAP_SCRIPT, content)
    assert outcome.status != 0
    with pytest.raises(EngineError, match=message) as caught:
        parse_gap(outcome.results, outcome.arrays)
    assert caught.value.code == "bad_input"


def test_gpaw_without_hse06_is_refused_with_the_remedy(
    run_script: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gpaw")
    # A GPAW that was built without libxc has no such names in its C extension.
    (tmp_path / "sitecustomize.py").write_text(
        "import _gpaw\nfor name in ('lxcXCFuncNum', 'lxcXCFunctional'):\n    delattr(_gpaw, name)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = run_script(GAP_SCRIPT, job(bulk("LiF", "rocksalt", a=4.03)))
    with pytest.raises(EngineError, match="--no-cache-dir gpaw") as caught:
        parse_gap(outcome.results, outcome.arrays)
    assert caught.value.code == "engine_missing"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_disk_is_said_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "results.json.tmp").symlink_to("/dev/full")
    done = run_in_folder(GAP_SCRIPT, "{", tmp_path)
    assert done.returncode != 0
    assert "cannot be written" in done.stderr
    assert not (tmp_path / "results.json").exists()
