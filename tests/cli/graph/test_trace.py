"""`aiida-perovskite trace`: from a number to everything that it was made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign_in_graph import FAILED, REFERENCE, WHOLE
from provenance_walk import upstream

pytestmark = pytest.mark.production


def traced(run: Callable[..., Any], *arguments: str) -> dict[str, Any]:
    result = run("trace", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_number_of_the_results_leads_to_the_job_and_the_training(run: Callable[..., Any], campaign: Any) -> None:
    formula = campaign.outputs.selection.to_frame().query("chosen")["formula"].iloc[WHOLE]
    candidate = campaign.base.links.get_outgoing(link_label_filter=f"candidate_{formula}").one().node
    found = traced(run, f"{campaign.outputs.results.uuid}.{formula}.slme_percent")
    efficiency, summary = candidate.outputs.efficiency, candidate.outputs.summary
    assert found["result"]["uuid"] == efficiency.uuid
    assert found["result"]["value"] == efficiency["slme_percent"]
    assert [step["uuid"] for step in found["result"]["read_from"]] == [campaign.outputs.results.uuid, summary.uuid]

    # The chain holds all that AiiDA's own links lead to by data provenance, of the number and of the choice.
    expected = upstream(efficiency, data_provenance_only=True)
    expected |= upstream(campaign.outputs.selection, data_provenance_only=True)
    assert set(expected) <= set(found["nodes"])
    assert found["chosen_by"] == [campaign.outputs.selection.uuid]
    assert found["campaigns"] == ["halides"]
    assert {candidate.uuid, campaign.uuid} == {link["source"] for link in found["called_by"]}

    facts, model = found["facts"], campaign.outputs.model
    assert [item["sha256"] for item in facts["datasets"]] == [campaign.inputs.dataset.sha256]
    assert facts["datasets"][0]["licence"] == "CC BY 4.0"
    (checkpoint,) = facts["checkpoints"]
    assert (checkpoint["uuid"], checkpoint["seed"]) == (model.uuid, model.checkpoint["seed"])
    assert sum(checkpoint["split"]["rows"].values()) == len(model.checkpoint["split"])
    assert {item["uuid"] for item in facts["seeds"]} == {campaign.inputs.training.uuid}
    assert [item["label"] for item in facts["codes"]] == ["python@localhost"]
    assert facts["computers"] == [{"label": "localhost", "hostname": "localhost"}]
    assert facts["versions"]["aiida-core"] == ["2.9.4"]
    assert facts["versions"]["torch"], "the checkpoint says which torch trained it"


def test_an_output_of_a_compound_has_the_libraries_of_its_job(run: Callable[..., Any], campaign: Any) -> None:
    found = traced(run, "Cs2AgBiBr6.gap.gap_hse06_soc_ev", "-c", "halides")
    assert found["result"]["value"] == 1.9
    assert found["facts"]["versions"]["gpaw"] == ["26.7.0"]
    assert found["facts"]["versions"]["chgnet"] == ["0.4.2"]
    assert traced(run, "Cs2AgBiBr6.gap_hse06_soc_ev", "-c", "halides")["result"]["uuid"] == found["result"]["uuid"]
    relaxed = traced(run, "Cs2AgBiBr6.relaxed.gap.gap_hse06_soc_ev", "-c", "halides")["result"]
    assert relaxed["value"] == pytest.approx(2.02)


def test_errors_of_the_model_are_not_traced_to_a_choice(run: Callable[..., Any], campaign: Any) -> None:
    found = traced(run, f"{campaign.outputs.metrics.pk}.mae_ev")
    assert found["chosen_by"] == []
    assert found["facts"]["computers"]
    assert "gpaw" not in found["facts"]["versions"]
    predicted = traced(run, f"{campaign.outputs.predictions.pk}.Cs2AgBiBr6.gap_ev")
    assert predicted["facts"]["checkpoints"][0]["uuid"] == campaign.outputs.model.uuid


def test_text_is_a_tree_with_every_node_of_the_chain_once(run: Callable[..., Any], campaign: Any) -> None:
    found = traced(run, "Cs2AgBiBr6.gap.gap_hse06_soc_ev", "-c", "halides")
    text = run("trace", "Cs2AgBiBr6.gap.gap_hse06_soc_ev", "-c", "halides").stdout
    assert text.startswith("gap_hse06_soc_ev = 1.9 eV\n")
    assert "ScreeningWorkChain" in text
    assert "campaign halides" in text
    tree = text.partition("Made from")[2]
    for node in found["nodes"].values():
        if "WorkChain" not in node["kind"]:
            assert f"({node['pk']})" in tree, node
    assert tree.count("as above") > 0


def test_graph_cannot_be_broken_into(run: Callable[..., Any], campaign: Any, tmp_path: Path) -> None:
    from aiida.engine import calcfunction
    from aiida.orm import Dict, Str

    @calcfunction  # type: ignore[untyped-decorator]
    def copy(text: Str) -> Dict:
        return Dict({"text": text.value})

    node = copy(Str('"]; evil [label="\\\n\x1b[2J'))
    path = tmp_path / "chain.dot"
    assert run("trace", str(node.pk), "--format", "graph", "-o", str(path)).exit_code == 0
    program = path.read_text()
    assert program.startswith("digraph")
    assert '\\"]; evil [label=\\"\\\\\\n' in program
    assert "\x1b" not in program
    assert "\x1b" not in run("trace", str(node.pk)).stdout
    assert f"N{node.creator.pk} -> N{node.pk}" in program


def test_what_is_no_result_is_said_in_one_sentence(refused: Callable[..., str], campaign: Any) -> None:
    failed = campaign.outputs.selection.to_frame().query("chosen")["formula"].iloc[FAILED]
    said = {
        (str(campaign.pk),): "is a process (ScreeningWorkChain): trace one of its results",
        (str(campaign.inputs.code_learning.pk),): "is no result",
        ("999999",): "no node '999999'",
        ("nothing",): "no node 'nothing'",
        ("Cs2AgBiBr6",): "a formula needs --campaign",
        (f"{campaign.outputs.metrics.pk}.mae",): "has no 'mae'",
        (f"{campaign.outputs.results.pk}.Cs2AgBiBr6.gap",): "give FORMULA.COLUMN",
        (f"{campaign.outputs.results.pk}.Cs2NaInCl6.gap_pbe_ev",): "has no row",
        ("Cs2NaInCl6", "-c", "halides"): "has not computed",
        ("Cs2AgBiBr7", "-c", "halides"): "no double perovskite",
        ("Cs2AgBiBr6.slme", "-c", "halides"): "such as slme_percent",
        (f"{failed}.gap", "-c", "halides"): f"{failed} has no gap",
        ("Cs2AgBiBr6", "-c", "other"): "no campaign 'other'; this profile holds: halides",
        (REFERENCE, "-c", "halides", "--format", "text", "-o", "chain.svg"): "--format graph only",
    }
    for arguments, sentence in said.items():
        assert sentence in refused("trace", *arguments), arguments
