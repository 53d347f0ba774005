"""One candidate through every step on emulated engines: what it hands out, when it leaves, what is shared."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

ENGINES = {
    "relax": "chgnet",
    "gap": "gpaw",
    "phases": "chgnet",
    "energy": "gpaw",
    "absorption": "gpaw",
    "bands": "gpaw",
    "free_relax": "chgnet",
}


# Phases that are taken to exist, so that a test relaxes four of them and not a dozen.
EXISTING = ["CsCl", "CsBr", "AgCl", "AgBr", "KCl", "BiCl3", "BiBr3", "InCl3", "Cs3Bi2Cl9"]


@pytest.fixture
def candidate(aiida_profile_clean: Any, emulator_code: Any) -> Any:
    """Return a function that runs a candidate."""
    import pandas as pd
    from aiida.engine import run_get_node
    from aiida.orm import Dict, List, Str

    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.candidate import CandidateWorkChain
    from aiida_perovskite.workflows.ports import STEPS
    from aiida_perovskite.workflows.protocols import load_protocol

    frame = pd.DataFrame({"formula": EXISTING, "formation_energy_ev_per_atom": [-1.0] * len(EXISTING)})
    known = CompositionTableData.from_frame(frame, name="existing").store()

    def run(formula: str, steps: tuple[str, ...] = tuple(ENGINES), **changes: Any) -> tuple[Any, Any]:
        builder = CandidateWorkChain.get_builder()
        builder.formula = Str(formula)
        builder.window_ev = List([0.0, 9.0])
        builder.rules = Dict(load_protocol("candidate", changes.pop("rules", "complete")))
        for part in ("stability", "masses", "efficiency"):
            builder[part] = Dict(load_protocol(part))
        builder.known_phases = known
        for step in steps:
            engine = ENGINES[step]
            free = {"symmetry": "free"} if step == "free_relax" else None
            builder[step]["engine"] = Str(engine)
            builder[step]["code"] = emulator_code
            builder[step]["parameters"] = Dict(load_protocol(f"{engine}_{STEPS[step][1]}", None, free))
        for port, value in changes.items():
            if value is None:
                del builder[port]
            else:
                builder[port] = value
        return run_get_node(builder)

    return run


def test_a_cubic_candidate_ends_with_everything(candidate: Any) -> None:
    outputs, node = candidate("AgBiCs2Cl6")
    assert node.is_finished_ok, node.exit_message
    row = outputs["summary"].get_dict()
    assert outputs["verdict"]["passed"]
    assert outputs["optics"]["gap_kind"] == "indirect"
    # The lowest direct transition of the spectrum lies on the direct gap with spin-orbit coupling.
    assert outputs["optics"]["direct_allowed_gap_ev"] == pytest.approx(row["direct_gap_hse06_soc_ev"])
    assert 0 < row["slme_percent"] < 34
    assert (row["hole_direction_1"], row["electron_direction_2"]) == ("X-G", "L-W")
    assert row["hole_mass_1"] == pytest.approx(-0.5, rel=1e-3)
    assert row["electron_mass_2"] == pytest.approx(0.25, rel=1e-3)
    phases = {phase["formula"] for phase in outputs["stability"]["phases"]}
    offered = phases | {phase["formula"] for phase in outputs["stability"]["skipped"]}
    assert offered == {"CsCl", "AgCl", "BiCl3", "Cs3Bi2Cl9"}
    assert outputs["stability"]["reference"]["limit"] == "Cs2AgBiCl6 is not in the table"
    assert outputs["stability"]["binary"]["mev_per_atom"] == pytest.approx(row["decomposition_enthalpy_mev_per_atom"])
    # Nothing moved, so what was computed before the relaxation holds after it.
    assert outputs["relaxed"]["geometry"]["same_structure"]
    assert outputs["relaxed"]["gap"].uuid == outputs["gap"].uuid
    assert outputs["efficiency_curves"].get_array("slme_percent").shape == (60,)
    assert [label for _, label in outputs["band_structure"].labels] == list("GXWLGK")


def test_a_candidate_that_distorts_is_computed_again(candidate: Any) -> None:
    outputs, node = candidate("InKCs2Cl6")
    assert node.is_finished_ok, node.exit_message
    relaxed = outputs["relaxed"]
    assert not relaxed["geometry"]["same_structure"]
    assert relaxed["geometry"]["space_group"] != relaxed["geometry"]["space_group_before"] == "Fm-3m"
    assert relaxed["gap"].uuid != outputs["gap"].uuid
    for name in ("stability", "optics", "efficiency"):
        assert relaxed[name].uuid != outputs[name].uuid
    summary = outputs["summary"].get_dict()
    assert summary["relaxed_space_group"] == relaxed["geometry"]["space_group"]
    # The competing phases are those of before: nothing of them is computed a second time.
    jobs = [job.process_label for job in node.called_descendants if "Phases" in job.process_label]
    assert len(jobs) == len(outputs["stability"]["phases"]) + len(outputs["stability"]["skipped"])


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_phase_that_fails_is_missing_with_its_reason(candidate: Any, at_once: int) -> None:
    """However many are computed at the same time: on a cluster, all wait in its queue together."""
    from aiida.orm import Dict

    from aiida_perovskite.workflows.protocols import load_protocol

    settings = Dict(load_protocol("stability", overrides={"jobs_at_once": at_once}))
    outputs, node = candidate("AgBiCs2Br6", ("relax", "gap", "phases", "energy"), stability=settings)
    assert node.is_finished_ok, node.exit_message
    stability = outputs["stability"]
    overlap = [
        (one, other)
        for kind in ("Phases", "Energy")
        for one, other in pairwise(sorted_children(node, kind))
        if other.ctime < one.mtime
    ]
    assert bool(overlap) == (at_once > 1)
    missing = {entry["formula"]: entry["why"] for entry in stability["missing"]}
    assert "none of the structures converged" in missing["CsBr"]
    assert stability["binary"]["mev_per_atom"] is None
    assert "CsBr" in stability["binary"]["limit"]
    assert not outputs["verdict"]["passed"]
    assert "CsBr" in outputs["verdict"]["reason"]
    assert node.base.caching.is_valid_cache, "CHGNet failed, and would again"


def test_a_phase_that_was_lost_is_tried_again_by_the_next_campaign(candidate: Any) -> None:
    outputs, node = candidate("AgInCs2Br6", ("relax", "gap", "phases", "energy"))
    assert node.is_finished_ok, node.exit_message
    missing = {entry["formula"]: entry["why"] for entry in outputs["stability"]["missing"]}
    assert "left no results" in missing["InBr3"]
    assert not node.base.caching.is_valid_cache


def test_a_candidate_outside_the_window_leaves_early(candidate: Any) -> None:
    from aiida.orm import List

    outputs, node = candidate("AgBiCs2Cl6", rules="default", window_ev=List([8.0, 9.0]))
    assert node.is_finished_ok
    assert outputs["verdict"].get_dict()["stage"] == "gap"
    assert "stability" not in outputs
    assert outputs["summary"]["gap_hse06_soc_ev"] > 0


def test_no_gap_in_the_spectrum_is_a_verdict(candidate: Any) -> None:
    outputs, node = candidate("AgBiCs2F6", ("relax", "gap", "absorption"))
    assert node.is_finished_ok
    assert outputs["verdict"].get_dict() == {"stage": "absorption", "passed": False, "reason": "PBE has no gap"}


def test_geometry_alone(candidate: Any) -> None:
    outputs, node = candidate("AgBiCs2Cl6", ("relax",))
    assert node.is_finished_ok
    assert outputs["verdict"]["stage"] == "geometry"
    assert set(outputs) == {"geometry", "structure", "summary", "verdict"}


def test_phases_are_shared_between_compounds(candidate: Any) -> None:
    steps = ("relax", "gap", "phases", "energy")
    _, first = candidate("AgBiCs2Cl6", steps)
    outputs, second = candidate("AgInCs2Cl6", steps)
    done = {label(child) for child in first.called_descendants if "Phases" in child.process_label}
    again = {label(child) for child in second.called_descendants if "Phases" in child.process_label}
    assert done == {"CsCl", "AgCl", "BiCl3", "Cs3Bi2Cl9"}
    assert again == {"InCl3"}
    assert {"CsCl", "AgCl"} <= {phase["formula"] for phase in outputs["stability"]["phases"]}


def sorted_children(node: Any, kind: str) -> list[Any]:
    """Return the WorkChains of a kind below a process, the first one first."""
    found = [child for child in node.called_descendants if f"{kind}WorkChain" in child.process_label]
    return sorted(found, key=lambda child: child.pk)


def label(node: Any) -> str:
    return str(node.inputs.formula.value)


def test_settings_that_a_step_needs_are_demanded(candidate: Any) -> None:
    with pytest.raises(ValueError, match="`efficiency` is needed"):
        candidate("AgBiCs2Cl6", ("relax", "gap", "absorption"), efficiency=None)
