"""Networks with a leading member dimension: many fits train as one, each as if it were alone.

A layer holds the weights of M networks in one tensor (M, in, out), so that an update of all of them is a few batched
matrix products instead of M times as many small ones. Initial weights, minibatches and noise of a member come from
random numbers of its own: what is trained beside it changes its weights by no more than the order of floating-point
sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Adam",
    "BatchedLayerNorm",
    "BatchedLinear",
    "MemberRandom",
    "Perceptron",
    "initialise",
    "member_weights",
    "resolve_device",
]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": functional.elu,
    "gelu": functional.gelu,
    "leaky_relu": functional.leaky_relu,
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}


def resolve_device(device: str) -> torch.device:
    """Return the device that torch calls so; 'auto' is CUDA where there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"torch finds no GPU for the device {device!r} on this computer: use 'cpu' or 'auto'.")
    return torch.device(device)


class BatchedLinear(nn.Module):
    """Linear layers of M networks: (M, N, inputs) to (M, N, outputs).

    `initial` says how their weights begin: as torch's, uniform within 1/sqrt(inputs), biases too ('fan_in'); or as
    those of Keras, uniform within sqrt(6/(inputs + outputs)), biases 0 ('glorot': Glorot and Bengio, 2010).
    """

    def __init__(self, members: int, inputs: int, outputs: int, initial: str = "fan_in") -> None:
        super().__init__()
        self.limits = {
            "fan_in": (1 / math.sqrt(inputs), 1 / math.sqrt(inputs)),
            "glorot": (math.sqrt(6 / (inputs + outputs)), 0.0),
        }[initial]
        self.weight = nn.Parameter(torch.zeros(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply each member's layer to its rows."""
        return torch.baddbmm(self.bias, inputs, self.weight)


class BatchedLayerNorm(nn.Module):
    """Layer norms of M networks: each row of (M, N, width) to mean 0 and variance 1, then scaled and shifted."""

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(members, 1, width))
        self.shift = nn.Parameter(torch.zeros(members, 1, width))

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise each row."""
        if len(self.gain) == 1:  # torch scales and shifts one member in the same pass
            return functional.layer_norm(inputs, inputs.shape[-1:], self.gain[0, 0], self.shift[0, 0])
        return torch.addcmul(self.shift, functional.layer_norm(inputs, inputs.shape[-1:]), self.gain)


class Perceptron(nn.Module):
    """Multilayer perceptrons of M networks; the last layer is plain.

    Parameters
    ----------
    members
        M.
    widths
        Numbers of nodes from the input to the output.
    activation
        Name of the function after each hidden layer.
    norm
        'before_activation', 'after_activation' or 'none': where the hidden layers are normalised.
    initial
        How the layers begin (`BatchedLinear`).
    """

    def __init__(
        self, members: int, widths: Sequence[int], activation: str, norm: str, initial: str = "fan_in"
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BatchedLinear(members, size, out, initial) for size, out in pairwise(widths))
        normed = () if norm == "none" else widths[1:-1]
        self.norms = nn.ModuleList(BatchedLayerNorm(members, width) for width in normed)
        self.activation = _ACTIVATIONS[activation]
        self.norm_first = norm == "before_activation"

    def forward(self, inputs: Tensor, factors: Sequence[Tensor] = ()) -> Tensor:
        """Map (M, N, widths[0]) to (M, N, widths[-1]).

        `factors`, if there are any, multiply the activations of each hidden layer, as dropout does.
        """
        return self.after_first(self.layers[0](inputs), factors)

    def after_first(self, hidden: Tensor, factors: Sequence[Tensor] = ()) -> Tensor:
        """Go on from what the first linear layer puts out, (M, N, widths[1])."""
        for index in range(1, len(self.layers)):
            if len(self.norms) == 0:
                hidden = self.activation(hidden)
            elif self.norm_first:
                hidden = self.activation(self.norms[index - 1](hidden))
            else:
                hidden = self.norms[index - 1](self.activation(hidden))
            if factors:
                hidden = hidden * factors[index - 1]
            hidden = self.layers[index](hidden)
        return hidden


@torch.no_grad()
def initialise(net: nn.Module, seeds: Sequence[int]) -> None:
    """Give each member initial weights and biases: uniform within the limits of each layer."""
    layers = [module for module in net.modules() if isinstance(module, BatchedLinear)]
    for member, seed in enumerate(seeds):
        random = np.random.default_rng([seed, 1])
        for layer in layers:
            for parameter, limit in zip((layer.weight, layer.bias), layer.limits, strict=True):
                values = random.uniform(-limit, limit, tuple(parameter.shape[1:]))
                parameter[member] = torch.from_numpy(values).to(parameter)


def member_weights(net: nn.Module, members: slice) -> dict[str, Tensor]:
    """Return copies of the weights of some members, on the CPU: the state of a net with as many members."""
    return {name: tensor[members].detach().cpu().clone() for name, tensor in net.state_dict().items()}


class MemberRandom:
    """Random numbers of M members on a device, each member's from its own generator.

    Parameters
    ----------
    seeds
        One per member.
    device
        Where the numbers are drawn and used. CPU and CUDA draw different ones from the same seed.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.device = device
        self.generators = [torch.Generator(device).manual_seed(_torch_seed(seed)) for seed in seeds]

    def rows(self, sizes: Sequence[int], offsets: Sequence[int], updates: int, batch: int) -> Tensor:
        """Draw row numbers with replacement, shape (updates, M, batch): member m's from its `sizes[m]` rows."""
        drawn = [
            torch.randint(offset, offset + size, (updates, batch), generator=generator, device=self.device)
            for size, offset, generator in zip(sizes, offsets, self.generators, strict=True)
        ]
        return torch.stack(drawn, dim=1)

    def normal(self, updates: int, batch: int, width: int) -> Tensor:
        """Draw standard normals, shape (updates, M, batch, width)."""
        shape = (updates, batch, width)
        drawn = [torch.randn(shape, generator=generator, device=self.device) for generator in self.generators]
        return torch.stack(drawn, dim=1)

    def state(self) -> Tensor:
        """Return the state of all generators, bytes of shape (M, S)."""
        return torch.stack([generator.get_state() for generator in self.generators])

    def restore(self, state: Tensor) -> None:
        """Go on from a state."""
        for generator, row in zip(self.generators, state, strict=True):
            generator.set_state(row.clone())  # it reads from the start of the storage


def _torch_seed(seed: int) -> int:
    """Spread small seeds over all bits, apart from those of `initialise`."""
    return int(np.random.SeedSequence([seed, 2]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Adam:
    """Adam with decoupled weight decay (AdamW) over all weights of a net as one flat tensor.

    The net's parameters and gradients become views of `weights` and `gradient`: a step is a handful of operations,
    however many layers and members there are, and it reads its step size from the device, so that nothing waits for
    the host.

    Parameters
    ----------
    net
        On its device already.
    rates
        Step size of each update.
    betas, epsilon
        Of Adam.
    weight_decay
        Of the weights of linear layers; biases and norms are left alone.
    """

    def __init__(
        self,
        net: nn.Module,
        rates: Sequence[float],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        parameters = dict(net.named_parameters())
        device = next(iter(parameters.values())).device
        self.betas = betas
        self.weights = torch.cat([parameter.detach().flatten() for parameter in parameters.values()])
        self.gradient, self.mean, self.square, self.change = (torch.zeros_like(self.weights) for _ in range(4))
        self.decayed = torch.zeros_like(self.weights) if weight_decay > 0 else None
        start = 0
        for name, parameter in parameters.items():
            part = slice(start, start := start + parameter.numel())
            parameter.data = self.weights[part].view_as(parameter)
            parameter.grad = self.gradient[part].view_as(parameter)
            if self.decayed is not None and name.endswith("weight"):
                self.decayed[part] = 1.0
        update = np.arange(1, len(rates) + 1)
        steps = np.asarray(rates, dtype=np.float64)
        bias = np.sqrt(1 - betas[1] ** update)
        columns = (steps * bias / (1 - betas[0] ** update), epsilon * bias, -steps * weight_decay)
        self.schedule = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32)).to(device)
        self.now = self.schedule[0].clone()

    def begin(self, update: int) -> None:
        """Take the step size of an update, counted from 0."""
        self.now.copy_(self.schedule[update])

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights by the gradient that has been summed up, and set it to zero."""
        size, epsilon, decay = self.now
        self.mean.lerp_(self.gradient, 1 - self.betas[0])
        self.square.mul_(self.betas[1]).addcmul_(self.gradient, self.gradient, value=1 - self.betas[1])
        if self.decayed is not None:
            self.weights.addcmul_(self.weights, self.decayed * decay)
        torch.sqrt(self.square, out=self.change).add_(epsilon)
        torch.div(self.mean, self.change, out=self.change).mul_(size)
        self.weights.sub_(self.change)
        self.gradient.zero_()
