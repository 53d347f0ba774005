"""From an engine's bands and spectra to masses and efficiency, from node to node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms

from aiida_perovskite.chemistry import Composition, prototype_atoms

pytestmark = pytest.mark.usefixtures("aiida_profile")
KANE = 3.80998  # hbar^2 / 2 m_e, eV Angstrom^2
GAP = {"vbm_label": "X", "cbm_label": "L", "gap_hse06_soc_ev": 1.5, "direct_gap_hse06_soc_ev": 1.7}


def structure(atoms: Atoms | None = None) -> Any:
    from aiida.orm import StructureData

    atoms = atoms or prototype_atoms(Composition.parse("Cs2AgBiCl6"))
    atoms.set_initial_magnetic_moments(None)
    return StructureData(ase=atoms)


def masses() -> Any:
    from aiida.orm import Dict

    from aiida_perovskite.workflows.protocols import load_protocol

    return Dict(load_protocol("masses"))


def test_lines_go_through_the_zone_and_away_from_both_edges() -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.photovoltaics import plan_lines

    plan = plan_lines(structure(), Dict(GAP), masses()).get_dict()
    assert set(plan["lines"]) == {"path", "hole X-G", "hole X-W", "electron L-G", "electron L-W"}
    assert [label for _, label in plan["ticks"]] == list("GXWLGK")
    assert plan["ticks"][-1][0] == len(plan["lines"]["path"]) - 1
    assert plan["limits"] == []
    nowhere = plan_lines(structure(), Dict({**GAP, "cbm_label": ""}), masses()).get_dict()
    assert set(nowhere["lines"]) == {"path", "hole X-G", "hole X-W"}
    assert "no high-symmetry direction" in nowhere["limits"][0]


def test_a_distorted_cell_has_no_lines_but_says_why() -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.photovoltaics import plan_lines

    atoms = prototype_atoms(Composition.parse("Cs2AgBiCl6"))
    atoms.set_cell(atoms.cell.array @ np.diag([1, 1, 1.02]), scale_atoms=True)
    plan = plan_lines(structure(atoms), Dict(GAP), masses()).get_dict()
    assert plan["lines"] == {}
    assert "no face-centred cubic cell" in plan["limits"][0]


def test_masses_are_those_of_the_parabolas() -> None:
    from aiida.orm import ArrayData, Dict

    from aiida_perovskite.calculations.photovoltaics import analyse_bands, plan_lines
    from aiida_perovskite.photovoltaics import reciprocal_vectors

    cell = structure()
    plan = plan_lines(cell, Dict(GAP), masses())
    indices: dict[str, list[int]] = {}
    points: list[list[float]] = []
    for name, line in plan["lines"].items():
        indices[name] = list(range(len(points), len(points) + len(line)))
        points += line
    kpoints = np.array(points)
    # Two hole bands that meet at the edge, a heavy one and a light one, and an electron band; each holds one electron.
    energies = np.zeros((len(points), 4))
    for line in indices.values():
        squared = (((kpoints[line] - kpoints[line[0]]) @ reciprocal_vectors(cell.cell)) ** 2).sum(axis=1)
        energies[line] = np.stack(
            [-KANE / 0.2 * squared, -KANE / 0.9 * squared, 2 + KANE / 0.3 * squared, 9 + squared], axis=1
        )
    lines = ArrayData()
    lines.set_array("kpoints", kpoints)
    lines.set_array("n_occupied", np.array([1]))
    lines.set_array("n_occupied_soc", np.array([2]))
    lines.set_array("eigenvalues_hse06_soc_ev", energies[None])
    results = Dict({"lines": indices, "levels": ["pbe", "hse06_soc"], "functional": "HSE06"})
    found = analyse_bands(cell, lines, results, plan, Dict(GAP), masses())
    rows = found["masses"]["rows"]
    holes = sorted(row["mass"] for row in rows if (row["carrier"], row["direction"]) == ("hole", "X-G"))
    assert holes == pytest.approx([-0.9, -0.2], rel=1e-3)
    electrons = [row["mass"] for row in rows if (row["carrier"], row["direction"]) == ("electron", "L-W")]
    assert electrons == pytest.approx([0.3], rel=1e-3)
    assert found["masses"]["level"] == "HSE06+SOC"
    bands = found["band_structure"]
    assert bands.get_bands()[:, 1].max() == pytest.approx(0)
    assert [label for _, label in bands.labels] == list("GXWLGK")


def absorb(squared_momentum: float = 1.0, **gap: float) -> tuple[Any, Any]:
    from aiida.orm import ArrayData, Dict

    from aiida_perovskite.calculations.photovoltaics import analyse_absorption
    from aiida_perovskite.workflows.protocols import load_protocol

    spectrum, transitions = ArrayData(), ArrayData()
    energies = np.arange(301) * 0.02
    alpha = 1e5 * np.sqrt(np.clip(energies - 0.8, 0, None))
    spectrum.set_array("energy_ev", energies)
    spectrum.set_array("absorption_per_cm", np.array([alpha] * 3).T)
    transitions.set_array("valence_ev", np.array([[[0.0]]]))
    transitions.set_array("conduction_ev", np.array([[[0.8]]]))
    transitions.set_array("squared_momentum", np.full((1, 1, 1, 1), squared_momentum))
    results = Dict({"static_dielectric_constant": 4.0, "broadening_ev": 0.05, "approximation": "independent particles"})
    found, node = analyse_absorption.run_get_node(
        spectrum, results, Dict({**GAP, **gap}), Dict(load_protocol("efficiency")), transitions
    )
    return found, node


def test_the_spectrum_is_moved_onto_the_direct_gap() -> None:
    found, node = absorb()
    assert node.is_finished_ok
    optics = found["optics"].get_dict()
    assert optics["shift_ev"] == pytest.approx(1.7 - 0.8)
    assert optics["direct_allowed_gap_ev"] == pytest.approx(1.7)
    assert optics["gap_kind"] == "indirect"
    energies = found["absorption"].get_array("energy_ev")
    mean = found["absorption"].get_array("mean_absorption_per_cm")
    assert np.all(mean[energies < 1.7 - 1e-9] == 0)
    assert mean[energies > 1.75].min() > 0
    direct, _ = absorb(gap_hse06_soc_ev=1.7)
    # An indirect gap costs: carriers recombine at 1.5 eV although light is absorbed from 1.7 eV only.
    assert 0 < found["efficiency"]["slme_percent"] < direct["efficiency"]["slme_percent"]
    assert direct["optics"]["gap_kind"] == "direct"


def test_a_spectrum_that_cannot_be_moved_is_a_sentence_not_an_exception() -> None:
    _, node = absorb(direct_gap_hse06_soc_ev=1.2)  # below the gap itself
    assert node.exit_status == 400
    assert node.exit_message.startswith("no efficiency: ")
