"""Settings are drawn from the thesis's ranges, and chosen as the thesis chose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from smooth_elpasolites import smooth_table

from aiida_perovskite.learning.generative.search import DOMAINS, SearchSettings, summarise, try_settings
from aiida_perovskite.learning.generative.selection import (
    THESIS_DISTANCE,
    choose,
    knee,
    pareto_front,
    sampling_distance,
)
from aiida_perovskite.learning.generative.space import GenerativeError
from aiida_perovskite.learning.generative.study import model_settings
from aiida_perovskite.learning.settings import SettingsError

# The first 40 models of each search of the thesis (tables 7.2 to 7.4), numbers only; `layers` counts the last one, too.
THESIS = pd.read_csv(Path(__file__).parent / "thesis_search.csv")
SMALL = {"domain": {"hidden_layers": [1], "width": [16], "latent": [2], "updates": [20], "batch_size": [20]}}


def of_thesis(model: str) -> pd.DataFrame:
    return THESIS[THESIS["model"] == model].reset_index(drop=True)


@pytest.mark.parametrize("model", ["vae", "gan", "rl"])
def test_the_choice_from_the_tables_of_the_thesis_is_the_model_of_the_thesis(model: str) -> None:
    """Its settings are the defaults of the package. The knee alone takes two others."""
    rows = of_thesis(model)
    points = rows["training_js_distance"].tolist(), rows["unique"].tolist()
    chosen = choose(*points, THESIS_DISTANCE)
    assert chosen in pareto_front(*points)
    row, default = rows.iloc[chosen], model_settings(model)
    assert row["layers"] - 1 == default.hidden_layers
    for name in ("width", "updates", "batch_size", "learning_rate", *(["latent"] if model != "rl" else [])):
        assert row[name] == getattr(default, name), name
    assert (knee(*points) == chosen) == (model == "rl")


def test_any_distance_in_a_range_takes_the_same_three_models() -> None:
    for model, number in (("vae", 26), ("gan", 11), ("rl", 2)):
        rows = of_thesis(model)
        for limit in (0.252, 0.255, 0.258):
            assert rows["id"][choose(rows["training_js_distance"], rows["unique"], limit)] == number


@pytest.mark.parametrize("model", ["vae", "gan", "rl"])
def test_every_model_of_the_thesis_lies_in_the_domain(model: str) -> None:
    rows = of_thesis(model).assign(hidden_layers=lambda frame: frame["layers"] - 1)
    for name, values in DOMAINS[model].items():
        assert set(rows[name]) <= set(values), name


def test_draws_are_of_the_domain_and_the_first_ones_stay() -> None:
    few, many = SearchSettings(draws=20).combinations(), SearchSettings(draws=100).combinations()
    assert many[:20] == few
    assert few != SearchSettings(draws=20, seed=1).combinations()
    for name, values in DOMAINS["vae"].items():
        assert {row[name] for row in many} == set(values)
    # The same combinations for all generators, of RL with eight times the updates.
    for one, other in zip(few, SearchSettings(model="rl", draws=20).combinations(), strict=True):
        assert other == {name: value for name, value in one.items() if name != "latent"} | {
            "updates": 8 * one["updates"]
        }


def test_the_generator_learns_the_class_that_is_asked_for() -> None:
    search = SearchSettings(model="rl", energy_class=5, settings={"beta": 2.0})
    settings = search.settings_of(search.combinations()[0])
    assert settings["classes"] == [5]
    assert settings["beta"] == 2.0


def test_a_fit_says_what_the_training_rows_say_and_a_diverging_one_why_it_says_nothing() -> None:
    search = SearchSettings(**SMALL)
    settings = search.settings_of(search.combinations()[0])
    fitted, said = try_settings(smooth_table(200), "vae", {**settings, "learning_rate": 1e-3}, 0, 4, 200)
    assert fitted is not None
    assert set(said) == {"training_js_distance", "unique", "rediscovered"}
    assert 0 < said["unique"] <= 200
    nothing, said = try_settings(smooth_table(200), "vae", {**settings, "learning_rate": 1e9}, 0, 4, 200)
    assert nothing is None
    assert "diverged" in said["error"]
    edges = np.linspace(-100, 100, 11)
    with pytest.raises(GenerativeError, match="class 1 is empty"):
        try_settings(smooth_table(200).from_stored(smooth_table(200).rows_as_stored, edges), "vae", settings, 0, 1, 200)


def test_failed_fits_count_as_the_worst_of_their_draw() -> None:
    search = SearchSettings(draws=3, initialisations=3, most_js_distance=0.3)
    failed = {"error": "it diverged"}

    def fit(distance: float, unique: int) -> dict[str, float]:
        return {"training_js_distance": distance, "unique": unique, "rediscovered": 1}

    fits = [
        *(fit(0.20, 500), failed, fit(0.25, 400)),  # the median of 0.20, 0.25 and infinity; of 500, 400 and 0
        *(fit(0.20, 900), failed, failed),  # lost, although its one fit is the best of all
        *(fit(0.29, 300), fit(0.28, 350), fit(0.27, 330)),
    ]
    places = [(draw, seed) for draw in (1, 2, 3) for seed in (0, 1, 2)]
    found = summarise(search, smooth_table(200), dict(zip(places, fits, strict=True)))
    assert found.draws["training_js_distance"].tolist() == pytest.approx([0.25, np.nan, 0.28], nan_ok=True)
    assert found.draws["unique"].tolist() == pytest.approx([400, np.nan, 330], nan_ok=True)
    assert found.draws["fits_failed"].tolist() == [1, 2, 0]
    assert found.draws["on_front"].tolist() == [True, False, False]
    assert found.draws["chosen"].tolist() == [True, False, False]
    assert found.chosen is not None
    assert (found.chosen["draw"], found.chosen["seed"]) == (1, 0)
    assert found.fits["error"].notna().sum() == 3

    nothing = summarise(search, smooth_table(200), dict.fromkeys(places, failed))
    assert nothing.chosen is None
    assert not nothing.draws["chosen"].any()


def test_the_smaller_a_class_the_farther_apart_are_two_samples_of_it() -> None:
    table = smooth_table(2000)
    sizes = {number: int(table.counts[number - 1]) for number in range(1, 11) if table.counts[number - 1] > 3}
    rarest, commonest = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    assert 0 < sampling_distance(table, commonest) < sampling_distance(table, rarest) < 1


def test_without_a_model_that_is_near_the_knee_is_taken() -> None:
    distances, uniques = [0.1, 0.2, 0.3], [100.0, 900.0, 1000.0]
    assert choose(distances, uniques, 0.05) == knee(distances, uniques) == 1
    assert choose(distances, uniques, 0.3) == 2
    with pytest.raises(GenerativeError, match="None of the models"):
        choose([float("nan")], [0.0], 0.3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "independent"}, "There is no range of settings for independent"),
        ({"model": "autoregressive", "domain": {"members": [2], "folds": [4]}}, "at least as many as folds"),
        ({"most_js_distance": -1.0}, "above 0"),
        ({"drawz": 3}, "drawz"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        SearchSettings.from_dict(changes)
