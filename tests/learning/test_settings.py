from __future__ import annotations

import json

import pytest

from aiida_perovskite.learning import SettingsError, TrainingSettings


def test_settings_survive_json():
    settings = TrainingSettings(epochs=7, learning_curve=(0.25, 0.5), loss="huber")
    assert TrainingSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epoch": 10}, "Unknown training settings epoch.*epochs"),
        ({"epochs": 0}, "epochs = 0.*at least 1"),
        ({"epochs": "many"}, "epochs = 'many' must be of type int"),
        ({"epochs": True}, "must be of type int"),
        ({"loss": "rmse"}, "mse, mae, huber"),
        ({"learning_curve": [0.5, 1.5]}, "between 0 and 1"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"members": 1}, "at least 2"),
    ],
)
def test_a_wrong_setting_is_named(values, words):
    with pytest.raises(SettingsError, match=words):
        TrainingSettings.from_dict(values)
