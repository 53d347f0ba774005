from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_species import species_folder, species_text

from aiida_perovskite.engines.aims.species import Tier, find_species, read_species, read_species_file


def test_what_a_block_says() -> None:
    text = species_text("Bi")
    block = read_species(text)
    assert (block.element, block.species, block.nucleus_charge) == ("Bi", "Bi", 83)
    assert (block.cut_pot, block.l_hartree) == ((1.25, 0.5, 1.0), 3)
    assert block.tiers == (
        Tier("first", ("hydro 2 p 9.75",), ("hydro 3 d 9.25",)),
        Tier("second", (), ("ionic 4 s auto",)),
    )
    assert block.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert read_species(text + " ").sha256 != block.sha256


def test_a_real_block_in_a_published_control_in(shared_folder: Path) -> None:
    """Two kinds of headings, functions under `Further`, and a label of Hubbard corrections in between."""
    from aiida_perovskite.engines.aims.control import read_control

    species = read_control((shared_folder / "aims-outputs/parametric_symmetry_ceo2/control.in").read_text()).species
    cerium, oxygen = read_species(species["Ce"]), read_species(species["O"])
    assert (cerium.element, oxygen.element) == ("Ce", "O")
    assert [(tier.name, len(tier.active), len(tier.inactive)) for tier in cerium.tiers] == [
        ("first", 5, 0),
        ("second", 0, 7),
        ("third", 0, 7),
        ("fourth", 0, 6),
    ]
    assert [tier.name for tier in oxygen.tiers] == ["first", "second", "third", "fourth", "further"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  species        Br\n", "", "`species` line is missing"),
        ("  species        Br\n", "  species\n", "`species` line is missing"),
        ("    nucleus      35\n", "", "`nucleus` line of Br is missing"),
        ("nucleus      35", "nucleus 0", "no element's"),
        ("nucleus      35", "nucleus 35.5", "no element's"),
        ("nucleus      35", "nucleus nan", "where a number belongs"),
        ("nucleus      35", "nucleus bromine", "where a number belongs"),
        ("l_hartree    3", "l_hartree inf", "where a number belongs"),
        ("  species        Br\n", "  species        Br\n  species Cl\n", "stands 2 times"),
        ("1.25", "1.25\0", "control characters"),
        ("\n", "\r\n", "dos2unix"),
    ],
)
def test_what_is_no_species_block_is_refused(old: str, new: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_species(species_text("Br").replace(old, new))


@given(st.text())
def test_any_other_text_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="species"):
        read_species(text)


@pytest.mark.parametrize("content", [b"", b"\x7fELF\x02\x01\0\0", b"species \xff", b"x" * 2_000_000])
def test_files_that_are_no_text_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "35_Br_default"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="35_Br_default"):
        read_species_file(path)


def test_files_are_found_by_name_and_others_ignored(tmp_path: Path) -> None:
    folder = species_folder(tmp_path / "light")
    for other in ("00_Emptium_default", "35_Br_default.bak", "Br_default"):
        (folder / other).write_text("")
    (folder / "17_Cl_default").mkdir()
    found = find_species(folder)
    assert {element: path.name for element, path in found.items()} == {
        "Br": "35_Br_default",
        "Ag": "47_Ag_default",
        "Cs": "55_Cs_default",
        "Bi": "83_Bi_default",
    }
    assert read_species_file(found["Cs"])[0] == species_text("Cs")
    (folder / "035_Br_default").write_text("")
    with pytest.raises(ValueError, match=r"035_Br_default and 35_Br_default .* both claim Br"):
        find_species(folder)
    with pytest.raises(ValueError, match="is no folder"):
        find_species(tmp_path / "none")
