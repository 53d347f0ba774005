from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aiida_perovskite.learning.checkpoint import CheckpointError
from aiida_perovskite.learning.levels import training
from aiida_perovskite.learning.levels.settings import LevelSettings
from aiida_perovskite.learning.levels.training import LevelProblem, LevelTask, choose_device, train_networks
from aiida_perovskite.learning.settings import SettingsError


@pytest.fixture
def problem() -> LevelProblem:
    random = np.random.default_rng(0)
    sites = np.array([random.permutation(8)[:4] for _ in range(40)])
    return LevelProblem(sites, np.maximum(random.normal(size=40), 0), np.tile([-3.0, 1.0], (8, 1)))


@pytest.fixture
def tasks() -> list[LevelTask]:
    rows = np.arange(40)
    return [LevelTask("one", 0, rows[:30], rows[30:]), LevelTask("two", 1, rows[5:], rows[:5])]


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("options", [{}, {"dropout": 0.2, "averaging": 0.9, "censored": True, "loss": "huber"}])
def test_an_interrupted_training_ends_with_the_same_weights(
    options: dict, problem: LevelProblem, tasks: list[LevelTask], tiny: LevelSettings, tmp_path: Path
):
    settings = replace(tiny, **options)
    whole = train_networks(problem, tasks, settings)

    class Killed(Exception):
        pass

    def stop_after_two(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise Killed

    with pytest.raises(Killed):
        train_networks(problem, tasks, settings, workdir=tmp_path, progress=stop_after_two)
    resumed = train_networks(problem, tasks, settings, workdir=tmp_path)
    for name, tensor in weights(whole.network).items():
        assert torch.equal(tensor, weights(resumed.network)[name]), name
    pd.testing.assert_frame_equal(pd.DataFrame(resumed.history), pd.DataFrame(whole.history))
    assert resumed.best_epoch == whole.best_epoch


def test_the_state_of_another_training_is_refused(problem, tasks, tiny, tmp_path):
    train_networks(problem, tasks, tiny, workdir=tmp_path)
    with pytest.raises(CheckpointError, match="other data, settings"):
        train_networks(problem, tasks, replace(tiny, seed=5), workdir=tmp_path)


def test_networks_trained_together_are_those_trained_alone(problem, tasks, tiny):
    # Equal batch counts, so the batches are the same; the arithmetic differs in the order of sums only.
    tasks = [tasks[0], replace(tasks[1], rows=tasks[1].rows[:30])]
    together = train_networks(problem, tasks, tiny)
    alone = train_networks(problem, tasks[1:], tiny)
    torch.testing.assert_close(together.network.embedding[1], alone.network.embedding[0], rtol=1e-3, atol=1e-5)


def test_the_best_epoch_is_kept(problem, tasks, tiny):
    result = train_networks(problem, tasks, replace(tiny, epochs=30))
    for number, task in enumerate(tasks):
        gaps = result.network(torch.from_numpy(problem.sites[task.held_out]))[number].clamp(min=0)
        mae = float((gaps - torch.from_numpy(problem.targets_ev[task.held_out])).abs().mean())
        best = [row["held_out_mae_ev"] for row in result.history if row["task"] == task.name][-1]
        assert mae == pytest.approx(best, rel=1e-4)


def test_the_prior_pulls_the_levels_to_the_reference(problem, tasks, tiny):
    distances = []
    same = replace(problem, targets_ev=np.full(40, 4.0))  # what the reference says, so that no epoch has to be early
    for weight in (0.0, 10.0):
        network = train_networks(same, tasks, replace(tiny, epochs=60, prior_weight=weight)).network
        levels = network.levels(torch.from_numpy(problem.sites))
        distances.append(float((levels.homo_ev + 3).abs().mean() + (levels.lumo_ev - 1).abs().mean()))
    assert distances[1] < 0.2 * distances[0]


def test_a_rescaled_prior_does_not_insist_on_the_gaps_of_free_ions(problem, tasks, tiny):
    far = replace(problem, targets_ev=np.full(40, 2.0))  # where the reference levels are 4 eV apart
    errors = []
    for rescaled in (False, True):
        settings = replace(tiny, epochs=120, prior_weight=10.0, rescaled=rescaled)
        network = train_networks(far, tasks, settings).network
        errors.append(float((network(torch.from_numpy(problem.sites)) - 2.0).abs().mean()))
    assert errors[1] < 0.2 * errors[0]


def test_elements_without_reference_are_left_out_of_the_prior(problem, tasks, tiny):
    reference = problem.reference_ev.copy()
    reference[0] = np.nan
    result = train_networks(replace(problem, reference_ev=reference), tasks, replace(tiny, prior_weight=1.0))
    assert all(np.isfinite(row["training_loss"]) for row in result.history)


def test_a_compound_without_gap_says_no_more_than_that(problem, tasks, tiny):
    # Every gap is zero: a network that overlaps all bands is right, whatever the overlap.
    flat = replace(problem, targets_ev=np.zeros(40))
    result = train_networks(flat, tasks, replace(tiny, epochs=40, censored=True))
    assert result.history[-1]["training_loss"] == pytest.approx(0, abs=1e-6)
    assert float(result.network(torch.from_numpy(problem.sites)).mean()) < 0


def test_diverging_training_stops_and_says_so(problem, tasks, tiny):
    broken = replace(problem, targets_ev=np.full(40, 1e30))
    with pytest.raises(ValueError, match="diverged"):
        train_networks(broken, tasks, tiny)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(training.torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="No GPU"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="choose auto"):
        choose_device("tpu")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"prior_weight": -1}, "prior_weight"),
        ({"members": 4}, "multiple of folds"),
        ({"loss": "sine"}, "mse, huber"),
        ({"epoch": 3}, "Unknown"),
        ({"censored": 1}, "bool"),
        ({"epochs": True}, "int"),
    ],
)
def test_settings_out_of_range(values, words):
    with pytest.raises(SettingsError, match=words):
        LevelSettings.from_dict(values)
