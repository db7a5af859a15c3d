"""One map, replaced at each proximal step."""

from __future__ import annotations

import dataclasses
from typing import Self

from torch import Tensor

from wopt import History, Objective, Particles, Subproblem
from wopt_schemes.base import Stepped


class Replace(Stepped):
    """The proximal point scheme over one map: each step replaces it, so the depth is constant.

        T_{k+1} = argmin over T of  G(T_# mu) + E_mu |T - T_k|^2 / (2 h),    T_0 = id.

    Where all maps may be chosen it makes the steps of jko, and likewise where the family is closed
    under composition (affine maps): T_{k+1} T_k^{-1} is jko's block. For other families the two
    differ: here T_{k+1} lies in the family, there it is a composition of k + 1 of them, which is
    richer and deeper. In the limit h -> 0 it is gradient descent of G over the family, in the
    metric of L^2(mu).

    A map begins as the one before; sampling and scoring cost one block, however many steps were
    made. The maps before the last are not kept: a certificate describes the last law
    and not the steps. Joint training ([refine]) has no effect.

    Source: docs/theory 3.6, with proof. Generators are updated so in *A Unifying View of
    Variational Generative Wasserstein Flows* (arXiv 2605.31369).

    Example:
        >>> import torch, wopt
        >>> start, now = (wopt.Particles.start(torch.full((1, 1), v)) for v in (0.0, 2.0))
        >>> history = wopt.History(now, None, None, 3, 0.5, 0.5, start=start)
        >>> sub = Replace(step_size=0.5).subproblem(history, wopt.build("objective", "kl"))
        >>> sub.particles.points.tolist(), sub.anchor.tolist()
        ([[0.0]], [[2.0]])
    """

    cites = ()
    order = 1
    looks_back = False
    replaces = True

    def subproblem(self, history: History, objective: Objective) -> Subproblem:
        """Return the step from the start, anchored at the images under the previous map."""
        now = history.particles
        start = now if history.start is None else history.start
        return Replacing(start, now.points, history.step_size, objective, now)


@dataclasses.dataclass(frozen=True)
class Replacing(Subproblem):
    """The subproblem of a map that replaces another.

    Attributes:
        now: Images of the particles under the previous map.
    """

    now: Particles

    joint = False

    @property
    def baseline(self) -> Particles:
        """Images of the particles under the previous map."""
        return self.now

    def rows(self, index: Tensor | slice) -> Self:
        """Return the subproblem on the particles of ``index``, shape ``(k,)``, or of a slice."""
        return dataclasses.replace(super().rows(index), now=self.now.rows(index))
