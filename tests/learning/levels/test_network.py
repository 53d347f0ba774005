from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from gather_scatter_levels import GatherScatterLevels
from torch import Tensor, nn

from aiida_perovskite.chemistry import Composition
from aiida_perovskite.learning.levels import pairs
from aiida_perovskite.learning.levels.network import LevelNetwork, LevelOutputs
from aiida_perovskite.learning.levels.pairs import attend
from aiida_perovskite.learning.levels.settings import LevelSettings
from aiida_perovskite.learning.levels.training import LevelProblem, LevelTask, train_networks
from aiida_perovskite.learning.testing import CompositionNetworkTests

SMALL: dict[str, Any] = {
    "layers": 3,
    "heads": 3,
    "hidden": 10,
    "embedding": 7,
    "epochs": 2,
    "batch_size": 2,
    "folds": 2,
    "members": 2,
}
SYMBOLS = sorted({"Cs", "Ag", "Bi", "Br", "Rb", "In", "Cl", "Li", "Al", "I", "Ge", "Sn", "F"})
REFERENCE = np.random.default_rng(1).uniform(-5, 5, size=(len(SYMBOLS), 2))


class OneMember(nn.Module):
    """A network of one member as the shared tests want it: (N, 4) -> (N,)."""

    def __init__(self, network: LevelNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, sites: Tensor) -> Tensor:
        return self.network(sites)[0]


class LevelTests(CompositionNetworkTests):
    options: dict[str, Any] = {}

    def settings(self) -> LevelSettings:
        return LevelSettings.from_dict(SMALL | self.options)

    def features(self) -> np.ndarray | None:
        return np.random.default_rng(0).normal(size=(len(SYMBOLS), 5)).astype(np.float32)

    def make_network(self) -> nn.Module:
        network = LevelNetwork(self.settings(), len(SYMBOLS), [0], self.features(), REFERENCE)
        with torch.no_grad():  # zeros at the start, in the variant with descriptors
            network.embedding.add_(
                0.1 * torch.randn(network.embedding.shape, generator=torch.Generator().manual_seed(1))
            )
        return OneMember(network)

    def encode(self, formulas: Sequence[str]) -> Tensor:
        items = [Composition.parse(formula) for formula in formulas]
        return torch.tensor([[SYMBOLS.index(symbol) for symbol in (i.a, i.b, i.c, i.d)] for i in items])

    def train(self) -> nn.Module:
        problem = LevelProblem(self.encode(self.formulas).numpy(), np.arange(4.0), REFERENCE, self.features())
        task = LevelTask("one", 0, np.arange(3), np.arange(3, 4))
        return OneMember(train_networks(problem, [task], self.settings()).network)


class TestThesisNetwork(LevelTests):
    pass


class TestVariant(LevelTests):
    options = {
        "learn_exponent": True,
        "element_features": True,
        "dropout": 0.1,
        "censored": True,
        "averaging": 0.9,
        "anchored": True,
    }


def network_of(members: int, **options: Any) -> tuple[LevelNetwork, Tensor]:
    network = LevelNetwork(LevelSettings.from_dict(SMALL | options), len(SYMBOLS), list(range(members)))
    random = np.random.default_rng(3)
    sites = torch.from_numpy(np.array([random.permutation(len(SYMBOLS))[:4] for _ in range(20)]))
    return network, sites


def test_dense_tensors_give_what_gather_and_scatter_give():
    network, sites = network_of(2)
    for member in range(2):
        other = GatherScatterLevels(network, member)
        torch.testing.assert_close(network(sites)[member], other(sites), rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_gather_and_scatter():
    network, sites = network_of(1)
    other = GatherScatterLevels(network)
    network(sites).square().sum().backward()
    other(sites).square().sum().backward()
    assert network.embedding.grad is not None
    assert other.embedding.grad is not None
    torch.testing.assert_close(network.embedding.grad[0], other.embedding.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(network.level_weight.grad[0].t(), other.read.weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "array operations, as on a GPU"])
def test_pair_attention_has_the_right_gradients_in_double_precision(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(pairs, "pair_kernels", None)
    random = torch.Generator().manual_seed(0)
    shapes = [(1, 2, 2, 2, 4, 6), (1, 2, 3), (1, 2, 4)]
    inputs = [torch.randn(shape, generator=random, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(attend, inputs)


def test_both_ways_to_sum_over_pairs_agree(monkeypatch):
    random = torch.Generator().manual_seed(0)
    shapes = [(2, 2, 3, 5, 4, 14), (2, 3, 7), (2, 3, 4)]
    inputs = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]
    compiled = attend(*inputs)
    monkeypatch.setattr(pairs, "pair_kernels", None)
    for one, other in zip(compiled, attend(*inputs), strict=True):
        torch.testing.assert_close(one, other)


def test_swapping_a_and_b_swaps_levels_and_attention_and_keeps_the_gap():
    network, sites = network_of(1)
    order = [1, 0, 2, 3]
    straight = LevelOutputs.of_member(network.levels(sites), 0)
    swapped = LevelOutputs.of_member(network.levels(sites[:, order]), 0)
    np.testing.assert_allclose(swapped.gap_ev, straight.gap_ev, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(swapped.homo_ev, straight.homo_ev[:, order], rtol=1e-5, atol=1e-6)
    expected = straight.attention[:, :, :, order][:, :, :, :, order]
    np.testing.assert_allclose(swapped.attention, expected, rtol=1e-5, atol=1e-6)


def test_levels_make_the_gap_as_the_specification_says():
    network, sites = network_of(1)
    found = LevelOutputs.of_member(network.levels(sites), 0)
    weights = np.exp(found.homo_ev) / np.exp(found.homo_ev).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.vbm_weights, weights, rtol=1e-5)
    np.testing.assert_allclose(found.vbm_ev, (weights * found.homo_ev).sum(axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.gap_ev, found.cbm_ev - found.vbm_ev, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.attention.sum(axis=-1), 1, rtol=1e-5)
    assert found.attention.shape == (20, 3, 3, 4, 4)


def test_untrained_attention_follows_the_fractions():
    # With a gate of zero weight, the softmax is weighted by the fractions alone.
    network, sites = network_of(1)
    with torch.no_grad():
        for gate in network.gate_weight:
            gate.zero_()
    found = LevelOutputs.of_member(network.levels(sites), 0)
    np.testing.assert_allclose(found.attention, np.broadcast_to([0.1, 0.1, 0.2, 0.6], found.attention.shape), rtol=1e-5)


def test_a_member_does_not_depend_on_the_others():
    together, sites = network_of(3)
    alone = LevelNetwork(together.settings, len(SYMBOLS), [2])
    torch.testing.assert_close(together(sites)[2], alone(sites)[0], rtol=1e-5, atol=1e-6)


def test_what_is_needed_is_asked_for():
    with pytest.raises(ValueError, match="descriptors"):
        LevelNetwork(LevelSettings(element_features=True), 5, [0])
    with pytest.raises(ValueError, match="reference levels"):
        LevelNetwork(LevelSettings(anchored=True), 5, [0])


def test_anchored_levels_start_from_the_reference():
    settings = LevelSettings.from_dict(SMALL | {"anchored": True, "reference_floor_ev": -3.0})
    network = LevelNetwork(settings, len(SYMBOLS), [0], reference=REFERENCE)
    with torch.no_grad():
        network.level_weight.zero_()
        network.level_bias.zero_()
    sites = torch.arange(8).view(2, 4)
    found = LevelOutputs.of_member(network.levels(sites), 0)
    np.testing.assert_allclose(found.homo_ev, np.maximum(REFERENCE[:8, 0], -3.0).reshape(2, 4), rtol=1e-5)
    np.testing.assert_allclose(found.lumo_ev, np.maximum(REFERENCE[:8, 1], -3.0).reshape(2, 4), rtol=1e-5)
