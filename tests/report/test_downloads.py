"""What the page offers to take away can be read by the programs it is for."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def files(campaign: Any) -> dict[str, bytes]:
    """Name -> content of every file that is in the page."""
    from aiida_perovskite.report.collect import collect_campaign
    from aiida_perovskite.report.render import render

    links = re.findall(r'download="([^"]+)"[^>]* href="data:[^;]+;base64,([^"]*)"', render(collect_campaign(campaign)))
    return {name: base64.b64decode(content, validate=True) for name, content in links}


def test_the_results_are_the_same_as_csv_and_as_parquet(files: dict[str, bytes], campaign: Any) -> None:
    import pandas as pd

    text = pd.read_csv(io.BytesIO(files["results-by-compound.csv"]))
    exact = pd.read_parquet(io.BytesIO(files["results-by-compound.parquet"]))
    assert text.columns.tolist() == exact.columns.tolist()
    assert text["formula"].tolist() == exact["formula"].tolist()
    assert exact["role"].tolist().count("reference") == 1
    for name in exact.select_dtypes("float"):
        np.testing.assert_allclose(text[name], exact[name], rtol=1e-5)


def test_the_results_are_those_of_the_nodes(files: dict[str, bytes]) -> None:
    import pandas as pd
    from aiida import orm

    frame = pd.read_parquet(io.BytesIO(files["results-by-compound.parquet"])).set_index("formula")
    row = frame.loc["AgBiCs2Br6"]
    assert row["gap_ev"] == orm.load_node(row["gap_node"])["gap_hse06_soc_ev"]
    assert row["decomposition_enthalpy_mev_per_atom"] == orm.load_node(row["stability_node"])["binary"]["mev_per_atom"]
    assert row["slme_percent"] == orm.load_node(row["efficiency_node"])["slme_percent"]
    assert (row["hole_mass_1"], row["hole_direction_1"]) == (-0.38, "X-G")
    assert np.isnan(row["hole_mass_2"])
    assert row["hole_limit_2"] == "too flat"
    assert row["relaxed_spacegroup"] == "I4/m"


@pytest.mark.parametrize("kind", ["structure", "relaxed"])
def test_structures_are_read_by_ase(files: dict[str, bytes], kind: str) -> None:
    from aiida import orm
    from ase.io import read

    extended = read(io.StringIO(files[f"Cs2AgBiBr6-{kind}.extxyz"].decode()), format="extxyz")
    crystal = read(io.BytesIO(files[f"Cs2AgBiBr6-{kind}.cif"]), format="cif")
    node = orm.load_node(extended.info["node"])
    for atoms in (extended, crystal):
        assert atoms.get_chemical_symbols() == [site.kind_name for site in node.sites]
        assert atoms.get_volume() == pytest.approx(node.get_cell_volume(), rel=1e-4)
        np.testing.assert_allclose(
            np.sort(atoms.get_all_distances(mic=True)), np.sort(node.get_ase().get_all_distances(mic=True)), atol=1e-3
        )


def test_every_name_tells_compound_and_kind(files: dict[str, bytes]) -> None:
    structures = [name for name in files if name.endswith((".cif", ".extxyz"))]
    assert len(structures) == len(set(structures)) == 4 * 2 + 3 * 2
    assert all(re.fullmatch(r"\w+6-(structure|relaxed)\.(cif|extxyz)", name) for name in structures)
