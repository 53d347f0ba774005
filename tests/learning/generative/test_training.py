"""Many fits as one: a member is not changed by its neighbours, Adam is Adam, a killed training goes on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aiida_perovskite.learning.checkpoint import CheckpointError, read_tensors
from aiida_perovskite.learning.generative.batched import Adam, MemberRandom, Perceptron, initialise, resolve_device
from aiida_perovskite.learning.generative.space import GenerativeError
from aiida_perovskite.learning.generative.training import Fits, Plan, cosine_rates, optimise

CPU = torch.device("cpu")
WIDTHS = [3, 16, 16, 1]


class Regression:
    """Noisy regression of a smooth function, so that rows and noise both matter."""

    noise_width = 1

    def __init__(self, members: int) -> None:
        self.net = Perceptron(members, WIDTHS, "silu", "before_activation")
        self.inputs = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (200, 3)).astype(np.float32))
        self.targets = (self.inputs.sum(1) + self.inputs.prod(1))[:, None]

    def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
        return (self.net(self.inputs[rows]) - self.targets[rows] - 0.1 * noise).square().mean((1, 2))


def train(seeds: list[int], updates: int = 60, **options: object) -> Regression:
    objective = Regression(len(seeds))
    fits = Fits(seeds, [200 - 10 * seed for seed in seeds], [0] * len(seeds), "test")
    optimise(objective, fits, Plan(cosine_rates(1e-2, updates), 32, 0.01), CPU, name="test", **options)  # type: ignore[arg-type]
    return objective


def test_a_member_is_as_if_it_were_alone() -> None:
    together = train([1, 2, 3])
    for member, seed in enumerate([1, 2, 3]):
        alone = train([seed])
        for one, many in zip(alone.net.parameters(), together.net.parameters(), strict=True):
            torch.testing.assert_close(one[0], many[member], rtol=1e-3, atol=1e-4)


def test_the_same_batch_gives_the_same_bits_and_another_seed_others() -> None:
    first, second, other = train([1, 2]), train([1, 2]), train([1, 3])
    for one, two, three in zip(first.net.parameters(), second.net.parameters(), other.net.parameters(), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one[1], three[1])


@pytest.mark.parametrize("norm", ["before_activation", "after_activation", "none"])
def test_perceptron_is_that_of_torch(norm: str) -> None:
    net = Perceptron(2, WIDTHS, "elu", norm)
    initialise(net, [4, 5])
    inputs = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0))
    for member in range(2):
        modules: list[nn.Module] = []
        for index, (size, out) in enumerate(pairwise(WIDTHS)):
            layer = nn.Linear(size, out)
            layer.weight.data = net.layers[index].weight[member].detach().T  # type: ignore[index, union-attr]
            layer.bias.data = net.layers[index].bias[member, 0].detach()  # type: ignore[index, union-attr]
            modules.append(layer)
            if index + 2 < len(WIDTHS):
                steps = [nn.LayerNorm(out), nn.ELU()] if norm == "before_activation" else [nn.ELU(), nn.LayerNorm(out)]
                modules += [nn.ELU()] if norm == "none" else steps
        torch.testing.assert_close(nn.Sequential(*modules)(inputs[member]), net(inputs)[member])


def test_adam_is_that_of_torch() -> None:
    rates = cosine_rates(1e-2, 30)
    ours, theirs = Regression(2), Regression(2)
    for objective in (ours, theirs):
        initialise(objective.net, [1, 2])
    adam = Adam(ours.net, rates, weight_decay=0.1)
    decayed = [parameter for name, parameter in theirs.net.named_parameters() if name.endswith("weight")]
    others = [parameter for name, parameter in theirs.net.named_parameters() if not name.endswith("weight")]
    reference = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}])
    random = MemberRandom([1, 2], CPU)
    rows, noise = random.rows([200, 150], [0, 50], 30, 16), random.normal(30, 16, 1)
    assert int(rows[:, 1].min()) >= 50
    for update, rate in enumerate(rates):
        adam.begin(update)
        ours.losses(rows[update], noise[update]).sum().backward()
        adam.step()
        for group in reference.param_groups:
            group["lr"] = rate
        reference.zero_grad()
        theirs.losses(rows[update], noise[update]).sum().backward()
        reference.step()
    for one, two in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiida_perovskite.learning.generative.training._MOST_UPDATES_A_BLOCK", 20)
    monkeypatch.setattr("aiida_perovskite.learning.generative.training._SAVE_S", 0.0)
    monkeypatch.setattr("aiida_perovskite.learning.generative.training._REPORT_S", 0.0)
    whole = train([1, 2])

    def kill(line: str) -> None:
        if "update 40/60" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([1, 2], workdir=tmp_path, progress=kill)
    lines: list[str] = []
    resumed = train([1, 2], workdir=tmp_path, progress=lines.append)
    assert len(lines) == 2, "the training began anew"
    for one, two in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(CheckpointError, match="belongs to a training with other data"):
        train([1, 3], workdir=tmp_path)


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == CPU
    with pytest.raises(ValueError, match="no GPU"):
        resolve_device("cuda")


def test_a_training_that_diverges_stops_and_keeps_the_state_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiida_perovskite.learning.generative.training._MOST_UPDATES_A_BLOCK", 20)
    monkeypatch.setattr("aiida_perovskite.learning.generative.training._SAVE_S", 0.0)

    class Exploding(Regression):
        calls = 0

        def losses(self, rows: Tensor, noise: Tensor) -> Tensor:
            self.calls += 1
            factors = torch.tensor([1.0, float("inf") if self.calls == 50 else 1.0])
            return super().losses(rows, noise) * factors

    fits = Fits([1, 7], [100, 100], [0, 0], "test")
    with pytest.raises(GenerativeError, match=r"of test \(seeds of the networks: 7\) diverged: at update 60 of 80"):
        optimise(Exploding(2), fits, Plan([1e-2] * 80, 32), CPU, name="test", workdir=tmp_path)
    tensors, metadata = read_tensors(tmp_path / "test.safetensors")
    assert metadata["update"] == "40"
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
