"""Generators compared by a real job: tables and generators are nodes, and the report is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from smooth_elpasolites import smooth_frame

SETTINGS = {
    "models": {"independent": {}, "vae": {"updates": 20, "width": 16}},
    "fits": 2,
    "classes": [4],
    "samples": 200,
}


def builder(code: Any, settings: dict[str, Any]) -> Any:
    from aiida.orm import Dict

    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.generative_study import GenerativeStudyWorkChain

    filled = GenerativeStudyWorkChain.get_builder()
    filled.code = code
    filled.dataset = CompositionTableData.from_frame(smooth_frame(200), name="energies")
    filled.settings = Dict(settings)
    return filled


def test_from_a_table_to_nodes_and_a_report(aiida_profile_clean: Any, python_code: Any, tmp_path: Path) -> None:
    from aiida.engine import run_get_node

    from aiida_perovskite.cli.benchmark import export
    from aiida_perovskite.learning.generative import load_generator
    from aiida_perovskite.report.benchmark_render import write_benchmark
    from aiida_perovskite.workflows.generative_study import TABLES

    _, node = run_get_node(builder(python_code, SETTINGS))
    assert node.is_finished_ok, node.exit_message
    assert set(node.outputs) == {*TABLES, "summary", "generators"}
    metrics = node.outputs.metrics.to_frame()
    assert metrics["model"].tolist() == ["independent", "vae"]
    assert (metrics["fits"] == 2).all()

    names = node.outputs.generators.base.repository.list_object_names()
    assert len(names) == 4
    first = next(name for name in names if name.startswith("vae-"))
    node.outputs.generators.base.repository.copy_tree(tmp_path / "generators")
    assert load_generator(tmp_path / "generators" / first).settings.updates == 20

    export(node, tmp_path)
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["nodes"]["metrics"] == node.outputs.metrics.uuid
    assert content["settings"]["models"]["vae"]["updates"] == 20
    assert len(pd.read_csv(tmp_path / "metrics.csv")) == 2
    page = write_benchmark(tmp_path, tmp_path / "report.html").read_text(encoding="utf-8")
    assert node.outputs.elements.uuid in page
    assert "outside the provenance graph" not in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": {"flow": {}}}, "There is no generator 'flow'"),
        ({"classes": [11]}, "numbers from 1 to 10"),
        ({"samples": "many"}, "must be whole numbers"),
    ],
)
def test_settings_that_make_no_sense_are_refused(python_code: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        builder(python_code, {**SETTINGS, **changes})


def sizes_builder(code: Any, **overrides: Any) -> Any:
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.generative_study import GenerativeSizesWorkChain

    table = CompositionTableData.from_frame(smooth_frame(200), name="energies")
    small = {"models": {"independent": {}}, "sizes": [100, None], "fits": 2, "energy_class": 4, "samples": 200}
    return GenerativeSizesWorkChain.get_builder_from_protocol(
        code, table, overrides={**small, "max_concurrent": 4, **overrides}
    )


def test_sizes_with_and_without_the_exchange_of_a_and_b(aiida_profile_clean: Any, python_code: Any) -> None:
    """A job each; a study of a part of it computes nothing."""
    from aiida.engine import run_get_node
    from aiida.orm import CalcJobNode, QueryBuilder

    _, node = run_get_node(sizes_builder(python_code))
    assert node.is_finished_ok, node.exit_message
    assert QueryBuilder().append(CalcJobNode).count() == 4
    metrics = node.outputs.metrics.to_frame()
    assert list(zip(metrics["training_rows"], metrics["permuted"], strict=True)) == [
        (100, True),
        (400, True),
        (100, False),
        (200, False),
    ]
    assert (metrics["fits"] == 2).all()
    assert metrics["precision"].nunique() == 4, "each part has learned other rows"
    assert metrics["precision_std"].notna().all()
    assert node.outputs.summary["lost"] == {}

    _, part = run_get_node(sizes_builder(python_code, sizes=[None], permuted=[False]))
    assert part.is_finished_ok, part.exit_message
    assert part.outputs.metrics.to_frame()["training_rows"].tolist() == [200]
    assert QueryBuilder().append(CalcJobNode).count() == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"sizes": [300]}, "300 rows cannot be drawn: the table holds 200, each compound in one order"),
        ({"sizes": []}, "sizes = .* is out of its range"),
        ({"sizes": 100}, "must be lists"),
        ({"models": {"flow": {}}}, "There is no generator 'flow'"),
        ({"permuted": ["both"]}, "true, false or both"),
        ({"energy_class": 11}, "numbers from 1 to 10"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(
    aiida_profile_clean: Any, python_code: Any, overrides: dict[str, Any], words: str
) -> None:
    from aiida.engine import run_get_node

    with pytest.raises(ValueError, match=words):
        run_get_node(sizes_builder(python_code, **overrides))
