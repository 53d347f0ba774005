from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from aiida_perovskite.learning import PeriodicTableCNN, TrainingSettings, encode
from aiida_perovskite.learning.testing import CompositionNetworkTests
from aiida_perovskite.learning.training import Task, TrainingData, train_members


class TestPeriodicTableCNN(CompositionNetworkTests):
    def make_network(self) -> nn.Module:
        return PeriodicTableCNN()

    def encode(self, formulas: Sequence[str]) -> Tensor:
        return torch.from_numpy(encode(formulas))

    def train(self) -> nn.Module:
        data = TrainingData(encode(self.formulas), np.arange(4.0))
        task = Task("final", 0, np.arange(4), np.arange(0))
        settings = TrainingSettings(epochs=2, batch_size=2, seed=7)
        return train_members(data, [task], settings).members[task.key].net


def test_layers_are_those_of_the_specification():
    shapes = {name: tuple(parameter.shape) for name, parameter in PeriodicTableCNN().named_parameters()}
    convolutions = [shapes[f"convolutions.{layer}.weight"] for layer in range(5)]
    assert convolutions == [(100, 3, 2, 2), *[(100, 100, 2, 2)] * 3, (100, 100, 1, 2)]
    assert [shapes[f"dense.{layer}.weight"] for layer in range(4)] == [(200, 1200), (200, 200), (200, 200), (1, 200)]
    assert [shapes[f"norms.{layer}.weight"] for layer in range(3)] == [(200,)] * 3


def test_dropout_acts_in_training_only():
    net, grids = PeriodicTableCNN(), torch.from_numpy(encode(["Cs2AgBiBr6"]))
    assert not torch.equal(net(grids), net(grids))
    net.eval()
    assert torch.equal(net(grids), net(grids))
