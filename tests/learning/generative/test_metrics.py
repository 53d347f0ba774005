"""Metrics against a plain computation with sets and dictionaries, and what chemistry says of samples."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from aiida_perovskite.chemistry import Composition, is_charge_balanced
from aiida_perovskite.learning.generative import Truth, TruthSettings
from aiida_perovskite.learning.generative.diversity import charge_neutral, elmd, mean_elmd
from aiida_perovskite.learning.generative.metrics import SampleCounter, class_metrics
from aiida_perovskite.learning.generative.saturation import saturation_curve
from aiida_perovskite.learning.generative.space import GenerativeError, encode, formula_of, parse_code, space_codes
from aiida_perovskite.learning.generative.table import ElpasoliteTable
from aiida_perovskite.learning.generative.testing import small_table

TABLE = small_table()


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth.fit(TABLE, TruthSettings(cross_validate=False))


@pytest.fixture(scope="module")
def samples(truth: Truth) -> np.ndarray:
    """Samples of several classes with repeats, some of them training rows."""
    random = np.random.default_rng(0)
    pool = np.concatenate([truth.codes_of_class(number)[:200] for number in (2, 3, 4, 7)])
    return np.concatenate([random.choice(pool, 3000), TABLE.codes_of_class(3), random.choice(TABLE.codes, 500)])


def plain_metrics(codes: list[int], requested: int, truth: Truth, table: ElpasoliteTable) -> dict[str, float]:
    """The definitions of SPEC 4.3, read aloud."""
    class_of = {code: int(truth.classes[code]) for code in codes}
    members = {number: set(truth.codes_of_class(number).tolist()) for number in range(1, 11)}
    beside = [number for number in (requested - 1, requested + 1) if 1 <= number <= 10]
    found = set(codes)
    training = set(table.codes.tolist())
    divergences = []
    for site in range(4):
        p, q = (
            {element: count / len(sites) for element, count in Counter(sites).items()}
            for sites in (encode(codes)[:, site].tolist(), encode(sorted(members[requested]))[:, site].tolist())
        )
        middle = {element: (p.get(element, 0) + q.get(element, 0)) / 2 for element in {*p, *q}}
        divergences.append(
            sum(sum(share * math.log2(share / middle[element]) for element, share in d.items()) / 2 for d in (p, q))
        )
    return {
        "n_valid": len(codes),
        "precision": sum(class_of[code] == requested for code in codes) / len(codes),
        "precision_neighbour": sum(class_of[code] in beside for code in codes) / len(codes),
        "coverage": len(found & members[requested]) / len(members[requested]),
        "coverage_neighbour": sum(len(found & members[number]) for number in beside)
        / sum(len(members[number]) for number in beside),
        "js_distance": sum(math.sqrt(divergence) for divergence in divergences) / 4,
        "unique": len(found),
        "rediscovered": len(found & training),
        "novel": len(found - training),
        "charge_neutral": sum(is_charge_balanced(Composition.parse(formula_of(code))) for code in codes) / len(codes),
    }


@pytest.mark.parametrize("requested", [1, 3, 10])
def test_metrics_are_the_definitions(samples: np.ndarray, truth: Truth, requested: int) -> None:
    found = class_metrics(samples, requested, truth, TABLE).to_dict()
    expected = plain_metrics(samples.tolist(), requested, truth, TABLE)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["requested"] == requested


def test_chunks_and_invalid_samples_change_nothing(samples: np.ndarray, truth: Truth) -> None:
    whole = class_metrics(samples, 3, truth, TABLE)
    repeated_elements = np.array([-1, 0, 39**4, 40])
    chunks = iter([samples[:1], repeated_elements, samples[1:700], samples[:0], samples[700:]])
    assert class_metrics(chunks, 3, truth, TABLE) == whole


def test_samples_that_are_nothing_have_no_shares(truth: Truth) -> None:
    metrics = class_metrics(np.array([-1, 0]), 3, truth, TABLE)
    assert (metrics.n_valid, metrics.unique, metrics.coverage) == (0, 0, 0.0)
    assert np.isnan([metrics.precision, metrics.js_distance, metrics.charge_neutral, metrics.elmd_diversity]).all()
    with pytest.raises(GenerativeError, match="no energy class 0"):
        SampleCounter(truth, TABLE).metrics(0)
    with pytest.raises(GenerativeError, match="other edges"):
        class_metrics(np.array([1]), 3, truth, small_table(50))


def test_the_perfect_sample_has_perfect_marks(truth: Truth) -> None:
    metrics = class_metrics(truth.codes_of_class(4), 4, truth, TABLE)
    assert (metrics.precision, metrics.coverage, metrics.js_distance) == (1.0, 1.0, 0.0)
    assert (metrics.precision_neighbour, metrics.coverage_neighbour) == (0.0, 0.0)


def test_discoveries_and_repetitions_as_the_sample_grows(samples: np.ndarray, truth: Truth) -> None:
    sizes = [1, 10, 1500, len(samples)]
    frame = saturation_curve(np.array_split(samples, 7), 3, truth, TABLE, sizes).set_index("n_valid")
    assert frame.index.tolist() == sizes
    training = set(TABLE.codes.tolist())
    for size in sizes:
        found = set(samples[:size].tolist())
        right = {code for code in found if truth.classes[code] == 3}
        beside = {code for code in found if truth.classes[code] in (2, 4)}
        n_right = int((truth.classes[samples[:size]] == 3).sum())
        assert frame.loc[size].to_dict() == pytest.approx(
            {
                "novel": len(found - training),
                "rediscovered": len(found & training),
                "repeated": size - len(found),
                "novel_right": len(right - training),
                "rediscovered_right": len(right & training),
                "repeated_right": n_right - len(right),
                "novel_neighbour": len(beside - training),
                "coverage": len(right) / truth.counts[2],
            }
        )
    with pytest.raises(GenerativeError, match="fewer than the last size"):
        saturation_curve([samples], 3, truth, TABLE, [len(samples) + 1])
    with pytest.raises(GenerativeError, match="positive and ascend"):
        saturation_curve([samples], 3, truth, TABLE, [10, 10])


def test_neutrality_is_that_of_the_screening() -> None:
    codes = np.random.default_rng(2).choice(space_codes(), 400, replace=False)
    codes = np.concatenate([codes, np.flatnonzero(charge_neutral())[::2000]])
    expected = [is_charge_balanced(Composition.parse(formula_of(code))) for code in codes]
    assert charge_neutral()[codes].tolist() == expected
    assert charge_neutral()[parse_code("K2NaAlF6")]
    assert not charge_neutral()[parse_code("K2NaAlO6")]


def test_the_element_movers_distance_is_that_of_the_published_examples() -> None:
    """One step of the scale for six atoms of ten; F to Cl is one step, K to Rb too."""
    fluoride = parse_code("K2NaAlF6")
    others = [parse_code(formula) for formula in ("K2NaAlCl6", "Rb2NaAlF6", "K2NaAlF6", "K2NaAlI6")]
    assert elmd([fluoride] * 4, others) == pytest.approx([0.6, 0.2, 0.0, 1.8])


def test_the_mean_distance_is_that_over_all_pairs() -> None:
    codes = np.random.default_rng(3).choice(space_codes(), 60, replace=False)
    counts = np.random.default_rng(4).integers(1, 4, 60)
    drawn = np.repeat(codes, counts)
    pairs = np.array(list(combinations(drawn.tolist(), 2)))
    expected = elmd(pairs[:, 0], pairs[:, 1]).mean()
    assert mean_elmd(drawn) == pytest.approx(expected)
    assert mean_elmd(codes, counts) == pytest.approx(expected)
    assert np.isnan(mean_elmd(codes[:1]))
