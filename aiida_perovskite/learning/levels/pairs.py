"""Attention over the sixteen pairs of sites, without ever holding all pairs at once.

The hidden activations of a pair (i, j) are leaky(own_i + partner_j). A layer has 16 pairs x 2 networks x 3 heads x 250
nodes of them, so training is bound by memory, not by arithmetic: the forward pass keeps nothing but the attention, and
the backward pass computes the activations anew. On a processor `pair_kernels` does both; on a GPU, and where there is
no numba, array operations visit one partner j after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

try:
    from . import pair_kernels
except ImportError:  # a machine with little more than torch, to which a long training was taken
    pair_kernels = None  # type: ignore[assignment]

__all__ = ["NEGATIVE_SLOPE", "attend"]

NEGATIVE_SLOPE = 0.2
_HEADS_FIRST = (0, 3, 1, 2, 4)


def attend(hidden: Tensor, gate: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Return the attention-weighted sum of hidden messages, and the attention.

    Parameters
    ----------
    hidden
        Hidden layers before activation, by site, shape (M, 2, heads, N, 4, 2 nodes): along the axis of 2 first the
        attention network, then the message network; the first nodes are what the updated site adds, the last nodes what
        its partner adds.
    gate
        Second layer of the attention network, shape (M, heads, nodes).
    prior
        Logarithm of the weights of the softmax by partner, shape (M, heads, 4).

    Returns
    -------
    tuple
        Sum over partners of attention times hidden message, shape (M, N, 4, heads, nodes), and the attention, shape
        (M, heads, N, 4, 4), [..., i, j] being the weight of partner j for site i.
    """
    return cast(tuple[Tensor, Tensor], _Attend.apply(hidden, gate, prior))  # type: ignore[no-untyped-call]


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, gate: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        members, _, heads, compounds, sites, nodes = hidden.shape
        pooled = hidden.new_empty(members, compounds, sites, heads, nodes // 2)
        attention = hidden.new_empty(members, heads, compounds, sites, sites)
        if _compiled(hidden):
            pair_kernels.forward(*_arguments((hidden, gate, prior), (pooled, attention)))
        else:
            _forward(hidden, gate, prior, pooled.permute(_HEADS_FIRST), attention)
        ctx.save_for_backward(hidden, gate, attention)
        return pooled, attention

    @staticmethod
    def backward(ctx: Any, grad_pooled: Tensor, grad_attention: Tensor) -> tuple[Tensor | None, ...]:
        hidden, gate, attention = ctx.saved_tensors
        grad, grad_gate = torch.empty_like(hidden), torch.zeros_like(gate)
        grad_logits = torch.empty_like(attention)
        if _compiled(hidden):
            given = hidden, gate, attention, grad_pooled, grad_attention
            pair_kernels.backward(*_arguments(given, (grad, grad_gate, grad_logits)))
        else:
            grad_logits = _messages_backward(hidden, attention, grad_pooled.permute(_HEADS_FIRST), grad_attention, grad)
            _gates_backward(hidden, gate, grad_logits, grad, grad_gate)
        return grad, grad_gate, grad_logits.sum(dim=(2, 3)) if ctx.needs_input_grad[2] else None


def _compiled(hidden: Tensor) -> bool:
    return pair_kernels is not None and hidden.device.type == "cpu"


def _arguments(given: Sequence[Tensor], filled: Sequence[Tensor]) -> list[Any]:
    """Return what a kernel takes: arrays that it reads, the slope in their type, arrays that it fills."""
    arrays = [tensor.detach().contiguous().numpy() for tensor in given]
    return [*arrays, arrays[0].dtype.type(NEGATIVE_SLOPE), *(tensor.numpy() for tensor in filled)]


def _forward(hidden: Tensor, gate: Tensor, prior: Tensor, pooled: Tensor, attention: Tensor) -> None:
    """Fill the sums over partners and the attention of some members."""
    sites = range(hidden.shape[4])
    logits = [prior[:, :, None, j, None] + _gate(_activate(hidden, 0, j), gate) for j in sites]
    torch.softmax(torch.stack(logits, dim=-1), dim=-1, out=attention)
    for j in sites:
        active = _activate(hidden, 1, j)
        if j == 0:
            torch.mul(active, attention[..., j, None], out=pooled)
        else:
            pooled.addcmul_(active, attention[..., j, None])


def _messages_backward(
    hidden: Tensor, attention: Tensor, grad_pooled: Tensor, grad_attention: Tensor, grad: Tensor
) -> Tensor:
    """Fill the gradient of the message network's part of `hidden`; return that of the logits."""
    weights = []
    for j in range(hidden.shape[4]):
        active = _activate(hidden, 1, j)
        weights.append((grad_pooled * active).sum(dim=-1))
        _backward(grad, grad_pooled * attention[..., j, None], active, 1, j)
    grad_weights = torch.stack(weights, dim=-1) + grad_attention
    return attention * (grad_weights - (attention * grad_weights).sum(dim=-1, keepdim=True))


def _gates_backward(hidden: Tensor, gate: Tensor, grad_logits: Tensor, grad: Tensor, grad_gate: Tensor) -> None:
    """Fill the gradients of the attention network's part of `hidden` and of `gate`."""
    for j in range(hidden.shape[4]):
        active, grad_logit = _activate(hidden, 0, j), grad_logits[..., j, None]
        grad_gate += (grad_logit * active).sum(dim=(2, 3))
        _backward(grad, grad_logit * gate[:, :, None, None], active, 0, j)


def _activate(hidden: Tensor, network: int, j: int) -> Tensor:
    """Return the hidden activations of all pairs with partner j, shape (M, heads, N, 4, nodes)."""
    own, partner = hidden[:, network].chunk(2, dim=-1)
    return functional.leaky_relu_(own + partner[:, :, :, j, None], NEGATIVE_SLOPE)


def _backward(grad: Tensor, grad_active: Tensor, active: Tensor, network: int, j: int) -> None:
    """Add to `grad` what the activations with partner j pass on; the sign of an activation is that of its argument."""
    change = torch.ops.aten.leaky_relu_backward(grad_active, active, NEGATIVE_SLOPE, True)
    own, partner = grad[:, network].chunk(2, dim=-1)
    if j == 0:
        own.copy_(change)
    else:
        own.add_(change)
    torch.sum(change, dim=3, out=partner[:, :, :, j])


def _gate(active: Tensor, gate: Tensor) -> Tensor:
    # Not a batched matrix product: for a matrix times one vector it is slower than two passes over the memory.
    return (active * gate[:, :, None, None]).sum(dim=-1)
