"""Structures from an OPTIMADE server, which is a small one on this machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from optimade_server import serve

from aiida_perovskite.datasets import DatasetError
from aiida_perovskite.datasets.optimade import find_phases, write_phases


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serve() as address:
        yield address


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_every_page_of_every_system_is_read(server: str) -> None:
    asked: list[tuple[str, int]] = []
    found = find_phases(["Cs", "Br", "Ag"], server, progress=lambda system, count: asked.append((system, count)))
    assert [(phase.identifier, phase.formula, phase.formation_energy_ev_per_atom) for phase in found.phases] == [
        ("mp-1", "Cs", 0.0),
        ("mp-2", "CsBr", -2.0),
        ("mp-2/rocksalt", "CsBr", -1.9),
        ("mp-8", "AgBr", -0.5),
    ]
    assert asked[0] == ("Cs", 0)
    assert [system for system, _ in asked] == ["Cs", "Br", "Ag", "Cs-Br", "Cs-Ag", "Br-Ag", "Cs-Br-Ag"]
    assert found.provider == "mp"
    assert found.complete


def test_sites_have_the_species_that_they_name(server: str) -> None:
    """The species of an entry are listed in another order than its sites."""
    structure = find_phases(["Br", "Cs"], server).phases[1].structure
    assert [site.specie.symbol for site in structure] == ["Cs", "Br"]
    assert structure[1].frac_coords == pytest.approx([0.5, 0.5, 0.5])


def test_what_is_no_ordered_bulk_crystal_is_skipped_and_reported(server: str) -> None:
    assert find_phases(["Cs", "Br"], server).skipped == {
        "mp-3": "disordered: a site is shared or partly occupied",
        "mp-4": "not periodic in three directions",
        "mp-5": "atoms less than 0.5 Angstrom apart",
        "mp-6": "no cell or no positions",
        "mp-7": "no species of the sites",
    }


def test_a_search_ends_at_its_limit(server: str) -> None:
    found = find_phases(["Cs", "Br"], server, most_entries=2)
    assert [phase.identifier for phase in found.phases] == ["mp-1", "mp-2"]
    assert not found.complete
    assert find_phases(["Cs"], server, most_entries=1).complete


def test_cells_may_be_as_large_as_one_says(server: str) -> None:
    skipped = find_phases(["Cs", "Br"], server, most_atoms=51).skipped
    assert skipped["mp-9"] == "atoms less than 0.5 Angstrom apart"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuses", "structures refuses with status 400: no such filter"),
        ("broken", "structures refuses with status 502"),
        ("garbage", "this is no JSON object"),
        ("list", "this is no JSON object"),
        ("no-data", "there is no list of structures"),
        ("circle", "go round in a circle"),
        ("deep", "this is no JSON object"),
        ("large", "answers with more than 64 MiB"),
        ("endless", "has more than 20 pages"),
        ("huge-number", "such as _1_1_2J .no cell or no positions"),
        ("slow", "did not answer within 0.5 s"),
        ("late", "this is no JSON object"),
    ],
)
def test_faults_of_a_server_are_one_sentence(
    server: str, fault: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiida_perovskite.datasets.optimade.MOST_PAGES", 20)
    with pytest.raises(DatasetError, match=words) as caught:
        # Only these two are about time: others need some of it on a loaded machine.
        find_phases(["Cs"], f"{server}/{fault}", timeout_s=0.5 if fault in ("slow", "late") else 30.0)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(DatasetError, match=r"/v1/info cannot be reached \(ConnectionError\)"):
        find_phases(["Cs"], "http://127.0.0.1:9/v1/")


def test_an_empty_answer_says_what_was_asked(server: str) -> None:
    with pytest.raises(DatasetError, match=r"has no ordered crystal of Bi with 40 atoms or fewer$"):
        find_phases(["Bi"], server)


@pytest.mark.parametrize(
    ("elements", "address", "words"),
    [
        (["Cs", "Xx"], "mp", "Xx: no such element"),
        ([], "mp", "0 elements: give one to 6"),
        (["Cs", "Rb", "K", "Na", "Ag", "Bi", "Br"], "mp", "7 elements"),
        (["Cs"], "no-such", "neither a URL nor a server that pymatgen knows: aflow"),
    ],
)
def test_bad_questions_are_not_asked(elements: list[str], address: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        find_phases(elements, address)


def test_the_folder_holds_what_ase_reads_and_a_list(server: str, tmp_path: Path) -> None:
    from ase.io import read

    folder = tmp_path / "new" / "phases"
    write_phases(find_phases(["Cs", "Br"], server), folder)
    table = pd.read_csv(folder / "phases.csv")
    assert table.columns.tolist() == ["formula", "file", "provider", "id", "formation_energy_ev_per_atom"]
    assert table["file"].tolist() == ["Cs_mp-1.cif", "CsBr_mp-2.cif", "CsBr_mp-2_rocksalt.cif"]
    assert sorted(path.name for path in folder.iterdir()) == [*sorted(table["file"]), "phases.csv"]
    assert [path.name for path in folder.parent.iterdir()] == ["phases"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms = read(folder / "CsBr_mp-2.cif")
    assert atoms.get_chemical_symbols() == ["Cs", "Br"]
    assert atoms.cell.lengths() == pytest.approx([4.29] * 3)


def test_identifiers_of_one_spelling_stay_apart(server: str, tmp_path: Path) -> None:
    from dataclasses import replace

    found = find_phases(["Cs"], server)
    (phase,) = found.phases
    names = ["a/b", "a?b", "../a", "x" * 300]
    write_phases(replace(found, phases=[replace(phase, identifier=name) for name in names]), tmp_path / "phases")
    files = pd.read_csv(tmp_path / "phases" / "phases.csv")["file"].tolist()
    assert files[:3] == ["Cs_a_b.cif", "Cs_a_b_2.cif", "Cs_a.cif"]
    assert all((tmp_path / "phases" / name).is_file() for name in files)


def test_a_server_without_energies_gives_no_column(server: str, tmp_path: Path) -> None:
    found = find_phases(["Cs"], f"{server}/no-energies/v1")
    assert found.provider == "test"
    write_phases(found, tmp_path / "phases")
    assert pd.read_csv(tmp_path / "phases" / "phases.csv").columns.tolist() == ["formula", "file", "provider", "id"]


def test_a_folder_is_never_half_written(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_phases(["Cs"], server)

    def full(*arguments: object, **options: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="No space"):
        write_phases(found, tmp_path / "phases")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "phases").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        write_phases(found, tmp_path / "phases")
