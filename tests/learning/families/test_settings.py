from __future__ import annotations

import json

import pytest

from aiida_perovskite.learning import SettingsError
from aiida_perovskite.learning.families import FamilySettings


def test_settings_survive_json() -> None:
    settings = FamilySettings(layers="last", k_max=6, rule="elbow", standardise=True)
    assert FamilySettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    "values",
    [
        {"layers": "first"},
        {"k_min": 1},
        {"k_min": 5, "k_max": 4},
        {"rule": "eye"},
        {"permutations": 50},  # no p-value of 0.01 can come out
        {"n_init": "10"},
        {"clusters": 3},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(values))):
        FamilySettings.from_dict(values)
