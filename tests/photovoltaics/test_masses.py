"""Masses of analytic bands to 1e-6, and every way in which a band has none."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.photovoltaics.bands import FCC_POINTS, BandStructure, band_edges, label_fcc, reciprocal_vectors
from aiida_perovskite.photovoltaics.masses import (
    HBAR2_OVER_2M_EV_ANGSTROM2,
    EdgeLine,
    directions_for,
    edge_masses,
    fit_mass,
    inverse_mass_tensor,
    mass_line,
    masses_of_edge,
    parabolic_mass,
    principal_masses,
    tensor_stencil,
)

FCC = 11.2 / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
K = np.linspace(0.0, 0.1, 15)


def kane(k: np.ndarray, mass: float, alpha: float = 0.0) -> np.ndarray:
    """E (1 + alpha E) = hbar^2 k^2 / 2 |m|, upside down for a negative mass."""
    parabola = HBAR2_OVER_2M_EV_ANGSTROM2 * k**2 / abs(mass)
    # The form without cancellation, which holds for alpha = 0 too.
    return np.copysign(2 * parabola / (1 + np.sqrt(1 + 4 * alpha * parabola)), mass)


def test_the_constant() -> None:
    assert abs(HBAR2_OVER_2M_EV_ANGSTROM2 - 3.8099821) < 1e-7


@given(
    size=st.floats(0.05, 5.0),
    sign=st.sampled_from((-1, 1)),
    alpha=st.one_of(st.just(0.0), st.floats(0.01, 1.2)),
    reach=st.floats(0.05, 0.1),
    n=st.integers(11, 21),
    start=st.sampled_from((0.0, -1.0, -0.6, -0.31, -0.017)),
    offset_k=st.floats(-2, 2),
    offset_ev=st.floats(-20, 20),
    seed=st.integers(0, 100),
)
def test_parabolic_and_kane_bands_come_out_to_1e_6(
    size: float,
    sign: int,
    alpha: float,
    reach: float,
    n: int,
    start: float,
    offset_k: float,
    offset_ev: float,
    seed: int,
) -> None:
    """One- and two-sided, the extremum on a sample or between two; any order, origin and zero of energy."""
    order = np.random.default_rng(seed).permutation(n)
    k = np.linspace(start * reach, reach, n)[order]
    mass = parabolic_mass(k + offset_k, kane(k, sign * size, alpha) + offset_ev)
    assert mass == pytest.approx(sign * size, rel=1e-6)


def test_what_else_a_fit_tells() -> None:
    fit = fit_mass(K, kane(K, -0.15, 0.8))
    assert fit.non_parabolicity == pytest.approx(0.8, rel=1e-6)
    assert fit.limit is None
    assert 0.98 < fit.r_squared < 1
    assert (fit.n_points, fit.window_per_angstrom) == (7, pytest.approx(K[6]))
    assert fit_mass(K, kane(K, 0.15)).r_squared == pytest.approx(1.0)
    # A tight-binding band is neither: the window keeps its higher orders small.
    assert parabolic_mass(K, 0.2 * (1 - np.cos(11 * K))) == pytest.approx(
        HBAR2_OVER_2M_EV_ANGSTROM2 / (0.1 * 121), rel=1e-5
    )


def test_noise_shifts_a_mass_by_little() -> None:
    rng = np.random.default_rng(3)
    masses = [parabolic_mass(K, kane(K, 0.35, 0.5) + rng.normal(0, 1e-5, len(K))) for _ in range(50)]
    assert np.abs(np.array(masses) / 0.35 - 1).max() < 0.02


@pytest.mark.parametrize(
    ("k", "energy", "limit"),
    [
        (K, np.zeros(15), "too flat"),
        (K, kane(K, 60.0), "too flat"),
        (K, kane(K, -1000.0), "too flat"),
        (K, 2 * K, "poor fit"),  # one arm of a Dirac cone
        (K - 0.05, 2 * np.abs(K - 0.05), "poor fit"),
        (K, 800 * K**4, "poor fit"),
        (K, np.random.default_rng(0).normal(0, 0.01, 15), "poor fit"),
        (K, kane(K + 0.04, 0.5), "edge on the border of the path"),
        (K[:3], kane(K[:3], 0.5), "too few points"),
    ],
)
def test_a_band_without_a_mass_has_none(k: np.ndarray, energy: np.ndarray, limit: str) -> None:
    fit = fit_mass(k, energy)
    assert math.isnan(fit.mass)
    assert fit.limit == limit
    assert math.isnan(parabolic_mass(k, energy))


@pytest.mark.parametrize(
    ("k", "energy", "words"),
    [
        (K, np.append(K[1:], np.nan), "not finite"),
        (np.append(K[1:], 0.1), K, "two energies"),
        (K, K[1:], "one length"),
    ],
)
def test_malformed_bands_are_refused(k: np.ndarray, energy: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parabolic_mass(k, energy)


def test_lines_lead_from_the_edge_along_the_named_direction() -> None:
    for label in "GXLW":
        for direction in directions_for(label):
            line = mass_line(label, direction, FCC, 0.1, 9)
            assert label_fcc(line.kpoints[0]) == label
            assert label_fcc(line.kpoints[-1]) in (direction, f"{direction[2]}-{direction[0]}")
            steps = (line.kpoints - line.kpoints[0]) @ reciprocal_vectors(FCC)
            assert np.linalg.norm(steps, axis=1) == pytest.approx(line.k_per_angstrom)
    assert directions_for("G-X") == directions_for("K") == directions_for("") == ()
    for label, direction, reach, n in (
        ("G", "X-G", 0.1, 9),
        ("K", "K-G", 0.1, 9),
        ("X", "X-W", 0.5, 9),
        ("G", "G-X", 0.1, 3),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - four reasons, one kind
            mass_line(label, direction, FCC, reach, n)


def test_every_band_of_a_degenerate_edge_has_a_row() -> None:
    """Heavy and light holes as Kramers pairs, a split-off pair below, electrons above; each spinor band once."""
    heavy, light, split, electron = kane(K, -0.9), kane(K, -0.12, 0.5), kane(K, -0.3) - 0.4, kane(K, 0.2) + 1.5
    rashba = 2e-4 * K  # splits a pair by less than what counts
    bands = np.stack([split, split, light - rashba, light + rashba, heavy, heavy, electron, electron], axis=1)
    holes = masses_of_edge(K, bands, 6, "hole", "G-X")
    assert [(row.multiplicity, row.direction, row.limit) for row in holes] == [(2, "G-X", None)] * 2
    assert [row.mass for row in holes] == pytest.approx([-0.9, -0.12], rel=1e-6)
    (electrons,) = masses_of_edge(K, bands, 6, "electron", "G-X")
    assert (electrons.mass, electrons.multiplicity) == (pytest.approx(0.2, rel=1e-6), 2)


def test_a_hole_that_bends_upwards_and_a_missing_gap_are_stated() -> None:
    bands = np.stack([kane(K, 0.5), kane(K, 0.5) + 1], axis=1)
    (row,) = masses_of_edge(K, bands, 1, "hole", "X-W")
    assert (row.limit, math.isnan(row.mass)) == ("no extremum at the edge", True)
    (row,) = masses_of_edge(K, np.stack([kane(K, -0.5), kane(K, 0.5)], axis=1), 1, "hole", "X-W")
    assert (row.limit, math.isnan(row.mass)) == ("no gap", True)
    with pytest.raises(ValueError, match="no occupied"):
        masses_of_edge(K, bands, 2, "hole", "X-W")


def test_edges_demand_their_directions() -> None:
    kpoints = np.array([FCC_POINTS["G"], FCC_POINTS["X"], [0.0, 0.3, 0.3]])
    energies = np.array([[[0.0, 2.0], [-1.0, 1.8], [-1.0, 1.5]]])
    edges = band_edges(BandStructure(kpoints, FCC, energies, (1,)))
    line = EdgeLine("hole", "G-L", K, np.stack([kane(K, -0.7), kane(K, 0.3) + 2], axis=1), 1)
    missing, found, electron = edge_masses(edges, [line])
    assert (missing.direction, missing.limit) == ("G-X", "no energies along this direction")
    assert (found.direction, found.mass) == ("G-L", pytest.approx(-0.7, rel=1e-6))
    assert electron.limit == "no high-symmetry direction at the edge (G-X)"
    assert math.isnan(electron.mass)
    metal = dataclasses.replace(edges, kind="none")
    assert [(row.limit, math.isnan(row.mass)) for row in edge_masses(metal, [line])] == [("no gap", True)] * 2


def test_an_anisotropic_tensor_comes_out_in_any_orientation() -> None:
    masses = np.array([-0.25, -0.8, -3.0])
    axes = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    inverse = axes.T @ np.diag(1 / masses) @ axes
    points = tensor_stencil(0.02)
    assert points.shape == (25, 3)
    energies = 3.3 + HBAR2_OVER_2M_EV_ANGSTROM2 * np.einsum("ni,ij,nj->n", points, inverse, points)
    tensor = inverse_mass_tensor(energies, 0.02)
    assert tensor == pytest.approx(inverse, abs=1e-9)
    found, vectors = principal_masses(tensor)
    assert found == pytest.approx(masses, rel=1e-6)
    assert np.abs(np.einsum("ij,ij->i", vectors, axes)) == pytest.approx(1.0)


def test_the_tensor_of_a_kane_band_and_of_a_flat_one() -> None:
    points = tensor_stencil(0.002)
    tensor = inverse_mass_tensor(kane(np.linalg.norm(points, axis=1), 0.3, 1.0), 0.002)
    assert tensor == pytest.approx(np.eye(3) / 0.3, abs=1e-6 / 0.3)
    masses, _ = principal_masses(np.diag([1 / 80, -1 / 0.5, 0.0]))
    assert masses == pytest.approx([-0.5, np.nan, np.nan], nan_ok=True)
    with pytest.raises(ValueError, match="25"):
        inverse_mass_tensor(np.zeros(24), 0.01)
    with pytest.raises(ValueError, match="symmetric"):
        principal_masses(np.triu(np.ones((3, 3))))
    with pytest.raises(ValueError, match="positive"):
        tensor_stencil(0.0)
