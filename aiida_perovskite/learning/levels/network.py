"""The level network: two energy levels per site, from which the band edges and the gap follow (SPEC 3).

Every element is embedded, its fraction of the formula is appended, and message passing over all 16 ordered pairs of the
four sites updates the features (Roost's layers, R. E. A. Goodall, A. A. Lee, Nat. Commun. 11, 6280, 2020). Two linear
read-outs give a highest occupied and a lowest empty level per site, and weighted sums of these the band edges::

    VBM = sum_i softmax(HOMO)_i HOMO_i,   CBM = sum_i softmax(-LUMO)_i LUMO_i,   gap = CBM - VBM

Many networks (members) are one module: all parameters have a leading axis of members, so that an ensemble trains in the
products of matrices that one network would leave small. Written over dense tensors of four sites, with three savings
that change nothing: the first layer of a pair network acts on two concatenated vectors and so splits into two products
of single sites; the second layer of the message network is linear and so comes after the weighted sum over partners;
and the bias of the attention's second layer cancels in the softmax. A compound and its A/B swap give the same levels,
only permuted, so swapped copies of the training rows would teach nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .pairs import attend
from .settings import LevelSettings

__all__ = ["ARCHITECTURE", "FRACTIONS", "SITES", "LevelNetwork", "LevelOutputs", "LevelTensors"]

ARCHITECTURE = "LevelNetwork"
SITES = ("a", "b", "c", "d")
FRACTIONS = (0.1, 0.1, 0.2, 0.6)
"""Share of the atoms that the sites A, B, C, D hold."""

_SHIFT_UNIT_EV = 10.0  # reference levels lie around -10 eV, and an optimiser moves numbers around 1 most easily

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LevelTensors:
    """What a forward pass gives, for M members and N compounds.

    Attributes
    ----------
    homo_ev, lumo_ev
        Levels of the sites, shape (M, N, 4).
    attention
        One tensor per layer, shape (M, heads, N, 4, 4): entry [..., i, j] is the weight of site j in the update of i.
    """

    homo_ev: Tensor
    lumo_ev: Tensor
    attention: tuple[Tensor, ...]

    @property
    def vbm_weights(self) -> Tensor:
        """Share of each site in the valence band maximum, shape (M, N, 4)."""
        return torch.softmax(self.homo_ev, dim=-1)

    @property
    def cbm_weights(self) -> Tensor:
        """Share of each site in the conduction band minimum, shape (M, N, 4)."""
        return torch.softmax(-self.lumo_ev, dim=-1)

    @property
    def vbm_ev(self) -> Tensor:
        """Valence band maximum, shape (M, N)."""
        return (self.vbm_weights * self.homo_ev).sum(dim=-1)

    @property
    def cbm_ev(self) -> Tensor:
        """Conduction band minimum, shape (M, N)."""
        return (self.cbm_weights * self.lumo_ev).sum(dim=-1)

    @property
    def gap_ev(self) -> Tensor:
        """Conduction band minimum minus valence band maximum, negative where they overlap, shape (M, N)."""
        return self.cbm_ev - self.vbm_ev


@dataclass(frozen=True)
class LevelOutputs:
    """What one network says about N compounds, as arrays; sites in the order A, B, C, D.

    Attributes
    ----------
    gap_ev, vbm_ev, cbm_ev
        Shape (N,); the gap is negative where the edges overlap.
    homo_ev, lumo_ev, vbm_weights, cbm_weights
        Shape (N, 4).
    attention
        Shape (N, layers, heads, 4, 4); entry [..., i, j] is the weight of site j in the update of site i.
    """

    gap_ev: Floats
    vbm_ev: Floats
    cbm_ev: Floats
    homo_ev: Floats
    lumo_ev: Floats
    vbm_weights: Floats
    cbm_weights: Floats
    attention: Floats

    @classmethod
    def of_member(cls, tensors: LevelTensors, member: int) -> LevelOutputs:
        """Return the outputs of one member as arrays."""
        names = ("gap_ev", "vbm_ev", "cbm_ev", "homo_ev", "lumo_ev", "vbm_weights", "cbm_weights")
        attention = torch.stack([layer[member].transpose(0, 1) for layer in tensors.attention], dim=1)
        arrays = {name: _array(getattr(tensors, name)[member]) for name in names}
        return cls(**arrays, attention=_array(attention))


class LevelNetwork(nn.Module):
    """M level networks side by side.

    Parameters
    ----------
    settings
        Sizes and options; see `LevelSettings`.
    n_elements
        Number of elements that have an embedding.
    seeds
        One seed per member, for its initial weights, which do not depend on the other members.
    features
        Descriptors of the elements, shape (n_elements, P), if `settings.element_features`.
    reference
        Reference HOMO and LUMO of the elements in eV, shape (n_elements, 2), if `settings.anchored`; nan counts as 0.
    """

    features: Tensor
    reference: Tensor
    fractions: Tensor

    def __init__(
        self,
        settings: LevelSettings,
        n_elements: int,
        seeds: Sequence[int],
        features: NDArray[np.float32] | None = None,
        reference: Floats | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.n_members = settings, len(seeds)
        width = settings.embedding + 1
        random = [torch.Generator().manual_seed(seed) for seed in seeds]

        def parameter(*shape: int, fan_in: int) -> nn.Parameter:
            # The uniform distribution of torch.nn.Linear.
            drawn = [torch.rand(shape, generator=generator) * 2 - 1 for generator in random]
            return nn.Parameter(torch.stack(drawn) / math.sqrt(fan_in))

        self.embedding = parameter(n_elements, settings.embedding, fan_in=n_elements)
        if settings.element_features:
            if features is None:
                raise ValueError("element_features needs the descriptors of the elements")
            self.register_buffer("features", torch.from_numpy(np.asarray(features, dtype=np.float32)))
            self.feature_weight = parameter(features.shape[1], settings.embedding, fan_in=features.shape[1])
            with torch.no_grad():  # an element that training never saw is what its descriptors say, and nothing random
                self.embedding.zero_()
        per_layer = range(settings.layers)
        heads, nodes = settings.heads, settings.hidden
        # Attention network (0) and message network (1): first what the updated site adds, then what its partner adds.
        self.hidden_weight = nn.ParameterList(
            parameter(2, heads, width, 2 * nodes, fan_in=2 * width) for _ in per_layer
        )
        self.hidden_bias = nn.ParameterList(parameter(2, heads, nodes, fan_in=2 * width) for _ in per_layer)
        self.gate_weight = nn.ParameterList(parameter(heads, nodes, fan_in=nodes) for _ in per_layer)
        self.message_weight = nn.ParameterList(parameter(heads, nodes, width, fan_in=nodes) for _ in per_layer)
        self.message_bias = nn.ParameterList(parameter(width, fan_in=nodes) for _ in per_layer)
        self.level_weight = parameter(width, 2, fan_in=width)
        self.level_bias = parameter(2, fan_in=width)
        if settings.learn_exponent:
            self.exponent = nn.Parameter(torch.ones(self.n_members, settings.layers, settings.heads))
        if settings.rescaled:
            self.reference_slope = nn.Parameter(torch.ones(self.n_members, 2))
            self.reference_shift = nn.Parameter(torch.zeros(self.n_members, 2))
        if settings.anchored:
            if reference is None:
                raise ValueError("anchored levels need the reference levels of the elements")
            self.register_buffer("reference", reference_tensor(reference, settings))
        self.register_buffer("fractions", torch.tensor(FRACTIONS))

    def forward(self, sites: Tensor) -> Tensor:
        """Return the gaps in eV, shape (M, N); see `levels` for `sites`."""
        return self.levels(sites).gap_ev

    def levels(self, sites: Tensor) -> LevelTensors:
        """Return levels and attention.

        Parameters
        ----------
        sites
            Numbers of the elements on A, B, C, D: shape (N, 4) for all members, or (M, N, 4).
        """
        return self.from_features(self.embed(sites))

    def embed(self, sites: Tensor) -> Tensor:
        """Return the features with which message passing starts, shape (M, N, 4, embedding + 1).

        Anchored networks carry the reference HOMO and LUMO along, as the last two.
        """
        sites = sites.long().expand(self.n_members, *sites.shape[-2:])
        table: Tensor = self.embedding
        if self.settings.element_features:
            table = table + self.features @ self.feature_weight
        offsets = torch.arange(self.n_members, device=sites.device)[:, None, None] * table.shape[1]
        embedded = functional.embedding(sites + offsets, table.flatten(0, 1))
        fractions = self.fractions.to(embedded.dtype)[:, None].expand(*embedded.shape[:-1], 1)
        parts = [embedded, fractions]
        if self.settings.anchored:
            parts.append(self.reference.to(embedded.dtype)[sites])
        return torch.cat(parts, dim=-1)

    def drawn_to(self, reference: Tensor) -> Tensor:
        """Return where the prior draws levels whose reference is this, shape (M, N, 4, 2), in eV."""
        if not self.settings.rescaled:
            return reference
        slope, shift = self.reference_slope[:, None, None], self.reference_shift[:, None, None]
        return slope * reference + _SHIFT_UNIT_EV * shift

    def from_features(self, features: Tensor) -> LevelTensors:
        """Return levels and attention from the features that `embed` gives."""
        width, attention = self.settings.embedding + 1, []
        features, anchor = features[..., :width], features[..., width:]
        for layer in range(self.settings.layers):
            message, weights = self._message(features, layer)
            attention.append(weights)
            features = features + functional.dropout(message, self.settings.dropout, self.training)
        levels = _affine(features, self.level_weight, self.level_bias)
        if self.settings.anchored:
            levels = levels + anchor
        return LevelTensors(levels[..., 0], levels[..., 1], tuple(attention))

    def _message(self, features: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Return what is added to the features, and the attention (M, heads, N, 4, 4), of one layer."""
        heads, nodes = self.settings.heads, self.settings.hidden
        members, compounds, sites, width = features.shape
        weight, bias = self.hidden_weight[layer], functional.pad(self.hidden_bias[layer], (0, nodes))
        flat = (
            features.view(members, 1, -1, width).expand(-1, 2 * heads, -1, -1).reshape(2 * members * heads, -1, width)
        )
        hidden = torch.baddbmm(bias.view(-1, 1, 2 * nodes), flat, weight.view(-1, width, 2 * nodes))
        log_fractions = self.fractions.to(features.dtype).log().expand(members, heads, sites)
        if self.settings.learn_exponent:
            log_fractions = self.exponent[:, layer, :, None] * log_fractions
        pooled, attention = attend(
            hidden.view(members, 2, heads, compounds, sites, 2 * nodes), self.gate_weight[layer], log_fractions
        )
        # The heads lie side by side, so that one product also sums over them.
        message = _affine(pooled.flatten(3), self.message_weight[layer].flatten(1, 2), self.message_bias[layer])
        return message / heads, attention


def reference_tensor(reference_ev: Floats, settings: LevelSettings) -> Tensor:
    """Return reference levels as the networks use them: none below the floor of the settings, 0 where there is none."""
    tensor = torch.from_numpy(np.asarray(reference_ev, dtype=np.float32))
    return torch.nan_to_num(tensor).clamp(min=settings.reference_floor_ev)


def _affine(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return values (M, N, 4, in) times weight (M, in, out) plus bias (M, out)."""
    flat = torch.baddbmm(bias[:, None], values.flatten(1, 2), weight)
    return flat.view(*values.shape[:-1], weight.shape[-1])


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()
