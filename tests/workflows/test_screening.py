"""The funnel end to end on emulated engines: throttling, failures, caching, references, and what it hands out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

# With Cs and with Rb, per anion: emulated fluorides need a second try, iodides of Rb vanish like killed jobs.
SPACE = {"ab_elements": ["Ag", "Bi"], "c_elements": ["Cs", "Rb"], "d_elements": ["Br", "I", "F"]}
EVERYTHING = {
    "window_ev": [0.0, 99.0],
    "exclude_elements": [],
    "charge_balanced": False,
    "bartel_factor_max": None,
    "in_domain": False,
    "closed_shell": False,
    "exclude_known": False,
    "n_candidates": 99,
}


def inputs(
    model: Any,
    code: Any,
    *,
    d_elements: list[str],
    n_candidates: int = 99,
    protocol: str = "gaps",
    candidate: dict[str, Any] | None = None,
    gap: dict[str, Any] | None = None,
    **funnel: Any,
) -> Any:
    from aiida_perovskite.workflows.screening import ScreeningWorkChain

    screening = {
        "space": {"preset": None, **SPACE, "d_elements": d_elements},
        "selection": {**EVERYTHING, "n_candidates": n_candidates},
        "max_concurrent": 2,
        **funnel,
    }
    return ScreeningWorkChain.get_builder_from_protocol(
        {"relax": code, "gap": code},
        protocol=protocol,
        overrides={"screening": screening, "candidate": candidate or {}, "gap": gap or {}},
        **({"model": model} if model is not None else {}),
    )


def candidates(node: Any) -> dict[str, Any]:
    """Return formula -> process of each compound that was computed."""
    return {child.inputs.formula.value: child for child in node.called if "Candidate" in child.process_label}


def steps_of(candidate: Any) -> set[str]:
    """Return the labels under which a candidate called its steps."""
    from aiida.orm import WorkflowNode

    links = candidate.base.links.get_outgoing(node_class=WorkflowNode)
    return {link.link_label for link in links if "WorkChain" in (link.node.process_label or "")}


def test_one_failed_candidate_does_not_sink_the_funnel(
    tiny_model: Any, emulator_code: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiida.engine import run_get_node

    from aiida_perovskite.cli.trace import Read, follow

    monkeypatch.setattr("aiida_perovskite.workflows.screening.COLLECTED_AT_ONCE", 1)  # rows in parts, as of thousands
    outputs, node = run_get_node(inputs(tiny_model, emulator_code, d_elements=["Br", "I"]))
    assert node.is_finished_ok, node.exit_message
    results = outputs["results"].to_frame().set_index("formula")
    assert len(results) == 4
    lost = results.loc["AgBiRb2I6"]
    assert not lost["passed"]
    assert lost["stage"] == "failed"
    assert "left no results; its last output: emulator: killed" in lost["reason"]
    assert lost["lattice_angstrom"] == 11.0, "a failed candidate keeps what it found"
    assert results["gap_hse06_soc_ev"].notna().sum() == 3
    judged = results["gap_hse06_soc_ev"].between(0.0, 99.0)
    assert (results["passed"] == judged).all()
    # The row is the candidate's own summary and verdict, beside what was predicted of it.
    for formula, child in candidates(node).items():
        row = results.loc[formula]
        assert row["predicted_lower_ev"] < row["predicted_gap_ev"] < row["predicted_upper_ev"]
        if formula != "AgBiRb2I6":
            assert row["gap_hse06_soc_ev"] == child.outputs.summary["gap_hse06_soc_ev"]
            assert row["reason"] == child.outputs.verdict["reason"]
            read = Read(outputs["results"], f"{formula}.gap_hse06_soc_ev", row["gap_hse06_soc_ev"])
            assert child.outputs.summary.uuid in [one.node.uuid for one in follow(read)]
        # No engine, no step: the preset `gaps` leaves all others out.
        assert steps_of(child) == {"relax", "gap"}

    started = sorted((child.ctime, child.mtime) for child in candidates(node).values())
    for begin, _ in started:
        assert sum(b <= begin < e for b, e in started) <= 2, "more candidates in flight than allowed"


def test_references_and_geometries_beside_the_candidates(tiny_model: Any, emulator_code: Any) -> None:
    import pandas as pd
    from aiida.engine import run_get_node

    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.report.collect import collect_campaign

    # Nothing is as stable as the rules ask: a candidate leaves after its enthalpy, a reference goes on.
    builder = inputs(
        tiny_model,
        emulator_code,
        d_elements=["Cl"],
        protocol="default",
        candidate={"enthalpy_min_mev_per_atom": 1e6},
        references=["Cs2AgInCl6"],
        n_electronic=1,
    )
    binaries = ["CsCl", "RbCl", "AgCl", "BiCl3", "InCl3"]
    frame = pd.DataFrame({"formula": binaries, "formation_energy_ev_per_atom": [-1.0] * len(binaries)})
    builder.known_phases = CompositionTableData.from_frame(frame, name="existing")
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    first, second = outputs["selection"].to_frame()["formula"]
    results = outputs["results"].to_frame()
    assert results["formula"].tolist() == [first, second, "AgInCs2Cl6"]
    results = results.set_index("formula")
    children = candidates(node)
    assert results["stage"].tolist() == ["stability", "geometry", "stability"]
    assert results["passed"].tolist() == [False, True, False]
    assert steps_of(children[first]) == {"relax", "gap", "stability"}
    assert steps_of(children[second]) == {"relax"}
    assert steps_of(children["AgInCs2Cl6"]) == {"relax", "gap", "stability", "absorption", "bands", "free_relax"}
    assert results["slme_percent"].notna().tolist() == [False, False, True]
    assert results["gap_hse06_soc_ev"].notna().tolist() == [True, False, True]
    assert results["lattice_angstrom"].notna().all()
    # A reference is in no selection, so nothing was predicted of it.
    assert results["predicted_gap_ev"].notna().tolist() == [True, True, False]
    # The report knows it by its formula, spelled as everywhere.
    shown = {item.formula: item.reference for item in collect_campaign(node).candidates}
    assert shown == {first: False, second: False, "AgInCs2Cl6": True}


def test_references_are_spelled_as_in_the_tables(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.orm import List

    builder = inputs(tiny_model, emulator_code, d_elements=["Br"], references=["Cs2AgInCl6", "Cs2InAgCl6"])
    assert builder.references.get_list() == ["AgInCs2Cl6"]
    with pytest.raises(ValueError, match="write AgInCs2Cl6"):
        builder.references = List(["Cs2AgInCl6"])


def test_a_reference_among_the_candidates_is_computed_once(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.engine import run_get_node

    builder = inputs(tiny_model, emulator_code, d_elements=["Br"], references=["Cs2AgBiBr6", "Cs2BiAgBr6"])
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert sorted(outputs["results"].to_frame()["formula"]) == ["AgBiCs2Br6", "AgBiRb2Br6"]
    assert len(candidates(node)) == 2


def test_every_candidate_failed_is_an_error_that_says_why(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.engine import run_get_node

    builder = inputs(tiny_model, emulator_code, d_elements=["I"])
    builder.space = {**SPACE, "c_elements": ["Rb"], "d_elements": ["I"]}
    _, node = run_get_node(builder)
    assert node.exit_status == 420
    assert "killed" in node.exit_message
    assert "results" in node.outputs


@pytest.mark.production
def test_a_second_run_takes_what_the_first_computed(tiny_model: Any, emulator_code: Any, tmp_path: Path) -> None:
    """Whole candidates where nothing has changed, their jobs where something has, nothing where caching is off."""
    from aiida.engine import run_get_node
    from aiida.manage.caching import disable_caching, enable_caching
    from aiida.orm import CalcJobNode

    from aiida_perovskite.report.candidates import candidate_processes

    builder = inputs(tiny_model, emulator_code, d_elements=["Br"], n_candidates=2)
    with enable_caching():
        first, before = run_get_node(builder)
        second, node = run_get_node(builder)
        _, changed = run_get_node(
            inputs(tiny_model, emulator_code, d_elements=["Br"], n_candidates=2, gap={"cutoff_ev": 401})
        )
    with disable_caching():
        _, anew = run_get_node(builder)
    assert candidates(node) == {}
    assert {name: one.uuid for name, one in candidate_processes(node).items()} == {
        name: one.uuid for name, one in candidates(before).items()
    }
    assert first["results"].sha256 == second["results"].sha256
    jobs = [job for job in changed.called_descendants if isinstance(job, CalcJobNode)]
    steps = {(job.caller.process_label, job.base.caching.is_created_from_cache) for job in jobs}
    assert steps == {("ChgnetRelaxWorkChain", True), ("GpawGapWorkChain", False)}
    assert len(candidates(anew)) == 2
    assert not any(job.base.caching.is_created_from_cache for job in anew.called_descendants)
    assert_commands_find(candidates(before), node, tmp_path)


def assert_commands_find(expected: dict[str, Any], run: Any, folder: Path) -> None:
    """Whatever reads a campaign finds what its only run did not call."""
    from aiida.orm import QueryBuilder, WorkChainNode
    from aiida.tools.archive.abstract import get_format

    from aiida_perovskite.cli.campaigns import campaign_group, run_status
    from aiida_perovskite.cli.trace import of_campaign
    from aiida_perovskite.report.archive import export_campaign
    from aiida_perovskite.report.query import Filters, matching

    group = campaign_group("second", create=True)
    group.add_nodes(run)
    assert {row["formula"]: row["pk"] for row in run_status(run)["candidates"]} == {
        name: node.pk for name, node in expected.items()
    }
    assert sorted(matching(Filters(campaign="second")).values()) == sorted(expected)
    for name, node in expected.items():
        assert of_campaign("second", name).node.uuid == node.outputs.summary.uuid
    export_campaign(group, {}, folder / "second.aiida")
    with get_format().open(folder / "second.aiida", "r") as archive:
        held = archive.querybuilder().append(WorkChainNode, project="uuid").all(flat=True)
    assert {node.uuid for node in expected.values()} <= set(held)
    assert QueryBuilder().append(WorkChainNode, filters={"uuid": {"in": held}}).count() == len(held)


def test_an_unconverged_density_is_tried_once_more(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.engine import run_get_node

    builder = inputs(tiny_model, emulator_code, d_elements=["F"], n_candidates=1)
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    jobs = [child for child in node.called_descendants if child.exit_status == 410]
    assert len(jobs) == 1
    assert outputs["results"].to_frame()["gap_hse06_soc_ev"].notna().all()


@pytest.mark.parametrize("missing", ["dataset", "code_learning"])
def test_without_a_model_all_that_training_needs_is_demanded(emulator_code: Any, missing: str) -> None:
    from aiida.engine import run_get_node

    builder = inputs(None, emulator_code, d_elements=["Br"])
    with pytest.raises(ValueError, match=missing):
        run_get_node(builder)


def test_presets_and_engines_choose_the_steps(emulator_code: Any) -> None:
    from aiida_perovskite.workflows.ports import STEPS
    from aiida_perovskite.workflows.protocols import ProtocolError

    def given(**changes: Any) -> dict[str, str]:
        builder = inputs(None, emulator_code, d_elements=["Br"], **changes)
        return {step: builder[step]["engine"].value for step in STEPS if builder[step].get("engine") is not None}

    assert given() == {"relax": "chgnet", "gap": "gpaw"}
    everything = given(protocol="default")
    assert set(everything) == set(STEPS)
    assert given(protocol="default", engines={"bands": None, "free_relax": None}).keys() == everything.keys() - {
        "bands",
        "free_relax",
    }
    builder = inputs(None, emulator_code, d_elements=["Br"], protocol="default")
    assert (builder.relax.parameters["symmetry"], builder.free_relax.parameters["symmetry"]) == ("fixed", "free")
    assert builder.n_electronic is None
    with pytest.raises(ProtocolError, match="leave_erly"):
        inputs(None, emulator_code, d_elements=["Br"], candidate={"leave_erly": False})
    with pytest.raises(ValueError, match="no installed engine 'vasp' offers the step 'gap'"):
        given(engines={"gap": "vasp"})


def test_compounds_of_a_generator_are_handed_over(tiny_model: Any, emulator_code: Any, tmp_path: Any) -> None:
    """What a table holds goes through the funnel; what does not get through is a row with a reason."""
    import pandas as pd
    from aiida.engine import run_get_node
    from aiida.orm import Int

    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.report.write import write_report
    from aiida_perovskite.workflows.screening import validate_together

    given = ["AlNaK2H6", "AgBiCs2Br6", "CaNaK2F6", "BiAgCs2Br6", "AgInCs2Br6", "AlTlCs2Br6"]
    table = CompositionTableData.from_frame(pd.DataFrame({"formula": given}), name="compositions").store()
    rules = {**EVERYTHING, "charge_balanced": True, "in_domain": True}
    builder = inputs(tiny_model, emulator_code, d_elements=["Br"], selection=rules)
    builder.candidates, builder.n_given = table, Int(5)
    assert "either `space` or `candidates`" in str(validate_together(builder, None))
    del builder["space"]
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert sorted(outputs["results"].to_frame()["formula"]) == ["AgBiCs2Br6", "AgInCs2Br6"]
    stages = {stage["name"]: stage["count"] for stage in outputs["funnel"]["stages"]}
    assert (stages["given"], stages["space"], stages["chosen"]) == (4, 3, 2)
    dropped = outputs["dropped"].to_frame()
    assert dropped[["formula", "rule"]].to_numpy().tolist() == [
        ["AlNaK2H6", "taken"],
        ["CaNaK2F6", "charge"],
        ["CaNaK2F6", "domain"],
    ]
    assert "no gap model takes hydrogen" in dropped["reason"][0]
    assert outputs["space"].creator.inputs.candidates.uuid == table.uuid
    write_report(node, tmp_path / "report.html")
    assert "compounds handed over" in (tmp_path / "report.html").read_text(encoding="utf-8")
