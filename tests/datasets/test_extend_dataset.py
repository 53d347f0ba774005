"""The tool that adds computed gaps to the shipped table: old rows stay, doubtful ones are named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pooch
import pytest
from tool_modules import load_tool

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "aiida_perovskite" / "datasets" / "shipped"
TOOL = ROOT / "tools" / "extend_dataset.py"


@pytest.fixture(scope="module")
def extend_dataset() -> ModuleType:
    return load_tool("extend_dataset")


def result(sites: str, gap: float = 2.0, **changes: Any) -> dict[str, Any]:
    """Return what the GPAW route leaves for the compound of these sites."""
    edges = {"gap": gap, "direct": gap, "gamma": gap, "vbm_k": [0.0, 0.0, 0.0], "cbm_k": [0.5, 0.0, 0.5]}
    pbe = {**edges, "gap": gap - 0.9}
    levels = {"hse_soc": edges, "hse": edges, "pbe_soc": pbe, "pbe": pbe}
    geometry = {"geometry_converged": True, "a": 10.9, "x": 0.26, "x_chgnet": 0.26, "force_on_halide": -0.1}
    energies = {"energy_pbe": -30.0, "chgnet_r2scan_energy": -150.0}
    return {**dict(zip("ABCD", sites.split(), strict=True)), **levels, **geometry, **energies, **changes}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A copy of the shipped table, without the compounds that the tests add."""
    lines = (SHIPPED / "halide_gaps_gpaw.csv").read_text().splitlines()
    path = tmp_path / "halide_gaps_gpaw.csv"
    path.write_text("\n".join(line for line in lines if not line.startswith(("AgAlCs2Br6", "InTlRb2Cl6"))) + "\n")
    return path


def extend(table: Path, results: dict[str, dict[str, Any]], *options: str) -> str:
    folder = table.parent / "results"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in results.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    command = [sys.executable, TOOL, folder, "--table", table, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_new_rows_come_in_order_and_old_ones_stay(table: Path) -> None:
    before = table.read_text().splitlines()
    output = extend(table, {"one": result("Ag Al Cs Br"), "known": result("Ag Bi Cs Br", 9.0)}, "--computed-by", "me")
    assert "AgBiCs2Br6: the new gap differs" in output
    after = table.read_text().splitlines()
    (new,) = set(after) - set(before)
    assert new.startswith("AgAlCs2Br6,Ag,Al,2.0,2.0,")
    assert new.endswith(",0,0,me")
    assert set(before) < set(after)
    assert after[1:] == sorted(after[1:], key=lambda line: line.split(",")[0])
    assert (table.parent / "SHA256SUMS").read_text() == f"{pooch.file_hash(str(table))}  {table.name}\n"
    # Once more: nothing happens.
    assert "0 new rows" in extend(table, {"one": result("Ag Al Cs Br")}, "--computed-by", "me")
    assert table.read_text().splitlines() == after


def test_of_two_charge_states_the_lower_energy_stays(table: Path) -> None:
    low, high = result("Tl In Rb Cl", 1.0, energy_pbe=-31.0), result("In Tl Rb Cl", 3.0)
    assert "InTlRb2Cl6 was computed twice" in extend(table, {"high": high, "low": low})
    (row,) = [line for line in table.read_text().splitlines() if line.startswith("InTlRb2Cl6")]
    assert row.startswith("InTlRb2Cl6,Tl,In,1.0,")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gap": 8.0}, "from that of compounds with the same ions: AgAlCs2Br6"),
        ({"gap": 0.5}, "no PBE gap, and not self-consistent: AgAlCs2Br6"),
        ({"force_on_halide": 0.3}, "force above the aim: AgAlCs2Br6"),
        ({"x_chgnet": 0.23}, "halide moved far by the PBE force: AgAlCs2Br6"),
    ],
)
def test_doubtful_rows_are_named(table: Path, changes: dict[str, Any], words: str) -> None:
    before = table.read_bytes()
    assert words in extend(table, {"one": result("Ag Al Cs Br", **changes)}, "--dry-run")
    assert table.read_bytes() == before


def test_what_is_no_result_is_left_out(table: Path) -> None:
    whole = result("Ag Al Cs Br")
    bad = {
        "failed": {"error": "KohnShamConvergenceError"},
        "pushed": {**whole, "force_on_halide": 0.9},
        "moving": {**whole, "geometry_converged": False},
        "half": {"A": "Ag", "B": "Al"},
    }
    output = extend(table, {**bad, "good": whole})
    for name in bad:
        assert f"left out {name}: " in output
    assert "1 new rows" in output


def test_a_self_consistent_gap_takes_the_place_of_one_on_the_orbitals_of_a_metal(extend_dataset: ModuleType) -> None:
    rows = {"formula": ["AgBiCs2Br6", "CuInCs2Cl6"], "gap_hse06_soc_ev": [1.8, 1.6], "pbe_gapless": [0, 1]}
    table = pd.DataFrame(rows | {"hybrid_self_consistent": 0, "computed_by": "first"})
    again = table.assign(gap_hse06_soc_ev=[1.9, 1.34], pbe_gapless=0, hybrid_self_consistent=1, computed_by="second")
    better = extend_dataset.replacements(table, again)
    assert better["formula"].tolist() == ["CuInCs2Cl6"]  # the other is not to be doubted, and stays
    assert better.iloc[0]["gap_hse06_soc_ev"] == 1.34
    assert better.iloc[0]["pbe_gapless"] == 1
    assert better.iloc[0]["computed_by"] == "first, then second"
    assert extend_dataset.replacements(table, again.assign(hybrid_self_consistent=0)).empty
