"""Baselines: the contract of all generators, and what each of them is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiida_perovskite.datasets import load_elpasolites_as_stored
from aiida_perovskite.learning import CheckpointError
from aiida_perovskite.learning.generative import generator_type, load_generator
from aiida_perovskite.learning.generative.baselines import (
    Enrichment,
    EnrichmentSettings,
    Enumeration,
    EnumerationSettings,
    Evolution,
    EvolutionSettings,
    IndependentSites,
    NoSettings,
    RandomGenerator,
    triple_scores,
)
from aiida_perovskite.learning.generative.distributions import site_distribution
from aiida_perovskite.learning.generative.space import GenerativeError, encode, space_codes
from aiida_perovskite.learning.generative.table import ElpasoliteTable, energy_classes
from aiida_perovskite.learning.generative.testing import GeneratorTests, small_table


class TestRandomGenerator(GeneratorTests):
    generator_type = RandomGenerator
    settings = NoSettings()


class TestIndependentSites(GeneratorTests):
    generator_type = IndependentSites
    settings = NoSettings()


class TestEnrichment(GeneratorTests):
    generator_type = Enrichment
    settings = EnrichmentSettings(n_triples=5)


class TestEnumeration(GeneratorTests):
    generator_type = Enumeration
    settings = EnumerationSettings()


class TestEvolution(GeneratorTests):
    generator_type = Evolution
    settings = EvolutionSettings(population=50, generations=3)


def test_random_compositions_are_spread_evenly() -> None:
    codes = RandomGenerator.fit(small_table()).sample(5, 40_000, seed=0)
    counts = 40_000 * site_distribution(codes)
    assert np.abs(counts - 40_000 / 39).max() < 5 * np.sqrt(40_000 / 39)


def test_independent_sites_draw_what_the_class_holds() -> None:
    table = small_table()
    codes = IndependentSites.fit(table).sample(4, 5000, seed=0)
    drawn, training = site_distribution(codes), site_distribution(table.codes_of_class(4))
    assert ((drawn > 0) <= (training > 0)).all()
    assert drawn == pytest.approx(training, abs=0.06), "rejecting repeated elements shifts the shares a little"


def test_triples_are_those_of_the_specification(shared_folder: Path) -> None:
    """344 triples of class 1, 320 of them different; of those absent elsewhere 2 occur thrice, 12 twice, 224 once."""
    frame = load_elpasolites_as_stored(shared_folder / "data/elpasolite-prl2016/elpasolite_prl2016_10590.csv").frame
    table = ElpasoliteTable.from_rows(*(frame[site] for site in "abcd"), frame["formation_energy_ev_per_atom"])
    triples, in_class, in_others, scores = triple_scores(table, 1)
    assert (int(in_class.sum()), len(triples)) == (344, 320)
    absent = in_others == 0
    assert np.bincount(in_class[absent]).tolist() == [0, 224, 12, 2]
    first = np.flatnonzero(absent & (in_class == 3))[0]
    assert scores[first] == pytest.approx((3 / 86) / (0.1 / 21_026))
    # The fourteen are always taken, the others are drawn from the 224.
    best = {tuple(triple) for triple in triples[absent & (in_class > 1)]}
    rest = {tuple(triple) for triple in triples[absent & (in_class == 1)]}
    for seed in (0, 1):
        taken = {tuple(triple) for triple in Enrichment.fit(table, EnrichmentSettings(25), seed).triples[0]}
        assert best < taken
        assert taken - best < rest


def test_all_completions_of_a_triple_are_samples() -> None:
    generator = Enrichment.fit(small_table(), EnrichmentSettings(n_triples=1))
    free = int(np.flatnonzero(generator.triples[3, 0] < 0)[0])
    completions = generator.completions(4)
    assert len(completions) == 36
    kept = [site for site in range(4) if site != free]
    assert (encode(completions)[:, kept] == generator.triples[3, 0][kept]).all()
    assert set(generator.sample(4, 2000, seed=0)) == set(completions)


def test_enumeration_draws_from_what_the_regression_puts_into_the_class() -> None:
    generator = Enumeration.fit(small_table())
    codes = generator.sample(6, 2000, seed=0)
    predicted = energy_classes(generator.regression.predict(codes), generator.edges)
    assert (predicted == 6).all()


def test_where_the_regression_finds_nothing_the_nearest_are_taken() -> None:
    table = small_table()
    generator = Enumeration.fit(table, EnumerationSettings(regularisation=1e6, at_least=8))
    energies = generator.regression.space[space_codes()]
    assert energies.max() < table.edges[-2], "so much regularisation leaves the mean alone"
    nearest = space_codes()[np.argsort(energies)[-8:]]
    assert set(generator.sample(10, 500, seed=0)) == set(nearest)


def test_evolution_finds_what_the_training_class_does_not_hold() -> None:
    table = small_table()
    generator = Evolution.fit(table, EvolutionSettings(population=100, generations=10))
    codes = generator.sample(2, 1000, seed=0)
    predicted = energy_classes(generator.regression.predict(codes), generator.edges)
    assert (predicted == 2).mean() > 0.95
    assert len(set(codes) - set(table.codes_of_class(2))) > 300


def test_a_checkpoint_says_which_generator_it_is(tmp_path: Path) -> None:
    generator = IndependentSites.fit(small_table())
    generator.save(tmp_path)
    loaded = load_generator(tmp_path)
    assert type(loaded) is IndependentSites
    assert np.array_equal(loaded.sample(4, 50, seed=0), generator.sample(4, 50, seed=0))
    text = (tmp_path / "generator.json").read_text(encoding="utf-8").replace('"independent"', '"diffusion"')
    (tmp_path / "generator.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match="of the kind diffusion, which this version does not know"):
        load_generator(tmp_path)
    with pytest.raises(GenerativeError, match=r"no generator 'diffusion'; choose from random"):
        generator_type("diffusion")
