"""The efficiency engine against published numbers, adaptive quadrature, laws, and the failures of other codes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from adaptive_quadrature import adaptive_slme
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import constants
from scipy.ndimage import gaussian_filter1d

from aiida_perovskite.photovoltaics.efficiency import Efficiency, jv_curve, selection_metric, shockley_queisser, slme
from aiida_perovskite.photovoltaics.spectrum import am15g

KT = constants.k / constants.e * 298.15
ENERGY = np.linspace(0.0, 10.0, 501)


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    """Nothing may overflow or be undefined on the way, not even silently."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def direct(gap: float, broadening: float = 0.05, energy: np.ndarray = ENERGY) -> np.ndarray:
    """alpha = 1e5 sqrt(E - gap) per cm, with Gaussian broadening in eV."""
    fine = np.arange(-1.0, 12.0, 0.001)
    sharp = 1e5 * np.sqrt(np.clip(fine - gap, 0.0, None))
    return np.interp(energy, fine, gaussian_filter1d(sharp, broadening / 0.001, truncate=8) if broadening else sharp)


def step(gap: float) -> tuple[list[float], list[float]]:
    """Absorb everything from an energy on."""
    return [gap, 4.5], [1e6, 1e6]


def numbers(result: Efficiency) -> dict[str, np.ndarray]:
    return {f.name: np.asarray(getattr(result, f.name)) for f in fields(result) if f.name not in ("options", "notes")}


def test_published_limits_of_a_step_absorber() -> None:
    """31.64, 33.76, 30.58 and 33.17 %: neither is there a pi twice, nor an edge off its place."""
    percent = 100 * shockley_queisser([1.0, 1.34, 1.6, 1.424]).efficiency
    assert percent == pytest.approx([31.644, 33.759, 30.583, 33.168], abs=6e-4)
    assert 100 * shockley_queisser(1.34, 300.0).efficiency == pytest.approx(33.68, abs=0.01)
    as_slme = [slme(*step(gap), gap, gap, 100.0).efficiency for gap in (1.0, 1.34, 1.6, 1.424)]
    assert 100 * np.array(as_slme) == pytest.approx(percent, abs=1e-6)


def test_both_faces_and_temperatures_move_the_voltage_as_they_should() -> None:
    """Twice the emission costs kT ln 2; where J0 is a series in gap / kT, its two branches meet."""
    one, two = shockley_queisser(1.34), shockley_queisser(1.34, emitting_faces=2)
    assert one.open_circuit_voltage - two.open_circuit_voltage == pytest.approx(KT * np.log(2), rel=1e-12)
    near = KT * np.array([1 - 1e-9, 1 + 1e-9])
    assert (
        np.ptp(shockley_queisser(near).saturation_current_density / shockley_queisser(KT).saturation_current_density)
        < 1e-8
    )


def test_example_of_the_specification() -> None:
    """0.95 eV, 0.05 eV broadening, 5 um: 27.4 % with the broadened tail, 31.2 % without; both stand in each result."""
    keep = slme(ENERGY, direct(0.95), 0.95, 0.95, 5.0)
    cut = slme(ENERGY, direct(0.95), 0.95, 0.95, 5.0, absorption_below_onset="cut")
    assert 100 * keep.efficiency_uncut == pytest.approx(27.35, abs=0.1)
    assert 100 * keep.efficiency_cut == pytest.approx(31.2, abs=0.05)
    assert (keep.efficiency, cut.efficiency) == (keep.efficiency_uncut, keep.efficiency_cut)
    assert keep.open_circuit_voltage < cut.open_circuit_voltage
    assert keep.notes == ("Absorption below the onset changes the efficiency by up to 3.9 points.",)
    assert (keep.options["passes"], keep.options["absorption_below_onset"]) == (2, "keep")


COARSE = np.arange(0.0, 6.0, 0.075)  # as FHI-aims' regression tests print it


@pytest.mark.parametrize(
    ("energy", "alpha", "gap", "allowed", "thickness", "temperature"),
    [
        (ENERGY, direct(0.95), 0.95, 0.95, 5.0, 298.15),
        (ENERGY, direct(1.6, 0.1), 1.3, 1.6, 0.5, 350.0),
        (ENERGY, direct(0.3), 0.3, 0.3, 0.05, 80.0),
        (COARSE, direct(1.2, 0.0, COARSE), 1.2, 1.2, 500.0, 298.15),
        (np.array([0.5, 1.34, 1.345, 4.0]), np.array([0.0, 0.0, 1e6, 1e6]), 1.34, 1.34, 5.0, 298.15),
    ],
    ids=["direct", "forbidden", "cold infrared", "coarse and thick", "sparse with a cliff"],
)
def test_agrees_with_adaptive_quadrature(
    energy: np.ndarray, alpha: np.ndarray, gap: float, allowed: float, thickness: float, temperature: float
) -> None:
    """To 1e-5 % absolute; the cliff is where a cubic spline made negative absorption."""
    result = slme(energy, alpha, gap, allowed, thickness, temperature)
    model = (energy, alpha, gap, allowed, thickness, temperature)
    assert 100 * result.efficiency_uncut == pytest.approx(100 * adaptive_slme(*model), abs=1e-5)
    assert 100 * result.efficiency_cut == pytest.approx(100 * adaptive_slme(*model, cut=True), abs=1e-5)


def test_shapes_broadcast_and_a_batch_equals_its_parts() -> None:
    """Materials, thicknesses and temperatures in one call; scalars give scalars; the input is left as it was."""
    gaps = np.array([0.9, 1.2, 1.5])[:, None]
    alpha = np.stack([direct(gap) for gap in gaps[:, 0]])[:, None, :]
    thickness, temperature = np.array([[0.1, 1.0, 5.0, 1.0]]), np.array([[298.15, 250.0, 350.0, 298.15]])
    before = alpha.copy()
    batch = slme(ENERGY, alpha, gaps, gaps + 0.1, thickness, temperature)
    assert {value.shape for value in numbers(batch).values()} == {(3, 4)}
    assert np.array_equal(alpha, before)
    for i, j in np.ndindex(3, 4):
        gap = gaps[i, 0]
        single = slme(ENERGY, alpha[i, 0], gap, gap + 0.1, thickness[0, j], temperature[0, j])
        assert isinstance(single.efficiency, float)
        for name, value in numbers(single).items():
            assert value == pytest.approx(numbers(batch)[name][i, j], rel=1e-9), name
    onsets = slme(ENERGY, alpha[1, 0], 1.2, [1.2, 1.3], 1.0)
    assert onsets.efficiency[1] == pytest.approx(slme(ENERGY, alpha[1, 0], 1.2, 1.3, 1.0).efficiency, rel=1e-12)
    grids = slme(np.stack([ENERGY, ENERGY[::-1]]), np.stack([alpha[0, 0], alpha[0, 0][::-1]]), 0.9, 0.9, 1.0)
    assert grids.efficiency[0] == grids.efficiency[1]


def test_a_spectrum_may_run_downwards_and_is_continued() -> None:
    """Other codes are off by 2 % for an ascending spectrum that ends early, and right for the same one descending."""
    energy = ENERGY[ENERGY <= 3.2]
    up = slme(energy, direct(1.0, energy=energy), 1.0, 1.0, 1.0)
    down = slme(energy[::-1], direct(1.0, energy=energy)[::-1], 1.0, 1.0, 1.0)
    assert numbers(up) == numbers(down)
    assert up.continued
    assert "continued with its last value" in up.notes[0]
    whole = slme(ENERGY, direct(1.0), 1.0, 1.0, 1.0)
    assert not whole.continued
    assert up.efficiency == pytest.approx(whole.efficiency, abs=1e-4)


SPECTRA = st.lists(
    st.tuples(st.integers(1, 4_000_000).map(lambda micro: micro / 1e6), st.floats(0.0, 1e6)),
    min_size=1,
    max_size=20,
    unique_by=lambda point: point[0],
)


@given(SPECTRA, st.floats(1e-3, 1e4), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_laws_hold_for_any_spectrum(points: list[tuple[float, float]], thickness: float, random: Any) -> None:
    """The order of the input changes no bit; no absorber beats the best step; no photon yields two electrons."""
    points = [(0.0, 0.0), *points, (4.5, 1e5)]
    energy, alpha = np.array(points).T
    result = slme(energy, alpha, 0.8, 0.8, thickness)
    shuffled = list(points)
    random.shuffle(shuffled)
    assert numbers(slme(*np.array(shuffled).T, 0.8, 0.8, thickness)) == numbers(result)
    assert all(np.isfinite(value) for value in numbers(result).values())
    best = shockley_queisser(np.linspace(1.3, 1.4, 101)).efficiency.max() + 1e-5
    assert 0 <= result.efficiency_uncut <= best
    assert 0 <= result.efficiency_cut <= best
    assert result.short_circuit_current_density <= constants.e * am15g().photon_flux_above(0.01) * (1 + 1e-9)
    cut = slme(energy, alpha, 0.8, 0.8, thickness, absorption_below_onset="cut")
    assert cut.short_circuit_current_density <= shockley_queisser(0.8).short_circuit_current_density * (1 + 1e-9)
    assert 0 < result.fill_factor < 1


def test_a_weak_tail_counts_in_full() -> None:
    """alpha L = 1e-18 is lost in 1 - exp(-x), yet at 0.2 eV the black body is 1e22 times that at 1.5 eV."""
    energy, alpha = [0.2, 0.25, 1.49, 1.5, 4.5], [1e-14, 1e-14, 1e-14, 1e5, 1e5]
    dark = slme(energy, alpha, 1.5, 1.5, [1.0, 10.0]).saturation_current_density
    assert dark[1] / dark[0] == pytest.approx(10, rel=0.01)


def test_efficiency_can_fall_with_thickness() -> None:
    """A property of the model for an onset with a tail, not a defect: J0 still grows when Jsc no longer does."""
    efficiency = slme(ENERGY, direct(0.95), 0.95, 0.95, [0.5, 5.0, 500.0])
    assert np.all(np.diff(efficiency.short_circuit_current_density) > 0)
    assert np.all(np.diff(efficiency.efficiency) < -0.01)


def test_extremes_stay_finite() -> None:
    """Gaps beyond sunlight, onsets far above the gap, cold: numbers that mean something, where others give inf."""
    beyond = shockley_queisser([4.43, 8.0, 0.01])
    assert beyond.efficiency[:2].tolist() == [0.0, 0.0]
    assert all(np.isfinite(value).all() for value in numbers(beyond).values())
    for gap, allowed, temperature in ((5.0, 5.0, 298.15), (0.5, 3.0, 298.15), (0.5, 4.4, 50.0), (3.9, 3.9, 50.0)):
        result = slme(ENERGY, direct(allowed, 0.0), gap, allowed, 5.0, temperature)
        assert all(np.isfinite(value) for value in numbers(result).values())
        assert 0 <= result.efficiency < 0.34
    # All of the absorption lies below the onset: nothing is left after the cut.
    nothing = slme([1.0, 1.2, 1.4, 4.0], [0.0, 1e5, 0.0, 0.0], 1.0, 3.0, 1.0)
    metric = selection_metric(
        [1.0, 1.2, 1.4, 4.0], [0.0, 1e5, 0.0, 0.0], 3.0, 1.0, internal_luminescence_yield=0.1, refractive_index=2.0
    )
    for result in (nothing, metric):
        assert result.efficiency_cut == 0.0 < result.efficiency_uncut
        assert all(np.isfinite(value) for value in numbers(result).values())
    # A diode so leaky that the curve is a straight line.
    leaky = slme(ENERGY, direct(2.6, 0.0), 0.02, 2.6, 5.0)
    assert leaky.fill_factor == pytest.approx(0.25, abs=5e-3)
    assert leaky.efficiency == pytest.approx(
        0.25 * leaky.open_circuit_voltage * leaky.short_circuit_current_density / am15g().power_density, rel=2e-2
    )


def test_a_rigid_shift_may_move_zeros_below_zero() -> None:
    """Energies below zero that carry no absorption do not matter."""
    shifted = slme(ENERGY - 0.3, direct(1.3), 1.0, 1.0, 1.0)
    positive = ENERGY > 0.3
    same = slme((ENERGY - 0.3)[positive], direct(1.3)[positive], 1.0, 1.0, 1.0)
    assert shifted.efficiency == pytest.approx(same.efficiency, abs=1e-8)


def test_spectrum_from_above_the_gap_counts_as_zero_below() -> None:
    """Flagged, as long as it does not start with strong absorption."""
    late = ENERGY > 1.51
    result = slme(ENERGY[late], direct(1.6)[late], 1.5, 1.6, 1.0)
    assert result.starts_above_gap
    assert result.efficiency == pytest.approx(slme(ENERGY, direct(1.6), 1.5, 1.6, 1.0).efficiency, abs=0.02)


def test_selection_metric_in_its_limits() -> None:
    """Q_i = 1 is the radiative limit; without recycling kT ln Q_i is lost; of a thin film 1 / (2 n^2) escapes."""
    spectrum = (ENERGY, direct(1.2), 1.2, 1.0)
    radiative = slme(ENERGY, direct(1.2), 1.2, 1.2, 1.0)
    perfect = selection_metric(*spectrum, internal_luminescence_yield=1.0, refractive_index=3.0)
    assert perfect.efficiency == pytest.approx(radiative.efficiency, rel=1e-12)
    assert perfect.efficiency_cut == pytest.approx(radiative.efficiency_cut, rel=1e-12)
    simple = selection_metric(
        *spectrum, internal_luminescence_yield=0.01, refractive_index=3.0, external_equals_internal=True
    )
    assert radiative.open_circuit_voltage - simple.open_circuit_voltage == pytest.approx(KT * np.log(100), rel=1e-6)
    thin = selection_metric(
        ENERGY, 0.01 * direct(1.2), 1.2, 1e-4, internal_luminescence_yield=[0.5, 0.9], refractive_index=3.0
    )
    escape, inner = 1 / 18, np.array([0.5, 0.9])
    assert thin.radiative_share == pytest.approx(escape * inner / (1 - (1 - escape) * inner), rel=1e-4)


def test_curve_passes_through_its_points() -> None:
    """Short circuit, open circuit, and the largest power between them; the same equation, evaluated."""
    result = slme(ENERGY, direct(1.2), 1.1, [1.2, 3.2], 1.0)
    voltage, current, power = jv_curve(result, 100_001)
    assert voltage.shape == current.shape == power.shape == (2, 100_001)
    assert current[:, 0] == pytest.approx(result.short_circuit_current_density)
    assert current[:, -1] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert power.max(axis=-1) == pytest.approx(result.efficiency * am15g().power_density, rel=1e-8)
    diode = result.saturation_current_density[0] * np.expm1(voltage[0] / KT)
    assert current[0] == pytest.approx(result.short_circuit_current_density[0] - diode, abs=1e-6)
    assert jv_curve(shockley_queisser(5.0), 2).power_density.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="at least 2 points, but n_points is 1"):
        jv_curve(result, 1)


GOOD = {
    "energy_ev": ENERGY,
    "absorption_per_cm": direct(1.2),
    "gap_ev": 1.2,
    "direct_allowed_gap_ev": 1.2,
    "thickness_um": 1.0,
}


def changed(values: np.ndarray, index: int, value: float) -> np.ndarray:
    copy = values.copy()
    copy[index] = value
    return copy


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"absorption_per_cm": changed(direct(1.2), 100, -1.0)}, r"not negative, but -1 is found at index \(100,\)"),
        ({"absorption_per_cm": changed(direct(1.2), 100, np.nan)}, "but nan is found"),
        ({"absorption_per_cm": changed(direct(1.2), 100, np.inf)}, "but inf is found"),
        ({"absorption_per_cm": direct(1.2)[1:]}, r"shapes are \(501,\) and \(500,\)"),
        ({"absorption_per_cm": 1e4}, "same last axis"),
        ({"absorption_per_cm": 0 * ENERGY}, "expected in 1/cm.* but 0 is found"),
        ({"absorption_per_cm": 100 * direct(1.2)}, "expected in 1/cm.* but 2.9"),
        ({"absorption_per_cm": 1e-4 * direct(1.2)}, "expected in 1/cm.* but 29"),
        ({"energy_ev": changed(ENERGY, 100, 2.02)}, "must not repeat, but 2.02 is found"),
        ({"energy_ev": changed(ENERGY, 100, 2.02 - 1e-13)}, "must not repeat"),
        ({"energy_ev": changed(ENERGY, 0, np.nan)}, "energy_ev must be finite, but nan"),
        ({"energy_ev": 0.3 * ENERGY}, "must reach 3.1 eV, the end of visible light, but 3 is found"),
        ({"energy_ev": ENERGY - 1.3}, r"negative energies \(shifted too far\?\)"),
        ({"energy_ev": ENERGY[100:], "absorption_per_cm": direct(1.2)[100:]}, "start at or below the gap"),
        ({"direct_allowed_gap_ev": 0.9}, r"swapped\?\); their difference in eV, but -0.3 is found"),
        ({"gap_ev": 0.0}, "gap_ev must be positive and finite, but 0 is found"),
        ({"gap_ev": np.nan}, "gap_ev must be positive and finite, but nan is found"),
        ({"thickness_um": -1.0}, "thickness_um must be positive and finite, but -1"),
        ({"thickness_um": 5e-6}, r"at least 0.0001 um \(in metres\?\), but 5e-06"),
        ({"thickness_um": []}, "thickness_um is empty"),
        ({"temperature_k": 0.0}, "temperature_k must be positive"),
        ({"temperature_k": 25.0}, r"between 50 and 1000 K \(in Celsius\?\), but 25"),
        ({"gap_ev": [1.0, 1.1], "thickness_um": [1.0, 2.0, 3.0]}, "do not broadcast: .*gap_ev"),
        ({"passes": 3}, r"passes must be one of \(1, 2\), but is 3"),
        ({"emitting_faces": 0}, "emitting_faces must be one of"),
        ({"absorption_below_onset": "drop"}, "absorption_below_onset must be one of"),
    ],
)
def test_bad_input_gets_a_sentence(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        slme(**{**GOOD, **bad})


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"internal_luminescence_yield": 0.0}, "internal_luminescence_yield must be positive"),
        ({"internal_luminescence_yield": 50.0}, "a share, at most 1, but 50"),
        ({"refractive_index": 0.5}, r"at least 1, but 0\.5"),
    ],
)
def test_bad_yields_get_a_sentence(bad: dict[str, Any], sentence: str) -> None:
    good = {"internal_luminescence_yield": 0.1, "refractive_index": 2.5}
    with pytest.raises(ValueError, match=sentence):
        selection_metric(ENERGY, direct(1.2), 1.2, 1.0, **{**good, **bad})
