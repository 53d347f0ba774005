"""The funnel end to end on emulated engines: throttling, failures, caching, and what it hands out."""

from __future__ import annotations

from typing import Any

import pytest

# With Cs and with Rb, per anion: emulated fluorides need a second try, iodides of Rb vanish like killed jobs.
SPACE = {"ab_elements": ["Ag", "Bi"], "c_elements": ["Cs", "Rb"], "d_elements": ["Br", "I", "F"]}


def inputs(model: Any, code: Any, *, d_elements: list[str], n_candidates: int = 99, concurrent: int = 2) -> Any:
    from aiida_perovskite.workflows.screening import ScreeningWorkChain

    everything = {
        "window_ev": [0.0, 99.0],
        "exclude_elements": [],
        "charge_balanced": False,
        "bartel_factor_max": None,
        "in_domain": False,
        "closed_shell": False,
        "exclude_known": False,
        "n_candidates": n_candidates,
    }
    space = {**SPACE, "d_elements": d_elements}
    screening = {"space": {"preset": None, **space}, "selection": everything, "max_concurrent": concurrent}
    return ScreeningWorkChain.get_builder_from_protocol(
        {"relax": code, "gap": code}, overrides={"screening": screening}, model=model
    )


def intervals(node: Any) -> list[tuple[Any, Any]]:
    return [(child.ctime, child.mtime) for child in node.called if "Candidate" in child.process_label]


def test_one_failed_candidate_does_not_sink_the_funnel(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.engine import run_get_node

    outputs, node = run_get_node(inputs(tiny_model, emulator_code, d_elements=["Br", "I", "F"]))
    assert node.is_finished_ok, node.exit_message
    results = outputs["results"].to_frame().set_index("formula")
    assert len(results) == 6
    lost = results.loc["AgBiRb2I6"]
    assert not lost["passed"]
    assert "left no results; its last output: emulator: killed" in lost["reason"]
    assert results["gap_hse06_soc_ev"].notna().sum() == 5
    judged = results["gap_hse06_soc_ev"].between(0.0, 99.0)
    assert (results["passed"] == judged).all()

    started = sorted(intervals(node))
    for begin, _ in started:
        assert sum(b <= begin < e for b, e in started) <= 2, "more candidates in flight than allowed"


def test_every_candidate_failed_is_an_error_that_says_why(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.engine import run_get_node

    builder = inputs(tiny_model, emulator_code, d_elements=["I"])
    builder.space = {**SPACE, "c_elements": ["Rb"], "d_elements": ["I"]}
    _, node = run_get_node(builder)
    assert node.exit_status == 420
    assert "killed" in node.exit_message
    assert "results" in node.outputs


def test_a_second_run_takes_the_jobs_from_the_cache(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.engine import run_get_node
    from aiida.manage.caching import enable_caching
    from aiida.orm import CalcJobNode

    builder = inputs(tiny_model, emulator_code, d_elements=["Br"], n_candidates=2)
    with enable_caching():
        first, _ = run_get_node(builder)
        second, node = run_get_node(builder)
    jobs = [job for job in node.called_descendants if isinstance(job, CalcJobNode)]
    assert len(jobs) == 4
    assert all(job.base.caching.is_created_from_cache for job in jobs)
    assert first["results"].sha256 == second["results"].sha256


def test_an_unconverged_density_is_tried_once_more(tiny_model: Any, emulator_code: Any) -> None:
    from aiida.engine import run_get_node

    builder = inputs(tiny_model, emulator_code, d_elements=["F"], n_candidates=1)
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    jobs = [child for child in node.called_descendants if child.exit_status == 410]
    assert len(jobs) == 1
    assert outputs["results"].to_frame()["gap_hse06_soc_ev"].notna().all()


@pytest.mark.parametrize("missing", ["dataset", "code_learning"])
def test_without_a_model_all_that_training_needs_is_demanded(tiny_model: Any, emulator_code: Any, missing: str) -> None:
    from aiida.engine import run_get_node

    builder = inputs(tiny_model, emulator_code, d_elements=["Br"])
    del builder.model
    with pytest.raises(ValueError, match=missing):
        run_get_node(builder)
