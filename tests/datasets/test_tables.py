"""Tables of users: what is wrong with one is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from aiida_perovskite.datasets import DatasetError, load_table


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gaps.csv"
    path.write_text(text)
    return path


def test_a_good_table_gets_canonical_formulas_and_sites(tmp_path: Path) -> None:
    frame = load_table(written(tmp_path, "name,formula,gap_ev\nx,Cs2BiAgBr6,1.8\n"), "gap_ev")
    assert frame.iloc[0].to_dict() == {
        "formula": "AgBiCs2Br6",
        "a": "Ag",
        "b": "Bi",
        "c": "Cs",
        "d": "Br",
        "name": "x",
        "gap_ev": 1.8,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("formula,gap\nCs2AgBiBr6,1.8\n", "no column gap_ev; its columns are formula, gap"),
        ("composition,gap_ev\nCs2AgBiBr6,1.8\n", "no column formula"),
        ("formula,gap_ev\nCs2AgBiBr6,\nCs2AgInBr6,1.2\n", r"no number in row 2 \(Cs2AgBiBr6\)"),
        ("formula,gap_ev\nCs2AgBiBr6,inf\n", "no number in row 2"),
        ("formula,gap_ev\nCs2AgBiBr6,wide\n", "no number in row 2"),
        ("formula,gap_ev\nCs2AgBiBr6,1.8\nCs2BiAgBr6,1.9\n", "occur twice .*AgBiCs2Br6 in rows 2 and 3"),
        ("formula,gap_ev\nCs2AgBiBr5,1.8\n", "not ABC2D6: row 2: "),
        ("formula,gap_ev\nCs2AgXxBr6,1.8\n", "not ABC2D6: row 2: "),
        ("formula,gap_ev\n,1.8\n", "row 2: no formula"),
        ("formula,a,gap_ev\nCs2AgBiBr6,11.3,1.8\n", "column a does not hold elements"),
        ("formula,gap_ev\nCs2AgBiBr6,1.8\nCs2AgBiBr6,1.8,2,3\n", "cannot be read as .csv"),
        ("formula,gap_ev\n", "no rows"),
        ("", "cannot be read as .csv"),
    ],
)
def test_a_bad_table_is_refused_with_its_rows(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        load_table(written(tmp_path, text), "gap_ev")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = "formula,gap_ev\nCs2AgBiBr5,1.8\nCs2AgInBr6,\nCs2AgBiCl6,2.6\nCs2BiAgCl6,2.6\n"
    with pytest.raises(DatasetError, match=r"ABC2D6: row 2.* rows 4 and 5; and .* no number in row 3") as caught:
        load_table(written(tmp_path, text), "gap_ev")
    assert "\n" not in str(caught.value)


def test_many_bad_rows_are_counted_not_poured_out(tmp_path: Path) -> None:
    rows = "".join(f"Cs2AgBiBr{n},1.8\n" for n in range(7, 27))
    with pytest.raises(DatasetError, match=r"row 2: .* and 15 more$"):
        load_table(written(tmp_path, "formula,gap_ev\n" + rows), "gap_ev")


def test_parquet_is_read_as_well(tmp_path: Path) -> None:
    pd.DataFrame({"formula": ["Cs2AgBiBr6"], "gap_ev": [1.8]}).to_parquet(tmp_path / "gaps.parquet")
    assert load_table(tmp_path / "gaps.parquet", "gap_ev")["formula"].tolist() == ["AgBiCs2Br6"]


def test_numbers_held_as_text_become_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"formula": ["Cs2AgBiBr6"], "gap_ev": ["1.8"]}).to_parquet(tmp_path / "gaps.parquet")
    assert load_table(tmp_path / "gaps.parquet", "gap_ev")["gap_ev"].tolist() == [1.8]


def test_a_table_of_too_many_columns_is_refused_before_it_is_read(tmp_path: Path) -> None:
    names = ",".join(f"x{number}" for number in range(100_000))
    with pytest.raises(DatasetError, match="100002 columns, more than"):
        load_table(written(tmp_path, f"formula,gap_ev,{names}\nCs2AgBiBr6,1.8\n"), "gap_ev")
    with pytest.raises(DatasetError) as error:
        load_table(written(tmp_path, f"{','.join(names.split(',')[:9000])}\n1\n"), "gap_ev")
    assert len(str(error.value)) < 1000, "a message is a sentence, however wide the table"


def test_a_small_file_does_not_become_a_huge_table(tmp_path: Path) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "bomb.parquet"
    block = pa.table({"formula": pa.array(["Cs2AgBiBr6"] * 1_000_000), "gap_ev": pa.array([1.8] * 1_000_000)})
    with pq.ParquetWriter(path, block.schema, compression="zstd") as writer:
        for _ in range(160):
            writer.write_table(block)
    assert path.stat().st_size < 5 * 2**20
    with pytest.raises(DatasetError, match="too many to be read"):
        load_table(path, "gap_ev")
    packed = tmp_path / "bomb.csv.gz"
    packed.write_bytes(gzip.compress(b"formula,gap_ev\nCs2AgBiBr6,1.8\n"))
    with pytest.raises(DatasetError, match=r"cannot be read as \.gz"):
        load_table(packed, "gap_ev")


def test_cells_that_are_no_plain_values(tmp_path: Path) -> None:
    pd.DataFrame({"formula": ["Cs2AgBiBr6"], "gap_ev": [1.8], "a": [["Ag"]]}).to_parquet(tmp_path / "gaps.parquet")
    with pytest.raises(DatasetError, match="column a does not hold elements"):
        load_table(tmp_path / "gaps.parquet", "gap_ev")
