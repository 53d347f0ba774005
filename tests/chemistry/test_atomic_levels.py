"""Levels of ions against chemistry that is known, against NIST's table, and against the program that made them."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pymatgen.core.periodic_table import Element
from tool_modules import load_tool

from aiida_perovskite.chemistry import (
    AtomicOrbital,
    LevelTableError,
    ion_level,
    load_atomic_levels,
    load_atomic_orbitals,
    prior_levels,
    read_levels,
    reference_levels,
)

TOOL = Path(__file__).parents[2] / "tools" / "atomic_levels.py"
DATASETS = {
    "mp-abc2d6-legacy2023": "abc2d6_fm3m_sites_legacy.csv",
    "mp-abc2d6-2026": "abc2d6_fm3m_sites.csv",
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("atomic_levels")


@pytest.mark.parametrize(
    ("ion", "homo", "lumo"),
    [
        (("Cs", 1), "5p", "6s"),
        (("Li", 1), "1s", "2s"),
        (("Al", 3), "2p", "3s"),
        # d10 and s2 ions
        *[(("Ag", 1), "4d", "5s"), (("Au", 1), "5d", "6s"), (("Zn", 2), "3d", "4s"), (("Tl", 3), "5d", "6s")],
        *[(("Bi", 3), "6s", "6p"), (("Tl", 1), "6s", "6p"), (("In", 1), "5s", "5p"), (("Te", 6), "4d", "5s")],
        # d0: into d, though in the neutral atoms of Zr and Ta s lies lower
        *[(("Sc", 3), "3p", "3d"), (("Zr", 4), "4p", "4d"), (("Ta", 5), "4f", "5d"), (("La", 3), "5p", "5d")],
        # open shells; palladium has no s electrons to lose
        *[
            (("Fe", 3), "3d", "3d"),
            (("Pd", 2), "4d", "4d"),
            (("Tc", 1), "4d", "4d"),
            (("Au", 3), "5d", "5d"),
            (("Nd", 3), "4f", "4f"),
        ],
        *[(("U", 6), "6p", "5f"), (("Yb", 2), "4f", "6s"), (("Yb", 3), "4f", "4f"), (("Ce", 4), "5p", "4f")],
        # anions
        *[(("F", -1), "2p", "3s"), (("I", -1), "5p", "6s"), (("N", -3), "2p", "3s"), (("H", -1), "1s", "2s")],
    ],
)
def test_orbitals_of_ions(ion: tuple[str, int], homo: str, lumo: str) -> None:
    level = ion_level(*ion)
    assert (level.homo_orbital, level.lumo_orbital) == (homo, lumo)
    assert level.homo_ev <= level.lumo_ev
    assert (level.lumo_ev == 0.0) == (ion[1] < 0)
    if homo == lumo:
        assert level.homo_ev == level.lumo_ev


@pytest.mark.parametrize(("symbol", "charge"), [("Na", 12), ("H", 1), ("F", -2), ("Ag", 0)])
def test_ions_that_cannot_be(symbol: str, charge: int) -> None:
    with pytest.raises(LevelTableError, match="no ion of charge"):
        ion_level(symbol, charge)
    with pytest.raises(LevelTableError, match="no element 'Xx'"):
        ion_level("Xx", 1)


def test_the_orbitals_are_of_neutral_atoms() -> None:
    for symbol, orbitals in load_atomic_orbitals().items():
        assert sum(orbital.electrons for orbital in orbitals) == Element(symbol).Z
        assert all(orbital.energy_ev < 0 for orbital in orbitals)


def test_without_relativity_they_are_those_of_nist() -> None:
    """NIST's table comes with pymatgen; it differs in how correlation is parametrised."""
    compared = 0
    for symbol, orbitals in load_atomic_orbitals().items():
        if Element(symbol).Z <= 92:
            nist = Element(symbol).atomic_orbitals_eV
            assert set(nist) == {orbital.orbital for orbital in orbitals}
            for orbital in orbitals:
                assert orbital.nonrelativistic_ev == pytest.approx(nist[orbital.orbital], abs=0.02, rel=2e-4)
            compared += 1
    assert compared == 92


def test_relativity_lowers_the_6s_of_gold_and_raises_its_5d() -> None:
    gold = {orbital.orbital: orbital for orbital in load_atomic_orbitals()["Au"]}
    assert gold["6s"].energy_ev < gold["6s"].nonrelativistic_ev - 1.0
    assert gold["5d"].energy_ev > gold["5d"].nonrelativistic_ev + 0.5
    silver = {orbital.orbital: orbital for orbital in load_atomic_orbitals()["Ag"]}
    # Without relativity gold would be another silver.
    assert gold["6s"].nonrelativistic_ev == pytest.approx(silver["5s"].nonrelativistic_ev, abs=0.2)
    assert gold["6s"].energy_ev < silver["5s"].energy_ev - 1.0


def test_the_shipped_levels_follow_from_the_orbitals_and_carry_their_sources() -> None:
    for level in load_atomic_levels():
        again = ion_level(level.symbol, level.oxidation_state)
        assert (again.homo_ev, again.lumo_ev) == (level.homo_ev, level.lumo_ev)
        assert (again.homo_orbital, again.lumo_orbital) == (level.homo_orbital, level.lumo_orbital)
        assert (again.homo_source, again.lumo_source) == (level.homo_source, level.lumo_source)
        assert all((level.homo_source, level.lumo_source, level.state_source))
        assert level.homo_ev <= level.lumo_ev


def test_the_shipped_states_are_those_of_the_data(tool: ModuleType, shared_folder: Path) -> None:
    files = [f"{name}={shared_folder / 'data' / name / file}" for name, file in DATASETS.items()]
    formulas = tool.formulas(files)
    states = tool.common_states(formulas)
    shipped = {level.symbol: (level.oxidation_state, level.state_source) for level in load_atomic_levels()}
    assert shipped == states
    known = {"Cs": 1, "Ba": 2, "Ag": 1, "Bi": 3, "Tl": 1, "Nd": 3, "W": 6, "Cl": -1, "O": -2, "H": -1, "N": -3, "P": -3}
    assert {symbol: states[symbol][0] for symbol in known} == known
    elements = {symbol for formula in formulas for symbol in tool.Composition.parse(formula).elements}
    assert elements <= set(reference_levels())


@pytest.mark.parametrize("symbol", ["Al", "Br", "Au"])
def test_the_solver_gives_what_is_shipped(tool: ModuleType, symbol: str) -> None:
    pytest.importorskip("gpaw", reason="the levels are computed by GPAW, which is not installed")
    computed = {orbital.orbital: orbital for orbital in tool.solve(symbol)}
    shipped = {orbital.orbital: orbital for orbital in load_atomic_orbitals()[symbol]}
    assert set(computed) == set(shipped)
    for name, orbital in shipped.items():
        assert computed[name].electrons == orbital.electrons
        assert computed[name].energy_ev == pytest.approx(orbital.energy_ev, abs=2e-3)
        assert computed[name].nonrelativistic_ev == pytest.approx(orbital.nonrelativistic_ev, abs=2e-3)


def test_own_states_make_a_table_of_their_own(tmp_path: Path) -> None:
    """With the column of states edited, the tool writes the levels again, and they can be read as a user's table."""
    states = tmp_path / "states.csv"
    states.write_text("symbol,oxidation_state\nAu,3\nTl,3\n")
    command = [sys.executable, TOOL, "--keep-orbitals", "--states", states, "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    with (tmp_path / "atomic_levels.csv").open(newline="") as file:
        assert [(row["symbol"], row["lumo_orbital"]) for row in csv.DictReader(file)] == [("Au", "5d"), ("Tl", "6s")]
    assert read_levels(tmp_path / "atomic_levels.csv")["Tl"] == (ion_level("Tl", 3).homo_ev, ion_level("Tl", 3).lumo_ev)


def test_where_the_solver_fails_the_table_of_nist_stands_in_and_says_so(tool: ModuleType) -> None:
    plain = {"1s": (-1.0, 2), "2s": (-2.0, 2)}
    energies, source = tool.fallback("Be", plain, "AssertionError")
    assert energies == {name: (Element("Be").atomic_orbitals_eV[name], 2) for name in plain}
    assert source == "LDA of NIST; not relativistic, since the relativistic solution failed (AssertionError)"
    energies, source = tool.fallback("Es", plain, "AssertionError")
    assert energies == plain
    assert "GPAW" in source


def test_levels_of_many_sites() -> None:
    homo, lumo = prior_levels([["Ag", "Bi", "Cs", "Br"], ["Og", "Ag", "Ag", "Br"]])
    levels = reference_levels()
    assert homo.shape == lumo.shape == (2, 4)
    np.testing.assert_array_equal(homo[0], [levels[symbol][0] for symbol in ("Ag", "Bi", "Cs", "Br")])
    assert np.isnan([homo[1, 0], lumo[1, 0]]).all()
    assert (homo[1, 1], lumo[1, 3]) == (levels["Ag"][0], 0.0)
    assert prior_levels(np.empty((0, 4), dtype=str))[0].shape == (0, 4)
    assert prior_levels(["Ag"], {"Ag": (-5.0, -1.0)})[1].tolist() == [-1.0]


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text("lumo_ev, symbol,homo_ev,note\n-1.5,Ag,-7,mine\n\n0,Br,-7.5,\n", encoding="utf-8-sig")
    assert read_levels(path) == {"Ag": (-7.0, -1.5), "Br": (-7.5, 0.0)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"symbol,homo_ev\nAg,-7\n", "levels.csv has no column lumo_ev"),
        (b"", "no column symbol, homo_ev, lumo_ev"),
        (b"symbol,homo_ev,lumo_ev\n", "has no rows"),
        (b"symbol,homo_ev,lumo_ev\nAg,-7,-1\nXx,-7,-1\n", "line 3: 'Xx' is not the symbol of an element"),
        (b"symbol,homo_ev,lumo_ev\nAg,-7,-1\nAg,-7,-1\n", "line 3: Ag stands there a second time"),
        (b"symbol,homo_ev,lumo_ev\nAg,low,-1\n", "homo_ev of Ag is 'low', which is no finite number"),
        (b"symbol,homo_ev,lumo_ev\nAg,-7,nan\n", "lumo_ev of Ag is 'nan', which is no finite number"),
        (b"symbol,homo_ev,lumo_ev\nAg,-7\n", "lumo_ev of Ag is ''"),
        (b"symbol,homo_ev,lumo_ev\nAg,-1,-7\n", r"HOMO of Ag \(-1 eV\) lies above its LUMO \(-7 eV\)"),
        (b"\xff\xfe\x00", "is no text"),
    ],
)
def test_tables_that_will_not_do(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "levels.csv"
    path.write_bytes(content)
    with pytest.raises(LevelTableError, match=words):
        read_levels(path)


def test_no_table_at_all(tmp_path: Path) -> None:
    with pytest.raises(LevelTableError, match="cannot be read"):
        read_levels(tmp_path / "none.csv")


def test_levels_of_an_atom_of_ones_own() -> None:
    """The rules need no shipped table: helium-like beryllium."""
    atom = (
        AtomicOrbital("Be", "1s", 2, -105.0, -105.0, "by hand"),
        AtomicOrbital("Be", "2s", 2, -5.6, -5.6, "by hand"),
    )
    level = ion_level("Be", 2, {"Be": atom})
    assert (level.homo_ev, level.lumo_ev, level.homo_source) == (-105.0, -5.6, "by hand")
