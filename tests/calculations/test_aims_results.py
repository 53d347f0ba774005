"""Gap on the grid against gap along the path, and what is said of a metal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

X, L, G = [0.5, 0.0, 0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]
OUTPUT = {
    "gap_ev": 2.2,
    "direct_gap_ev": 2.6,
    "vbm_k": X,
    "cbm_k": L,
    "soc_gap_ev": 1.9,
    "soc_direct_gap_ev": 2.3,
    "soc_vbm_k": X,
    "soc_cbm_k": L,
    "total_energy_ev": -1.0,
    "magnetic_moment": None,
    "version": "made up",
}


def bands(valence: list[float], conduction: list[float], occupations: Any = None) -> Any:
    from aiida.orm import BandsData

    node = BandsData()
    node.set_cell((5.6 * (1 - np.eye(3))).tolist())
    node.set_kpoints(np.array([G, X, L]))
    values = np.array([valence, conduction]).T
    filled = np.tile([1.0, 0.0], (3, 1)) if occupations is None else np.array(occupations)
    node.set_bands(values, units="eV", occupations=filled)
    return node


@pytest.fixture
def describe(aiida_profile: Any) -> Any:
    from aiida.orm import Dict, StructureData
    from ase import Atoms

    from aiida_perovskite.calculations.aims_results import describe_gap

    structure = StructureData(ase=Atoms("Cs", cell=5.6 * (1 - np.eye(3)), pbc=True))

    def run(output: dict[str, Any], **given: Any) -> dict[str, Any]:
        found: dict[str, Any] = describe_gap(structure, Dict(output), Dict({}), **given).get_dict()
        return found

    return run


def test_the_smaller_of_grid_and_path_counts(describe: Any) -> None:
    soc, scalar = bands([-0.5, 0.0, -0.3], [2.0, 2.5, 1.7]), bands([-0.5, 0.0, -0.3], [2.5, 3.0, 2.4])
    found = describe(OUTPUT, output_bands=soc, output_bands_scalar=scalar)
    assert found["gap_hse06_soc_ev"] == pytest.approx(1.7)
    assert found["grid_gap_hse06_soc_ev"] == 1.9
    assert found["direct_gap_hse06_soc_ev"] == pytest.approx(2.0)
    assert found["gap_hse06_ev"] == 2.2, "the path, with 2.4 eV, misses an edge that the grid has"
    assert (found["vbm_label"], found["cbm_label"], found["edges_from"]) == ("X", "L", "path")
    assert found["gap_kind"] == "indirect"


def test_without_a_path_the_grid_counts(describe: Any) -> None:
    found = describe({**OUTPUT, "soc_cbm_k": X, "soc_direct_gap_ev": None})
    assert found["gap_hse06_soc_ev"] == found["direct_gap_hse06_soc_ev"] == 1.9
    assert found["edges_from"] == "grid"
    assert found["gap_kind"] == "direct"


def test_bands_that_cross_the_fermi_level_are_no_gap(describe: Any) -> None:
    metal = bands([-0.5, 0.0, 0.3], [2.0, 2.5, 0.1], occupations=[[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    found = describe({**OUTPUT, "soc_gap_ev": 0.0}, output_bands=metal, output_bands_scalar=metal)
    assert found["gap_hse06_soc_ev"] == 0.0
    assert found["gap_kind"] == "none"
    assert any("Fermi level" in limit for limit in found["limits"])
