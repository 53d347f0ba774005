"""Calcfunctions from a step's settings to the inputs of FHI-aims jobs."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, calcfunction
from aiida.orm import Dict, KpointsData, List, Str, StructureData

# Part of the request that each step makes -> the settings of its protocol that describe it.
RELAXATION = ("max_force_ev_per_angstrom", "cell", "max_steps", "algorithm")
DIELECTRIC = ("omega_max_ev", "n_omega", "broadening_ev", "style")
DOS = ("min_ev", "max_ev", "n_points", "broadening_ev")


@calcfunction  # type: ignore[untyped-decorator]
def prepare_aims(
    step: Str,
    structure: StructureData,
    parameters: Dict,
    magnetic_moments: List | None = None,
    plan: Dict | None = None,
) -> dict[str, Any] | ExitCode:
    """Turn the settings of a protocol into the inputs of a job.

    ``step`` is ``relax``, ``gap``, ``energy``, ``absorption`` or ``bands``; ``plan`` holds the ``lines`` of the last.
    Outputs: ``parameters`` (keywords), ``kpoints``, ``settings`` (an `AimsRequest` without the two).
    """
    from aiida_perovskite.engines.aims import AimsRequest

    options = parameters.get_dict()
    try:
        mesh = grid(structure, options)
        settings = {
            "spin": options["spin"],
            "initial_moments": moments_of(magnetic_moments),
            "density_restart": options["density_restart"],
            **REQUESTS[step.value](structure, options, plan),
        }
        keywords = {
            name: value for name, value in {**options["keywords"], **options["expert"]}.items() if value is not None
        }
        AimsRequest.from_dict({**settings, "keywords": keywords, "k_grid": mesh})
    except ValueError as error:
        return ExitCode(400, str(error))
    kpoints = KpointsData()
    kpoints.set_kpoints_mesh(mesh)
    return {"parameters": Dict(keywords), "kpoints": kpoints, "settings": Dict(settings)}


@calcfunction  # type: ignore[untyped-decorator]
def distort(structure: StructureData, parameters: Dict) -> dict[str, Any]:
    """Return the starts of an unconstrained relaxation: copies with random displacements and strain.

    The symmetric structure is a stationary point, from which no relaxation leaves it. ``parameters`` holds ``starts``,
    ``displacement_angstrom`` and ``strain`` (standard deviations) and ``seed``. Outputs: ``start_1``, ...
    """
    import numpy as np

    options = parameters.get_dict()
    random = np.random.default_rng(options["seed"])
    starts = {}
    for number in range(1, options["starts"] + 1):
        atoms = structure.get_ase()
        strain = random.normal(scale=options["strain"], size=(3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += random.normal(scale=options["displacement_angstrom"], size=(len(atoms), 3))
        starts[f"start_{number}"] = StructureData(ase=atoms)
    return starts


def moments_of(node: List | None) -> list[float] | None:
    """Return the moments of a node, None where none is other than zero."""
    moments = [float(moment) for moment in node.get_list()] if node is not None else []
    return moments if any(moments) else None


def grid(structure: StructureData, options: dict[str, Any]) -> list[int]:
    """Return the k-point grid: ``k_grid`` if given, else ``kpoint_density`` points per 1/Angstrom of each vector."""
    import numpy as np

    from aiida_perovskite.photovoltaics import reciprocal_vectors

    if options["k_grid"] is not None:
        return [int(n) for n in options["k_grid"]]
    lengths = np.linalg.norm(reciprocal_vectors(structure.cell), axis=1)
    # A grid is not made one point denser by the last digits of a cell that was relaxed.
    return [max(1, int(np.ceil(length * options["kpoint_density"] - 0.02))) for length in lengths]


def _relax(structure: StructureData, options: dict[str, Any], plan: Dict | None) -> dict[str, Any]:
    return {
        "symmetric": options["symmetry"] == "fixed",
        "relaxation": {name: options[name] for name in RELAXATION},
    }


def _gap(structure: StructureData, options: dict[str, Any], plan: Dict | None) -> dict[str, Any]:
    from itertools import pairwise

    from aiida_perovskite.photovoltaics import is_fcc_primitive

    path = options["path"] if is_fcc_primitive(structure.cell) else []
    points = options["path_points"]
    return {
        "spin_orbit": True,
        "max_path_below_grid_ev": options["max_path_below_grid_ev"],
        "bands": [
            {"start": start[1], "end": end[1], "n_points": points, "names": [start[0], end[0]]}
            for start, end in pairwise(path)
        ],
    }


def _energy(structure: StructureData, options: dict[str, Any], plan: Dict | None) -> dict[str, Any]:
    return {"relaxation": {name: options[name] for name in RELAXATION}} if options["relax"] else {}


def _absorption(structure: StructureData, options: dict[str, Any], plan: Dict | None) -> dict[str, Any]:
    return {
        "dielectric": {name: options[name] for name in DIELECTRIC},
        "dos": {name: options["dos"][name] for name in DOS},
    }


def _bands(structure: StructureData, options: dict[str, Any], plan: Dict | None) -> dict[str, Any]:
    from dataclasses import asdict

    from aiida_perovskite.engines.aims import segments

    lines = plan["lines"] if plan is not None else {}
    found = [line for name, points in lines.items() for line in segments(points, name)]
    # A request for bands is also held against the gap on the grid; away from it that comparison means nothing.
    return {
        "spin_orbit": True,
        "bands": [asdict(line) for line in found],
        "max_path_below_grid_ev": options["max_path_below_grid_ev"],
    }


REQUESTS = {"relax": _relax, "gap": _gap, "energy": _energy, "absorption": _absorption, "bands": _bands}
