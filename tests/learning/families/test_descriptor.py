from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aiida_perovskite.chemistry import CompositionError
from aiida_perovskite.learning.families import FamilyDataError, build_descriptor, mirror_levels, numeric_descriptor
from aiida_perovskite.learning.families.descriptor import SITES, both_orders, canonical_levels

KINDS = ("homo_{}_ev", "lumo_{}_ev", "vbm_weight_{}", "cbm_weight_{}")
PAIRS = [i + j for i in SITES for j in SITES]


def frame_of(attention: np.ndarray, sites: np.ndarray) -> pd.DataFrame:
    """Levels of one compound: attention (layers, heads, 4, 4), other numbers (4 kinds, 4 sites)."""
    row: dict[str, object] = {"formula": "AgBiCs2Br6", "a": "Ag", "b": "Bi", "c": "Cs", "d": "Br", "gap_ev": 1.0}
    for kind, values in zip(KINDS, sites, strict=True):
        row |= {kind.format(site): value for site, value in zip(SITES, values, strict=True)}
    for layer, heads in enumerate(attention, start=1):
        for head, weights in enumerate(heads, start=1):
            row |= {
                f"attention_{layer}_{head}_{pair}": value for pair, value in zip(PAIRS, weights.ravel(), strict=True)
            }
    return pd.DataFrame([row])


numbers = st.floats(-5, 5, width=32)


@settings(max_examples=20, deadline=None)
@given(arrays.arrays(float, (3, 3, 4, 4), elements=numbers), arrays.arrays(float, (4, 4), elements=numbers))
def test_the_mirror_permutes_every_site_and_undoes_itself(attention: np.ndarray, sites: np.ndarray) -> None:
    levels = frame_of(attention, sites)
    mirrored = mirror_levels(levels)
    exchanged = [1, 0, 2, 3]
    expected = frame_of(attention[:, :, exchanged][:, :, :, exchanged], sites[:, exchanged]).assign(a="Bi", b="Ag")
    pd.testing.assert_frame_equal(mirrored, expected)
    pd.testing.assert_frame_equal(mirror_levels(mirrored), levels)


def test_the_descriptor_is_the_mean_over_heads_of_each_layer_and_both_weights() -> None:
    random = np.random.default_rng(0)
    attention, sites = random.random((3, 3, 4, 4)), random.random((4, 4))
    full = build_descriptor(frame_of(attention, sites))
    weights = np.concatenate([sites[2], sites[3]])
    np.testing.assert_allclose(full.values[0], np.concatenate([attention.mean(axis=1).ravel(), weights]))
    assert (len(full.names), full.names[1], full.names[-1]) == (56, "attention_1_ab", "cbm_weight_d")
    last = build_descriptor(frame_of(attention, sites), "last")
    np.testing.assert_allclose(last.values[0], np.concatenate([attention[2].mean(axis=0).ravel(), weights]))
    assert last.names[0] == "attention_3_aa"


def test_rows_are_canonical_however_a_user_orders_them(levels: pd.DataFrame) -> None:
    random = np.random.default_rng(1)
    turned = random.random(len(levels)) < 0.5
    noted = levels.assign(note="any other column is left alone")
    written = pd.concat([noted[~turned], mirror_levels(noted[turned])]).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(canonical_levels(written), noted)


def test_both_orders_put_the_mirror_n_rows_below(levels: pd.DataFrame) -> None:
    both = both_orders(levels)
    top, bottom = both.iloc[: len(levels)], both.iloc[len(levels) :].reset_index(drop=True)
    pd.testing.assert_frame_equal(mirror_levels(bottom).drop(columns="order"), top.drop(columns="order"))
    assert both["order"].value_counts().to_dict() == {"AB": len(levels), "BA": len(levels)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda levels: levels.drop(columns="cbm_weight_c"), "cbm_weight_c"),
        (lambda levels: levels.assign(vbm_weight_a=np.nan), "vbm_weight_a"),
        (lambda levels: levels.assign(vbm_weight_a="much"), "do not hold numbers"),
        (lambda levels: levels.assign(attention_1_2_ab=np.inf), "attention_1_2_ab"),
        (lambda levels: pd.concat([levels, levels.iloc[:3]]), "3 compounds are listed more than once"),
        (lambda levels: pd.concat([levels, mirror_levels(levels.iloc[:1])]), "more than once"),
        (lambda levels: levels.assign(c="Ra"), "contradict each other"),
        (lambda levels: levels.iloc[:0], "no rows"),
    ],
)
def test_broken_levels_get_one_sentence(levels: pd.DataFrame, change, message: str) -> None:
    with pytest.raises(FamilyDataError, match=message):
        canonical_levels(change(levels))


def test_an_unknown_element_and_missing_attention_are_named(levels: pd.DataFrame) -> None:
    with pytest.raises(CompositionError, match="'Xx' is not the symbol"):
        canonical_levels(levels.assign(c="Xx"))
    with pytest.raises(FamilyDataError, match="attention_2_3_cd"):
        build_descriptor(levels.drop(columns="attention_2_3_cd"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"formula": ["x", "y"], "one": [1.0, 2.0], "word": ["p", "q"]}, "word do not hold numbers"),
        ({"formula": ["x", "y"], "one": [1.0, np.inf]}, "one hold values that are not numbers"),
        ({"formula": ["x", "x"], "one": [1.0, 2.0]}, "1 rows are listed more than once"),
        ({"one": [1.0, 1.0], "two": [2.0, 2.0]}, "1 rows are listed more than once"),
        ({"formula": ["x", "y"]}, "no column of numbers"),
    ],
)
def test_a_broken_table_gets_one_sentence(table: dict[str, list[object]], message: str) -> None:
    with pytest.raises(FamilyDataError, match=message):
        numeric_descriptor(pd.DataFrame(table))


def test_a_table_may_be_integers_and_need_no_labels() -> None:
    descriptor = numeric_descriptor(pd.DataFrame({"one": [1, 2], "two": [3.5, 3.5]}))
    assert descriptor.names == ("one", "two")
    np.testing.assert_array_equal(descriptor.values, [[1, 3.5], [2, 3.5]])
