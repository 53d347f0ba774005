"""The registry: the shipped table, and files of others that must be the right ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiida_perovskite.datasets import DatasetError, load_dataset


def test_the_shipped_gaps_are_physical() -> None:
    data = load_dataset("halide-gaps-gpaw")
    frame = data.frame
    assert len(frame) >= 152
    assert len(data.card.sha256) == 64
    assert frame["computed_by"].notna().all()
    # A hybrid functional opens the gap wherever PBE has one.
    gapped = frame[frame["pbe_gapless"] == 0]
    assert (gapped["gap_hse06_ev"] > gapped["gap_pbe_ev"]).all()
    assert (frame["direct_gap_hse06_soc_ev"] >= frame["gap_hse06_soc_ev"] - 1e-4).all()
    assert frame["force_on_halide_ev_per_angstrom"].abs().max() < 0.5
    assert frame["x_halide"].between(0.15, 0.35).all()


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


def test_elpasolites_keep_the_order_of_a_and_b(shared_folder: Path) -> None:
    data = load_dataset("elpasolite-prl2016", shared_folder / "data/elpasolite-prl2016/elpasolite_prl2016_10590.csv")
    assert len(data.frame) == 10590
    assert (data.frame["a"] > data.frame["b"]).any()


def test_a_dataset_that_cannot_be_fetched_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIIDA_PEROVSKITE_MP_ABC2D6_2026", raising=False)
    with pytest.raises(DatasetError, match=r"mp-api .* --file or the environment variable AIIDA_PEROVSKITE_MP_ABC2D6"):
        load_dataset("mp-abc2d6-2026")


def test_the_environment_variable_is_asked_and_the_checksum_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "A,B,C,D,band_gap_eV,lowest_of_duplicates,in_thesis_7056_space\nAg,Bi,Cs,Br,1.2,1,1\nAg,Bi,Cs,Br,1.3,0,1\n"
    )
    monkeypatch.setenv("AIIDA_PEROVSKITE_MP_ABC2D6_2026", str(path))
    with pytest.raises(DatasetError, match=r"mine\.csv is not the registered file"):
        load_dataset("mp-abc2d6-2026")
    data = load_dataset("mp-abc2d6-2026", verify=False)
    assert data.frame["gap_pbe_ev"].tolist() == [1.2]
    assert data.card.sha256 != ""


def test_an_unknown_dataset_names_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="halide-gaps-gpaw"):
        load_dataset("halide-gaps")
