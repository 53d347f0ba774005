"""Calcfunctions of inverse design."""

from __future__ import annotations

from typing import Any

from smooth_elpasolites import smooth_frame


def node_of(frame: Any) -> Any:
    from aiida_perovskite.data.table import CompositionTableData

    return CompositionTableData.from_frame(frame, name="energies")


def test_train_design_and_evaluate(aiida_profile_clean: Any) -> None:
    from aiida.orm import Dict, Int, List, Str

    from aiida_perovskite.calculations.generate import evaluate_generator, generate_compositions, train_generator

    table = node_of(smooth_frame(200))
    model = train_generator(table, Dict({"name": "independent", "seed": 3, "settings": {}}))
    assert (model.is_generator, model.base.attributes.get("seed")) == (True, 3)
    target, settings = Str("formation energy between -1 and 1 eV/atom"), Dict({"draws": 500})
    found = generate_compositions(model, table, target, Int(10), settings, List(["He"]))
    frame = found["compositions"].to_frame()
    assert len(frame) == found["summary"]["n_compositions"] == 10
    assert frame["formation_energy_ev_per_atom"].between(-1, 1).all()
    judged = evaluate_generator(model, table, Dict({"classes": [5], "samples": 100}))
    assert judged["evaluation"].to_frame()["n_valid"].tolist() == [100]
    assert sorted(judged["truth"].base.repository.list_object_names()) == ["truth.json", "truth.npz"]


def test_bad_input_is_an_exit_code_with_a_sentence(aiida_profile_clean: Any) -> None:
    from aiida.orm import Dict, Int, Str

    from aiida_perovskite.calculations.generate import evaluate_generator, generate_compositions, train_generator

    frame = smooth_frame(100)
    table, kind = node_of(frame), {"name": "independent", "seed": 0, "settings": {}}
    repeated = node_of(frame.assign(b=[frame["a"][0], *frame["b"][1:]]))

    def message(function: Any, *arguments: Any) -> str:
        _, node = function.run_get_node(*arguments)
        assert node.exit_status == 400
        return str(node.exit_message)

    assert "Row 1 of the table, the header not counted, will not do" in message(train_generator, repeated, Dict(kind))
    assert "There is no generator 'diffusion'" in message(train_generator, table, Dict({**kind, "name": "diffusion"}))
    model = train_generator(table, Dict(kind))
    words = message(generate_compositions, model, table, Str("gap < 1"), Int(1), Dict({}))
    assert "is not understood" in words
    assert "numbers from 1 to 10" in message(evaluate_generator, model, table, Dict({"classes": [0]}))
