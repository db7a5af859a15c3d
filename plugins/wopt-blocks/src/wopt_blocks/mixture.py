"""The block ``mixture``."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from wopt import Bijection, Capability, FlowBlock
from wopt.component import fields
from wopt_blocks.conditional_mixture import GaussianMixture, normal_score, quantile
from wopt_blocks.expectation import fitted_mixture
from wopt_blocks.white import White


@fields
class Mixture(FlowBlock):
    """The triangular map of N(m, S) to a mixture of Gaussians, for targets with modes far apart.

        T(x)_i = F_i^-1(Phi(z_i) | T(x)_1, ..., T(x)_{i-1}),     z = W (x - m),

    with F_i the distribution function of coordinate i of sum_k w_k N(mu_k, L_k L_k^T) given those
    before it, a mixture of normal laws on the line, and W, m such that the particles of the step
    are white. So if these are Gaussian, as those of a start, the image is that mixture, and

        log |det DT(x)| = log N(x; m, S) - log sum_k w_k N(T(x); mu_k, L_k L_k^T)

    whatever the particles are. A continuous map stretches what joins two modes into a filament; the
    density of this one falls between them as that of Gaussians does. Forward is a search on a line,
    coordinate by coordinate, and the inverse is in closed form.

    At the start all components are the particles' own Gaussian, and T is the identity. Where chains
    of the target run beside the training (``solver.chains``), T starts as a mixture that is fitted
    to these. The derivative by the weights is large where the density is small, so
    ``solver.name = "variance"`` trains it, not ``adam``.

    Source: Rosenblatt, *Remarks on a multivariate transformation*, 1952; Dempster, Laird, Rubin,
    *Maximum likelihood from incomplete data via the EM algorithm*, 1977.

    Raises:
        DivergenceError: A search for a quantile did not end.

    Example:
        >>> block = Mixture(2, components=3).double()
        >>> with torch.no_grad():
        ...     y, log_det = block(torch.ones(3, 2).double())
        >>> bool(torch.allclose(y, torch.ones(3, 2).double())), float(log_det.abs().max()) < 1e-9
        (True, True)
    """

    cites = ("rosenblatt1952", "dempster1977")
    provides = Capability.LOG_DET | Capability.INVERSE

    dim: int
    components: Annotated[int, Field(ge=1, description="number of Gaussians")] = 10

    def __post_init__(self) -> None:
        super().__init__()
        k, d = self.components, self.dim
        self.white = White(d)
        self.logits = nn.Parameter(torch.zeros(k))
        self.means = nn.Parameter(torch.zeros(k, d))
        self.factors = nn.Parameter(torch.zeros(k, d, d))

    def initialise(self, points: Tensor, c: Tensor | None = None) -> None:
        """Choose the coordinates in which particles, shape ``(n, d)``, are white."""
        self.white.initialise(points)

    @torch.no_grad()
    def initialise_images(self, points: Tensor) -> None:
        """Start as a mixture that is fitted to points, shape ``(n, d)``."""
        weights, means, factors = fitted_mixture(self.white(points).double(), self.components)
        self.logits.copy_(weights.log())
        self.means.copy_(means)
        lower = factors.tril(-1)
        self.factors.copy_(lower + factors.diagonal(dim1=1, dim2=2).log().diag_embed())

    def law(self) -> GaussianMixture:
        """Return the mixture of the components that have a weight, in the white coordinates."""
        log_weights = self.logits.log_softmax(0)
        there = log_weights.exp() > 0
        factors = self.factors[there]
        diagonal = factors.diagonal(dim1=1, dim2=2).exp().diag_embed()
        return GaussianMixture(log_weights[there], self.means[there], factors.tril(-1) + diagonal)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""
        z, law = self.white(x), self.law()
        y: list[Tensor] = []
        state = law.beginning(len(x))
        for i in range(self.dim):
            line = law.given(state, i)
            y.append(quantile(line, z[:, i]))
            state = law.after(state, line, y[-1])
        log_det = _log_normal(z) - law.log_prob(state)
        return self.white.inverse(torch.stack(y, 1)), log_det

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y) ``(n, d)`` and its log-det ``(n,)`` in nats, in closed form."""
        at, law = self.white(y), self.law()
        z: list[Tensor] = []
        state = law.beginning(len(y))
        for i in range(self.dim):
            line = law.given(state, i)
            z.append(normal_score(line, at[:, i]))
            state = law.after(state, line, at[:, i])
        noise = torch.stack(z, 1)
        return self.white.inverse(noise), law.log_prob(state) - _log_normal(noise)

    differentiable_inverse = Bijection.differentiable_inverse  # autograd follows the inverse


def _log_normal(z: Tensor) -> Tensor:
    return -z.square().sum(1) / 2 - z.shape[1] / 2 * math.log(2 * math.pi)
