"""What a candidate hands out beyond its gap, with numbers that look like those of a real compound."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

KT_EV = 8.617333e-5 * 298.15
REACTION = "2 CsBr + AgBr + BiBr3"
PATH = {"G": (0, 0, 0), "X": (0.5, 0, 0.5), "W": (0.5, 0.25, 0.75), "L": (0.5, 0.5, 0.5), "K": (0.375, 0.375, 0.75)}


def everything(formula: str, gap: float, enthalpy: float) -> dict[str, Any]:
    """Return every optional output of a CandidateWorkChain."""
    return {
        "stability": stability(enthalpy),
        "absorption": absorption(gap + 0.41),
        "optics": node(optics(gap)),
        **efficiency(gap),
        "masses": masses(),
        "band_structure": band_structure(gap),
        "densities": densities(formula, gap),
        **{f"relaxed__{name}": data for name, data in relaxed(gap + 0.12, enthalpy + 6).items()},
    }


def relaxed(gap: float, enthalpy: float) -> dict[str, Any]:
    """Return what is computed again after the unconstrained relaxation, apart from the structure."""
    return {
        "geometry": node({"space_group": "I4/m", "space_group_number": 87}),
        "gap": node({"gap_hse06_soc_ev": gap, "direct_gap_hse06_soc_ev": gap + 0.54}),
        "optics": node(optics(gap)),
        "efficiency": efficiency(gap)["efficiency"],
        "stability": stability(enthalpy),
    }


def node(content: dict[str, Any]) -> Any:
    from aiida import orm

    return orm.Dict(content)


def arrays(**columns: np.ndarray) -> Any:
    from aiida import orm

    return orm.ArrayData(columns)


def stability(enthalpy: float) -> Any:
    verdict = "stable" if enthalpy > 0 else "metastable" if enthalpy > -50 else "unstable"
    products = {"CsBr": 2.0, "AgBr": 1.0, "BiBr3": 1.0}
    hull = {"mev_per_atom": enthalpy - 11.5, "reaction": "1/2 Cs3Bi2Br9 + 1/2 CsBr + AgBr", "products": {"AgBr": 1.0}}
    prototypes = {"CsBr": ("CsCl", "Pm-3m"), "AgBr": ("rocksalt", "Fm-3m"), "BiBr3": ("BiI3", "R-3")}
    phases = [
        {"formula": name, "prototype": kind, "space_group": group, "energy_ev_per_atom": -3.1, "source": "computed"}
        for name, (kind, group) in prototypes.items()
    ]
    return node(
        {
            "binary": {
                "mev_per_atom": enthalpy,
                "reaction": REACTION,
                "products": products,
                "verdict": verdict,
                "limit": None,
            },
            "hull": {**hull, "verdict": "metastable", "limit": "only the phases listed were offered"},
            "phases": phases,
            "missing": [{"formula": "Cs2AgBr3", "why": "the relaxation did not converge"}],
            "engine": "gpaw",
            "functional": "PBE",
            "protocol": "balanced",
            "notes": ["Energies at zero temperature"],
        }
    )


def optics(gap: float) -> dict[str, Any]:
    return {
        "gap_ev": gap,
        "direct_gap_ev": gap + 0.35,
        "direct_allowed_gap_ev": gap + 0.41,
        "lowest_direct_transition_ev": gap + 0.35,
        "shift_ev": -0.14,
        "definition": "matrix element above 1 % of the largest within 1 eV",
        "gap_kind": "indirect",
        "static_dielectric_constant": 5.4,
        "broadening_ev": 0.05,
    }


def absorption(onset: float) -> Any:
    energies = np.linspace(0, 8, 801)
    tail = 3e4 * np.exp(-(((onset - energies) / 0.05) ** 2))
    mean = 1.2e5 * np.sqrt(np.clip(energies - onset, 0, None)) + tail
    mean[energies < onset - 0.2] = 0.0
    return arrays(energy_ev=energies, absorption_per_cm=np.stack([mean] * 3, axis=1), mean_absorption_per_cm=mean)


def efficiency(gap: float) -> dict[str, Any]:
    thickness = np.geomspace(0.02, 5, 60)
    limit = 33.0 * np.exp(-(((gap - 1.34) / 0.9) ** 2))
    slme = 0.85 * limit * (1 - np.exp(-3.0 * thickness))
    cut = np.where(thickness < 0.03, np.nan, 1.05 * slme)
    voltage = np.linspace(0, gap - 0.2, 200)
    short = 1200.0 * np.exp(-gap)
    current = short * (1 - np.exp(-(gap - 0.3) / KT_EV) * np.expm1(voltage / KT_EV))
    numbers = {
        "thickness_um": 5.0,
        "temperature_k": 298.15,
        "slme_percent": float(slme[-1]),
        "slme_cut_percent": float(cut[-1]),
        "shockley_queisser_percent": float(limit),
        "short_circuit_current_density_a_per_m2": short,
        "open_circuit_voltage_v": gap - 0.3,
        "fill_factor": 0.87,
        "notes": ["Above 8 eV the absorption is continued with its last value"],
    }
    curves = arrays(
        thickness_um=thickness,
        slme_percent=slme,
        slme_cut_percent=cut,
        voltage_v=voltage,
        current_density_a_per_m2=current,
        power_density_w_per_m2=current * voltage,
    )
    return {"efficiency": node(numbers), "efficiency_curves": curves}


def masses() -> Any:
    rows = [
        mass("hole", "X-G", -0.38, None),
        mass("hole", "X-W", None, "too flat"),
        mass("electron", "L-G", 0.37, None),
        mass("electron", "L-W", 0.32, None),
        mass("electron", "L-K", None, "edge lies off the path"),
    ]
    return node({"rows": rows, "level": "HSE06+SOC", "limits": ["Anisotropy between these directions is not known"]})


def mass(carrier: str, direction: str, value: float | None, limit: str | None) -> dict[str, Any]:
    return {
        "carrier": carrier,
        "direction": direction,
        "mass": value,
        "r_squared": None if value is None else 0.998,
        "window_per_angstrom": 0.05,
        "multiplicity": 2,
        "limit": limit,
    }


def band_structure(gap: float) -> Any:
    """Return smooth bands along G-X-W-L-G-K, in pairs of equal ones, as spin-orbit coupling leaves them."""
    from aiida import orm

    points, labels = [np.zeros(3)], [(0, "G")]
    for name in "XWLGK":
        points += list(np.linspace(points[-1], PATH[name], 21)[1:])
        labels.append((len(points) - 1, name))
    kpoints = np.array(points)
    waves = np.cos(2 * np.pi * kpoints).sum(axis=1)
    random = np.random.default_rng(7)
    valence = np.stack([-at - wide * (3 - waves) for at, wide in random.uniform((0, 0.02), (4.5, 0.2), (24, 2))])
    conduction = np.stack([at + wide * (waves + 1.5) for at, wide in random.uniform((0.1, 0.1), (5, 0.4), (14, 2))])
    energies = np.concatenate([valence - valence.max(), conduction - conduction.min() + gap]).T
    bands = orm.BandsData()
    bands.set_cell(5.6 * (1 - np.eye(3)))
    bands.set_kpoints(kpoints)
    bands.labels = labels
    bands.set_bands(np.repeat(energies, 2, axis=1), units="eV")
    return bands


def densities(formula: str, gap: float) -> Any:
    energies = np.linspace(-12, 12, 1201)
    random = np.random.default_rng(11)
    outside_gap = (energies < 0) | (energies > 0.5 * gap)
    parts = {}
    for element in re.findall(r"[A-Z][a-z]?", formula):
        for orbital in "spd":
            centres = np.concatenate([random.uniform(-5, -0.4, 3), random.uniform(0.5 * gap + 0.4, 6, 2)])
            peaks = np.exp(-(((energies[:, None] - centres) / 0.4) ** 2)) @ random.uniform(0.2, 4, 5)
            parts[f"dos_{element}_{orbital}"] = peaks * outside_gap
    return arrays(energy_ev=energies, dos_total=np.sum(list(parts.values()), axis=0), **parts)
