"""The two-step backward differentiation formula."""

from __future__ import annotations

import math

from wopt import History, Objective, Subproblem
from wopt_schemes.base import Stepped


class BDF2(Stepped):
    """The two-step backward differentiation formula (BDF2), extrapolated along labels.

        a(x) = ((1 + w)^2 x - w^2 x_prev)/(1 + 2w),    h' = h (1 + w)/(1 + 2w),    w = h_n/h_{n-1};

    with constant steps a = (4x - x_prev)/3 and h' = 2h/3. It is of order 2 and L-stable. The first
    step is one of jko, whose local error of order h^2 does not lower the order. So is a step that
    grows by more than 1 + sqrt 2, beyond which the formula is unstable.

    Source: Matthes, Plazotta, 2019 (arXiv 1711.02935); Gallouet, Natale, Todeschi, 2024; variable
    steps: Hairer, Norsett, Wanner, *Solving Ordinary Differential Equations I*, III.5.

    Example:
        >>> import torch, wopt
        >>> x = wopt.Particles.start(torch.tensor([[2.0]]))
        >>> h = wopt.History(x, torch.tensor([[5.0]]), None, 1, 0.3, 0.3)
        >>> BDF2(step_size=0.3).subproblem(h, wopt.build("objective", "kl")).anchor
        tensor([[1.]])
    """

    cites = ("matthes2019", "gallouet2024", "hairer1993")
    order = 2

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step anchored at points extrapolated from the last two, fully implicit."""
        x, h = history.particles.points, history.step_size
        if history.previous is None or history.previous_step_size is None:
            return Subproblem(history.particles, x, h, objective)
        w = h / history.previous_step_size
        if w > 1 + math.sqrt(2):
            return Subproblem(history.particles, x, h, objective)
        anchor = ((1 + w) ** 2 * x - w**2 * history.previous) / (1 + 2 * w)
        h = h * (1 + w) / (1 + 2 * w)
        return Subproblem(history.particles, anchor, h, objective)
