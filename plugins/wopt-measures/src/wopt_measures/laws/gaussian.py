"""The Gaussian law: density, score, samples, entropy."""

from __future__ import annotations

import dataclasses
import functools
import math

import torch
from torch import Tensor

from wopt import Capability, ConfigError, DataError, Law


class KnownLaw(Law):
    """A law whose density, constant included, and samples are known."""

    provides = (
        Capability.POTENTIAL | Capability.SCORE | Capability.TARGET_SAMPLES | Capability.NORMALISED
    )


@dataclasses.dataclass(eq=False)
class GaussianLaw(KnownLaw):
    """The law N(m, S), S = L L^T:  log p(x) = -|L^-1 (x - m)|^2/2 - log det L - (d/2) log 2 pi.

    Attributes:
        mean: Mean m, float64, shape ``(d,)`` or ``()`` (the same in every coordinate).
        factor: Factor L, float64: shape ``(d, d)`` lower triangular, ``(d,)`` diagonal, or ``()``
            for a multiple of the identity.

    Example:
        >>> law = GaussianLaw.make(mean=[1.0, 0.0], scale=2.0)
        >>> law.score(torch.tensor([[3.0, 4.0]])).tolist()
        [[-0.5, -1.0]]
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def make(
        cls,
        mean: float | list[float] = 0.0,
        scale: float | list[float] = 1.0,
        covariance: list[list[float]] | None = None,
        dim: int | None = None,
    ) -> GaussianLaw:
        """Make a law from options; ``dim`` spreads numbers over that many coordinates.

        Raises:
            ConfigError: The lengths do not agree, or both scale and covariance are given.
        """
        centre = torch.tensor(mean, dtype=torch.float64)
        factor = torch.tensor(scale, dtype=torch.float64)
        if covariance is not None:
            if scale != 1.0:
                raise ConfigError(
                    "give either `scale` or `covariance`, not both: a covariance says all"
                )
            factor = torch.linalg.cholesky(torch.tensor(covariance, dtype=torch.float64))
        lengths = {
            "mean": len(centre) if centre.ndim else None,
            "covariance" if covariance is not None else "scale": (
                len(factor) if factor.ndim else None
            ),
            "dim": dim,
        }
        given = {name: length for name, length in lengths.items() if length is not None}
        if len(set(given.values())) > 1:
            said = ", ".join(f"{name} {length}" for name, length in given.items())
            raise ConfigError(f"the options disagree on the dimension: {said}")
        if dim is not None:
            centre = centre.expand(dim)
        return cls(centre, factor)

    @property
    def dim(self) -> int | None:  # type: ignore[override]
        """The dimension d; ``None`` for any dimension."""
        return next((len(t) for t in (self.mean, self.factor) if t.ndim), None)

    @functools.cached_property
    def _inverse(self) -> Tensor:
        if self.factor.ndim < 2:
            return 1 / self.factor
        eye = torch.eye(len(self.factor), dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(self.factor, eye, upper=False)
        return inverse

    def whitened(self, x: Tensor) -> Tensor:
        """Return L^-1 (x - m), shape ``(n, d)``: standard normal for samples of the law."""
        inverse = _like(self._inverse, x)
        centred: Tensor = x - _like(self.mean, x)
        return centred @ inverse.T if inverse.ndim == 2 else centred * inverse

    def _log_det(self, d: int) -> float:
        if self.factor.ndim == 0:
            return d * math.log(float(self.factor))
        diagonal = self.factor if self.factor.ndim == 1 else self.factor.diagonal()
        return float(diagonal.log().sum())

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, in x's dtype and on its device."""
        check_points(x, self.dim)
        constant = self._log_det(x.shape[1]) + x.shape[1] / 2 * math.log(2 * math.pi)
        return -self.whitened(x).square().sum(1) / 2 - constant

    def score(self, x: Tensor) -> Tensor:
        """Return grad log p = -S^-1 (x - m), shape ``(n, d)`` to ``(n, d)``."""
        check_points(x, self.dim)
        inverse, z = _like(self._inverse, x), self.whitened(x)
        return -(z @ inverse if inverse.ndim == 2 else z * inverse)

    def push(self, noise: Tensor) -> Tensor:
        """Return m + L e for standard normal e, shape ``(n, d)``: samples of the law."""
        factor = _like(self.factor, noise)
        spread = noise @ factor.T if factor.ndim == 2 else noise * factor
        return spread + _like(self.mean, noise)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64 on the generator's device."""
        check_dim(dim, self.dim)
        return self.push(torch.randn(n, dim, generator=rng, device=rng.device, dtype=torch.float64))

    def entropy(self, dim: int) -> float:
        """Return (d/2) log(2 pi e) + log det L, in nats."""
        check_dim(dim, self.dim)
        return dim / 2 * math.log(2 * math.pi * math.e) + self._log_det(dim)

    def covariance(self, dim: int) -> Tensor:
        """Return S, shape ``(dim, dim)``, float64."""
        eye = torch.eye(dim, dtype=torch.float64)
        factor = self.factor if self.factor.ndim == 2 else self.factor * eye
        return factor @ factor.T

    @functools.cached_property
    def convexity(self) -> float:  # type: ignore[override]
        """1 over the largest variance."""
        return 1 / self.variances[1]

    @functools.cached_property
    def smoothness(self) -> float:  # type: ignore[override]
        """1 over the smallest variance."""
        return 1 / self.variances[0]

    @functools.cached_property
    def variances(self) -> tuple[float, float]:
        """The least and the largest variance along any direction."""
        scales = torch.linalg.svdvals(self.factor) if self.factor.ndim == 2 else self.factor
        return float(scales.min()) ** 2, float(scales.max()) ** 2


def check_points(x: Tensor, dim: int | None) -> None:
    """Raise :class:`~wopt.errors.DataError` unless ``x`` has shape ``(n, dim)``."""
    if x.ndim != 2:
        raise DataError(f"points have shape (n, d), got shape {tuple(x.shape)}")
    check_dim(x.shape[1], dim)


def check_dim(d: int, dim: int | None) -> None:
    """Raise :class:`~wopt.errors.DataError` unless points have the law's dimension."""
    if dim is not None and d != dim:
        raise DataError(
            f"the law has {dim} dimension(s), the points {d}; give its mean, scale or covariance "
            f"for {d} dimension(s), or one number for all coordinates"
        )


def _like(value: Tensor, x: Tensor) -> Tensor:
    # A scalar mixes with any dtype and device, without a transfer.
    return value if value.ndim == 0 else value.to(x)
