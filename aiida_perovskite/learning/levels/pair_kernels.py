"""The sums over pairs of sites on a processor: one pass over the data, compiled by numba.

Written with array operations, every step of these sums is a pass over 12 times as many numbers as the features have,
and takes longer than all products of matrices together. Here the numbers of a compound stay in the innermost cache. The
order of the sums does not depend on the number of threads, so results do not either. Shapes are those of `pairs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["backward", "forward"]

Array = NDArray[Any]
_F = TypeVar("_F", bound=Callable[..., None])

# Sums may be reordered, and choices made without branches; without that they cannot be vectorised.
_LIBERTIES = {"reassoc", "contract", "nsz", "nnan", "ninf"}
_compiled = cast(Callable[[_F], _F], njit(cache=True, nogil=True, error_model="numpy", fastmath=_LIBERTIES))


@_compiled
def forward(hidden: Array, gate: Array, prior: Array, slope: Any, pooled: Array, attention: Array) -> None:
    """Fill `pooled` and `attention`; `slope` is that of negative arguments, of the type of the arrays."""
    members, _, heads, compounds, sites, both = hidden.shape
    nodes = both // 2
    for m in range(members):
        for h in range(heads):
            for n in range(compounds):
                gates, messages = hidden[m, 0, h, n], hidden[m, 1, h, n]
                for i in range(sites):
                    row, own = attention[m, h, n, i], gates[i, :nodes]
                    for j in range(sites):
                        partner, logit = gates[j, nodes:], prior[m, h, j]
                        for k in range(nodes):
                            x = own[k] + partner[k]
                            logit += gate[m, h, k] * (x if x > 0 else slope * x)
                        row[j] = logit
                    row -= row.max()
                    np.exp(row, row)
                    row /= row.sum()
                    own, total = messages[i, :nodes], pooled[m, n, i, h]
                    total[:] = 0
                    for j in range(sites):
                        partner, weight = messages[j, nodes:], row[j]
                        for k in range(nodes):
                            x = own[k] + partner[k]
                            total[k] += weight * (x if x > 0 else slope * x)


@_compiled
def backward(
    hidden: Array,
    gate: Array,
    attention: Array,
    grad_pooled: Array,
    grad_attention: Array,
    slope: Any,
    grad: Array,
    grad_gate: Array,
    grad_logits: Array,
) -> None:
    """Fill the gradients of `hidden` and of the logits, and add that of `gate` to `grad_gate`."""
    members, _, heads, compounds, sites, both = hidden.shape
    nodes = both // 2
    for m in range(members):
        for h in range(heads):
            weights, grad_weights = gate[m, h], grad_gate[m, h]
            for n in range(compounds):
                grad[m, :, h, n] = 0
                for i in range(sites):
                    row, grad_row = attention[m, h, n, i], grad_logits[m, h, n, i]
                    upstream, mean = grad_pooled[m, n, i, h], 0 * slope
                    own, grad_own = hidden[m, 1, h, n, i, :nodes], grad[m, 1, h, n, i, :nodes]
                    for j in range(sites):
                        partner, grad_partner = hidden[m, 1, h, n, j, nodes:], grad[m, 1, h, n, j, nodes:]
                        weight, total = row[j], grad_attention[m, h, n, i, j]
                        for k in range(nodes):
                            x = own[k] + partner[k]
                            passed = upstream[k] if x > 0 else slope * upstream[k]
                            total += passed * x
                            grad_own[k] += weight * passed
                            grad_partner[k] += weight * passed
                        grad_row[j] = total
                        mean += weight * total
                    own, grad_own = hidden[m, 0, h, n, i, :nodes], grad[m, 0, h, n, i, :nodes]
                    for j in range(sites):
                        partner, grad_partner = hidden[m, 0, h, n, j, nodes:], grad[m, 0, h, n, j, nodes:]
                        grad_row[j] = row[j] * (grad_row[j] - mean)
                        steep = grad_row[j]
                        flat = slope * steep
                        for k in range(nodes):
                            x = own[k] + partner[k]
                            passed = steep if x > 0 else flat
                            grad_weights[k] += passed * x
                            grad_own[k] += passed * weights[k]
                            grad_partner[k] += passed * weights[k]
