"""The block ``fitted_mixture``."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wopt import Bijection, FlowBlock
from wopt.component import fields
from wopt_blocks.expectation import BROAD, FOLDS, chosen_mixture
from wopt_blocks.mixture import Mixture

_ABSENT = -1e4
"""Logarithm of the weight of a Gaussian that is not there."""


@fields
class FittedMixture(FlowBlock):
    """The triangular map of a mixture of Gaussians to N(0, I), fitted to the particles by EM.

    It is the inverse of :class:`~wopt_blocks.mixture.Mixture`, in closed form: a flow of it alone
    is a mixture of Gaussians. It is a mixture of five mixtures, each fitted to four fifths of the
    particles; the fifths that are left out choose the number of Gaussians and how far covariances
    are shrunk to that of all particles. Training goes on from the fit.

    Beside them are three round Gaussians, 10, 100 and 1,000 times as wide as the particles, of
    weights that fall as the squares of these widths, 1/(n + 1) in all: the tails of Student's law
    with two degrees of freedom. What is far from all particles costs tens of nats (a defensive
    mixture).

    Source: Rosenblatt, *Remarks on a multivariate transformation*, 1952; Dempster, Laird, Rubin,
    *Maximum likelihood from incomplete data via the EM algorithm*, 1977; Fraley, Raftery, *Bayesian
    regularization for normal mixture estimation and model-based clustering*, 2007; Breiman,
    *Bagging predictors*, 1996.

    Example:
        >>> z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
        >>> x = torch.cat([0.1 * z[:500] - 1, 0.2 * z[500:] + 1])
        >>> block = FittedMixture(2).double()
        >>> block.initialise(x)
        >>> y, _ = block(x)
        >>> bool((torch.cov(y.T) - torch.eye(2)).abs().max() < 0.1)
        True
    """

    cites = ("rosenblatt1952", "dempster1977", "fraley2007", "breiman1996")
    provides = Mixture.provides

    dim: int
    components: Annotated[
        int, Field(ge=1, description="largest number of Gaussians, in all five")
    ] = 160

    def __post_init__(self) -> None:
        super().__init__()
        self.inner = Mixture(self.dim, components=self.components + len(BROAD))

    @torch.no_grad()
    def initialise(self, points: Tensor, c: Tensor | None = None) -> None:
        """Fit the mixture to points, shape ``(n, d)``."""
        weights, means, factors = chosen_mixture(points.double(), max(1, self.components // FOLDS))
        k, inner = len(weights), self.inner
        inner.logits.fill_(_ABSENT)
        inner.logits[:k] = weights.log().to(inner.logits)
        inner.means[:k] = means.to(inner.means)
        lower, roots = factors.tril(-1), factors.diagonal(dim1=1, dim2=2).log()
        inner.factors[:k] = (lower + roots.diag_embed()).to(inner.factors)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and its log-det ``(n,)`` in nats, in closed form."""
        return self.inner.inverse(x)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""
        return self.inner(y)

    differentiable_inverse = Bijection.differentiable_inverse  # autograd follows the inverse
