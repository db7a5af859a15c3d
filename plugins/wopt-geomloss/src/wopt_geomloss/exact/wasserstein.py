"""Half the squared Wasserstein distance, by exact plans."""

from __future__ import annotations

from typing import Any, ClassVar, final

import torch
from torch import Tensor

import wopt
from wopt.interfaces import Draws
from wopt_geomloss.exact.plan import exact_plan
from wopt_geomloss.options import SampledTarget, Samples
from wopt_geomloss.variation import TransportObjective, Variation


@final
class Wasserstein(TransportObjective):
    """Half the squared Wasserstein distance to samples of a target q, by exact plans.

        G(rho) = W_2^2(rho, q)/2 = min over plans pi of  E_pi |x - y|^2 / 2,
        grad_W G(x) = x - T(x),    T(x) = E_pi[y | x].

    In one dimension the plan is found by sorting, else by network simplex (POT), on the CPU. T is
    the plan's barycentric projection; the gradient is exact wherever the optimal plan is unique,
    so almost everywhere. Particles may have weights.

    Between n particles and m samples the plan costs about (n + m)^3 in time and 40 n m bytes (see
    docs/benchmarks.md). Finite sets are further apart than
    their laws: the mean energy of n particles and m samples is above the laws' energy, by about
    (1/n + 1/m)^(2/d) in d > 4 dimensions and (1/n + 1/m)^(1/2) in fewer. So the energy is not 0 at
    q, and in batches of b particles the bias is that of b: prefer large batches
    (``solver.batch_size``), as many samples, or ``sinkhorn``, whose bias is smaller.

    1-convex along the generalised geodesics based at q, but not along those of every base, nor
    along geodesics (four atoms in the plane are a counter-example); on the line along all. So
    ``convexity`` is 1 in one dimension and unknown in more. The exact JKO step of size h is
    the geodesic to q at h/(1 + h); the explicit step of size 1 jumps onto q, and above 2 explicit
    steps are unstable.

    Source: Ambrosio, Gigli, Savare, *Gradient Flows*, 2008, 9.3; Flamary et al., POT, 2021;
    docs/theory 2, row 16, and 2.2.

    Raises:
        DivergenceError: The network simplex did not end.

    Example:
        >>> import torch
        >>> from wopt.testing import NormalTarget
        >>> g = Wasserstein(NormalTarget([0.0, 0.0], [[1e-12, 0.0], [0.0, 1e-12]]))
        >>> round(float(g.energy(wopt.Particles(torch.full((4, 2), 2.0).double()))), 4)
        4.0
    """

    cites = ("ambrosio2008", "flamary2021")
    example: ClassVar[dict[str, Any]] = {"samples": 200}

    def __init__(
        self, target: SampledTarget = wopt.named("gaussian"), samples: Samples = 1000
    ) -> None:
        self.target = target
        self.draws = Draws(target, samples, torch.float64)
        self.convexity = 1.0 if target.dim == 1 else None

    def variation(self, x: Tensor, a: Tensor, y: Tensor, b: Tensor) -> Variation:
        """Return W_2^2/2 ``()``, Kantorovich's potential ``(n,)`` and x - T(x) ``(n, d)``."""
        plan = exact_plan(x, a, y, b)
        return Variation(plan.value, plan.potential, x - plan.image)

    def largest_explicit_step(self) -> float:
        """Return 2: a step of size h leaves at most |1 - h| of the distance."""
        return 2.0
