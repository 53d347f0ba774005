"""Tests that every network of compositions must pass, shipped with the package so that new networks inherit them.

A test class derives from `CompositionNetworkTests` and gives the network and its training::

    class TestMyNetwork(CompositionNetworkTests):
        def make_network(self) -> nn.Module: ...
        def encode(self, formulas): ...
        def train(self) -> nn.Module: ...

pytest then collects the tests of the base class. The idea is that of NequIP's shipped model tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from .checkpoint import read_tensors, write_tensors

__all__ = ["CompositionNetworkTests"]


class CompositionNetworkTests(ABC):
    """What holds for any network that maps encoded compositions, shape (N, ...), to one number each, shape (N,)."""

    formulas: Sequence[str] = ("Cs2AgBiBr6", "Rb2InAgCl6", "Cs2LiAlI6", "Rb2GeSnF6")
    swapped: Sequence[str] = ("Cs2BiAgBr6", "Rb2AgInCl6", "Cs2AlLiI6", "Rb2SnGeF6")
    """The same compounds with A and B exchanged."""

    @abstractmethod
    def make_network(self) -> nn.Module:
        """Return a network with random weights."""

    @abstractmethod
    def encode(self, formulas: Sequence[str]) -> Tensor:
        """Return the network's input for some compounds."""

    @abstractmethod
    def train(self) -> nn.Module:
        """Train a small network from a fixed seed, and return it."""

    def test_one_number_per_compound(self) -> None:
        """Check the shape of the output, and that it is finite."""
        output = self.make_network().eval()(self.encode(self.formulas))
        assert output.shape == (len(self.formulas),)
        assert torch.isfinite(output).all()

    def test_swapping_a_and_b_changes_no_bit(self) -> None:
        """Check the symmetry of the structure: A and B are the same site."""
        network = self.make_network().eval()
        assert torch.equal(network(self.encode(self.formulas)), network(self.encode(self.swapped)))

    def test_compounds_differ(self) -> None:
        """Check that the network tells compounds apart."""
        output = self.make_network().eval()(self.encode(self.formulas))
        assert len(torch.unique(output)) == len(self.formulas)

    def test_every_parameter_has_a_gradient(self) -> None:
        """Check that no parameter is out of the reach of training."""
        network = self.make_network().eval()
        network(self.encode(self.formulas)).square().sum().backward()
        idle = [name for name, parameter in network.named_parameters() if not _has_gradient(parameter)]
        assert not idle, f"the output does not depend on {idle}"

    def test_gradient_is_that_of_finite_differences(self) -> None:
        """Check the steepest entry of each parameter in double precision."""
        network = self.make_network().eval().double()
        encoded = self.encode(self.formulas).double()
        network(encoded).sum().backward()
        step = 1e-6
        for parameter in network.parameters():
            entry = int(torch.argmax(parameter.grad.abs())) if parameter.grad is not None else 0
            flat = parameter.detach().view(-1)
            sides = []
            for sign in (1, -1):
                flat[entry] += sign * step
                sides.append(float(network(encoded).sum().detach()))
                flat[entry] -= sign * step
            assert parameter.grad is not None
            expected = float(parameter.grad.view(-1)[entry])
            assert abs((sides[0] - sides[1]) / (2 * step) - expected) <= 1e-5 * max(1.0, abs(expected))

    def test_saved_and_loaded_network_answers_the_same(self, tmp_path: Path) -> None:
        """Check a round trip through safetensors."""
        network, other = self.make_network().eval(), self.make_network().eval()
        write_tensors(tmp_path / "network.safetensors", network.state_dict(), {})
        other.load_state_dict(read_tensors(tmp_path / "network.safetensors")[0])
        encoded = self.encode(self.formulas)
        assert torch.equal(network(encoded), other(encoded))

    def test_training_twice_gives_identical_weights(self) -> None:
        """Check that the seed decides everything."""
        first, second = self.train().state_dict(), self.train().state_dict()
        assert first.keys() == second.keys()
        different = [name for name in first if not torch.equal(first[name], second[name])]
        assert not different, f"another training with the same seed gave other {different}"


def _has_gradient(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool((parameter.grad != 0).any())
