"""Entropic plans between finite measures, to a stated tolerance."""

from __future__ import annotations

import dataclasses
import math
import warnings

import ot
import torch
from geomloss import SamplesLoss
from torch import Tensor

_SCALING = 0.5
"""Ratio of geomloss's blurs. It affects time only: POT continues from the potentials."""

_TAU = 1e30
"""Factors beyond which POT recomputes the exponentials. POT's default of 1e3 is exceeded in every
iteration when there are more points than that."""


class NotConverged(Exception):
    """Internal: the tolerance was not reached; it holds the marginal error."""

    def __init__(self, error: float) -> None:
        super().__init__(error)
        self.error = error


@dataclasses.dataclass(frozen=True)
class Entropic:
    """A solution of entropic transport between rho (the particles) and q.

    Attributes:
        value: OT_epsilon(rho, q), shape ``()``, from the dual: accurate to second order in the
            marginal error.
        potential: First variation f of the value by rho, shape ``(n,)``.
        other: First variation g by q, shape ``(m,)``; the value is the mean of f plus that of g.
        image: Barycentric projection b(x) = E_pi[y | x], shape ``(n, d)``.
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

    geomloss computes potentials by annealing, which avoids underflow at any epsilon, but stops
    short of the optimum. From there POT iterates with a stopping rule.

    Args:
        x: Points, shape ``(n, d)``, float64.
        a: Weights, summing to one, shape ``(n,)``; zeros are allowed.
        y: Points, shape ``(m, d)``.
        b: Positive weights, shape ``(m,)``.
        tolerance: Error of the second marginal, in L1; the first is exact.
        iterations: Largest number of iterations.
    """
    cost = squared_distances(x, y)
    log_b = b.log()
    with warnings.catch_warnings():
        # Instead the error of the marginals is checked below, with a clearer message.
        warnings.simplefilter("ignore")
        _, log = ot.bregman.sinkhorn_stabilized(
            a,
            b,
            cost,
            epsilon,
            numItermax=iterations,
            stopThr=tolerance / math.sqrt(len(b)),  # its L2 norm bounds the L1 norm so
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
    """Return the optimum between points ``(n, d)`` with weights ``(n,)`` and themselves.

    There is one potential, which starts at zero. The averaged iteration (Feydy et al., 2019) at
    least halves the error every time, whatever epsilon is, unlike POT's alternating one.
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
    """Return rough potentials (f, g) by geomloss, for whose halved cost blur^2 is epsilon/2."""
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
        backend="tensorized",  # `auto` may choose a backend that needs pykeops
    )
    # geomloss enables gradients globally; leaving `no_grad` of this function undoes that.
    f, g = loss(a, x, b, y)
    return 2 * f.reshape(-1), 2 * g.reshape(-1)
