"""From a table of energies to compounds for a target, by real jobs."""

from __future__ import annotations

from typing import Any

import pytest
from smooth_elpasolites import smooth_frame

TARGET = "formation energy < 0 eV/atom"
OVERRIDES = {
    "settings": {"updates": 20, "members": 2, "folds": 2, "width": 16},
    "design": {"draws": 500, "most_draws": 2000},
    "evaluation": {"classes": [4, 5], "samples": 200},
}


def inputs(code: Any, frame: Any = None, target: str = TARGET, n: int = 20, **kwargs: Any) -> Any:
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.generate import GenerateWorkChain

    table = CompositionTableData.from_frame(smooth_frame(200) if frame is None else frame, name="energies")
    kwargs = {"overrides": OVERRIDES, **kwargs}
    return GenerateWorkChain.get_builder_from_protocol(code, table, target, n, **kwargs)


def test_from_a_table_to_compounds(aiida_profile_clean: Any, python_code: Any, tmp_path: Any) -> None:
    """Train, design and evaluate; then again with the trained generator, which gives the same compounds."""
    from aiida.engine import run_get_node
    from aiida.orm import Bool, CalcJobNode

    from aiida_perovskite.learning.generative import Truth

    _, node = run_get_node(inputs(python_code, exclude=["Tl", "Pb"], evaluate=Bool(True)))
    assert node.is_finished_ok, node.exit_message
    assert set(node.outputs) == {"model", "compositions", "summary", "evaluation", "truth"}
    found = node.outputs.compositions.to_frame()
    assert len(found) == node.outputs.summary["n_compositions"] == 20
    assert (found["formation_energy_ev_per_atom"] < 0).all()
    assert not found["formula"].str.contains("Tl|Pb").any()
    assert node.outputs.model.load_generator().settings.updates == 20
    assert node.outputs.evaluation.to_frame()["requested"].tolist() == [4, 5]
    for name in node.outputs.truth.base.repository.list_object_names():
        (tmp_path / name).write_bytes(node.outputs.truth.base.repository.get_object_content(name, "rb"))
    assert Truth.load(tmp_path).counts.sum() == 1_974_024

    _, again = run_get_node(inputs(python_code, exclude=["Tl", "Pb"], model=node.outputs.model))
    assert again.is_finished_ok, again.exit_message
    assert again.outputs.compositions.sha256 == node.outputs.compositions.sha256
    assert len([job for job in again.called_descendants if isinstance(job, CalcJobNode)]) == 1


def test_the_shipped_generator_needs_no_table(aiida_profile_clean: Any, python_code: Any) -> None:
    from aiida.engine import run_get_node
    from aiida.orm import Bool

    from aiida_perovskite.cli.generate import shipped_generator_node
    from aiida_perovskite.workflows.generate import GenerateWorkChain, validate_together

    def builder(**kwargs: Any) -> Any:
        return GenerateWorkChain.get_builder_from_protocol(
            python_code, None, "formation energy < -2.3", 10, overrides={"design": {"draws": 500}}, **kwargs
        )

    assert "give `dataset`" in str(validate_together(builder(), None))
    shipped = shipped_generator_node()
    assert "give `dataset`" in str(validate_together(builder(model=shipped, evaluate=Bool(True)), None))
    _, node = run_get_node(builder(model=shipped))
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.compositions.n_rows == 10
    assert node.outputs.summary["n_known"] is None
    assert shipped_generator_node().uuid == shipped.uuid, "the profile holds it once"


def test_a_design_that_finds_nothing_says_so(aiida_profile_clean: Any, python_code: Any) -> None:
    from aiida.engine import run_get_node

    from aiida_perovskite.learning.generative.space import ELEMENTS

    overrides = {"name": "independent", "design": {"draws": 100, "most_draws": 100}}
    _, node = run_get_node(inputs(python_code, overrides=overrides, exclude=ELEMENTS))
    assert node.exit_status == 412
    assert "None of" in node.exit_message
    assert "exclude less" in node.exit_message
    assert set(node.outputs) == {"model"}


def test_the_protocol_holds_the_settings_of_the_dataclasses() -> None:
    from aiida_perovskite.learning.generative.design import DesignSettings
    from aiida_perovskite.learning.generative.evaluation import EvaluationSettings
    from aiida_perovskite.workflows.protocols import load_protocol

    settings = load_protocol("generate")
    assert settings["design"] == DesignSettings().to_dict()
    assert settings["evaluation"] == EvaluationSettings().to_dict()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"name": "diffusion"}, "There is no generator 'diffusion'"),
        ({"settings": {"updatez": 1}}, "updatez"),
        ({"design": {"confidence": 2.0}}, "confidence = 2.0 is out of its range"),
        ({"evaluation": {"classes": [11]}}, "numbers from 1 to 10"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(python_code: Any, overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        inputs(python_code, overrides=overrides)


def test_input_that_will_not_do_is_refused_before_anything_runs(python_code: Any) -> None:
    from aiida_perovskite.workflows.generate import validate_together

    frame = smooth_frame(200)
    energy = "formation_energy_ev_per_atom"

    def fault(*args: Any, **kwargs: Any) -> str:
        found = validate_together(inputs(python_code, *args, **kwargs), None)
        assert found is not None
        return found

    assert validate_together(inputs(python_code), None) is None
    repeated = frame.assign(b=[frame["a"][0], *frame["b"][1:]])
    assert "Row 1 of the table, the header not counted, will not do" in fault(repeated)
    assert "1 rows have no formation energy" in fault(frame.assign(**{energy: [None, *frame[energy][1:]]}))
    assert "has no column d, which inverse design needs" in fault(frame.drop(columns="d"))
    assert "is not understood" in fault(target="band gap < 1 eV")
    assert "outside of the training energies" in fault(target="formation energy < -99 eV/atom")
    middle = frame[(frame[energy] < -1.5) | (frame[energy] > 1.5)]
    assert "are empty in the training table" in fault(middle, target="formation energy between -0.2 and 0.2")
    assert "ask for 1 to 987012" in fault(n=987_013)
    assert "Ag cannot be excluded" in fault(exclude=["Ag"])
    policies = {"name": "rl", "settings": {"updates": 20, "classes": [1, 2]}}
    assert "rl would be trained for 1, 2: give `classes: [1, 2, 3" in fault(overrides=policies)


def test_models_that_will_not_do_are_refused(aiida_profile_clean: Any, python_code: Any, tiny_model: Any) -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.generate import train_generator
    from aiida_perovskite.workflows.generate import validate_together

    assert "generates nothing" in validate_together(inputs(python_code, model=tiny_model), None)
    builder = inputs(python_code, smooth_frame(100))
    other = train_generator(builder.dataset, Dict({"name": "independent", "seed": 0, "settings": {}}))
    assert "trained on other rows" in validate_together(inputs(python_code, model=other), None)
