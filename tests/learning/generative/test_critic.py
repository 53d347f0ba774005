"""The written-out gradient of a critic's loss is what torch finds by differentiating twice."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from aiida_perovskite.learning.generative.batched import Perceptron
from aiida_perovskite.learning.generative.critic import PIECEWISE_LINEAR, CriticGradient

ENTRIES, CLASSES, WEIGHT = 8, 3, 10.0


def twice_differentiated(critic: Perceptron, inputs: torch.Tensor) -> torch.Tensor:
    """Return losses (M,) as the article on the penalty states them."""
    real, fake, between = inputs.chunk(3, dim=1)
    between = between.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    length = (slope[..., :ENTRIES].square().sum(-1) + 1e-12).sqrt()  # so that a length of 0 has a derivative
    penalty = (length - 1).square()
    return (critic(fake) - critic(real)).squeeze(-1).mean(-1) + WEIGHT * penalty.mean(-1)


@pytest.mark.parametrize("activation", PIECEWISE_LINEAR)
@given(members=st.integers(1, 3), rows=st.integers(1, 5), hidden=st.integers(1, 3), seed=st.integers(0, 10**6))
@example(members=1, rows=3, hidden=2, seed=510510)  # a gradient of the score of 1e-4
def test_losses_and_gradients_are_those_of_torch(
    activation: str, members: int, rows: int, hidden: int, seed: int
) -> None:
    torch.manual_seed(seed)
    critic = Perceptron(members, [ENTRIES + CLASSES, *[6] * hidden, 1], activation, "none").double()
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter)
    inputs = torch.randn(members, 3 * rows, ENTRIES + CLASSES, dtype=torch.float64)
    expected = twice_differentiated(critic, inputs)
    gradients = torch.autograd.grad(expected.sum(), critic.parameters(), allow_unused=True)
    losses = CriticGradient(critic, activation, ENTRIES, WEIGHT).add(inputs)
    close = {"rtol": 1e-5, "atol": 1e-6}  # rounding, where the score hardly depends on its input: divided by that slope
    torch.testing.assert_close(losses, expected, **close)
    for parameter, gradient in zip(critic.parameters(), gradients, strict=True):
        torch.testing.assert_close(
            parameter.grad, torch.zeros_like(parameter) if gradient is None else gradient, **close
        )
