"""The registry: the shipped table, and files of others that must be the right ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from aiida_perovskite.datasets import DatasetError, list_datasets, load_dataset, load_elpasolites_as_stored

MP_HEADER = "A,B,C,D,band_gap_eV,lowest_of_duplicates\n"
PHASES_HEADER = b"reduced_formula,ef_min_eV_per_atom,n_entries\n"


def test_the_shipped_gaps_are_physical() -> None:
    data = load_dataset("halide-gaps-gpaw")
    frame = data.frame
    assert len(frame) >= 152
    assert data.card.verified, "SHA256SUMS is not of the shipped table: add rows with tools/extend_dataset.py"
    assert data.card == list_datasets()["halide-gaps-gpaw"]
    assert frame["computed_by"].notna().all()
    # A hybrid functional opens the gap wherever PBE has one.
    gapped = frame[frame["pbe_gapless"] == 0]
    assert (gapped["gap_hse06_ev"] > gapped["gap_pbe_ev"]).all()
    assert (frame["direct_gap_hse06_soc_ev"] >= frame["gap_hse06_soc_ev"] - 1e-4).all()
    assert frame["force_on_halide_ev_per_angstrom"].abs().max() < 0.5
    assert frame["x_halide"].between(0.15, 0.35).all()


def test_the_first_gaps_leave_something_to_find() -> None:
    """The demo learns from these, whatever the whole table holds by now."""
    first, whole = (load_dataset(name) for name in ("halide-gaps-gpaw-first", "halide-gaps-gpaw"))
    assert first.card.verified
    assert len(first.frame) == 152
    found = whole.frame[~whole.frame["formula"].isin(first.frame["formula"])]
    assert len(found) + len(first.frame) == len(whole.frame)
    assert found["gap_hse06_soc_ev"].between(0.9, 1.6).any()


def test_the_demo_elpasolites_are_of_the_space_and_say_what_they_are() -> None:
    data = load_elpasolites_as_stored(name="elpasolites-chgnet-demo")
    assert data.card.verified, "SHA256SUMS is not of the shipped table: run tools/compute_elpasolites.py"
    assert "not DFT" in data.card.title
    assert data.frame["computed_by"].str.contains("not DFT").all()
    assert data.frame["formation_energy_ev_per_atom"].between(-5, 8).all()
    assert len(load_dataset("elpasolites-chgnet-demo").frame) == len(data.frame) >= 300


@pytest.mark.parametrize(
    ("name", "file", "rows", "in_space"),
    [
        ("mp-abc2d6-legacy2023", "mp-abc2d6-legacy2023/abc2d6_fm3m_sites_legacy.csv", 2103, 767),
        ("mp-abc2d6-2026", "mp-abc2d6-2026/abc2d6_fm3m_sites.csv", 2609, 839),
    ],
)
def test_materials_project_tables(shared_folder: Path, name: str, file: str, rows: int, in_space: int) -> None:
    data = load_dataset(name, shared_folder / "data" / file)
    assert len(data.frame) == rows
    assert data.frame["in_halide_space"].sum() == in_space
    assert data.frame["formula"].is_unique
    assert data.frame[data.target].between(0, 10).all()


def test_elpasolites_hold_each_compound_once(shared_folder: Path) -> None:
    import numpy as np

    data = load_dataset("elpasolite-prl2016", shared_folder / "data/elpasolite-prl2016/elpasolite_prl2016_10590.csv")
    assert data.frame["formula"].is_unique
    assert (data.frame["a"] < data.frame["b"]).all()
    # Ten equal bins of the energy, A and B both ways, as published: it fixes the rows, and which duplicates stay.
    counts, _ = np.histogram(data.frame[data.target], bins=10)
    assert (2 * counts).tolist() == [86, 270, 984, 4688, 9650, 3446, 1200, 566, 186, 36]


def test_elpasolites_as_stored_keep_every_row_and_the_order_of_a_and_b(shared_folder: Path, tmp_path: Path) -> None:
    file = shared_folder / "data/elpasolite-prl2016/elpasolite_prl2016_10590.csv"
    frame = load_elpasolites_as_stored(file).frame
    assert list(frame.columns) == ["a", "b", "c", "d", "formation_energy_ev_per_atom"]
    assert frame.iloc[0].tolist() == ["O", "C", "Xe", "Sb", 0.9603148225999998]
    exchanged = frame[["b", "a", "c", "d"]].set_axis([*"abcd"], axis=1)
    assert len(frame) == 10590
    assert len(frame.merge(exchanged)) == 68
    (tmp_path / "mine.csv").write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="not the registered file"):
        load_elpasolites_as_stored(tmp_path / "mine.csv")


def test_competing_phases_hold_each_formula_once(shared_folder: Path) -> None:
    file = shared_folder / "data/competing-phases-halides/mp2019_halide_formation_energies.csv"
    frame = load_dataset("competing-phases-halides", file).frame
    assert list(frame.columns) == ["formula", "n_atoms", "formation_energy_ev_per_atom", "n_entries"]
    assert len(frame) == 4716
    assert frame["formula"].is_unique
    silver_bromide = frame.set_index("formula").loc["AgBr"]
    assert silver_bromide.tolist() == [2, -0.37155557, 4]


def test_a_dataset_that_cannot_be_fetched_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIIDA_PEROVSKITE_MP_ABC2D6_2026", raising=False)
    with pytest.raises(DatasetError, match=r"mp-api .* --file or the environment variable AIIDA_PEROVSKITE_MP_ABC2D6"):
        load_dataset("mp-abc2d6-2026")


def test_the_environment_variable_is_asked_and_the_checksum_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(MP_HEADER + "Ag,Bi,Cs,Br,1.2,1\nAg,Bi,Cs,Br,1.3,0\nNi,Bi,Ba,O,0.4,1\n")
    monkeypatch.setenv("AIIDA_PEROVSKITE_MP_ABC2D6_2026", str(path))
    with pytest.raises(DatasetError, match=r"mine\.csv is not the registered file"):
        load_dataset("mp-abc2d6-2026")
    data = load_dataset("mp-abc2d6-2026", verify=False)
    assert data.frame["gap_pbe_ev"].tolist() == [1.2, 0.4]
    assert data.frame["in_halide_space"].tolist() == [True, False]
    assert not data.card.verified
    assert data.card.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mp-abc2d6-2026", b"A,B,C,band_gap_eV\nAg,Bi,Cs,1.2\n", "no column D, lowest_of_duplicates"),
        ("mp-abc2d6-2026", MP_HEADER.encode() + b"Ag,,Cs,Br,1.2,1\n", "no element in A, B, C or D in row 2"),
        ("mp-abc2d6-2026", MP_HEADER.encode() + b"Ag,Bi,Cs,Br,,1\n", r"no number in row 2 \(AgBiCs2Br6\)"),
        ("mp-abc2d6-2026", bytes(range(256)), "cannot be read"),
        ("elpasolite-prl2016", b"A,B,C,D\nAg,Bi,Cs,Br\n", "no column formation_energy_eV_per_atom"),
        ("competing-phases-halides", b"reduced_formula,n_entries\nAgBr,4\n", "no column ef_min_eV_per_atom"),
        ("competing-phases-halides", PHASES_HEADER + b"AgBr,,4\nAgCl,inf,1\n", "no finite energy in row 2, 3"),
        ("competing-phases-halides", PHASES_HEADER + b"AgBx,-1,4\n", "'AgBx' is no formula"),
    ],
)
def test_another_snapshot_that_is_no_such_table(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=words) as caught:
        load_dataset(name, path, verify=False)
    assert "\n" not in str(caught.value)


def test_an_unknown_dataset_names_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="halide-gaps-gpaw"):
        load_dataset("halide-gaps")
