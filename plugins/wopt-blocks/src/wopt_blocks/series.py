"""log det (I + J) of a contraction by a random power series, without bias."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt_blocks.perceptron import Derivative

_ALWAYS = 4
"""Number of terms that are always computed; the roulette decides on later ones."""


def roulette_log_det(derivative: Derivative, like: Tensor, lipschitz: float) -> Tensor:
    """Estimate log det (I + J) in nats, shape ``(n,)``, unbiased in value and gradient.

    With v standard normal and N a random number of terms, P_k = P(N >= k),

        log det (I + J)     = E sum_{k=1}^N (-1)^(k+1) / (k P_k)  v^T J^k v,
        its derivative      = E sum_{k=0}^N (-1)^k / P_k  (v^T J^k) dJ v,

    the second a Neumann series whose gradient passes through one product with J only, whatever
    N is. N - 4 is geometric, P(N >= 4 + j) = l^j with l the Lipschitz constant of J: as terms fall
    like l^k, their squares over P_k fall like l^k too, so the variance is finite.

    Draws from torch's global generator.

    Source: Chen, Behrmann, Duvenaud, Jacobsen, *Residual flows for invertible generative
    modeling*, 2019, Theorems 1 and 2.

    Args:
        like: A tensor of shape ``(n, m)``, with the dtype and device to use.
        lipschitz: Bound l < 1 of |J|.
    """
    v = torch.randn_like(like)
    more = int(torch.empty(()).geometric_(1 - lipschitz)) - 1
    with torch.no_grad():
        row = row_sum = v  # v^T J^k, and the sum that multiplies dJ v
        value = v.new_zeros(len(v))
        for k in range(1, _ALWAYS + more + 1):
            sign_over_chance = (-1) ** k / lipschitz ** max(0, k - _ALWAYS)
            row = derivative.transposed_times(row)
            value = value - sign_over_chance / k * (row * v).sum(1)
            row_sum = row_sum + sign_over_chance * row
    through = (row_sum * derivative.times(v)).sum(1)
    return value + (through - through.detach())
