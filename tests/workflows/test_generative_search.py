"""A search for settings by real jobs: what diverges, what is interrupted, and what comes out for `generate`."""

from __future__ import annotations

from typing import Any

import pytest
from smooth_elpasolites import smooth_frame

# Small enough for seconds. The second learning rate makes every network diverge.
SEARCH = {
    "draws": 2,
    "initialisations": 2,
    "energy_class": 4,
    "samples": 200,
    "domain": {
        "hidden_layers": [1],
        "width": [16, 32],
        "latent": [2, 4],
        "updates": [20, 40],
        "batch_size": [20],
        "learning_rate": [1e-3, 1e9],
    },
}


def builder(code: Any, overrides: dict[str, Any] | None = None, frame: Any = None, **kwargs: Any) -> Any:
    from aiida_perovskite.data.table import CompositionTableData
    from aiida_perovskite.workflows.generative_search import GenerativeSearchWorkChain

    table = CompositionTableData.from_frame(smooth_frame(200) if frame is None else frame, name="energies")
    changes = {**SEARCH, "max_concurrent": 1, **(overrides or {})}
    return GenerativeSearchWorkChain.get_builder_from_protocol(code, table, overrides=changes, **kwargs)


def n_jobs() -> int:
    from aiida.orm import CalcJobNode, QueryBuilder

    return int(QueryBuilder().append(CalcJobNode).count())


def test_an_interrupted_search_goes_on_and_a_diverging_fit_is_a_row_of_it(
    aiida_profile_clean: Any, python_code: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiida.engine import run_get_node
    from aiida.orm import Dict
    from plumpy import KilledError

    from aiida_perovskite.workflows.generate import validate_settings
    from aiida_perovskite.workflows.generative_search import GenerativeSearchWorkChain

    go_on = GenerativeSearchWorkChain._on_awaitable_finished

    def stop(self: Any, awaitable: Any) -> None:
        if len(self.ctx.queue) == 3:  # the first has ended
            self.kill("stopped by hand")
        else:
            go_on(self, awaitable)

    with monkeypatch.context() as patched:
        patched.setattr(GenerativeSearchWorkChain, "_on_awaitable_finished", stop)
        with pytest.raises(KilledError, match="stopped by hand"):
            run_get_node(builder(python_code))
    assert n_jobs() == 1

    _, node = run_get_node(builder(python_code, {"max_concurrent": 3}))
    assert node.is_finished_ok, node.exit_message
    assert n_jobs() == 4
    assert set(node.outputs) == {"fits", "draws", "summary", "chosen", "model"}

    fits, draws = node.outputs.fits.to_frame(), node.outputs.draws.to_frame()
    diverged = draws["learning_rate"] > 1
    assert diverged.tolist() == [True, False], "the test wants both kinds of draws"
    assert (draws["fits_failed"] == 2 * diverged).all()
    assert fits.loc[fits["draw"].isin(draws.loc[diverged, "draw"]), "error"].str.contains("diverged").all()
    assert fits["error"].isna().sum() == 2 * (~diverged).sum()
    chosen = draws[draws["chosen"]].iloc[0]
    assert chosen["on_front"]
    assert chosen["learning_rate"] == 1e-3
    assert node.outputs.summary["draw"] == chosen["draw"]
    assert node.outputs.summary["lost"] == {}

    assert validate_settings(Dict(node.outputs.chosen.get_dict()), None) is None
    generator = node.outputs.model.load_generator()
    assert generator.settings.to_dict() == node.outputs.chosen["settings"]
    assert generator.seed == node.outputs.chosen["seed"]

    _, again = run_get_node(builder(python_code, {"initialisations": 1}))
    assert again.is_finished_ok, again.exit_message
    assert n_jobs() == 4


def test_a_search_of_which_everything_diverges_says_why(aiida_profile_clean: Any, python_code: Any) -> None:
    from aiida.engine import run_get_node

    hopeless = {"draws": 1, "initialisations": 1, "domain": {**SEARCH["domain"], "learning_rate": [1e9]}}
    _, node = run_get_node(builder(python_code, hopeless))
    assert node.exit_status == 420
    assert "choose a smaller learning rate" in node.exit_message
    assert set(node.outputs) == {"fits", "draws", "summary"}


def test_a_lost_job_is_reported_and_the_others_are_chosen_from(aiida_profile_clean: Any, python_code: Any) -> None:
    from aiida.orm import Dict

    from aiida_perovskite.calculations.generate import choose_settings

    given = builder(python_code, {"initialisations": 1, "draws": 2, "most_js_distance": 0.5})
    said = Dict({"training_js_distance": 0.4, "unique": 150, "rediscovered": 3})
    found = choose_settings(given.dataset, given.settings, Dict({"fit_1_seed_0": "it was killed"}), fit_2_seed_0=said)
    lost = {"fit_1_seed_0": "it was killed"}
    assert found["summary"].get_dict() == {"most_js_distance": 0.5, "lost": lost, "draw": 2, "seed": 0}
    assert found["draws"].to_frame()["error"].fillna("").tolist() == ["it was killed", ""]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model": "flow"}, "There is no generator 'flow'"),
        ({"model": "random", "domain": {}}, "There is no range of settings for random"),
        ({"domain": {"widht": [16]}}, "widht"),
        ({"domain": {"width": [0]}}, "width = 0 is out of its range"),
        ({"domain": {"width": 16}}, "must be a list of values"),
        ({"settings": {"kl_weight": -1.0}}, "kl_weight = -1.0 is out of its range"),
        ({"draws": 0}, "draws = 0 is out of its range"),
        ({"draws": 2.5}, "must be whole numbers"),
        ({"energy_class": 11}, "energy_class = 11 is out of its range"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(python_code: Any, overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        builder(python_code, overrides)


def test_an_empty_class_is_refused_before_anything_runs(aiida_profile_clean: Any, python_code: Any) -> None:
    from aiida.engine import run_get_node

    energy = "formation_energy_ev_per_atom"
    frame = smooth_frame(200)
    gap = frame[(frame[energy] < -1.5) | (frame[energy] > 1.5)]
    with pytest.raises(ValueError, match="class 5 is empty in the training table"):
        run_get_node(builder(python_code, {"energy_class": 5}, gap))
    assert n_jobs() == 0
