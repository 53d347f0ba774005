"""Calcfunctions from an engine's spectra and bands to absorption, efficiency and masses."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import ArrayData, BandsData, Dict, StructureData

SMALLER_GAP_EV = 0.1  # the number of bands that spin-orbit coupling mixes, and the grid, change a gap by less


@calcfunction  # type: ignore[untyped-decorator]
def plan_lines(structure: StructureData, gap: Dict, settings: Dict) -> Dict:
    """Choose the k-points of the band path and of the lines from which masses are fitted.

    ``settings`` holds ``path_step_per_angstrom``, ``mass_reach_per_angstrom`` and ``mass_points``. Output: ``lines``
    (name -> k-points; ``path``, then ``hole G-X`` and the like), ``ticks`` of the path (index, label) and ``limits``.
    """
    from aiida_perovskite.photovoltaics import directions_for, fcc_path, is_fcc_primitive, mass_line

    options = settings.get_dict()
    cell = structure.cell
    if not is_fcc_primitive(cell):
        return Dict({"lines": {}, "ticks": [], "limits": ["no face-centred cubic cell: no path, no directions"]})
    kpoints, ticks = fcc_path(cell, options["path_step_per_angstrom"])
    lines = {"path": kpoints.tolist()}
    limits = []
    for carrier, edge in (("hole", gap["vbm_label"]), ("electron", gap["cbm_label"])):
        if not directions_for(edge):
            limits.append(f"the {carrier} edge ({edge or 'no label'}) has no high-symmetry direction")
        for direction in directions_for(edge):
            line = mass_line(edge, direction, cell, options["mass_reach_per_angstrom"], options["mass_points"])
            lines[f"{carrier} {direction}"] = line.kpoints.tolist()
    return Dict({"lines": lines, "ticks": ticks, "limits": limits})


@calcfunction  # type: ignore[untyped-decorator]
def analyse_bands(
    structure: StructureData, lines: ArrayData, results: Dict, plan: Dict, gap: Dict, settings: Dict
) -> dict[str, Any]:
    """Fit the masses and collect the bands along the path.

    A gap on the path that is clearly smaller than that of the k-points of ``gap`` is stated as a limit.

    Outputs: ``masses`` (a row for each carrier, direction and band) and ``band_structure`` (energies from the highest
    occupied level of the path, spin-orbit coupling included).
    """
    import math
    from dataclasses import asdict

    import numpy as np

    from aiida_perovskite.photovoltaics import MassSettings, masses_of_edge, reciprocal_vectors

    level = next(name for name in results["levels"] if name.endswith("_soc"))
    eigenvalues = lines.get_array(f"eigenvalues_{level}_ev")[0]
    n_occupied = int(lines.get_array("n_occupied_soc")[0])
    kpoints, indices = lines.get_array("kpoints"), results["lines"]
    rules = MassSettings(**settings["masses"])
    rows = []
    for name, points in indices.items():
        if name == "path":
            continue
        carrier, direction = name.split(" ")
        steps = (kpoints[points] - kpoints[points[0]]) @ reciprocal_vectors(structure.cell)
        fits = masses_of_edge(
            np.linalg.norm(steps, axis=1), eigenvalues[points], n_occupied, carrier, direction, settings=rules
        )
        rows += [
            {
                key: None if isinstance(value, float) and math.isnan(value) else value
                for key, value in asdict(fit).items()
            }
            for fit in fits
        ]
    path = eigenvalues[indices["path"]]
    top = float(path[:, n_occupied - 1].max())
    bands = BandsData()
    bands.set_cell(structure.cell)
    bands.set_kpoints(kpoints[indices["path"]])
    bands.labels = [(index, label) for index, label in plan["ticks"]]
    bands.set_bands(path - top, units="eV")
    on_path = float(path[:, n_occupied].min()) - top
    limits = list(plan["limits"])
    # Semilocal bands have a smaller gap anyway.
    if level.startswith("hse06") and on_path < gap["gap_hse06_soc_ev"] - SMALLER_GAP_EV:
        limits.append(f"the gap along the path is {on_path:.2f} eV: an edge lies between the k-points of the gap")
    record = {
        "rows": rows,
        "level": results["functional"] + "+SOC",
        "limits": limits,
        "settings": settings["masses"],
        "gap_on_path_ev": on_path,
    }
    return {"masses": Dict(record), "band_structure": bands}


@calcfunction  # type: ignore[untyped-decorator]
def analyse_absorption(
    spectrum: ArrayData, results: Dict, gap: Dict, settings: Dict, transitions: ArrayData | None = None
) -> dict[str, Any] | ExitCode:
    """Shift a spectrum to the gap with spin-orbit coupling and compute the efficiency.

    ``settings`` are those of the protocol ``efficiency``. Without ``transitions`` the first allowed one is read off the
    spectrum, and the lowest direct one is that of ``results``. Outputs: ``absorption`` (shifted), ``optics`` (gaps,
    onset, shift), ``efficiency`` (at one thickness) and ``efficiency_curves`` (against thickness, current-voltage).
    """
    from aiida_perovskite.photovoltaics import EfficiencySettings, kind_of_gap, shift_to_gap

    try:
        allowed = _allowed_gap(spectrum, results, transitions)
        absorber = shift_to_gap(
            spectrum.get_array("energy_ev"),
            spectrum.get_array("absorption_per_cm"),
            allowed,
            gap_ev=gap["gap_hse06_soc_ev"],
            direct_gap_ev=gap["direct_gap_hse06_soc_ev"],
        )
        numbers, curves = absorber.efficiency(EfficiencySettings(**settings.get_dict()))
    except ValueError as error:
        return ExitCode(400, f"no efficiency: {error}")
    optics = {
        "gap_ev": absorber.gap_ev,
        "direct_gap_ev": absorber.direct_gap_ev,
        "direct_allowed_gap_ev": absorber.direct_allowed_gap_ev,
        "lowest_direct_transition_ev": allowed.lowest_direct_ev,
        "shift_ev": absorber.shift_ev,
        "definition": allowed.definition,
        "gap_kind": kind_of_gap(absorber.gap_ev, absorber.direct_gap_ev),
        "static_dielectric_constant": results["static_dielectric_constant"],
        "broadening_ev": results["broadening_ev"],
        "approximation": results["approximation"],
    }
    shifted = ArrayData()
    shifted.set_array("energy_ev", absorber.energy_ev)
    shifted.set_array("absorption_per_cm", absorber.absorption_per_cm)
    shifted.set_array("mean_absorption_per_cm", absorber.mean_absorption_per_cm)
    series = ArrayData()
    for name, values in curves.items():
        series.set_array(name, values)
    return {
        "absorption": shifted,
        "optics": Dict(optics),
        "efficiency": Dict(numbers),
        "efficiency_curves": series,
    }


def _allowed_gap(spectrum: ArrayData, results: Dict, transitions: ArrayData | None) -> Any:
    from dataclasses import replace

    from aiida_perovskite.photovoltaics import direct_allowed_gap, direct_allowed_gap_from_absorption

    if transitions is not None:
        names = ("valence_ev", "conduction_ev", "squared_momentum")
        return direct_allowed_gap(*(transitions.get_array(name) for name in names))
    found = direct_allowed_gap_from_absorption(
        spectrum.get_array("energy_ev"),
        spectrum.get_array("absorption_per_cm").mean(axis=1),
        broadening_ev=results["broadening_ev"],
    )
    return replace(found, lowest_direct_ev=results["lowest_direct_transition_ev"])
