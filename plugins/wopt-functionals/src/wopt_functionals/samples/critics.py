"""Divergences in their dual form, with the ratio written as the exponential of a critic."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

DualName = Literal["kl", "reverse_kl", "chi2", "hellinger", "jensen_shannon"]


@dataclasses.dataclass(frozen=True)
class Dual:
    """D_f(p, q) = sup_g E_p a(g) - E_q b(g), concave in g.

    With g = log(p/q) at the best, a(g) = f'(e^g) and b(g) = f*(a(g)), for f(1) = f'(1) = 0, so
    that a(0) = b(0) = 0. The ratio of ``chi2`` is 1 + g/2 instead, which keeps it concave.

    Attributes:
        a, b: Elementwise functions of the critic's values.
    """

    a: Callable[[Tensor], Tensor]
    b: Callable[[Tensor], Tensor]


DUALS: dict[str, Dual] = {
    "kl": Dual(lambda g: g, torch.expm1),
    "reverse_kl": Dual(lambda g: -torch.expm1(-g), lambda g: g),
    "chi2": Dual(lambda g: g, lambda g: g + g.square() / 4),
    "hellinger": Dual(lambda g: -torch.expm1(-g / 2), lambda g: torch.expm1(g / 2)),
    "jensen_shannon": Dual(
        lambda g: (math.log(2) + logsigmoid(g)) / 2,
        lambda g: -(math.log(2) + logsigmoid(-g)) / 2,
    ),
}
