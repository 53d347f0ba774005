"""The table node: one file, described by its attributes, equal bytes for equal content."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pandas as pd
import pytest

FRAME = pd.DataFrame({"formula": ["AgBiCs2Br6", "AgInCs2Br6"], "gap_ev": [1.8, 1 / 3], "known": [True, False]})


def test_round_trip_and_what_can_be_queried(aiida_profile_clean: Any) -> None:
    from aiida.orm import QueryBuilder, load_node

    from aiida_perovskite.data.table import CompositionTableData

    node = CompositionTableData.from_frame(FRAME, name="gaps", origin={"licence": "CC0"}).store()
    again = load_node(node.pk)
    pd.testing.assert_frame_equal(again.to_frame(), FRAME)
    found = QueryBuilder().append(
        CompositionTableData, filters={"attributes.n_rows": 2, "attributes.origin.licence": "CC0"}
    )
    assert found.count() == 1
    assert again.base.attributes.get("columns")[1] == {"name": "gap_ev", "dtype": "double", "unit": "eV"}


def test_equal_tables_are_equal_bytes_in_any_process_and_equal_hashes(aiida_profile_clean: Any) -> None:
    import hashlib

    from aiida_perovskite.data.table import CompositionTableData

    code = (
        "import pandas as pd, hashlib\n"
        "from aiida_perovskite.data.table import CompositionTableData\n"
        "f = pd.DataFrame({'formula': ['AgBiCs2Br6', 'AgInCs2Br6'], 'gap_ev': [1.8, 1 / 3], 'known': [True, False]})\n"
        "n = CompositionTableData.from_frame(f, name='gaps')\n"
        "print(hashlib.sha256(n.content).hexdigest())\n"
    )
    node = CompositionTableData.from_frame(FRAME, name="gaps").store()
    program = f"from aiida.manage.configuration import load_profile; load_profile('{aiida_profile_clean.name}')\n{code}"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == hashlib.sha256(node.content).hexdigest()
    twin = CompositionTableData.from_frame(FRAME.copy(), name="gaps").store()
    assert twin.base.caching.get_hash() == node.base.caching.get_hash()
    other = CompositionTableData.from_frame(FRAME.iloc[::-1], name="gaps").store()
    assert other.base.caching.get_hash() != node.base.caching.get_hash()


def test_a_table_whose_file_is_not_what_it_says_is_not_stored(aiida_profile_clean: Any) -> None:
    from aiida.common.exceptions import ValidationError

    from aiida_perovskite.data.table import CompositionTableData

    node = CompositionTableData.from_frame(FRAME, name="gaps")
    node.base.attributes.set("n_rows", 3)
    with pytest.raises(ValidationError, match="do not describe"):
        node.store()
