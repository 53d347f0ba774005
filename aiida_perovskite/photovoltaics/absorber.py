"""From an engine's gap and spectrum to what a compound is worth as an absorber."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.photovoltaics.bands import AllowedGap
from aiida_perovskite.photovoltaics.efficiency import jv_curve, shockley_queisser, slme

__all__ = ["Absorber", "EfficiencySettings", "shift_to_gap"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EfficiencySettings:
    """What the efficiency of a thickness series is computed with (protocol ``efficiency``).

    Attributes
    ----------
    thickness_um
        At which the efficiency is quoted; the series of thicknesses ends there.
    min_thickness_um, n_thicknesses
        Start and length of the series, even in the logarithm.
    temperature_k, passes, emitting_faces
        As `slme` takes them.
    n_voltages
        Points of the current-voltage curve.
    """

    thickness_um: float = 5.0
    min_thickness_um: float = 0.01
    n_thicknesses: int = 60
    temperature_k: float = 298.15
    passes: Literal[1, 2] = 2
    emitting_faces: Literal[1, 2] = 1
    n_voltages: int = 120


@dataclass(frozen=True)
class Absorber:
    """A spectrum on the energy scale of the best gap there is.

    Attributes
    ----------
    energy_ev
        (n,), ascending.
    absorption_per_cm
        (n, 3), along x, y and z.
    gap_ev, direct_gap_ev
        Fundamental and lowest direct gap, with spin-orbit coupling.
    direct_allowed_gap_ev
        First direct dipole-allowed transition, on the shifted scale.
    shift_ev
        By which the spectrum was moved up.
    """

    energy_ev: Floats
    absorption_per_cm: Floats
    gap_ev: float
    direct_gap_ev: float
    direct_allowed_gap_ev: float
    shift_ev: float

    @property
    def mean_absorption_per_cm(self) -> Floats:
        """Mean over the three directions, (n,)."""
        mean: Floats = self.absorption_per_cm.mean(axis=1)
        return mean

    def efficiency(self, settings: EfficiencySettings) -> tuple[dict[str, Any], dict[str, Floats]]:
        """Return the numbers at the quoted thickness, and the series of thicknesses with the current-voltage curve.

        Raises
        ------
        ValueError
            If the spectrum or the gaps are such that `slme` refuses them.
        """
        options = {"passes": settings.passes, "emitting_faces": settings.emitting_faces}
        thicknesses = np.geomspace(settings.min_thickness_um, settings.thickness_um, settings.n_thicknesses)
        spectrum = (self.energy_ev, self.mean_absorption_per_cm, self.gap_ev, self.direct_allowed_gap_ev)
        series = slme(*spectrum, thicknesses, settings.temperature_k, **options)  # type: ignore[arg-type]
        single = slme(*spectrum, settings.thickness_um, settings.temperature_k, **options)  # type: ignore[arg-type]
        limit = shockley_queisser(self.gap_ev, settings.temperature_k, emitting_faces=settings.emitting_faces)
        curve = jv_curve(single, settings.n_voltages)
        numbers = {
            **asdict(settings),
            "slme_percent": 100 * float(single.efficiency_uncut),
            "slme_cut_percent": 100 * float(single.efficiency_cut),
            "shockley_queisser_percent": 100 * float(limit.efficiency),
            "short_circuit_current_density_a_per_m2": float(single.short_circuit_current_density),
            "open_circuit_voltage_v": float(single.open_circuit_voltage),
            "fill_factor": float(single.fill_factor),
            "radiative_share": float(single.radiative_share),
            "spectrum_continued": bool(single.continued),
            "notes": list(single.notes),
        }
        curves = {
            "thickness_um": thicknesses,
            "slme_percent": 100 * np.asarray(series.efficiency_uncut),
            "slme_cut_percent": 100 * np.asarray(series.efficiency_cut),
            "voltage_v": np.asarray(curve.voltage),
            "current_density_a_per_m2": np.asarray(curve.current_density),
            "power_density_w_per_m2": np.asarray(curve.power_density),
        }
        return numbers, curves


def shift_to_gap(
    energy_ev: Floats, absorption_per_cm: Floats, allowed: AllowedGap, *, gap_ev: float, direct_gap_ev: float
) -> Absorber:
    """Move a spectrum rigidly so that its lowest direct transition falls on the direct gap.

    The spectrum of a semilocal functional without spin-orbit coupling starts at another energy than the gap with both;
    a mismatch of 0.1 eV would change the radiative share of the SLME by a factor of 49 at room temperature.

    Parameters
    ----------
    energy_ev
        (n,), ascending from 0.
    absorption_per_cm
        (n, 3).
    allowed
        First allowed and lowest direct transition on the scale of ``energy_ev``.
    gap_ev, direct_gap_ev
        Fundamental and direct gap that the spectrum is to have.

    Raises
    ------
    ValueError
        If a gap is not positive, or the direct gap lies below the fundamental one.
    """
    if not 0 < gap_ev <= direct_gap_ev + 1e-9:
        raise ValueError(
            f"a fundamental gap of {gap_ev:g} eV and a direct one of {direct_gap_ev:g} eV: need 0 < Eg <= Ed"
        )
    if allowed.lowest_direct_ev is None:
        raise ValueError(
            "the allowed gap does not come with the lowest direct transition, to which the spectrum is tied"
        )
    shift = direct_gap_ev - allowed.lowest_direct_ev
    moved = energy_ev + shift
    above = moved > 0
    return Absorber(
        energy_ev=np.concatenate([[0.0], moved[above]]),
        absorption_per_cm=np.vstack([np.zeros((1, 3)), absorption_per_cm[above]]),
        gap_ev=gap_ev,
        direct_gap_ev=max(direct_gap_ev, gap_ev),
        direct_allowed_gap_ev=max(allowed.energy_ev + shift, direct_gap_ev, gap_ev),
        shift_ev=shift,
    )
