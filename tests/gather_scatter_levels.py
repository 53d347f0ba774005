"""The level network written as graph libraries would: one row per edge, gathered and scattered, both A/B orders.

An independent reading of SPEC 3 against which the dense network is tested and timed. It takes the weights of a
`LevelNetwork` member apart into the layers that the specification names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from aiida_perovskite.learning.levels.network import FRACTIONS, LevelNetwork

SLOPE = 0.2


class GatherScatterLevels(nn.Module):
    """One level network; sites (N, 4) -> gaps (N,)."""

    def __init__(self, network: LevelNetwork, member: int = 0) -> None:
        super().__init__()
        settings = network.settings
        width, heads, hidden = settings.embedding + 1, settings.heads, settings.hidden
        weights = {
            name: tensor[member].detach().clone()
            for name, tensor in network.state_dict().items()
            if name != "fractions"
        }
        self.heads = heads
        self.embedding = nn.Parameter(weights["embedding"])
        self.layers = nn.ModuleList()
        for layer in range(settings.layers):
            first, bias = weights[f"hidden_weight.{layer}"], weights[f"hidden_bias.{layer}"]
            message = weights[f"message_weight.{layer}"]
            nets = nn.ModuleList()
            for head in range(heads):
                for kind in range(2):
                    hidden_layer = nn.Linear(2 * width, hidden)
                    halves = first[kind, head].chunk(2, dim=-1)
                    hidden_layer.weight.data = torch.cat(halves).t().clone()
                    hidden_layer.bias.data = bias[kind, head].clone()
                    output = nn.Linear(hidden, 1 if kind == 0 else width)
                    if kind == 0:
                        output.weight.data = weights[f"gate_weight.{layer}"][head][None].clone()
                        output.bias.data = torch.zeros(1)
                    else:
                        output.weight.data = message[head].t().clone()
                        output.bias.data = weights[f"message_bias.{layer}"] / heads
                    nets.append(nn.Sequential(hidden_layer, nn.LeakyReLU(SLOPE), output))
            self.layers.append(nets)
        self.read = nn.Linear(width, 2)
        self.read.weight.data = weights["level_weight"].t().clone()
        self.read.bias.data = weights["level_bias"].clone()

    def forward(self, sites: Tensor) -> Tensor:
        n = len(sites)
        fractions = torch.tensor(FRACTIONS, dtype=self.embedding.dtype).repeat(n)
        features = torch.cat([self.embedding[sites.flatten()], fractions[:, None]], dim=1)
        start = torch.arange(n)[:, None, None] * 4
        own = (start + torch.arange(4)[None, :, None]).expand(n, 4, 4).flatten()
        partner = (start + torch.arange(4)[None, None, :]).expand(n, 4, 4).flatten()
        for nets in self.layers:
            pairs = torch.cat([features[own], features[partner]], dim=1)
            total = torch.zeros_like(features)
            for head in range(self.heads):
                gate, message = nets[2 * head], nets[2 * head + 1]
                logits = gate(pairs)[:, 0]
                largest = torch.full((4 * n,), -torch.inf).scatter_reduce(0, own, logits.detach(), "amax")
                weight = fractions[partner] * (logits - largest[own]).exp()
                norm = torch.zeros(4 * n).index_add(0, own, weight)
                attention = weight / norm[own]
                total = total.index_add(0, own, attention[:, None] * message(pairs))
            features = features + total / self.heads
        homo, lumo = self.read(features).view(n, 4, 2).unbind(-1)
        vbm = (functional.softmax(homo, dim=1) * homo).sum(dim=1)
        cbm = (functional.softmax(-lumo, dim=1) * lumo).sum(dim=1)
        return cbm - vbm
