"""Kinds of gap, names of k-points, borders of paths, and the first transition that light can make."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import unitary_group

from aiida_perovskite.photovoltaics.bands import (
    FCC_POINTS,
    TO_CUBIC,
    BandStructure,
    band_edges,
    direct_allowed_gap,
    direct_allowed_gap_from_absorption,
    is_fcc_primitive,
    label_fcc,
)

FCC = 11.2 / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
G, X, L, W = (np.array(FCC_POINTS[name]) for name in "GXLW")


def path(*corners: np.ndarray, n: int = 11) -> np.ndarray:
    """K-points from corner to corner, each corner once."""
    pieces = [start + np.linspace(0, 1, n)[:, None] * (end - start) for start, end in itertools.pairwise(corners)]
    return np.vstack([pieces[0], *(piece[1:] for piece in pieces[1:])])


def two_bands(kpoints: np.ndarray, vbm: np.ndarray, cbm: np.ndarray, gap: float = 1.0) -> np.ndarray:
    """One channel, a valence and a conduction band with their extrema at two points and at all images of these."""

    def bump(center: np.ndarray) -> np.ndarray:
        images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ TO_CUBIC
        stars = {
            tuple(np.array(signs) * (center @ TO_CUBIC)[list(order)])
            for signs in itertools.product((-1, 1), repeat=3)
            for order in itertools.permutations(range(3))
        }
        q = (kpoints @ TO_CUBIC)[:, None, None] - np.array(sorted(stars))[None, :, None] - images[None, None]
        return (q**2).sum(-1).min((1, 2))

    return np.stack([-0.3 * bump(vbm), gap + 0.3 * bump(cbm)], axis=1)[None]


@pytest.mark.parametrize(
    ("vbm", "cbm", "kind", "labels"),
    [(G, G, "direct", ("G", "G")), (X, L, "indirect", ("X", "L")), (W, W, "direct", ("W", "W"))],
)
def test_kind_and_place_of_the_gap(vbm: np.ndarray, cbm: np.ndarray, kind: str, labels: tuple[str, str]) -> None:
    kpoints = path(W, L, G, X, W)
    edges = band_edges(BandStructure(kpoints, FCC, two_bands(kpoints, vbm, cbm), (1,), is_path=True))
    assert (edges.kind, edges.vbm.label, edges.cbm.label) == (kind, *labels)
    assert edges.gap_ev == pytest.approx(1.0, abs=1e-12)
    assert (edges.vbm.band, edges.cbm.band, edges.limits) == (0, 1, ())
    if kind == "direct":
        assert edges.vbm.kpoint == edges.cbm.kpoint == edges.direct_gap_kpoint
        assert edges.direct_gap_ev == pytest.approx(edges.gap_ev)


def test_a_computed_compound_has_the_edges_that_the_engine_found() -> None:
    fixtures = Path(__file__).parents[1] / "engines" / "fixtures"
    result = json.loads((fixtures / "gap_Rb2AgAsBr6.json").read_text())
    with np.load(fixtures / "gap_Rb2AgAsBr6.npz", allow_pickle=False) as arrays:
        bands = BandStructure(
            arrays["kpoints"],
            np.array(result["structure"]["cell"]),
            arrays["eigenvalues_hse06_soc_ev"],
            tuple(arrays["n_occupied_hse06_soc"]),
        )
    edges, expected = band_edges(bands), result["properties"]
    assert edges.gap_ev == pytest.approx(expected["gap_hse06_soc_ev"], abs=1e-9)
    assert edges.direct_gap_ev == pytest.approx(expected["direct_gap_hse06_soc_ev"], abs=1e-9)
    assert (edges.vbm.label, edges.cbm.label) == (expected["vbm_label"], expected["cbm_label"]) == ("X", "L")
    # Kramers pairs, at each of the three X and four L of the zone.
    assert (edges.vbm.degeneracy, edges.vbm.equivalent_kpoints) == (2, 3)
    assert (edges.cbm.degeneracy, edges.cbm.equivalent_kpoints) == (2, 4)


def test_a_direct_gap_takes_the_point_that_both_edges_share() -> None:
    # The valence band is flat between G and X, as in Cs2AgBiBr6-like layers; the conduction band is lowest at X.
    kpoints, energies = np.array([G, X, L]), np.array([[[0.0, 2.0], [0.0, 1.0], [-1.0, 2.0]]])
    edges = band_edges(BandStructure(kpoints, FCC, energies, (1,)))
    assert (edges.kind, edges.vbm.label, edges.cbm.label, edges.vbm.equivalent_kpoints) == ("direct", "X", "X", 2)


@pytest.mark.parametrize(("excess", "kind"), [(0.04, "quasi-direct"), (0.06, "indirect")])
def test_a_slightly_indirect_gap_is_quasi_direct(excess: float, kind: str) -> None:
    energies = np.array([[[0.0, 1.0 + excess], [-0.5, 1.0]]])
    bands = BandStructure(np.array([G, X]), FCC, energies, (1,))
    edges = band_edges(bands)
    assert (edges.kind, edges.direct_gap_label) == (kind, "G")
    assert (edges.gap_ev, edges.direct_gap_ev) == pytest.approx((1.0, 1.0 + excess))
    assert band_edges(bands, quasi_direct_ev=0.0).kind == "indirect"


def test_overlapping_bands_have_no_gap_and_say_so() -> None:
    edges = band_edges(BandStructure(np.array([G, X]), FCC, np.array([[[0.0, 1.0], [-1.0, -0.2]]]), (1,)))
    assert (edges.kind, edges.gap_ev) == ("none", 0.0)
    assert edges.raw_gap_ev == pytest.approx(-0.2)
    assert "overlap" in edges.limits[0]


def test_spin_channels_and_degenerate_edges() -> None:
    # Antiferromagnet: the valence band top in the second channel, the conduction bottom in the first.
    up, down = [[-1.0, 0.5, 0.5004, 3.0]], [[-0.0006, 0.0, 0.9, 3.0]]
    edges = band_edges(BandStructure(np.zeros((1, 3)), FCC, np.array([up, down]), (1, 2)))
    assert (edges.vbm.spin, edges.vbm.band, edges.vbm.degeneracy) == (1, 1, 2)
    assert (edges.cbm.spin, edges.cbm.band, edges.cbm.degeneracy) == (0, 1, 2)
    # A channel without any electron only takes part in the conduction band.
    empty = band_edges(BandStructure(np.zeros((1, 3)), FCC, np.array([up, down]), (0, 2)))
    assert (empty.cbm.spin, empty.raw_gap_ev, empty.kind) == (0, -1.0, "none")


def test_an_edge_at_the_border_of_the_path_says_so() -> None:
    half = G + 0.5 * (X - G)
    cut = path(L, G, half)
    edges = band_edges(BandStructure(cut, FCC, two_bands(cut, G, X), (1,), is_path=True))
    assert edges.cbm.label == "G-X"
    assert edges.limits == (
        "the conduction band minimum lies at the border of the sampled path: the true one may lie beyond",
    )
    # Inside the path, at a point where symmetry makes the band stationary, or on a grid there is nothing to say.
    whole = path(L, G, X)
    for end in (half, X):
        assert band_edges(BandStructure(whole, FCC, two_bands(whole, G, end), (1,), is_path=True)).limits == ()
    assert band_edges(BandStructure(cut, FCC, two_bands(cut, G, X), (1,))).limits == ()
    # The middle of a line whose other half is missing: the next piece of the path is elsewhere.
    broken = np.vstack([path(G, half), path(L, W)])
    edges = band_edges(BandStructure(broken, FCC, two_bands(broken, G, X), (1,), is_path=True))
    assert len(edges.limits) == 1


def test_names_of_kpoints() -> None:
    for name, point in FCC_POINTS.items():
        assert label_fcc(point) == ("K" if name == "U" else name)
    for start, end in ("GX", "GL", "GK", "XW", "XU", "LW", "LK", "WK"):
        a, b = np.array(FCC_POINTS[start]), np.array(FCC_POINTS[end])
        assert label_fcc(a + 0.37 * (b - a)) == f"{start}-{end}"
    assert label_fcc([0.11, 0.23, 0.31]) == ""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert is_fcc_primitive(FCC @ rotation)
    cubic = BandStructure(np.zeros((1, 3)), np.eye(3) * 5, np.array([[[0.0, 1.0]]]), (1,))
    assert band_edges(cubic).vbm.label == ""


@given(
    st.sampled_from(sorted(FCC_POINTS)),
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from((-1, 1))] * 3),
    st.tuples(*[st.integers(-3, 3)] * 3),
)
def test_a_name_does_not_depend_on_the_image(
    name: str, order: list[int], signs: tuple[int, ...], shift: tuple[int, ...]
) -> None:
    cartesian = np.array(signs) * (np.array(FCC_POINTS[name]) @ TO_CUBIC)[order]
    assert label_fcc(cartesian @ np.linalg.inv(TO_CUBIC) + shift) == label_fcc(FCC_POINTS[name])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_occupied": (2,)}, "no empty band"),
        ({"n_occupied": (0,)}, "no occupied"),
        ({"n_occupied": (1, 1)}, "spin channels"),
        ({"eigenvalues_ev": np.array([[[0.0, np.nan]]])}, "not finite"),
        ({"eigenvalues_ev": np.array([[[1.0, 0.0]]])}, "ascending"),
        ({"eigenvalues_ev": np.zeros((1, 2, 2))}, "shape"),
        ({"kpoints": np.zeros(3)}, "shape"),
        ({"cell": np.ones((3, 3))}, "independent"),
    ],
)
def test_a_malformed_band_structure_is_refused(change: dict[str, object], words: str) -> None:
    good = {"kpoints": np.zeros((1, 3)), "cell": FCC, "eigenvalues_ev": np.array([[[0.0, 1.0]]]), "n_occupied": (1,)}
    with pytest.raises(ValueError, match=words):
        BandStructure(**(good | change))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------- the first allowed transition


def test_a_forbidden_direct_gap_is_skipped() -> None:
    """Cs2AgInCl6: at G both edges have even parity, and light takes the next valence band, 0.8 eV deeper."""
    valence, conduction = np.array([[-0.8, 0.0], [-1.0, -0.5]]), np.array([[2.1, 5.0], [3.5, 5.5]])
    squared = np.array([[[0.9, 0.5], [1e-5, 2.0]], [[0.4, 0.1], [0.7, 0.1]]])
    found = direct_allowed_gap(valence, conduction, squared)
    assert (found.energy_ev, found.k_index, found.ratio) == pytest.approx((2.9, 0, 1.0))
    assert (found.lowest_direct_ev, found.lowest_direct_ratio) == pytest.approx((2.1, 1e-5 / 0.9))
    assert "1 % of the largest within 1 eV" in found.definition
    # The strong element 5 eV up is outside the window; a wider one and another threshold are other definitions.
    assert direct_allowed_gap(valence, conduction, squared, relative_threshold=1e-6).energy_ev == pytest.approx(2.1)
    wide = direct_allowed_gap(valence, conduction, squared, window_ev=5.0, relative_threshold=0.5)
    assert wide.energy_ev == pytest.approx(5.0)


@given(st.integers(0, 10**6))
def test_the_rotation_among_degenerate_states_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    valence, conduction = np.array([[-0.5, 0.0, 0.0, 0.0]]), np.array([[1.5, 1.5, 1.9]])
    p = rng.normal(size=(3, 4, 3)) + 1j * rng.normal(size=(3, 4, 3))
    p[:, 1:, :2] *= 10 ** rng.uniform(-2, 0)  # from forbidden to allowed
    found = direct_allowed_gap(valence, conduction, (abs(p) ** 2).mean(0)[None])
    p[:, 1:] = np.einsum("ij,ajc->aic", unitary_group.rvs(3, random_state=rng), p[:, 1:])
    p[:, :, :2] = np.einsum("avj,jc->avc", p[:, :, :2], unitary_group.rvs(2, random_state=rng))
    order = rng.permutation(4)
    rotated = direct_allowed_gap(valence[:, order], conduction, (abs(p) ** 2).mean(0)[None, order])
    assert rotated.energy_ev == found.energy_ev
    assert rotated.ratio == pytest.approx(found.ratio)


def test_spin_channels_of_the_allowed_gap() -> None:
    valence, conduction = np.zeros((2, 1, 1)), np.array([[[1.0]], [[1.4]]])
    found = direct_allowed_gap(valence, conduction, np.array([1e-9, 1.0]).reshape(2, 1, 1, 1))
    assert (found.energy_ev, found.spin) == (1.4, 1)


@pytest.mark.parametrize(
    ("conduction", "squared", "words"),
    [(-0.1, 1.0, "overlap"), (1.0, 0.0, "zero"), (1.0, -1.0, "negative"), (np.nan, 1.0, "finite")],
)
def test_transitions_without_an_answer_are_refused(conduction: float, squared: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        direct_allowed_gap([[0.0]], [[conduction]], [[[squared]]])


def broadened_root(energy: np.ndarray, onset: float, height: float, sigma: float) -> np.ndarray:
    """height * sqrt(E - onset) convolved with a Gaussian, by quadrature in u = sqrt(E' - onset)."""
    u = np.linspace(0, np.sqrt(max(energy.max() - onset, 0) + 12 * sigma), 20001)
    kernel = np.exp(-(((energy[:, None] - onset - u**2) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    return height * np.trapezoid(2 * u**2 * kernel, u, axis=1)


@pytest.mark.parametrize("height", [1e4, 1e5, 1e6])
@pytest.mark.parametrize(("sigma", "step"), [(0.02, 0.02), (0.05, 0.01), (0.05, 0.05), (0.1, 0.01)])
def test_the_tail_is_taken_out_of_the_absorption(height: float, sigma: float, step: float) -> None:
    energy = np.arange(0.5, 3.0, step)
    alpha = broadened_root(energy, 1.513, height, sigma)
    sharp = 1.513 + (1e3 / height) ** 2  # where the spectrum without broadening passes 1e3 per cm
    order = np.random.default_rng(0).permutation(len(energy))
    found = direct_allowed_gap_from_absorption(energy[order], alpha[order], broadening_ev=sigma)
    assert found.energy_ev == pytest.approx(sharp, abs=5e-4)
    assert (found.k_index, f"{sigma:g} eV" in found.definition) == (None, True)
    if height == 1e6:  # without the correction the onset would come out far too low
        assert direct_allowed_gap_from_absorption(energy, alpha, broadening_ev=0).energy_ev < sharp - 1.4 * sigma


def test_a_crossing_above_the_tail_stays_where_it_is() -> None:
    energy = np.arange(0.5, 6.0, 0.01)
    alpha = 700 * np.sqrt(np.clip(energy - 1.5, 0, None))  # passes the threshold 2 eV above the onset
    assert direct_allowed_gap_from_absorption(energy, alpha, broadening_ev=0.05).energy_ev == pytest.approx(
        1.5 + (1e3 / 700) ** 2, abs=1e-3
    )


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        ([0.0, 10.0, 100.0, 900.0], "never"),
        ([2e3, 1e4, 1e5, 1e5], "starts above"),
        ([0.0, -1.0, 1e4, 1e5], "negative"),
        ([0.0, np.nan, 1e4, 1e5], "not finite"),
        ([0.0, 0.0, 1e5, 1e5], "faster"),
    ],
)
def test_a_spectrum_without_an_onset_is_refused(alpha: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        direct_allowed_gap_from_absorption([1.0, 1.1, 1.2, 1.3], alpha, broadening_ev=0.05)
