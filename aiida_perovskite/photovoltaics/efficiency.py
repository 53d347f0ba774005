"""Upper limits of the efficiency of a single-junction solar cell: Shockley-Queisser, SLME, and the selection metric.

All three balance the sunlight absorbed against the light that the cell emits; they differ in the absorptance, and in
the share of the recombination that is radiative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants
from scipy.special import bernoulli, factorial, wrightomega, zeta

from aiida_perovskite.photovoltaics.quadrature import BLACK_BODY, KELVIN_EV, radiative_integrals
from aiida_perovskite.photovoltaics.spectrum import am15g

__all__ = ["Efficiency", "JVCurve", "jv_curve", "selection_metric", "shockley_queisser", "slme"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

VISIBLE_EV = 3.1  # a spectrum that ends below it lacks visible light
ONSET_PER_CM = 1e3  # weaker absorption is no onset
LARGEST_PER_CM = 1e7  # solids reach 3e6; more is in another unit
STRAY_PER_CM = 1.0  # what a broadening may leave below zero energy after a rigid shift
LOWEST_K, HIGHEST_K = 50.0, 1000.0  # outside, a temperature is rather one in degrees Celsius than one of a cell
THINNEST_UM = 1e-4  # an atom; what is thinner is in metres
GAP_TOLERANCE_EV = 1e-9
SAME_EV = 1e-12  # energies closer than this are one
_NO_EMISSION = -1e5  # a logarithm below any that occurs
_LARGEST_LOG = np.log(np.finfo(float).max)
_NOTABLE = 1e-3  # difference of efficiencies that deserves a note


@dataclass(frozen=True, eq=False)
class Efficiency:
    """What a cell yields at best. Arrays have the broadcast shape of the input; scalars give scalars.

    Attributes
    ----------
    efficiency
        Largest power over incoming power, a fraction; absorption below the onset is kept or cut as the options say. All
        that follows but the next two belongs to it.
    efficiency_uncut, efficiency_cut
        The same with all of the absorption, and with none below the onset.
    short_circuit_current_density
        In A/m2.
    open_circuit_voltage
        In V.
    fill_factor
        Largest power over the product of the two; 1/4 in the limit of no light.
    voltage_at_maximum_power, current_density_at_maximum_power
        In V and A/m2.
    saturation_current_density
        Dark current J0 in A/m2, at most the largest float.
    radiative_share
        The radiative limit of J0 over J0: f_r of the SLME, Q_e of the selection metric, else 1.
    temperature_k
        Temperature in K.
    continued
        True where alpha ended below the solar spectrum and was continued with its last value.
    starts_above_gap
        True where alpha began above the gap; it counts as zero below its first energy.
    options
        Model and conventions.
    notes
        What a reader of the numbers should know, as sentences.
    """

    efficiency: Floats
    efficiency_uncut: Floats
    efficiency_cut: Floats
    short_circuit_current_density: Floats
    open_circuit_voltage: Floats
    fill_factor: Floats
    voltage_at_maximum_power: Floats
    current_density_at_maximum_power: Floats
    saturation_current_density: Floats
    radiative_share: Floats
    temperature_k: Floats
    continued: Flags
    starts_above_gap: Flags
    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class JVCurve(NamedTuple):
    """Points of current-voltage curves in V, A/m2 and W/m2, each of shape (..., n_points)."""

    voltage: Floats
    current_density: Floats
    power_density: Floats


def shockley_queisser(
    gap_ev: ArrayLike, temperature_k: ArrayLike = 298.15, *, emitting_faces: Literal[1, 2] = 1
) -> Efficiency:
    """Compute the Shockley-Queisser limit under AM1.5G: all light above the gap is absorbed, what recombines radiates.

    W. Shockley, H. J. Queisser, J. Appl. Phys. 32, 510 (1961). The solar current is exact for a spectrum that is linear
    in the wavelength between the rows of the table, and J0 is a series summed to the last digit.

    Parameters
    ----------
    gap_ev
        Band gap in eV, of any shape.
    temperature_k
        Temperature of the cell in K (50 to 1000), of a shape that broadcasts with the gap.
    emitting_faces
        1 with a perfect mirror at the back, 2 without.

    Returns
    -------
    Efficiency
        Zero, and finite throughout, for a gap above the solar spectrum (4.43 eV).

    Raises
    ------
    ValueError
        If a gap is not positive, a temperature is out of range, or the shapes do not broadcast.
    """
    gap, temperature = _positive("gap_ev", gap_ev), _temperature(temperature_k)
    _one_of("emitting_faces", emitting_faces, (1, 2))
    shape = _common_shape(gap_ev=gap.shape, temperature_k=temperature.shape)
    gap, temperature = np.broadcast_to(gap, shape), np.broadcast_to(temperature, shape)
    solar = constants.e * am15g().photon_flux_above(gap)
    log_dark = np.log(emitting_faces) + _log_black_body_above(gap, KELVIN_EV * temperature)
    power = _power(solar, log_dark, temperature)
    options = {"model": "shockley_queisser", "emitting_faces": emitting_faces}
    flags = {"continued": np.zeros(shape, bool), "starts_above_gap": np.zeros(shape, bool)}
    efficiencies = (power.efficiency, power.efficiency)
    return _result(power, efficiencies, np.ones(shape), temperature, flags, options)


def slme(
    energy_ev: ArrayLike,
    absorption_per_cm: ArrayLike,
    gap_ev: ArrayLike,
    direct_allowed_gap_ev: ArrayLike,
    thickness_um: ArrayLike,
    temperature_k: ArrayLike = 298.15,
    *,
    passes: Literal[1, 2] = 2,
    emitting_faces: Literal[1, 2] = 1,
    absorption_below_onset: Literal["keep", "cut"] = "keep",
) -> Efficiency:
    """Compute the spectroscopic limited maximum efficiency under AM1.5G.

    L. Yu, A. Zunger, Phys. Rev. Lett. 108, 068701 (2012): A = 1 - exp(-2 alpha L), and a share
    f_r = exp(-(E_da - E_g) / kT) of the recombination radiates. Quadrature errs by less than 1e-5 % (absolute) against
    adaptive quadrature of the same model, in which alpha is linear between the energies given.

    Parameters
    ----------
    energy_ev
        Photon energies in eV, of shape (n,) or (..., n), in any order, at least to 3.1 eV.
    absorption_per_cm
        Absorption coefficients in 1/cm there, of shape (..., n); zero below the first energy, and continued with the
        last value where the solar spectrum goes on.
    gap_ev
        Fundamental gap in eV, of shape (...).
    direct_allowed_gap_ev
        Energy of the first direct dipole-allowed transition in eV, not below the gap.
    thickness_um
        Thickness of the absorber in um.
    temperature_k
        Temperature of the cell in K (50 to 1000).
    passes
        2 (mirror at the back) or 1; the number in the exponent of A.
    emitting_faces
        1 (mirror at the back) or 2.
    absorption_below_onset
        Whether `efficiency` counts absorption below the direct allowed gap. Both values are in the result.

    Returns
    -------
    Efficiency
        Of the shape to which all (...) broadcast: spectra of shape (5, 1, n) with 40 thicknesses give (5, 40).

    Raises
    ------
    ValueError
        If an input is out of range or in another unit, energies repeat, or shapes do not fit; it names the value.
    """
    cells = _cells(
        energy_ev, absorption_per_cm, gap_ev, direct_allowed_gap_ev, thickness_um, temperature_k, passes, emitting_faces
    )
    log_share = -np.maximum(cells.onset - cells.gap, 0.0) / (KELVIN_EV * cells.temperature)
    return _limits(cells, log_share, absorption_below_onset, {"model": "slme"})


def selection_metric(
    energy_ev: ArrayLike,
    absorption_per_cm: ArrayLike,
    gap_ev: ArrayLike,
    thickness_um: ArrayLike,
    temperature_k: ArrayLike = 298.15,
    *,
    internal_luminescence_yield: ArrayLike,
    refractive_index: ArrayLike,
    external_equals_internal: bool = False,
    passes: Literal[1, 2] = 2,
    emitting_faces: Literal[1, 2] = 1,
    absorption_below_onset: Literal["keep", "cut"] = "keep",
) -> Efficiency:
    """Compute the efficiency with a given internal luminescence yield Q_i and photon recycling, under AM1.5G.

    B. Blank, T. Kirchartz, S. Lany, U. Rau, Phys. Rev. Applied 8, 024032 (2017): J0 is the radiative limit over the
    external yield Q_e = p_e Q_i / (1 - (1 - p_e) Q_i), with the escape probability
    p_e = int A phi_bb dE / (4 n^2 L int alpha phi_bb dE).

    Parameters
    ----------
    energy_ev, absorption_per_cm, gap_ev, thickness_um, temperature_k
        As in `slme`.
    internal_luminescence_yield
        Q_i, radiative over total recombination, above 0 and at most 1.
    refractive_index
        n of the absorber near its gap, at least 1.
    external_equals_internal
        Take Q_e = Q_i, as if every photon escaped (p_e = 1).
    passes, emitting_faces
        As in `slme`.
    absorption_below_onset
        As in `slme`; the onset is the gap here.

    Returns
    -------
    Efficiency
        With Q_e as `radiative_share`.

    Raises
    ------
    ValueError
        As `slme`, and if Q_i or n is out of range.
    """
    inner = _positive("internal_luminescence_yield", internal_luminescence_yield)
    index = _positive("refractive_index", refractive_index)
    if (inner > 1).any():
        raise ValueError(f"internal_luminescence_yield is a share, at most 1, but {inner.max():g} is given.")
    if (index < 1).any():
        raise ValueError(f"refractive_index must be at least 1, but {index.min():g} is given.")
    cells = _cells(
        energy_ev,
        absorption_per_cm,
        gap_ev,
        gap_ev,
        thickness_um,
        temperature_k,
        passes,
        emitting_faces,
        internal_luminescence_yield=inner.shape,
        refractive_index=index.shape,
    )
    log_escape = np.zeros_like(cells.log_emitted)
    if not external_equals_internal:
        log_escape = np.minimum(0.0, cells.log_emitted - cells.log_internal - np.log(4 * index**2 * cells.thickness))
    escape = np.exp(log_escape)
    log_share = log_escape + np.log(inner) - np.log((1 - inner) + escape * inner)
    options = {"model": "selection_metric", "external_equals_internal": external_equals_internal}
    return _limits(cells, log_share, absorption_below_onset, options)


def jv_curve(result: Efficiency, n_points: int = 200) -> JVCurve:
    """Return current and power against voltage, from short to open circuit.

    Parameters
    ----------
    result
        What one of the functions of this module returned, of shape (...).
    n_points
        Number of voltages, at least 2.

    Returns
    -------
    JVCurve
        Arrays of shape (..., n_points).

    Raises
    ------
    ValueError
        If there are fewer than two points.
    """
    if n_points < 2:
        raise ValueError(f"A curve needs at least 2 points, but n_points is {n_points}.")
    part = np.linspace(0.0, 1.0, n_points)
    # In units of kT/e. J / Jsc = 1 - expm1(v) / expm1(v_oc), in a form that cannot overflow.
    open_circuit = np.asarray(result.open_circuit_voltage / (KELVIN_EV * result.temperature_k))[..., None]
    voltage = part * open_circuit
    some = np.where(open_circuit > 0, open_circuit, 1.0)
    share = np.where(open_circuit > 0, np.exp(voltage - open_circuit) * np.expm1(-part * some) / np.expm1(-some), part)
    current = np.asarray(result.short_circuit_current_density)[..., None] * (1.0 - share)
    volts = part * np.asarray(result.open_circuit_voltage)[..., None]
    return JVCurve(volts, current, volts * current)


class _Cells(NamedTuple):
    """Checked input and its integrals. The integrals have a first axis of two: uncut, and cut below the onset."""

    gap: Floats
    onset: Floats
    thickness: Floats
    temperature: Floats
    solar: Floats
    log_emitted: Floats
    log_internal: Floats
    flags: dict[str, Flags]
    conventions: dict[str, Any]


def _cells(
    energy_ev: ArrayLike,
    absorption_per_cm: ArrayLike,
    gap_ev: ArrayLike,
    onset_ev: ArrayLike,
    thickness_um: ArrayLike,
    temperature_k: ArrayLike,
    passes: int,
    emitting_faces: int,
    **other_shapes: tuple[int, ...],
) -> _Cells:
    """Check what the models of a real absorber share, and integrate, looping over distinct spectra and onsets only."""
    _one_of("passes", passes, (1, 2))
    _one_of("emitting_faces", emitting_faces, (1, 2))
    energy, alpha = _spectra(energy_ev, absorption_per_cm)
    gap, onset = _gaps(gap_ev, onset_ev)
    thickness, temperature = _thickness(thickness_um), _temperature(temperature_k)
    spectra = _common_shape(absorption_per_cm=alpha.shape[:-1], direct_allowed_gap_ev=onset.shape)
    shapes = {"gap_ev": gap.shape, "thickness_um": thickness.shape, "temperature_k": temperature.shape}
    shape = _common_shape(absorption_per_cm=spectra, **shapes, **other_shapes)
    gap, onset, thickness, temperature = (np.broadcast_to(a, shape) for a in (gap, onset, thickness, temperature))
    starts_above = _first_energies(energy[..., 0], alpha[..., 0], gap)

    solar, log_emitted, log_internal = (np.empty((*shape, 2)) for _ in range(3))
    energies, alphas = (np.broadcast_to(a, (*spectra, a.shape[-1])) for a in (energy, alpha))
    onsets = np.broadcast_to(onset_ev, spectra)
    for index in np.ndindex(spectra):
        block = _block(index, spectra, len(shape))
        thick, which_thick = np.unique(thickness[block], return_inverse=True)
        warm, which_warm = np.unique(temperature[block], return_inverse=True)
        found = radiative_integrals(energies[index], alphas[index], float(onsets[index]), thick, warm, passes)
        solar[block] = found.solar[which_thick]
        log_emitted[block] = found.log_emitted[which_thick, which_warm]
        log_internal[block] = found.log_internal[which_warm]

    flags = {
        "continued": np.broadcast_to(energy[..., -1] < am15g().energy_ev[-1], shape),
        "starts_above_gap": starts_above,
    }
    return _Cells(
        gap,
        onset,
        thickness,
        temperature,
        np.stack([solar.sum(axis=-1), solar[..., 1]]),
        _uncut_and_cut(log_emitted) + np.log(emitting_faces),
        _uncut_and_cut(log_internal),
        flags,
        {"passes": passes, "emitting_faces": emitting_faces},
    )


def _block(index: tuple[int, ...], spectra: tuple[int, ...], n_axes: int) -> tuple[Any, ...]:
    """Say which results belong to one spectrum: all along the axes on which spectra do not differ."""
    own = tuple(i if size > 1 else slice(None) for i, size in zip(index, spectra, strict=True))
    return (slice(None),) * (n_axes - len(spectra)) + own


def _uncut_and_cut(log_parts: Floats) -> Floats:
    """Join the parts below and above the cut; where there is no emission at all, the logarithm stays finite."""
    joined = np.stack([np.logaddexp(log_parts[..., 0], log_parts[..., 1]), log_parts[..., 1]])
    return np.asarray(np.maximum(joined, _NO_EMISSION))


class _Power(NamedTuple):
    """The point of maximum power, and the ends of the curve."""

    efficiency: Floats
    short_circuit_current_density: Floats
    open_circuit_voltage: Floats
    fill_factor: Floats
    voltage_at_maximum_power: Floats
    current_density_at_maximum_power: Floats
    saturation_current_density: Floats


def _power(current: Floats, log_dark: Floats, temperature: Floats) -> _Power:
    """Maximise J V with J = Jsc - J0 (exp(eV/kT) - 1), in closed form.

    With v = eVoc/kT = log(1 + Jsc/J0), the derivative vanishes at x = eV/kT where x + log(1 + x) = v, whose solution is
    x = omega(1 + v) - 1 with Wright's omega. Everything is written in v, which is moderate where J0 is not.
    """
    with np.errstate(divide="ignore"):
        open_circuit = np.logaddexp(0.0, np.log(current) - log_dark)
    x = wrightomega(1.0 + open_circuit) - 1.0
    # Near v = 0 the difference cancels; one step of Newton's method restores the digits.
    x = np.maximum(x - (x + np.log1p(x) - open_circuit) * (1.0 + x) / (2.0 + x), 0.0)
    some = np.where(open_circuit > 0, open_circuit, 1.0)
    current_share = np.where(open_circuit > 0, -x / ((1.0 + x) * np.expm1(-some)), 0.5)
    voltage_share = np.where(open_circuit > 0, x / some, 0.5)
    thermal = KELVIN_EV * temperature
    return _Power(
        x * thermal * current * current_share / am15g().power_density,
        current,
        open_circuit * thermal,
        current_share * voltage_share,
        x * thermal,
        current * current_share,
        np.exp(np.minimum(log_dark, _LARGEST_LOG)),
    )


def _limits(cells: _Cells, log_share: Floats, below_onset: str, options: dict[str, Any]) -> Efficiency:
    """Divide the radiative J0 by a share, and find the maximum power with and without absorption below the onset."""
    _one_of("absorption_below_onset", below_onset, ("keep", "cut"))
    log_share = np.broadcast_to(log_share, cells.log_emitted.shape)
    log_dark = cells.log_emitted - log_share
    powers = [_power(cells.solar[i], log_dark[i], cells.temperature) for i in (0, 1)]
    chosen = ("keep", "cut").index(below_onset)
    options = {**options, **cells.conventions, "absorption_below_onset": below_onset}
    efficiencies = (powers[0].efficiency, powers[1].efficiency)
    return _result(powers[chosen], efficiencies, np.exp(log_share[chosen]), cells.temperature, cells.flags, options)


def _result(
    power: _Power,
    efficiencies: tuple[Floats, Floats],
    share: Floats,
    temperature: Floats,
    flags: dict[str, Flags],
    options: dict[str, Any],
) -> Efficiency:
    """Assemble the result: scalars for scalars, and sentences on what the reader should know."""
    uncut, cut = efficiencies
    notes = []
    if flags["continued"].any():
        notes.append("The absorption spectrum ends below the solar one and is continued with its last value.")
    if flags["starts_above_gap"].any():
        notes.append("The absorption spectrum starts above the gap; it counts as zero below its first energy.")
    largest = float(np.abs(uncut - cut).max())
    if largest > _NOTABLE:
        notes.append(f"Absorption below the onset changes the efficiency by up to {100 * largest:.1f} points.")
    options = {**options, "spectrum": "AM1.5G (ASTM G173-03)", "incoming_power_w_per_m2": am15g().power_density}
    return Efficiency(
        **{name: value[()] for name, value in power._asdict().items()},
        efficiency_uncut=uncut[()],
        efficiency_cut=cut[()],
        radiative_share=share[()],
        temperature_k=temperature[()],
        continued=flags["continued"][()],
        starts_above_gap=flags["starts_above_gap"][()],
        options=MappingProxyType(options),
        notes=tuple(notes),
    )


def _log_black_body_above(gap: Floats, kt: Floats) -> Floats:
    """Return log(e pi int_gap^inf phi_bb dE) in A/m2, through int_y^inf t^2 / (e^t - 1) dt with y = gap / kT."""
    y = (gap / kt)[..., None]
    # Above y = 1 the geometric series, with exp(-y) taken out; forty terms reach the last digit.
    n = np.arange(1.0, 41.0)
    large = np.maximum(y, 1.0)
    series = (np.exp((1.0 - n) * large) * (large**2 / n + 2 * large / n**2 + 2 / n**3)).sum(axis=-1)
    # Below, all of it less the integral from 0 of the expansion of t^2 / (e^t - 1) in Bernoulli numbers.
    small = np.minimum(y, 1.0)[..., 0]
    expansion = 2 * zeta(3) - small**2 / 2 + small**3 / 6
    for k in range(1, 9):
        expansion -= bernoulli(2 * k)[2 * k] / factorial(2 * k) * small ** (2 * k + 2) / (2 * k + 2)
    value = np.where(y[..., 0] >= 1, np.log(series) - y[..., 0], np.log(expansion))
    return np.asarray(np.log(BLACK_BODY * kt**3) + value)


def _spectra(energy_ev: ArrayLike, absorption_per_cm: ArrayLike) -> tuple[Floats, Floats]:
    """Check spectra and sort them by energy; energies get as many axes as the coefficients or stay one-dimensional."""
    energy, alpha = np.asarray(energy_ev, float), np.asarray(absorption_per_cm, float)
    if energy.ndim == 0 or alpha.ndim == 0 or energy.shape[-1] != alpha.shape[-1] or energy.shape[-1] < 2:
        raise ValueError(
            "energy_ev and absorption_per_cm need the same last axis of at least 2 points, but their shapes are "
            f"{energy.shape} and {alpha.shape}."
        )
    _refuse("energy_ev must be finite", energy, ~np.isfinite(energy))
    _refuse("absorption_per_cm must be finite and not negative", alpha, ~(np.isfinite(alpha) & (alpha >= 0)))
    shape = (*_common_shape(energy_ev=energy.shape[:-1], absorption_per_cm=alpha.shape[:-1]), energy.shape[-1])
    energy, alpha = np.broadcast_to(energy, shape), np.broadcast_to(alpha, shape)
    order = np.argsort(energy, axis=-1)
    energy, alpha = np.take_along_axis(energy, order, axis=-1), np.take_along_axis(alpha, order, axis=-1)
    _refuse("energy_ev must not repeat", energy[..., 1:], np.diff(energy) < SAME_EV)
    last, largest = energy[..., -1], alpha.max(axis=-1)
    _refuse(f"energy_ev must reach {VISIBLE_EV} eV, the end of visible light", last, last < VISIBLE_EV)
    expected = (
        f"absorption_per_cm is expected in 1/cm, with a largest value between {ONSET_PER_CM:g} and {LARGEST_PER_CM:g}"
    )
    _refuse(expected, largest, (largest < ONSET_PER_CM) | (largest > LARGEST_PER_CM))
    stray = (energy < 0) & (alpha >= STRAY_PER_CM)
    _refuse("absorption_per_cm must vanish at negative energies (shifted too far?)", alpha, stray)
    return energy, alpha


def _first_energies(first: Floats, alpha: Floats, gap: Floats) -> Flags:
    """Flag spectra that start above their gap; refuse those that already absorb there."""
    above, alpha = np.broadcast_arrays(first > gap, alpha)
    sentence = f"absorption_per_cm must start at or below the gap, or with less than {ONSET_PER_CM:g}"
    _refuse(sentence, alpha, above & (alpha >= ONSET_PER_CM))
    return np.asarray(above)


def _gaps(gap_ev: ArrayLike, onset_ev: ArrayLike) -> tuple[Floats, Floats]:
    """Check both gaps."""
    gap, onset = _positive("gap_ev", gap_ev), _positive("direct_allowed_gap_ev", onset_ev)
    _common_shape(gap_ev=gap.shape, direct_allowed_gap_ev=onset.shape)
    difference = onset - gap
    sentence = "direct_allowed_gap_ev must not lie below gap_ev (are they swapped?); their difference in eV"
    _refuse(sentence, difference, difference < -GAP_TOLERANCE_EV)
    return gap, onset


def _thickness(thickness_um: ArrayLike) -> Floats:
    """Check thicknesses."""
    thickness = _positive("thickness_um", thickness_um)
    _refuse(f"thickness_um must be at least {THINNEST_UM:g} um (in metres?)", thickness, thickness < THINNEST_UM)
    return thickness


def _temperature(temperature_k: ArrayLike) -> Floats:
    """Check temperatures."""
    temperature = _positive("temperature_k", temperature_k)
    outside = (temperature < LOWEST_K) | (temperature > HIGHEST_K)
    _refuse(f"temperature_k must lie between {LOWEST_K:g} and {HIGHEST_K:g} K (in Celsius?)", temperature, outside)
    return temperature


def _positive(name: str, value: ArrayLike) -> Floats:
    """Return an array of positive, finite numbers, at least one."""
    array = np.asarray(value, float)
    if array.size == 0:
        raise ValueError(f"{name} is empty.")
    _refuse(f"{name} must be positive and finite", array, ~(np.isfinite(array) & (array > 0)))
    return array


def _refuse(sentence: str, values: Floats, bad: Flags) -> None:
    """Raise with the first bad value, and its place if there is more than one value."""
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f" at index {place}" if place else ""
        raise ValueError(f"{sentence}, but {values[place]:g} is found{where}.")


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise unless an option has one of the values allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, but is {value!r}.")


def _common_shape(**shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that all broadcast to."""
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listing = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"The shapes do not broadcast: {listing}.") from None
