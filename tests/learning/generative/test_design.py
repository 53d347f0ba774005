"""From a target in words to ranked compositions."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_elpasolites import smooth_energies, smooth_table

from aiida_perovskite.chemistry import TOXIC_ELEMENTS
from aiida_perovskite.learning.generative import GenerativeError, generator_type
from aiida_perovskite.learning.generative.design import DesignSettings, EnergyTarget, design
from aiida_perovskite.learning.generative.evaluation import EvaluationSettings, evaluate
from aiida_perovskite.learning.generative.space import ELEMENTS, parse_code
from aiida_perovskite.learning.generative.truth import Truth


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("formation energy < -2.3 eV/atom", [-2.31, -9.0], [-2.3, 0.0]),
        ("Formation energy<=-2.3", [-2.3, -9.0], [-2.29]),
        ("formation energy > 1e-1 eV/atom", [0.11], [0.1, -1.0]),
        ("formation energy >= .5", [0.5, 3.0], [0.49]),
        (" formation energy between -2.5 and -2 eV/atom ", [-2.5, -2.0], [-2.51, -1.99]),
    ],
)
def test_targets_in_words(text: str, inside: list[float], outside: list[float]) -> None:
    target = EnergyTarget.parse(text)
    assert target.holds(inside).all()
    assert not target.holds(outside).any()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "band gap < 2 eV",
        "formation energy",
        "formation energy = -2",
        "formation energy < -2 eV",
        "formation energy < __import__('os')",
        "formation energy < -2 eV/atom and more",
        "formation energy between -2 and -3",
        "formation energy < 1e999",
        "formation energy < ٣",
    ],
)
def test_what_is_no_target_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(GenerativeError, match=r"^The target .*: (write it like|give finite numbers).*\.$"):
        EnergyTarget.parse(text)


def test_classes_of_a_target() -> None:
    edges, counts = np.linspace(-5.0, 5.0, 11), np.array([3, 2, 0, *[4] * 7])
    assert EnergyTarget.parse("formation energy < -3.5").classes(edges, counts) == [1, 2]
    assert EnergyTarget.parse("formation energy < -4").classes(edges, counts) == [1]
    assert EnergyTarget.parse("formation energy between -3.5 and -1.5").classes(edges, counts) == [2, 4]
    with pytest.raises(GenerativeError, match=r"outside of the training energies, -5\.00 to 5\.00 eV/atom"):
        EnergyTarget.parse("formation energy < -6").classes(edges, counts)
    with pytest.raises(GenerativeError, match="are empty in the training table"):
        EnergyTarget.parse("formation energy between -2.9 and -2.1").classes(edges, counts)


def test_ranked_compositions() -> None:
    """Predictions are right within their intervals, probabilities come true, and nothing excluded comes."""
    table = smooth_table(500)
    target = EnergyTarget.parse("formation energy between -1 and 1")
    generator = generator_type("independent").fit(table)
    found = design(generator, table, target, 50, DesignSettings(draws=2000), exclude=TOXIC_ELEMENTS)
    frame = found.compositions
    assert len(frame) == found.summary["n_compositions"] == 50
    assert frame["formula"].is_unique
    energies = frame["formation_energy_ev_per_atom"]
    assert energies.is_monotonic_increasing
    assert energies.between(-1, 1).all()
    assert not frame["toxic"].any()
    true = smooth_energies(np.array([parse_code(formula) for formula in frame["formula"]]))
    inside = (frame["lower_ev_per_atom"] <= true) & (true <= frame["upper_ev_per_atom"])
    assert inside.mean() > 0.75
    probability = frame["target_probability"]
    assert ((probability > 0) & (probability <= 1)).all()
    assert abs(probability.mean() - target.holds(true).mean()) < 0.2
    in_table = np.isin([parse_code(formula) for formula in frame["formula"]], table.codes)
    assert frame["known"].tolist() == in_table.tolist()
    np.testing.assert_allclose(frame["known_energy_ev_per_atom"][in_table], true[in_table])
    assert frame["known_energy_ev_per_atom"][~in_table].isna().all()
    again = design(generator, table, target, 50, DesignSettings(draws=2000), exclude=TOXIC_ELEMENTS)
    assert again.compositions.equals(frame)


def test_charge_balanced_compounds_only() -> None:
    table = smooth_table(500)
    target = EnergyTarget.parse("formation energy between -1 and 1")
    generator = generator_type("independent").fit(table)
    any_charge = design(generator, table, target, 50, DesignSettings(draws=2000))
    assert not any_charge.compositions["charge_balanced"].all()
    neutral = design(generator, table, target, 50, DesignSettings(draws=2000, charge_balanced=True))
    assert len(neutral.compositions) == neutral.summary["n_charge_balanced"] == 50


def test_what_cannot_be_designed() -> None:
    table, other = smooth_table(100), smooth_table(100, seed=1)
    generator = generator_type("independent").fit(table)
    target = EnergyTarget.parse("formation energy < 0")
    with pytest.raises(GenerativeError, match="987013 compounds cannot be given: ask for 1 to 987012"):
        design(generator, table, target, 987_013)
    with pytest.raises(GenerativeError, match="trained on other rows"):
        design(generator, other, target, 5)
    few = DesignSettings(draws=100, most_draws=100)
    with pytest.raises(GenerativeError, match=r"None of .* is allowed"):
        design(generator, table, target, 5, few, exclude=ELEMENTS)


def test_evaluation_against_the_truth() -> None:
    table = smooth_table(300)
    truth = Truth.fit(table)
    frame = evaluate(
        generator_type("enumeration").fit(table), table, truth, EvaluationSettings(classes=(3, 5), samples=500)
    )
    assert frame["requested"].tolist() == [3, 5]
    assert (frame["precision"] > 0.5).all()
    assert set(frame["generator"]) == {"enumeration"}
