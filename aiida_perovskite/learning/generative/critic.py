"""The gradient of a critic's loss written out: with an activation that is linear in pieces, no second derivative.

Between the kinks of a rectifier the score is linear in the input, so its gradient with respect to the input is a
product of weights and zeros (or slopes), and the derivative of a penalty on that gradient is the same product again:
what a backward pass of a backward pass finds out in general is here one forward and one backward pass (compare
Gulrajani et al., 2017, who take the general way).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .batched import BatchedLinear, Perceptron

__all__ = ["PIECEWISE_LINEAR", "CriticGradient"]

_Backward = Callable[[Tensor, Tensor], Tensor]
_LEAKY_SLOPE = 0.01  # torch's own, as `functional.leaky_relu` has it
# What an activation passes back, from a signal and the activation's output: one pass over memory each.
PIECEWISE_LINEAR: dict[str, _Backward] = {
    "relu": lambda signal, out: torch.ops.aten.threshold_backward(signal, out, 0),
    "leaky_relu": lambda signal, out: torch.ops.aten.leaky_relu_backward(signal, out, _LEAKY_SLOPE, True),
}
"""Activations for which `CriticGradient` can be used."""
SMALLEST_SQUARE = 1e-12  # added to a squared length, whose root has no gradient at 0


class CriticGradient:
    """Adds the gradient of the loss of M critics, fake minus real score plus weighted penalty, to their weights'.

    Parameters
    ----------
    critic
        Maps (M, N, inputs) to scores (M, N, 1); without norms.
    activation
        Its activation: one of `PIECEWISE_LINEAR`.
    entries
        With respect to so many of the inputs, the first ones, the gradient of the score is held near 1.
    weight
        Of the penalty.
    """

    def __init__(self, critic: Perceptron, activation: str, entries: int, weight: float) -> None:
        self.layers: list[BatchedLinear] = list(critic.layers)  # type: ignore[arg-type]
        self.activation, self.back = critic.activation, PIECEWISE_LINEAR[activation]
        self.entries, self.weight = entries, weight
        self.first_signal = torch.zeros(0, 0)

    @torch.no_grad()
    def add(self, inputs: Tensor) -> Tensor:
        """Add the gradient for N real inputs, N fake ones and N between them, (M, 3 N, inputs); return losses (M,)."""
        count = inputs.shape[1] // 3
        scored = 2 * count
        outputs = self._outputs(inputs)
        signals = self._signals(outputs)
        slope = torch.bmm(signals[0][:, scored:], self.layers[0].weight[:, : self.entries].mT)
        length = (slope.square().sum(-1, keepdim=True) + SMALLEST_SQUARE).sqrt()
        excess = length - 1
        # The derivative of the penalty by the slope goes through the layers as an input would, but for biases.
        tangent = slope * (excess / length).mul_(2 * self.weight / count)
        for index, (layer, signal) in enumerate(zip(self.layers, signals, strict=True)):
            width = tangent.shape[-1]
            gradient = _gradient(layer.weight).baddbmm_(outputs[index][:, :scored].mT, signal[:, :scored])
            gradient[:, :width].baddbmm_(tangent.mT, signal[:, scored:])
            _gradient(layer.bias).add_(signal[:, :scored].sum(1, keepdim=True))
            if index + 1 < len(self.layers):
                tangent = self.back(torch.bmm(tangent, layer.weight[:, :width]), outputs[index + 1][:, scored:])
        real, fake, _ = outputs[-1][..., 0].chunk(3, dim=1)
        return (fake - real + self.weight * excess[..., 0].square()).mean(-1)

    def _outputs(self, inputs: Tensor) -> list[Tensor]:
        """Return the inputs, what each hidden layer puts out, and the scores."""
        outputs = [inputs]
        for layer in self.layers[:-1]:
            outputs.append(self.activation(layer(outputs[-1])))
        return [*outputs, self.layers[-1](outputs[-1])]

    def _signals(self, outputs: list[Tensor]) -> list[Tensor]:
        """Return the derivative by what each linear layer puts out: of the loss, and of the score at those between."""
        members, rows, _ = outputs[0].shape
        if self.first_signal.shape[1] != rows:
            of_scores = torch.tensor([-3 / rows, 3 / rows, 1.0]).repeat_interleave(rows // 3)
            self.first_signal = of_scores.to(outputs[0]).expand(members, rows)[..., None].contiguous()
        signals = [self.first_signal]
        for layer, output in zip(reversed(self.layers[1:]), reversed(outputs[1:-1]), strict=True):
            signals.append(self.back(torch.bmm(signals[-1], layer.weight.mT), output))
        return signals[::-1]


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
