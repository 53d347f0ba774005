"""What every engine must do to take part: one test for each step that an installed plugin offers."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from invented_species import LABEL, species_family

# Step -> interface, outputs with the keys (of a Dict) or arrays (of an ArrayData) that the candidate reads from them.
CONTRACT: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "relax": ("RelaxWorkChain", {"structure": (), "results": ("a_angstrom", "settings")}),
    "gap": (
        "GapWorkChain",
        {
            "structure": (),
            "bands_pbe": (),
            "bands_hse06": (),
            "bands_hse06_soc": (),
            "results": ("gap_hse06_soc_ev", "direct_gap_hse06_soc_ev", "vbm_label", "cbm_label"),
        },
    ),
    "energy": ("EnergyWorkChain", {"results": ("energy_ev_per_atom", "engine", "protocol", "functional")}),
    "absorption": (
        "AbsorptionWorkChain",
        {
            "spectrum": ("energy_ev", "absorption_per_cm", "epsilon_real", "epsilon_imaginary"),
            "transitions": ("valence_ev", "conduction_ev", "squared_momentum"),
            "densities": ("energy_ev", "dos_total"),
            "results": ("static_dielectric_constant", "broadening_ev", "approximation"),
        },
    ),
    "bands": (
        "BandsWorkChain",
        {"lines": ("kpoints", "n_occupied", "n_occupied_soc"), "results": ("lines", "levels", "functional")},
    ),
    "phases": ("PhasesWorkChain", {"structure": (), "results": ("name", "energy_ev_per_atom", "space_group")}),
}
# What an engine may lack: FHI-aims has no semilocal bands beside the hybrid ones, no bands without a path, and no
# matrix elements.
OPTIONAL = {"bands_pbe", "bands_hse06", "bands_hse06_soc", "transitions"}
OFFERED = sorted(
    match.groups()
    for entry in entry_points(group="aiida.workflows")
    if (match := re.fullmatch(r"perovskite\.(\w+)\.(\w+)", entry.name)) and match[2] in CONTRACT
)


@pytest.fixture
def builder_of(aiida_profile: Any) -> Callable[..., Any]:
    """Return a function that fills the builder of a step for a small compound."""
    from aiida.orm import Dict, Str, StructureData

    from aiida_perovskite.chemistry import Composition, prototype_atoms
    from aiida_perovskite.workflows.interfaces import workflow_of

    atoms = prototype_atoms(Composition.parse("Cs2AgBiCl6"))
    atoms.set_initial_magnetic_moments(None)

    def fill(engine: str, step: str, code: Any, *, ready: bool = False, **choices: Any) -> Any:
        given: dict[str, Any] = {"structure": StructureData(ase=atoms)}
        if ready and engine == "aims":
            choices["overrides"] = {"species": LABEL}
            species_family(["Cs", "Ag", "Bi", "Cl"])
        if step == "phases":
            given = {"formula": Str("CsCl"), "settings": Dict({"max_structures": 1})}
        if step == "bands":
            given["plan"] = Dict({"lines": {"path": [[0, 0, 0], [0.25, 0, 0.25], [0.5, 0, 0.5]]}})
        return workflow_of(engine, step).get_builder_from_protocol(code, **given, **choices)

    return fill


def test_engines_are_found_by_their_entry_points() -> None:
    assert {step for _, step in OFFERED} == set(CONTRACT), "no installed engine offers a step"


@pytest.fixture
def code_of(emulator_code: Any, aims_code: Any) -> Callable[[str], Any]:
    """Return a function that gives the emulated code of an engine."""
    return lambda engine: aims_code if engine == "aims" else emulator_code


@pytest.mark.parametrize(("engine", "step"), OFFERED)
def test_ports_and_protocols(
    engine: str, step: str, builder_of: Callable[..., Any], code_of: Callable[[str], Any]
) -> None:
    from aiida_perovskite.workflows import interfaces
    from aiida_perovskite.workflows.protocols import ProtocolError, available_protocols, load_protocol

    workflow = interfaces.workflow_of(engine, step)
    interface, outputs = CONTRACT[step]
    assert issubclass(workflow, getattr(interfaces, interface))
    ports = workflow.spec()
    wanted = {"phases": {"formula", "settings", "structures"}, "bands": {"structure", "plan"}}.get(step, {"structure"})
    assert {"code", "parameters", "options", *wanted} <= set(ports.inputs)
    assert not ports.inputs["options"].required
    assert set(outputs) <= set(ports.outputs)
    assert {name for name in outputs if not ports.outputs[name].required} <= OPTIONAL
    # A campaign finds the settings by engine and step.
    for protocol in available_protocols(f"{engine}_{step}"):
        builder = builder_of(engine, step, code_of(engine), protocol=protocol)
        assert builder.parameters.get_dict() == load_protocol(f"{engine}_{step}", protocol)
    with pytest.raises(ProtocolError, match="no_such_setting"):
        builder_of(engine, step, code_of(engine), overrides={"no_such_setting": 1})
    with pytest.raises(ProtocolError, match="no_such_protocol"):
        builder_of(engine, step, code_of(engine), protocol="no_such_protocol")


@pytest.mark.parametrize(("engine", "step"), OFFERED)
def test_outputs_are_those_of_the_interface(
    engine: str, step: str, builder_of: Callable[..., Any], code_of: Callable[[str], Any]
) -> None:
    from aiida.engine import run_get_node
    from aiida.orm import ArrayData, Dict

    outputs, node = run_get_node(builder_of(engine, step, code_of(engine), ready=True))
    assert node.is_finished_ok, node.exit_message
    for name, keys in CONTRACT[step][1].items():
        if name in OPTIONAL and name not in outputs:
            continue
        found = outputs[name]
        if isinstance(found, Dict):
            assert set(keys) <= set(found.get_dict())
        elif keys:
            assert isinstance(found, ArrayData)
            assert set(keys) <= set(found.get_arraynames())
    if step == "energy":
        assert outputs["results"]["engine"] == engine
    if step == "bands":
        assert any(level.endswith("_soc") for level in outputs["results"]["levels"])
        assert {f"eigenvalues_{level}_ev" for level in outputs["results"]["levels"]} <= set(
            outputs["lines"].get_arraynames()
        )


SENTENCE = "two atoms are closer than 0.5 Angstrom"
# What an engine leaves when it refuses what the user gave it: our scripts a file, FHI-aims its standard output.
ERROR = f'{{"status": "error", "error": {{"code": "bad_input", "message": "{SENTENCE}"}}}}'
FAILURES = {
    "script": f"echo '{ERROR}' > results.json",
    "aims": f"echo '          Invoking FHI-aims ...'; echo '  *** Error: {SENTENCE}'",
}


@pytest.fixture
def failing_code_of(
    aiida_code_installed: Callable[..., Any], aiida_localhost: Any, tmp_path: Path
) -> Callable[[str], Any]:
    """Return a function that gives a Code of an engine that refuses its input."""
    aiida_localhost.set_minimum_job_poll_interval(0)

    def code(engine: str) -> Any:
        executable = tmp_path / "failing"
        executable.write_text(f"#!/bin/sh\n{FAILURES.get(engine, FAILURES['script'])}\nexit 1\n")
        executable.chmod(0o755)
        plugin = "perovskite.aims" if engine == "aims" else "core.shell"
        return aiida_code_installed(
            label=f"failing-{engine}", default_calc_job_plugin=plugin, filepath_executable=str(executable)
        )

    return code


@pytest.mark.parametrize(("engine", "step"), OFFERED)
def test_a_failure_is_a_sentence(
    engine: str, step: str, builder_of: Callable[..., Any], failing_code_of: Callable[[str], Any]
) -> None:
    from aiida.engine import run_get_node
    from aiida.orm import CalcJobNode

    outputs, node = run_get_node(builder_of(engine, step, failing_code_of(engine), ready=True))
    assert node.exit_status == 400
    assert SENTENCE in node.exit_message
    assert "results" not in outputs
    jobs = [job for job in node.called_descendants if isinstance(job, CalcJobNode)]
    assert len(jobs) == 1, "tried again in vain"
