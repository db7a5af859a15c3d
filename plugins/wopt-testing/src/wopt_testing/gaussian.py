"""Gaussian problems with closed forms, an exact affine block, and nodes that make means exact."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor, nn

from wopt.capabilities import Capability
from wopt.component import build
from wopt.errors import DataError
from wopt.interfaces import FlowBlock, Objective, Target
from wopt.particles import Particles
from wopt.targets import jko_step, moments


class AffineBlock(FlowBlock):
    """T(x) = A x + b, with exact log-det and inverse.

    Args:
        dim: Dimension d.

    Example:
        >>> y, log_det = AffineBlock(2)(torch.ones(3, 2))
        >>> y.shape, float(log_det.detach().abs().max())
        (torch.Size([3, 2]), 0.0)
    """

    provides = Capability.LOG_DET | Capability.INVERSE | Capability.HALF_WAY | Capability.VELOCITY

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return A x + b, shape ``(n, d)``, and log |det A|, ``(n,)``."""
        log_det = torch.linalg.slogdet(self.matrix)[1]
        return x @ self.matrix.T + self.shift, log_det.expand(len(x))

    def half_way(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (x + A x + b)/2, shape ``(n, d)``, and log |det (I + A)/2|, ``(n,)``."""
        half = (self.matrix + torch.eye(len(self.shift)).to(self.matrix)) / 2
        return x @ half.T + self.shift / 2, torch.linalg.slogdet(half)[1].expand(len(x))

    def velocity(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (A - I) x + b, shape ``(n, d)``, and trace (A - I), ``(n,)``."""
        slope = self.matrix - torch.eye(len(self.shift)).to(self.matrix)
        return x @ slope.T + self.shift, torch.trace(slope).expand(len(x))

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return A^-1 (y - b), shape ``(n, d)``, and -log |det A|, ``(n,)``."""
        log_det = torch.linalg.slogdet(self.matrix)[1]
        return torch.linalg.solve(self.matrix, (y - self.shift).T).T, -log_det.expand(len(y))


class NormalTarget(Target):
    """N(mean, covariance) by its normalised potential, for tests without plugins.

    Args:
        mean: d numbers.
        covariance: d rows of d numbers, positive definite.
    """

    provides = (
        Capability.POTENTIAL | Capability.SCORE | Capability.NORMALISED | Capability.TARGET_SAMPLES
    )

    def __init__(self, mean: list[float], covariance: list[list[float]]) -> None:
        self.mean = torch.tensor(mean, dtype=torch.float64)
        self.covariance = torch.tensor(covariance, dtype=torch.float64)
        self.dim = len(mean)
        variances = torch.linalg.eigvalsh(self.covariance)
        self.convexity = float(1 / variances.max())
        self.smoothness = float(1 / variances.min())

    def potential(self, x: Tensor) -> Tensor:
        """Return minus the log-density, shape ``(n,)``, nats."""
        r = x - self.mean.to(x)
        quadratic = (r * torch.linalg.solve(self.covariance.to(x), r.T).T).sum(1) / 2
        constant = len(self.mean) * math.log(2 * math.pi) + torch.logdet(self.covariance).item()
        return quadratic + constant / 2

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples, shape ``(n, d)``."""
        if dim != self.dim:
            raise DataError(f"this target has dimension {self.dim}, not {dim}")
        z = torch.randn(n, self.dim, dtype=torch.float64, generator=rng)
        return self.mean + z @ torch.linalg.cholesky(self.covariance).T


GaussianTarget = NormalTarget
"""The name of version 1.0, for plugins that were written for it."""


def gaussian_nodes(mean: Tensor, covariance: Tensor, order: int = 3) -> Particles:
    """Return Gauss-Hermite nodes of N(mean, covariance), exact for polynomials below 2 order.

    With affine maps and quadratic potentials every expectation of KL is then exact.

    Args:
        mean: Mean, shape ``(d,)``.
        covariance: Covariance, shape ``(d, d)``.

    Example:
        >>> m, c = moments(gaussian_nodes(torch.ones(2).double(), 4 * torch.eye(2).double()))
        >>> m.round(decimals=9).tolist(), c.round(decimals=9).diagonal().tolist()
        ([1.0, 1.0], [4.0, 4.0])
    """
    d = len(mean)
    z, w = np.polynomial.hermite_e.hermegauss(order)
    points = np.stack(np.meshgrid(*[z] * d, indexing="ij"), -1).reshape(-1, d)
    weights = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * d, indexing="ij"), -1), axis=-1)
    nodes = torch.from_numpy(points).to(mean) @ torch.linalg.cholesky(covariance).T + mean
    law = torch.distributions.MultivariateNormal(mean, covariance)
    return Particles.start(nodes, torch.from_numpy(weights.ravel()).to(mean), law.log_prob(nodes))


def gaussian_kl(
    mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor
) -> float:
    """Return KL(N(m, C) | N(n, S)) in nats, for means ``(d,)`` and covariances ``(d, d)``."""
    difference = mean - target_mean
    quadratic = torch.trace(torch.linalg.solve(target_covariance, covariance))
    quadratic = quadratic + difference @ torch.linalg.solve(target_covariance, difference)
    log_ratio = torch.logdet(target_covariance) - torch.logdet(covariance)
    return float(quadratic - len(mean) + log_ratio) / 2


@dataclasses.dataclass(frozen=True)
class GaussianProblem:
    """Minimise KL(. | N(n, S)) from N(m, C).

    A scheme moves the labels z ~ N(0, I) of the start. With affine maps they move to b + A z, and
    the matrix X = (b, A), shape ``(d, d + 1)``, is the whole state: :meth:`gradient` and
    :meth:`prox` are exact in it, so any scheme has a closed form in terms of them (``prox(x, h)``
    is jko). Covariances need not commute.

    Attributes:
        m, c: Mean ``(d,)`` and covariance ``(d, d)`` of the start.
        n, s: Mean ``(d,)`` and covariance ``(d, d)`` of the target.

    Example:
        >>> p = gaussian_problems()["rotated"]
        >>> y = p.prox(p.labels(), 0.1)
        >>> bool(torch.allclose(p.labels() - 0.1 * p.gradient(y), y))
        True
    """

    m: Tensor
    c: Tensor
    n: Tensor
    s: Tensor

    @property
    def dim(self) -> int:
        """The dimension d."""
        return len(self.m)

    def target(self) -> NormalTarget:
        """Return N(n, S)."""
        return NormalTarget(self.n.tolist(), self.s.tolist())

    def objective(self) -> Objective:
        """Return the registered objective ``kl`` to the target."""
        kl: Objective = build("objective", {"name": "kl", "target": self.target()})
        return kl

    def at_target(self) -> GaussianProblem:
        """Return the problem that starts at its solution."""
        return dataclasses.replace(self, m=self.n, c=self.s)

    def nodes(self) -> Particles:
        """Return particles of the start, exact for quadratic functions."""
        return gaussian_nodes(self.m, self.c, order=2)

    def labels(self) -> Tensor:
        """Return X = (b, A) of the start, shape ``(d, d + 1)``."""
        return torch.cat([self.m[:, None], torch.linalg.cholesky(self.c)], dim=1)

    def placed(self, x: Tensor) -> Tensor:
        """Return the places of the :meth:`nodes` for labels X, shape ``(n, d)``."""
        z = torch.linalg.solve(torch.linalg.cholesky(self.c), (self.nodes().points - self.m).T)
        return (x[:, :1] + x[:, 1:] @ z).T

    def gradient(self, x: Tensor, *, entropy: bool = True) -> Tensor:
        """Return the Wasserstein gradient S^-1 (b - n) and S^-1 A - A^-T, shape ``(d, d + 1)``.

        Args:
            x: Labels, shape ``(d, d + 1)``.
            entropy: Whether entropy is included; otherwise the gradient is that of E V.
        """
        centred = x - torch.nn.functional.pad(self.n[:, None], (0, self.dim))
        gradient = torch.linalg.solve(self.s, centred)
        if entropy:
            gradient[:, 1:] -= torch.linalg.inv(x[:, 1:]).T
        return gradient

    def prox(self, anchor: Tensor, h: float, *, curvature: float = 0.0) -> Tensor:
        """Return the Y that solves  Y + h grad G(Y) + h k Y = anchor, shape ``(d, d + 1)``.

        Args:
            anchor: Labels, shape ``(d, d + 1)``.
            curvature: k in the term k E|x|^2/2 added to G.
        """
        eye = torch.eye(self.dim, dtype=anchor.dtype)
        precision = torch.linalg.inv(self.s) + curvature * eye
        target = torch.linalg.solve(precision, torch.linalg.solve(self.s, self.n))
        root = anchor[:, 1:]
        mean, covariance = jko_step(
            anchor[:, 0], root @ root.T, target, torch.linalg.inv(precision), h
        )
        slope = eye + h * precision - h * torch.linalg.inv(covariance)
        return torch.cat([mean[:, None], torch.linalg.solve(slope, root)], dim=1)

    def entropy_prox(self, anchor: Tensor, h: float) -> Tensor:
        """Return Y = (b, A), shape ``(d, d + 1)``, of anchor (b, C), with A - h A^-T = C."""
        u, sigma, v = torch.linalg.svd(anchor[:, 1:])
        sigma = (sigma + (sigma.square() + 4 * h).sqrt()) / 2
        return torch.cat([anchor[:, :1], (u * sigma) @ v], dim=1)

    def flow(self, t: float) -> tuple[Tensor, Tensor]:
        """Return mean ``(d,)`` and covariance ``(d, d)`` of the exact gradient flow at time t.

        With E = exp(-t S^-1):  m_t = n + E (m - n),  C_t = S + E (C - S) E^T.
        """
        decay = torch.linalg.matrix_exp(-t * torch.linalg.inv(self.s))
        mean = self.n + decay @ (self.m - self.n)
        return mean, self.s + decay @ (self.c - self.s) @ decay.T

    def gap(self, x: Tensor) -> float:
        """Return KL, nats, at labels X, shape ``(d, d + 1)``."""
        return gaussian_kl(x[:, 0], x[:, 1:] @ x[:, 1:].T, self.n, self.s)

    def error(self, particles: Particles, t: float) -> float:
        """Return the distance of the particles' moments from the flow's at time t."""
        (mean, covariance), (m, c) = moments(particles), self.flow(t)
        return float(((mean - m).square().sum() + (covariance - c).square().sum()).sqrt())


def gaussian_problems() -> dict[str, GaussianProblem]:
    """Return test problems by name: ``line`` (1-D), ``commuting``, ``rotated`` (2-D), ``five``."""

    def make(*values: list[float] | list[list[float]]) -> GaussianProblem:
        return GaussianProblem(*(torch.tensor(v, dtype=torch.float64) for v in values))

    rng = torch.Generator().manual_seed(5)
    turns = [
        torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=rng))[0] for _ in "cs"
    ]
    spread = torch.linspace(0.5, 1.5, 5, dtype=torch.float64)
    c, s = ((q * spread) @ q.T for q in turns)
    m = torch.tensor([1.0, -0.5, 0.5, 0.0, -1.0], dtype=torch.float64)
    return {
        "line": make([1.5], [[0.6]], [-0.5], [[1.3]]),
        "commuting": make([1.5, -0.5], [[1.8, 0], [0, 0.5]], [0.0, 0.3], [[1.2, 0], [0, 0.8]]),
        "rotated": make(
            [1.5, -0.5], [[0.6, 0.25], [0.25, 0.4]], [0.0, 0.3], [[1.2, -0.4], [-0.4, 0.9]]
        ),
        "five": GaussianProblem(m, c, torch.zeros_like(m), s),
    }
