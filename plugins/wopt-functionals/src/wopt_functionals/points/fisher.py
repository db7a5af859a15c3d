"""Fisher information, of a measure or relative to a target, by its variational form."""

from __future__ import annotations

import math
from typing import Annotated, final

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Particles
from wopt.component import fields
from wopt_functionals.points.score import target_score


@final
@fields
class FisherInformation(wopt.Objective):
    """The Fisher information  J(rho) = E |grad log rho|^2,  or  E |grad log rho/q|^2.

        G(rho) = max_phi  E[ -2 <s, phi> - 2 div phi - |phi|^2 ] - ridge |C|^2,    s = grad log q,

    over fields phi = C psi that are linear in a constant, the coordinates and ``features`` random
    cosines; s = 0 without a target. The maximiser over all fields is grad log rho/q and the value
    the information; integration by parts has removed the density, so particles are enough. The
    maximum is found in closed form in every evaluation, so G is deterministic, and its gradient
    exact.

    Over affine fields it is exact for Gaussians: J = tr Sigma^-1, with Wasserstein gradient
    -2 Sigma^-2 (x - m). Elsewhere G is a lower bound, up to a sampling error of about the number of
    coefficients, d (1 + d + features), over n. So take many more particles than that. Features that
    vary faster than the particles are dense make it useless; see ``bandwidth``.

    Its flow without a target is the quantum drift-diffusion (Derrida-Lebowitz-Speer-Spohn)
    equation. It is not geodesically convex beyond one dimension, and zero at the target.

    Source: Gianazza, Savare, Toscani, The Wasserstein gradient flow of the Fisher information and
    the quantum drift-diffusion equation, 2009; docs/theory 2, rows 18 and 19, and (4.1).

    Args:
        features: Number of random cosines, the same in every run; 0 leaves affine fields.

    Raises:
        CapabilityError: The target's score cannot be differentiated.

    Example:
        >>> from wopt.testing import gaussian_nodes
        >>> nodes = gaussian_nodes(torch.ones(2).double(), 4 * torch.eye(2).double())
        >>> j = FisherInformation(features=0, ridge=1e-12)
        >>> round(float(j.energy(nodes)), 6)  # tr Sigma^-1
        0.5
    """

    cites = ("gianazza2009",)

    target: Annotated[
        wopt.Target | None,
        Field(description="the measure to approach, known by its score; by default none"),
    ] = None
    features: Annotated[
        int, Field(ge=0, le=1_000_000, description="number of random cosine features")
    ] = 50
    bandwidth: Annotated[
        float,
        Field(gt=0, allow_inf_nan=False, description="length scale of the cosine features"),
    ] = 1.0
    ridge: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="factor of the squared penalty on the coefficients",
        ),
    ] = 1e-6

    def __post_init__(self) -> None:
        self.needs = Capability.SCORE if self.target is not None else Capability.NOTHING
        self._kept: dict[tuple[int, torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}
        self.minimum = None if self.target is None else 0.0

    def contributions(self, particles: Particles) -> Tensor:
        """Return -2 <s, phi> - 2 div phi - |phi|^2 at each particle, ``(n,)``, for the best phi.

        It is the first variation, because at the maximum the derivative by the field is zero.
        """
        x = particles.points
        psi, slopes = self._psi(x)
        score = None if self.target is None else target_score(self.target, x)
        with torch.no_grad():
            wide, slopes64 = psi.double(), slopes.double()
            weights = particles.shares(torch.float64)
            linear = -torch.einsum("n,nkj->kj", weights, slopes64)
            if score is not None:
                linear = linear - (weights[:, None] * wide).T @ score.double()
            gram = (weights[:, None] * wide).T @ wide
            eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
            # No check, which would wait for the device: the ridge makes the matrix regular.
            best = torch.linalg.solve_ex(gram + self.ridge * eye, linear)[0]
            penalty = self.ridge * best.square().sum()
        c = best.to(x)
        phi = psi @ c
        divergence = torch.einsum("nkj,kj->n", slopes, c)
        values = -2 * divergence - phi.square().sum(1) - penalty.to(x)
        return values if score is None else values - 2 * (score * phi).sum(1)

    def _waves(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return directions ``(D, d)`` and phases ``(D,)``, the same in every run."""
        d = like.shape[1]
        key = (d, like.dtype, like.device)
        if key not in self._kept:
            rng = torch.Generator().manual_seed(d)
            omega = torch.randn(self.features, d, generator=rng, dtype=torch.float64).to(like)
            phase = torch.rand(self.features, generator=rng, dtype=torch.float64).to(like)
            self._kept[key] = omega, 2 * math.pi * phase
        return self._kept[key]

    def _psi(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features ``(n, K)`` and their derivatives ``(n, K, d)``."""
        n, d = x.shape
        one, zero = x.new_ones(n, 1), x.new_zeros(n, 1, d)
        coordinates = torch.eye(d, dtype=x.dtype, device=x.device).expand(n, d, d)
        if self.features == 0:
            return torch.cat([one, x], 1), torch.cat([zero, coordinates], 1)
        omega, phase = self._waves(x)
        omega = omega / self.bandwidth
        angle = x @ omega.T + phase
        scale = math.sqrt(2 / self.features)
        slopes = -scale * angle.sin()[:, :, None] * omega
        return (
            torch.cat([one, x, scale * angle.cos()], 1),
            torch.cat([zero, coordinates, slopes], 1),
        )
