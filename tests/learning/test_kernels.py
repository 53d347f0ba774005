from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from aiida_perovskite.learning import PeriodicTableCNN, encode
from aiida_perovskite.learning.kernels import ConvolutionBlock, dropout_masks, grid_columns, training_forward

FORMULAS = ["Cs2AgBiBr6", "Rb2InAgCl6", "Cs2LiAlI6", "Rb2GeSnF6", "Cs2TlSbF6"]


def reference_forward(net: PeriodicTableCNN, grids: torch.Tensor, masks: list[torch.Tensor]) -> torch.Tensor:
    """The network written as a textbook would, with the masks of `dropout_masks`."""
    hidden = grids
    for convolution, mask in zip(net.convolutions, masks[:5], strict=True):
        hidden = functional.leaky_relu(convolution(hidden), 0.2) * mask.permute(2, 3, 0, 1)
    hidden = hidden.flatten(1)
    for dense, norm, mask in zip(net.dense[:-1], net.norms, masks[5:], strict=True):
        hidden = functional.leaky_relu(norm(dense(hidden)), 0.2) * mask
    return net.dense[-1](hidden)[:, 0]


def test_training_computes_the_network_and_its_gradients():
    torch.manual_seed(1)
    net = PeriodicTableCNN().double()
    grids = torch.from_numpy(encode(FORMULAS)).double()
    masks = [mask.double() for mask in dropout_masks(np.random.default_rng(0), 0.25, len(FORMULAS))]
    expected = reference_forward(net, grids, masks)
    expected_gradients = torch.autograd.grad(expected.square().sum(), list(net.parameters()))
    output = training_forward(net, grid_columns(grids), masks)
    gradients = torch.autograd.grad(output.square().sum(), list(net.parameters()))
    torch.testing.assert_close(output, expected)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient)


def test_training_without_dropout_is_the_network_in_evaluation():
    net, grids = PeriodicTableCNN().eval(), torch.from_numpy(encode(FORMULAS))
    torch.testing.assert_close(training_forward(net, grid_columns(grids), None), net(grids))


def test_gradient_of_a_block_is_that_of_finite_differences():
    torch.manual_seed(2)
    inputs, weight, bias = (torch.randn(*shape, dtype=torch.float64) for shape in [(3, 4, 2, 3), (2, 2, 3, 5), (5,)])
    mask = (torch.rand(2, 3, 2, 5) < 0.75).double()
    arguments = [tensor.requires_grad_() for tensor in (inputs, weight, bias)]
    assert torch.autograd.gradcheck(ConvolutionBlock.apply, (*arguments, mask))


def test_masks_drop_the_asked_share_and_keep_the_mean():
    masks = dropout_masks(np.random.default_rng(0), 0.25, 50)
    values = torch.cat([mask.flatten() for mask in masks])
    assert set(values.unique().tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs(float(values.mean()) - 1) < 0.01
    assert dropout_masks(np.random.default_rng(0), 0.0, 50) is None
