"""The kernel Stein discrepancy."""

from __future__ import annotations

from typing import Annotated, Literal, final

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt_functionals.options import Estimator
from wopt_functionals.pairs.kernel import PairKernel
from wopt_functionals.points.interaction import PairEnergy
from wopt_functionals.points.score import target_score
from wopt_functionals.points.stein import Stein


@final
class KSD(PairEnergy):
    """Half the squared kernel Stein discrepancy to a target q with score s = grad log q.

        G(rho) = E k_q(X, X')/2,    X, X' ~ rho independent,
        k_q(x, y) = <s(x), s(y)> k + <s(x), grad_y k> + <s(y), grad_x k> + tr grad_x grad_y k,

    with k = (1 + |x-y|^2/h^2)^(-1/2) (``inverse_multiquadric``, which controls convergence) or
    exp(-|x-y|^2/2h^2). Needs neither samples of q nor its constant, nor the particles' density.
    Pairs are summed block by block, O(n^2) time in flat memory.

    It is not geodesically convex, has local minima where modes of q are far apart, and is zero at
    q.

    The gradient needs the derivative of the score: the target's score must be differentiable, or
    its potential twice.

    Source: Gorham, Mackey, Measuring sample quality with kernels, 2017; Korba et al., Kernel Stein
    discrepancy descent, 2021; docs/theory 2, row 20.

    Raises:
        CapabilityError: The target's score cannot be differentiated.

    Example:
        >>> from wopt.testing import NormalTarget
        >>> g = KSD(NormalTarget([0.0], [[1.0]]))
        >>> round(float(g.energy(Particles(torch.zeros(1, 1).double()))), 6)  # 1/(2 h^2)
        0.5
    """

    cites = ("gorham2017", "korba2021")
    needs = Capability.SCORE

    def __init__(
        self,
        target: Annotated[
            wopt.Target, Field(description="the measure to approach, known by its score")
        ] = wopt.named("gaussian"),
        kernel: Annotated[
            Literal["inverse_multiquadric", "gaussian"], Field(description="the kernel k")
        ] = "inverse_multiquadric",
        bandwidth: Annotated[
            float, Field(gt=0, allow_inf_nan=False, description="length scale h of the kernel")
        ] = 1.0,
        estimator: Estimator = "v",
    ) -> None:
        self.target = target
        self.kernel = Stein(kernel, bandwidth)
        self.diagonal = estimator == "v"
        self.minimum = 0.0 if self.diagonal else None

    def pairs(self, particles: Particles) -> tuple[PairKernel, Tensor]:
        """Return k_q, and points and scores side by side, shape ``(n, 2 d)``."""
        x = particles.points
        assert self.target is not None
        return self.kernel, torch.cat([x, target_score(self.target, x)], dim=1)
