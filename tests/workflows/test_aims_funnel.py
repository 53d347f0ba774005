"""The whole funnel with FHI-aims, on its emulator."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from invented_species import LABEL, species_family

# Phases that are taken to exist, so that few are relaxed.
EXISTING = ["CsCl", "AgCl", "BiCl3"]


def test_the_funnel_ends_with_every_number(tiny_model: Any, emulator_code: Any, aims_code: Any) -> None:
    from aiida.engine import run_get_node
    from aiida.orm import CalcJobNode

    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.ports import STEPS
    from aiida_perovskite.workflows.screening import ScreeningWorkChain

    species_family(["Cs", "Ag", "Bi", "Cl"])
    frame = pd.DataFrame({"formula": EXISTING, "formation_energy_ev_per_atom": [-1.0] * len(EXISTING)})
    overrides: dict[str, Any] = {step: {"species": LABEL} for step in STEPS if step != "phases"}
    overrides["free_relax"]["starts"] = 1
    overrides["screening"] = {
        "space": {"preset": None, "ab_elements": ["Ag", "Bi"], "c_elements": ["Cs"], "d_elements": ["Cl"]},
        "selection": {
            "window_ev": [0.0, 99.0],
            "exclude_elements": [],
            "bartel_factor_max": None,
            "in_domain": False,
            "exclude_known": False,
            "n_candidates": 1,
        },
        "references": [],
    }
    builder = ScreeningWorkChain.get_builder_from_protocol(
        {"aims": aims_code, "chgnet": emulator_code},
        engine="aims",
        protocols={"candidate": "complete"},
        overrides=overrides,
        model=tiny_model,
        known_phases=CompositionTableData.from_frame(frame, name="existing").store(),
    )
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message

    row = outputs["results"].to_frame().set_index("formula").loc["AgBiCs2Cl6"]
    assert row["stage"] != "failed", row["reason"]
    for name in (
        "lattice_angstrom",
        "gap_hse06_soc_ev",
        "direct_gap_hse06_soc_ev",
        "decomposition_enthalpy_mev_per_atom",
        "absorption_onset_ev",
        "slme_percent",
        "relaxed_space_group",
        "relaxed_gap_ev",
        "relaxed_slme_percent",
    ):
        assert isinstance(row[name], str) or math.isfinite(row[name]), name
    assert row["vbm_label"] == "X"
    assert row["cbm_label"] == "L"
    assert any(isinstance(row.get(f"hole_mass_{number}"), float) for number in (1, 2))

    jobs = [job for job in node.called_descendants if isinstance(job, CalcJobNode)]
    aims_jobs = [job for job in jobs if job.process_label == "AimsCalculation"]
    assert aims_jobs
    # The basis set of every number is in the graph, not only its name.
    for job in aims_jobs:
        assert set(job.inputs.species) == set(job.inputs.structure.get_symbols_set())
    energies = {
        job.outputs.output_parameters["xc"]
        for job in aims_jobs
        if "energy" in (job.caller.caller.process_label or "").lower()
    }
    assert len(energies) == 1, "energies of different functionals were subtracted"
