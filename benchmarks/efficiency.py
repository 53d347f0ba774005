"""Accuracy and speed of the efficiency engine beside pymatgen's `slme` and adaptive quadrature, in one run.

``python benchmarks/efficiency.py`` writes ``results/efficiency.csv``. Spectra are 1e5 sqrt(E - Eg) per cm, some with
Gaussian broadening, on 501 energies up to 10 eV. Adaptive quadrature (`scipy.integrate.quad`, segment by segment, as in
the tests) integrates the same model: alpha and irradiance are linear between their points. pymatgen cuts the absorption
at the onset, so it is compared with the cut value. Half a minute on one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: the claim is about one core

import numpy as np
import pandas as pd
from machine import processor
from pymatgen.analysis.solar.slme import slme as pymatgen_slme
from scipy.ndimage import gaussian_filter1d

from aiida_perovskite.learning.checkpoint import atomic_path
from aiida_perovskite.photovoltaics.efficiency import slme

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from adaptive_quadrature import adaptive_slme

RESULTS = Path(__file__).parent / "results" / "efficiency.csv"
ENERGY = np.linspace(0.0, 10.0, 501)
CASES = [(gap, gap + offset) for gap in (0.5, 0.9, 1.2, 1.6, 2.2) for offset in (0.0, 0.2)]
BROADENINGS_EV = (0.0, 0.05)
THICKNESSES_UM = np.geomspace(0.05, 500.0, 5)
TEMPERATURE_K = 298.15
NODES = 7000  # about what the engine needs for the one spectrum whose speed is measured


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    table = pd.DataFrame([*accuracy(), *speed()])
    table["machine"] = processor()
    print(table.drop(columns="machine").to_string(index=False, float_format="%.4g"))
    with atomic_path(options.output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g")


def spectrum(onset: float, broadening: float) -> np.ndarray:
    """Return alpha in 1/cm on `ENERGY`."""
    fine = np.arange(-1.0, 12.0, 0.001)
    alpha = 1e5 * np.sqrt(np.clip(fine - onset, 0.0, None))
    return np.interp(ENERGY, fine, gaussian_filter1d(alpha, broadening / 0.001, truncate=8) if broadening else alpha)


def accuracy() -> list[dict[str, Any]]:
    """Return the largest deviations from adaptive quadrature, in percent absolute."""
    uncut, cut, pymatgen = [], [], []
    for gap, onset in CASES:
        for broadening in BROADENINGS_EV:
            alpha = spectrum(onset, broadening)
            ours = slme(ENERGY, alpha, gap, onset, THICKNESSES_UM, TEMPERATURE_K)
            for i, thickness in enumerate(THICKNESSES_UM):
                model = (ENERGY, alpha, gap, onset, float(thickness), TEMPERATURE_K)
                reference = 100 * adaptive_slme(*model, cut=True)
                uncut.append(100 * ours.efficiency_uncut[i] - 100 * adaptive_slme(*model))
                cut.append(100 * ours.efficiency_cut[i] - reference)
                pymatgen.append(by_pymatgen(alpha, gap, onset, float(thickness)) - reference)
    return [
        {"quantity": f"largest deviation, {name}", "value": np.abs(values).max(), "unit": "% absolute"}
        for name, values in (("uncut", uncut), ("cut", cut), ("pymatgen", pymatgen))
    ]


def speed() -> list[dict[str, Any]]:
    """Return evaluations per second, one being a pair of a spectrum and a thickness, and ratios of them."""
    alphas = np.stack([spectrum(onset, 0.05) for _, onset in CASES])
    gaps, onsets = np.array(CASES).T
    films = np.geomspace(0.05, 5.0, 40)
    first = (ENERGY, alphas[1], *CASES[1])
    rates = {
        "10 spectra x 40 thicknesses": rate(
            lambda: slme(ENERGY, alphas[:, None], gaps[:, None], onsets[:, None], films), len(CASES) * len(films)
        ),
        "1 spectrum x 1000 thicknesses": rate(lambda: slme(*first, np.geomspace(0.05, 5.0, 1000)), 1000),
        "10 spectra x 1 thickness": rate(lambda: slme(ENERGY, alphas, gaps, onsets, 5.0), len(CASES)),
        "1 spectrum x 1 thickness": rate(lambda: slme(*first, 5.0), 1),
        "pymatgen": rate(lambda: by_pymatgen(alphas[1], *CASES[1], 5.0), 1),
        "adaptive quadrature": rate(lambda: adaptive_slme(*first, 5.0, TEMPERATURE_K), 1),
    }
    best = rates["10 spectra x 40 thicknesses"]
    rows = [{"quantity": name, "value": value, "unit": "evaluations/s"} for name, value in rates.items()]
    rows += [
        {"quantity": f"10 spectra x 40 thicknesses over {other}", "value": best / rates[other], "unit": "ratio"}
        for other in ("pymatgen", "adaptive quadrature")
    ]
    return [*rows, {"quantity": f"bound by expm1 on {NODES} nodes", "value": expm1_bound(), "unit": "evaluations/s"}]


def by_pymatgen(alpha: np.ndarray, gap: float, onset: float, thickness_um: float) -> float:
    """Return pymatgen's value in percent: lengths in metres, and the energies downwards, as it needs them."""
    return float(
        pymatgen_slme(
            ENERGY[::-1],
            alpha[::-1],
            onset,
            gap,
            thickness_um * 1e-6,
            TEMPERATURE_K,
            absorbance_in_inverse_centimeters=True,
        )
    )


def expm1_bound() -> float:
    """Return the evaluations per second of a program that computes nothing but the absorptance at its nodes."""
    depth = np.random.default_rng(0).uniform(-40.0, 0.0, (40, NODES))
    out = np.empty_like(depth)
    return rate(lambda: np.expm1(depth, out=out), len(depth))


def rate(call: Callable[[], object], evaluations: int, seconds: float = 1.0) -> float:
    """Return evaluations per second, the best of the calls that fit in some seconds of wall time (two at least)."""
    best, end = float("inf"), time.perf_counter() + seconds
    call()
    while best == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return evaluations / best


if __name__ == "__main__":
    main()
