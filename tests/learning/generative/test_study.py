"""Names, keys and the thesis's rows that all comparisons of generators share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from smooth_elpasolites import smooth_table

from aiida_perovskite.learning.generative.baselines import Enrichment, NoSettings
from aiida_perovskite.learning.generative.settings import DeepQSettings, VAESettings
from aiida_perovskite.learning.generative.space import GenerativeError
from aiida_perovskite.learning.generative.study import Fit, Study, model_settings, model_type, thesis_rows
from aiida_perovskite.learning.settings import SettingsError


def test_keys_are_those_of_the_files_that_stand_finished() -> None:
    """Hours of finished fits are found by these names: sha256("{}") begins with 44136fa3."""
    assert Fit("random", NoSettings(), None, 3).key == "random-44136fa3-all-3"
    assert Fit("random", NoSettings(), 500, 0).key == "random-44136fa3-500-0"
    assert Fit("vae", VAESettings(), None, 0).key != Fit("vae", VAESettings(updates=9), None, 0).key


def test_rows_name_generators_and_their_settings() -> None:
    assert model_type("enrich_25") is Enrichment
    assert model_settings("enrich_25").to_dict() == {"n_triples": 25}
    assert model_settings("vae", {"updates": 7}) == VAESettings(updates=7)
    assert model_settings("rl", {"updates": 7}, (1, 5)) == DeepQSettings(updates=7, classes=(1, 5))
    assert model_settings("rl", {"classes": [2]}, (1, 5)) == DeepQSettings(classes=(2,))
    for name in ("flow", "enrich_0", "enrich_", "enrich_2x"):
        with pytest.raises(GenerativeError, match="There is no generator"):
            model_settings(name)
    with pytest.raises(SettingsError, match="updatez"):
        model_settings("vae", {"updatez": 1})


def test_the_thesis_is_quoted_only_where_it_measured() -> None:
    rows = {row["model"]: row for row in thesis_rows(1, 10_000)}
    assert (rows["thesis_vae"]["precision"], rows["thesis_vae"]["coverage_std"]) == (0.83, 0.02)
    assert (rows["thesis_enrich_50"]["js_distance"], rows["thesis_enrich_50"]["precision_std"]) == (0.34, 0.03)
    assert {row["model"]: row["coverage"] for row in thesis_rows(5, 25_000_000)}["thesis_rl"] == 0.44
    assert thesis_rows(1, 9_999) == thesis_rows(2, 10_000) == []


def test_fits_are_trained_a_few_at_a_time_on_their_own_subsets(tmp_path: Path) -> None:
    table = smooth_table(60)
    study = Study(table, tmp_path, together=2, say=lambda line: None)
    fits = [Fit("independent", model_settings("independent"), 40, seed) for seed in range(3)]
    learned = {}
    study.train(fits, lambda fit, generator, rows: learned.update({fit.seed: (generator, rows)}))
    assert sorted(learned) == [0, 1, 2]
    for seed, (generator, rows) in learned.items():
        assert generator.data_sha256 == rows.sha256 == table.subset(20, seed=seed).sha256
    assert len({rows.sha256 for _, rows in learned.values()}) == 3


def test_with_one_order_a_row_is_a_compound(tmp_path: Path) -> None:
    table = smooth_table(60)
    study = Study(table, tmp_path, say=lambda line: None)
    settings = model_settings("independent")
    both, one = (study.training_table(Fit("independent", settings, 40, 0, orders)) for orders in (True, False))
    assert (len(both.codes), both.n_compounds) == (40, 20)
    assert (len(one.codes), one.n_compounds) == (40, 40)
    assert np.isin(one.codes, table.rows_as_stored.codes).all(), "A and B as the table has them"
    assert np.array_equal(one.edges, table.edges)
    whole = study.training_table(Fit("independent", settings, None, 0, both_orders=False))
    assert len(whole.codes) == 60
    assert Fit("random", settings, None, 3, both_orders=False).key.endswith("-all-one-order-3")
