"""The network's arithmetic in training, arranged so that two CPU cores are busy with matrix products.

`training_forward` computes what `PeriodicTableCNN.forward` computes, from the same parameters. It is faster because

- activations are stored as (height, width, sample, channel): a kernel's tap on one row of the grid is then one
  contiguous matrix, and a convolution is a few large matrix products without any copy (im2col) or reordering;
- dropout masks come from one stream of random bytes, which is some ten times faster than torch's dropout on a CPU,
  and belong to the member being trained, so that members train in parallel threads and stay reproducible.

``benchmarks/learning_speed.py`` compares it with grouped convolutions and with `torch.func.vmap`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .cnn import NEGATIVE_SLOPE, PeriodicTableCNN

__all__ = ["ConvolutionBlock", "dropout_masks", "grid_columns", "training_forward"]


class ConvolutionBlock(torch.autograd.Function):
    """Convolution, LeakyReLU and multiplication with a dropout mask, in the layout (height, width, sample, channel)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Map inputs (H, W, N, C) with weight (h, w, C, K) and bias (K) to (H-h+1, W-w+1, N, K), the mask's shape."""
        height, width, samples, _ = inputs.shape
        out_height, out_width = height - weight.shape[0] + 1, width - weight.shape[1] + 1
        output = bias.expand(out_height, out_width * samples, weight.shape[3]).contiguous()
        for row, source, tap in _taps(inputs, weight, out_height, out_width):
            output[row].addmm_(source, tap)
        functional.leaky_relu_(output, NEGATIVE_SLOPE)
        output = output.view(out_height, out_width, samples, -1)
        if mask is not None:
            output.mul_(mask)
        ctx.save_for_backward(inputs, weight, mask, output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        """Chain the gradient of the output back to inputs, weight and bias."""
        inputs, weight, mask, output = ctx.saved_tensors
        gradient = gradients[0] if mask is None else gradients[0] * mask
        # The output has the sign of its argument, except where dropout made it 0; there the gradient is 0 already.
        gradient = torch.ops.aten.leaky_relu_backward(gradient, output, NEGATIVE_SLOPE, True)
        out_height, out_width, samples, channels = gradient.shape
        gradient = gradient.view(out_height, out_width * samples, channels)
        weight_gradient = torch.zeros_like(weight)
        for (row, source, _), (_, _, tap) in zip(
            _taps(inputs, weight, out_height, out_width),
            _taps(inputs, weight_gradient, out_height, out_width),
            strict=True,
        ):
            tap.addmm_(source.t(), gradient[row])
        input_gradient = None
        if ctx.needs_input_grad[0]:
            input_gradient = torch.zeros_like(inputs)
            for row, target, tap in _taps(input_gradient, weight, out_height, out_width):
                target.addmm_(gradient[row], tap.t())
        return input_gradient, weight_gradient, gradient.sum((0, 1)), None


def _taps(inputs: Tensor, weight: Tensor, out_height: int, out_width: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield each output row, the (positions x samples, C) view of the input under a tap of the kernel, and the tap."""
    channels = inputs.shape[3]
    for row in range(out_height):
        for down in range(weight.shape[0]):
            for right in range(weight.shape[1]):
                yield row, inputs[row + down, right : right + out_width].view(-1, channels), weight[down, right]


def grid_columns(grids: Tensor) -> Tensor:
    """Rearrange encodings (N, 3, 5, 17) into the 2x2 patches that the first convolution sees, shape (4, 16, N, 12)."""
    patches: Tensor = functional.unfold(grids, (2, 2)).view(len(grids), -1, 4, 16)
    return patches.permute(2, 3, 0, 1).contiguous()


def dropout_masks(random: np.random.Generator, dropout: float, samples: int) -> list[Tensor] | None:
    """Draw a mask per hidden layer for one minibatch: 0 with chance `dropout` (to 1/256), else 1/(1 - chance)."""
    threshold = round(256 * (1 - dropout))
    if threshold == 256:
        return None
    grids = ((4, 16), (3, 15), (2, 14), (1, 13), (1, 12))
    shapes = [*((*grid, samples, 100) for grid in grids), *[(samples, 200)] * 3]
    sizes = [math.prod(shape) for shape in shapes]
    words = random.integers(0, 2**64, size=-(-sum(sizes) // 8), dtype=np.uint64)
    kept = torch.from_numpy(words.view(np.uint8)[: sum(sizes)] < threshold)
    masks = torch.split(kept.to(torch.float32).mul_(256 / threshold), sizes)
    return [mask.view(shape) for mask, shape in zip(masks, shapes, strict=True)]


def training_forward(net: PeriodicTableCNN, columns: Tensor, masks: list[Tensor] | None) -> Tensor:
    """Map patches (4, 16, N, 12) from `grid_columns` to scaled targets (N,), with dropout where masks are given."""
    layers: list[Tensor | None] = [None] * 8 if masks is None else list(masks)
    hidden = columns
    for index, convolution in enumerate(net.convolutions):
        weight = cast(Tensor, convolution.weight)
        weight = weight.flatten(1).t()[None, None] if index == 0 else weight.permute(2, 3, 1, 0).contiguous()
        hidden = ConvolutionBlock.apply(hidden, weight, convolution.bias, layers[index])  # type: ignore[no-untyped-call]
    hidden = hidden.permute(2, 3, 0, 1).flatten(1)
    for dense, norm, mask in zip(net.dense[:-1], net.norms, layers[5:], strict=True):
        hidden = functional.leaky_relu(norm(dense(hidden)), NEGATIVE_SLOPE)
        hidden = hidden if mask is None else hidden * mask
    return torch.squeeze(net.dense[-1](hidden), 1)
