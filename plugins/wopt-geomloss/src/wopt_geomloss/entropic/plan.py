"""Entropic plans between finite measures, to a stated tolerance."""

from __future__ import annotations

import dataclasses
import math
import warnings

import ot
import torch
from geomloss import SamplesLoss
from torch import Tensor

__all__ = ["Entropic", "NotConverged", "solve_between", "solve_within"]

_SCALING = 0.5
"""Of geomloss's blurs. It costs or saves time and no more: POT goes on from the potentials."""

_TAU = 1e30
"""Factors beyond which POT takes the exponentials anew. Its own 1e3 is passed, in all iterations,
where there are more points than that."""


class NotConverged(Exception):
    """The tolerance was not reached; holds the marginal error that was. Users never see it."""

    def __init__(self, error: float) -> None:
        super().__init__(error)
        self.error = error


@dataclasses.dataclass(frozen=True)
class Entropic:
    """A solution of entropic transport between rho (the particles) and q.

    Attributes:
        value: OT_epsilon(rho, q), from the dual, so right to second order in the marginal error.
        potential: The first variation of the value by rho, f, shape ``(n,)``.
        other: That by q, g, shape ``(m,)``; the value is the mean of f plus that of g.
        image: b(x) = E_pi[y | x], shape ``(n, d)``.
    """

    value: Tensor
    potential: Tensor
    other: Tensor
    image: Tensor


def solve_between(
    x: Tensor,
    a: Tensor,
    y: Tensor,
    b: Tensor,
    epsilon: float,
    tolerance: float,
    iterations: int,
    *,
    accept: float = 0.0,
) -> Entropic:
    """Return the optimum for the cost |x - y|^2 and the entropy epsilon KL(pi | a x b).

    geomloss finds potentials by annealing, which makes them safe from underflow at any epsilon,
    and stops as it arrives, short of the optimum. From there POT iterates with a stopping rule.

    Args:
        x: Shape ``(n, d)``, float64.
        a: Weights, summing to one, shape ``(n,)``; zeros are allowed.
        y: Shape ``(m, d)``.
        b: Positive weights, shape ``(m,)``.
        epsilon: The temperature.
        tolerance: Of the second marginal, in L1; the first is exact.
        iterations: At most.
        accept: An error that will do when the iterations are used up.

    Raises:
        NotConverged: After so many iterations.

    Example:
        >>> x, half = torch.tensor([[0.0], [3.0]]).double(), torch.full((2,), 0.5).double()
        >>> bool((solve_between(x, half, x, half, 1.0, 1e-9, 100).image - x).abs().max() < 1e-3)
        True
    """
    cost = squared_distances(x, y)
    log_b = b.log()
    with warnings.catch_warnings():
        # That it did not end is told by the marginals below, and in words that help.
        warnings.simplefilter("ignore")
        _, log = ot.bregman.sinkhorn_stabilized(
            a,
            b,
            cost,
            epsilon,
            numItermax=iterations,
            stopThr=tolerance / math.sqrt(len(b)),  # its L2 norm bounds ours so
            tau=_TAU,
            warmstart=_annealed(x, a, y, b, epsilon),
            log=True,
        )
    # POT's potentials are those of the counting measures; a step of Sinkhorn's makes f exact for g.
    g = log["beta"] - epsilon * log_b
    f = -epsilon * torch.logsumexp((g - cost) / epsilon + log_b, dim=1)
    density = cost.sub_(f[:, None]).sub_(g).div_(-epsilon).exp_()
    error = float(b @ (a @ density - 1).abs())
    if not error <= max(tolerance, accept):
        raise NotConverged(error)
    return Entropic(a @ f + b @ g, f, g, density @ (b[:, None] * y))


def solve_within(
    x: Tensor, a: Tensor, epsilon: float, tolerance: float, iterations: int
) -> Entropic:
    """Return the optimum between a measure and itself: one potential, from a start at zero.

    The averaged iteration (Feydy et al., 2019) at least halves the error every time, whatever
    epsilon is, where POT's alternating one takes hundreds; geomloss has it, but not to an end.

    Raises:
        NotConverged: After so many iterations.

    Example:
        >>> x, half = torch.tensor([[0.0], [9.0]]).double(), torch.full((2,), 0.5).double()
        >>> optimum = solve_within(x, half, 1.0, 1e-9, 100)
        >>> round(float(optimum.value.exp()), 6)  # each goes to itself
        2.0
    """
    kernel = squared_distances(x, x).div_(-epsilon).exp_()
    tiny = torch.finfo(a.dtype).tiny
    u, error = torch.ones_like(a), math.inf
    for _ in range(iterations):
        rows = kernel @ (a * u)
        error = float(a @ (u * rows - 1).abs())
        if error <= tolerance:
            break
        u = (u / rows.clamp_min(tiny)).sqrt()
    else:
        raise NotConverged(error)
    f, excess = epsilon * u.log(), a @ (u * rows) - 1
    image = kernel @ ((a * u)[:, None] * x) / rows.clamp_min(tiny)[:, None]
    return Entropic(2 * (a @ f) - epsilon * excess, f, f, image)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|^2, shape ``(n, m)``, from differences, so exactly 0 between equals."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square_()


@torch.no_grad()
def _annealed(x: Tensor, a: Tensor, y: Tensor, b: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return rough potentials (f, g) by geomloss.

    It halves the cost and takes the root of epsilon, blur: its potentials at blur^2 = epsilon/2
    are half of ours. The backend is named, because ``auto`` picks ones that need pykeops.
    """
    both = torch.cat([x, y])
    diameter = float((both.amax(0) - both.amin(0)).norm())
    blur = math.sqrt(epsilon / 2)
    loss = SamplesLoss(
        "sinkhorn",
        p=2,
        blur=blur,
        diameter=max(diameter, blur),
        scaling=_SCALING,
        debias=False,
        potentials=True,
        backend="tensorized",
    )
    # It switches gradients on for good; leaving `no_grad` of this function puts that right.
    f, g = loss(a, x, b, y)
    return 2 * f.reshape(-1), 2 * g.reshape(-1)
