"""The law of a mixture of Gaussians: density, score, samples, entropy, convexity."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.errors import ConfigError
from wopt_measures.laws.gaussian import GaussianLaw, KnownLaw, check_dim, check_points


@dataclasses.dataclass(frozen=True)
class MonteCarloEstimate:
    """A Monte-Carlo estimate and its standard error."""

    value: float
    standard_error: float


@dataclasses.dataclass(eq=False)
class MixtureLaw(KnownLaw):
    """The law  p = sum_k w_k N(m_k, S_k).

    Attributes:
        weights: Weights w, positive, summing to one, shape ``(k,)``, float64.
        parts: The k Gaussians, of one dimension.

    Example:
        >>> law = MixtureLaw.make([[-1.0], [1.0]], scale=1.0)
        >>> round(law.convexity, 12)  # 1 - R^2 with R = 1
        0.0
        >>> law.score(torch.zeros(1, 1, dtype=torch.float64)).tolist()
        [[0.0]]
    """

    weights: Tensor
    parts: tuple[GaussianLaw, ...]

    @classmethod
    def make(
        cls,
        means: list[list[float]],
        scale: float | list[float] = 1.0,
        covariances: list[list[list[float]]] | None = None,
        weights: list[float] | None = None,
    ) -> MixtureLaw:
        """Make a law from options; ``scale`` may be one number or one for each component.

        Raises:
            ConfigError: The lengths do not agree, or both scale and covariances are given.
        """
        k = len(means)
        for name, value in (("weights", weights), ("scale", scale), ("covariances", covariances)):
            if isinstance(value, list) and len(value) != k:
                raise ConfigError(
                    f"`{name}` has {len(value)} entries for {k} components (`means`); give one "
                    "for each"
                )
        if covariances is not None and scale != 1.0:
            raise ConfigError("give either `scale` or `covariances`, not both")
        scales = scale if isinstance(scale, list) else [scale] * k
        parts = tuple(
            GaussianLaw.make(means[i], scales[i], covariances[i] if covariances else None)
            for i in range(k)
        )
        w = torch.tensor(weights or [1.0] * k, dtype=torch.float64)
        return cls(w / w.sum(), parts)

    @property
    def dim(self) -> int:  # type: ignore[override]
        """The dimension d."""
        return len(self.parts[0].mean)

    def _joint(self, x: Tensor) -> Tensor:
        """Return log(w_k p_k(x)), shape ``(n, k)``."""
        check_points(x, self.dim)
        logs = torch.stack([part.log_prob(x) for part in self.parts], dim=1)
        return logs + self.weights.log().to(x)

    def posterior(self, x: Tensor) -> Tensor:
        """Return w_k p_k(x)/p(x), how likely x came from each component, shape ``(n, k)``."""
        return self._joint(x).softmax(1)

    def components(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights w, ``(k,)``, and each component's posterior at x, ``(n, k)``."""
        return self.weights, self.posterior(x)

    def blurred(self, sigma: float) -> Callable[[Tensor], Tensor]:
        """Return the log-density, ``(n, d)`` to ``(n,)``, of the convolution with N(0, s^2 I).

        Example:
            >>> q = MixtureLaw.make([[0.0]], scale=3**0.5).blurred(1.0)  # N(0, 4)
            >>> round(float(q(torch.zeros(1, 1).double())), 4)
            -1.6121
        """
        eye = torch.eye(self.dim, dtype=torch.float64)
        squares = (part.covariance(self.dim) + sigma**2 * eye for part in self.parts)
        factors = (torch.linalg.cholesky(square) for square in squares)
        blurred = (GaussianLaw(p.mean, f) for p, f in zip(self.parts, factors, strict=True))
        return MixtureLaw(self.weights, tuple(blurred)).log_prob

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, in x's dtype and on its device."""
        return self._joint(x).logsumexp(1)

    def score(self, x: Tensor) -> Tensor:
        """Return grad log p, ``(n, d)``: the components' scores, weighted by posteriors at x."""
        posterior = self.posterior(x)
        scores = torch.stack([part.score(x) for part in self.parts], dim=1)
        return (posterior[..., None] * scores).sum(1)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        device = rng.device
        chosen = torch.multinomial(self.weights.to(device), n, replacement=True, generator=rng)
        x = torch.randn(n, dim, generator=rng, device=device, dtype=torch.float64)
        for k, part in enumerate(self.parts):
            x[chosen == k] = part.push(x[chosen == k])
        return x

    def entropy(self, n: int = 200_000, seed: int = 0) -> MonteCarloEstimate:
        """Estimate the entropy in nats as  H = sum_k w_k H_k + E sum_k r_k(X) log(r_k(X) / w_k).

        The first sum is exact; the second term, with r the components' posterior at X, is the
        information that a sample holds on its component. Its integrand lies in [0, -log min w]
        whatever the dimension, so the standard error is at most -log(min w)/(2 sqrt n), and
        mostly less than half of that.

        Args:
            n: Number of samples in all, shared by the components in proportion to their weights.
        """
        generator, prior = torch.Generator().manual_seed(seed), self.weights.log()
        value, variance = 0.0, 0.0
        for weight, part in zip(self.weights.tolist(), self.parts, strict=True):
            count = max(1000, round(weight * n))
            gains = []
            for first in range(0, count, 20_000):
                x = part.sample(min(20_000, count - first), self.dim, generator)
                log_r = self._joint(x).log_softmax(1)
                gains.append((log_r.exp() * (log_r - prior)).sum(1))
            gain = torch.cat(gains)
            value += weight * (part.entropy(self.dim) + float(gain.mean()))
            variance += weight**2 * float(gain.var()) / count
        return MonteCarloEstimate(value, variance**0.5)

    @functools.cached_property
    def convexity(self) -> float | None:  # type: ignore[override]
        """A lambda such that -log p - lambda |x|^2/2 is convex; ``None`` for unlike covariances.

        In coordinates where the shared covariance is the identity, the Hessian of -log p is
        I - Cov(m) >= 1 - R^2, with the covariance of the means under the posterior and R the
        radius of a ball that holds them. Back in x this is (1 - R^2) S^-1; for S = s^2 I it reads
        1/s^2 - R^2/s^4. R is the largest distance to the middle of the means' bounding box or to
        their average, whichever is less: at least the radius of the smallest enclosing ball, so
        lambda is valid and may be too pessimistic.
        """
        first = self.parts[0]
        if any(not torch.equal(part.factor, first.factor) for part in self.parts):
            return None
        means = torch.stack([first.whitened(part.mean[None])[0] for part in self.parts])
        middles = (means.mean(0), (means.amin(0) + means.amax(0)) / 2)
        gain = 1 - min(float((means - middle).square().sum(1).max()) for middle in middles)
        least, largest = first.variances
        return gain / (largest if gain >= 0 else least)
