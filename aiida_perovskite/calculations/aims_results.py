"""Calcfunctions from the outputs of FHI-aims jobs to the results of a step."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import ArrayData, BandsData, Dict, StructureData


@calcfunction  # type: ignore[untyped-decorator]
def choose_lowest(parameters: Dict, **results: Any) -> dict[str, Any]:
    """Take the lowest of the relaxations of a step.

    ``results`` holds ``structure_<label>`` and ``output_<label>``; outputs are ``structure`` and ``results``, which
    names the energies of all starts.
    """
    labels = sorted(name.removeprefix("output_") for name in results if name.startswith("output_"))
    energies = {label: results[f"output_{label}"]["total_energy_ev"] for label in labels}
    best = min(labels, key=lambda label: energies[label])
    structure = results[f"structure_{best}"].clone()
    record = relaxation_record(structure, results[f"output_{best}"], parameters)
    record["energies_of_starts_ev_per_cell"] = [energies[label] for label in labels]
    return {"structure": structure, "results": Dict(record)}


@calcfunction  # type: ignore[untyped-decorator]
def describe_gap(structure: StructureData, output: Dict, parameters: Dict, **bands: BandsData) -> Dict:
    """Compare the gap on the k-point grid with that along the path and take the smaller one.

    ``bands`` holds ``output_bands`` (with spin-orbit coupling) and ``output_bands_scalar`` where a path was computed.
    Bands that cross the Fermi level along the path have no gap, and say so in ``limits``.
    """
    from aiida_perovskite.photovoltaics import kind_of_gap, label_fcc

    edges, source, limits = {"vbm": output["soc_vbm_k"], "cbm": output["soc_cbm_k"]}, "grid", []
    gaps = grid_gaps(output.get_dict())
    record: dict[str, Any] = {f"grid_{name}": value for name, value in gaps.items()}
    for level, label in (("hse06", "output_bands_scalar"), ("hse06_soc", "output_bands")):
        if label not in bands:
            continue
        try:
            found = edges_of(bands[label], structure)
        except ValueError as error:
            limits.append(f"{level}: {error}")
            path = (0.0, 0.0)
        else:
            path = (found.gap_ev, found.direct_gap_ev)
            if level == "hse06_soc" and path[0] <= (gaps["gap_hse06_soc_ev"] or path[0]):
                source, edges = "path", {"vbm": found.vbm.kpoint, "cbm": found.cbm.kpoint}
        for name, value in zip((f"gap_{level}_ev", f"direct_gap_{level}_ev"), path, strict=True):
            record[f"path_{name}"] = value
            on_grid = gaps[name]
            gaps[name] = value if on_grid is None else min(value, on_grid)
    for edge, kpoint in edges.items():
        record[f"{edge}_k"] = list(kpoint) if kpoint is not None else None
        record[f"{edge}_label"] = label_fcc(kpoint) if kpoint is not None else ""
    gap, direct = gaps["gap_hse06_soc_ev"], gaps["direct_gap_hse06_soc_ev"]
    return Dict(
        {
            **record,
            **gaps,
            "edges_from": source,
            "gap_kind": kind_of_gap(gap, direct) if gap and direct else "none",
            "limits": limits,
            "energy_ev_per_cell": output["total_energy_ev"],
            "total_moment": output["magnetic_moment"],
            "settings": parameters.get_dict(),
            "versions": {"fhi-aims": output["version"]},
        }
    )


def grid_gaps(output: dict[str, Any]) -> dict[str, float | None]:
    """Return the gaps on the k-point grid; where no direct one is printed, the fundamental one if that is direct."""
    gaps: dict[str, float | None] = {}
    for level, prefix in (("hse06", ""), ("hse06_soc", "soc_")):
        gap, direct = output[f"{prefix}gap_ev"], output[f"{prefix}direct_gap_ev"]
        same = output[f"{prefix}vbm_k"] is not None and output[f"{prefix}vbm_k"] == output[f"{prefix}cbm_k"]
        gaps[f"gap_{level}_ev"] = gap
        gaps[f"direct_gap_{level}_ev"] = gap if direct is None and same else direct
    return gaps


@calcfunction  # type: ignore[untyped-decorator]
def describe_energy(structure: StructureData, output: Dict, parameters: Dict) -> Dict:
    """Make the record of an energy, with what must agree between energies that are subtracted from each other."""
    from aiida_perovskite.engines import EnergyResult, energy_record

    n_atoms = len(structure.sites)
    settings = parameters.get_dict()
    functional = str(settings["keywords"]["xc"]).split()[0].upper()
    per_cell = output["total_energy_ev"]
    properties = {
        "energy_ev_per_atom": per_cell / n_atoms,
        "energy_ev_per_cell": per_cell,
        "functional": functional,
        "max_force_ev_per_angstrom": output["max_force_ev_per_angstrom"],
        "settings": settings,
        "versions": {"fhi-aims": output["version"]},
    }
    return Dict(energy_record("aims", EnergyResult(per_cell / n_atoms, functional, properties)))


@calcfunction  # type: ignore[untyped-decorator]
def describe_absorption(output: Dict, parameters: Dict, spectrum: ArrayData) -> Dict | ExitCode:
    """Collect what belongs to a spectrum: the lowest direct transition on its grid, and how it was computed."""
    import numpy as np

    from aiida_perovskite.engines import EXIT_STATUS

    lowest = output["direct_gap_ev"] if output["direct_gap_ev"] is not None else output["gap_ev"]
    if not output["gap_ev"]:
        return ExitCode(EXIT_STATUS["no_gap"], "there is no gap on the grid of the spectrum")
    settings = parameters.get_dict()
    return Dict(
        {
            "lowest_direct_transition_ev": lowest,
            "gap_on_optical_grid_ev": output["gap_ev"],
            "static_dielectric_constant": float(np.mean(spectrum.get_array("epsilon_real")[0])),
            "broadening_ev": settings["broadening_ev"],
            "approximation": "independent particles",
            "functional": str(settings["keywords"]["xc"]).split()[0].upper(),
            "settings": settings,
            "versions": {"fhi-aims": output["version"]},
        }
    )


@calcfunction  # type: ignore[untyped-decorator]
def collect_lines(
    plan: Dict, output: Dict, parameters: Dict, output_bands: BandsData, output_bands_scalar: BandsData
) -> dict[str, Any]:
    """Sort the bands of the segments back into the lines of the plan.

    Outputs: ``lines`` (k-points and eigenvalues of both levels) and ``results`` (which points make which line).
    """
    import numpy as np

    from aiida_perovskite.engines.aims import segments

    kept: list[int] = []
    lines: dict[str, list[int]] = {}
    start = 0
    for name, points in plan["lines"].items():
        chosen: list[int] = []
        for line in segments(points, name):
            chosen += range(start + bool(chosen), start + line.n_points)
            start += line.n_points
        lines[name] = list(range(len(kept), len(kept) + len(chosen)))
        kept += chosen
    array = ArrayData()
    array.set_array("kpoints", output_bands.get_kpoints()[kept])
    for level, node, occupied in (
        ("hse06_soc", output_bands, "n_occupied_soc"),
        ("hse06", output_bands_scalar, "n_occupied"),
    ):
        values = channels(node.get_bands())[:, kept]
        array.set_array(f"eigenvalues_{level}_ev", values)
        array.set_array(occupied, np.array(n_occupied(node)))
    record = {
        "lines": lines,
        "levels": ["hse06", "hse06_soc"],
        "functional": str(parameters["keywords"]["xc"]).split()[0].upper(),
        "settings": parameters.get_dict(),
        "versions": {"fhi-aims": output["version"]},
    }
    return {"lines": array, "results": Dict(record)}


def relaxation_record(structure: StructureData, output: Dict, parameters: Dict) -> dict[str, Any]:
    """Return what a relaxation found: energy, cell, space group, forces."""
    import spglib

    settings = parameters.get_dict()
    atoms = structure.get_ase()
    found = spglib.get_symmetry_dataset(
        (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers),
        symprec=settings["space_group_tolerance_angstrom"],
    )
    return {
        "energy_ev_per_cell": output["total_energy_ev"],
        "energy_ev_per_atom": output["total_energy_ev"] / len(atoms),
        "a_angstrom": float((4 * atoms.get_volume()) ** (1 / 3)),
        "space_group_number": int(found.number) if found is not None else 1,
        "space_group": str(found.international) if found is not None else "P1",
        "max_force_ev_per_angstrom": output["max_force_ev_per_angstrom"],
        "steps": output["n_steps"],
        "settings": settings,
        "versions": {"fhi-aims": output["version"]},
    }


def edges_of(bands: BandsData, structure: StructureData) -> Any:
    """Return the edges of bands along a path (`photovoltaics.BandEdges`)."""
    import numpy as np

    from aiida_perovskite.photovoltaics import BandStructure, band_edges

    values = channels(bands.get_bands())
    cell = np.array(structure.cell)
    return band_edges(BandStructure(bands.get_kpoints(), cell, values, n_occupied(bands), is_path=False))


def channels(values: Any) -> Any:
    """Return eigenvalues as (spins, k-points, bands)."""
    return values[None] if values.ndim == 2 else values


def n_occupied(bands: BandsData) -> tuple[int, ...]:
    """Return the occupied bands of each spin channel, from occupations: more than half counts.

    Raises
    ------
    ValueError
        If they differ between k-points: a metal has no edges.
    """
    import numpy as np

    _, occupations = bands.get_bands(also_occupations=True)
    full = np.nanmax(occupations)
    counts = (channels(occupations) > full / 2).sum(axis=2)
    if (counts != counts[:, :1]).any():
        raise ValueError("the number of occupied bands differs between k-points: the bands cross the Fermi level")
    return tuple(int(n) for n in counts[:, 0])
