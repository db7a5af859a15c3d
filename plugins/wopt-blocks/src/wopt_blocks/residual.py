"""The block ``residual``."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wopt import Capability, ConfigError, DivergenceError
from wopt_blocks.jacobian import JacobianBlock
from wopt_blocks.newton import check_inverted, miss_allowed
from wopt_blocks.perceptron import Activation, Perceptron
from wopt_blocks.series import roulette_log_det

_ITERATIONS = 5000


class Residual(JacobianBlock):
    """T(x) = x + f(x), f a net of fully connected layers; T(z; c) = z + f(z, c) given conditions.

    With ``lipschitz`` l in (0, 0.99], f is a contraction by spectral norms, so T is invertible,
    with slopes between 1 - l and 1 + l. With ``lipschitz = 0`` f is free; then T need not be
    invertible away from the particles. Where no x is found, or one with det DT(x) <= 0, the inverse
    raises an error; one of several x with det DT(x) > 0 it cannot distinguish from a unique one.

    log |det DT| is exact, from the whole derivative in closed form, except in training in more
    than ``exact`` dimensions, where it is estimated without bias, see
    :func:`~wopt_blocks.series.roulette_log_det`; every map is judged and used by the exact one. The
    estimate is noisy, so use ``solver = "adam"``. The inverse is Newton's method up to
    ``exact`` dimensions and the fixed-point iteration x <- y - f(x) in more, down to rounding; if
    T(x) misses y by more than 1e-10 (1 + |y|), in float32 1e-3 (1 + |y|), that is an error.

    Source: Behrmann et al., *Invertible residual networks*, 2019; Chen et al., *Residual flows for
    invertible generative modeling*, 2019.

    Example:
        >>> block = Residual(2, width=16)
        >>> x = torch.randn(5, 2)
        >>> y, log_det = block(x)
        >>> bool((y == x).all()), log_det.shape
        (True, torch.Size([5]))
    """

    cites = ("behrmann2019", "chen2019")
    provides = JacobianBlock.provides | Capability.ROUNDED

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        width: Annotated[int, Field(ge=1, description="width of the hidden layers")] = 64,
        depth: Annotated[int, Field(ge=1, le=1000, description="number of hidden layers")] = 2,
        activation: Annotated[Activation, Field(description="activation function")] = "silu",
        lipschitz: Annotated[
            float,
            Field(
                ge=0,
                le=0.99,
                description="bound on the Lipschitz constant of f, which makes T invertible; 0: "
                "no bound, which is more expressive, but T may fold (possible in up to `exact` "
                "dimensions)",
            ),
        ] = 0.9,
        exact: Annotated[
            int,
            Field(
                ge=0,
                description="largest dimension in which training uses the exact log-det; above it "
                "an unbiased series",
            ),
        ] = 16,
    ) -> None:
        super().__init__(dim)
        if not lipschitz and self.dim > exact:
            raise ConfigError(
                f"Residual: lipschitz = 0 in {self.dim} dimensions: the series for the log-det "
                "and the fixed-point inverse need a contraction; set lipschitz = 0.9, or exact = "
                f"{self.dim}"
            )
        self.net = Perceptron(self.dim, condition, width, depth, activation, lipschitz)
        self.width = width
        self.lipschitz = lipschitz
        self.exact = exact
        if lipschitz:
            self.provides = type(self).provides | Capability.ACTION

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and its log-det ``(n,)`` in nats, or in training its estimate."""
        if not (self.training and self.dim > self.exact):
            return self.audit(x, c)
        f, derivative = self.net.linearise(x, c)
        return x + f, roulette_log_det(derivative, x, self.lipschitz)

    def audit(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and the exact log-det ``(n,)`` in nats, deterministic."""

        def exactly(x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
            """Return both for some rows, shapes ``(m, d)`` and ``(m,)``."""
            f, derivative = self.net.linearise(x, c)
            return x + f, derivative.sign_and_log_det()[1]

        return self._chunked(exactly, x, c)

    def value(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return z + f(z; c), shape ``(n, d)``."""
        return z + self.net(z, c)

    def linearise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the value, shape ``(n, d)``, and I + Df, shape ``(n, d, d)``."""
        f, derivative = self.net.linearise(z, c)
        eye = torch.eye(self.dim, dtype=z.dtype, device=z.device)
        return z + f, eye + derivative.matrix()

    def preimage(self, y: Tensor, c: Tensor | None) -> Tensor:
        """Return the points that T(.; c) maps to y, shape ``(n, d)``.

        Raises:
            DivergenceError: Some points were not reached.
        """
        if not self.lipschitz:
            x = super().preimage(y, c)
            _check_orientation(self.net.linearise(x, c)[1].sign_and_log_det()[0], self.hint())
            return x
        if self.dim <= self.exact:
            return super().preimage(y, c)
        x, goal = y, miss_allowed(y)
        error = torch.full_like(goal, torch.inf)
        for _ in range(_ITERATIONS):
            new = y - self.net(x, c)
            before, error = error, torch.linalg.vector_norm(new - x, dim=1)  # |T(x) - y|
            if not bool(((error > goal) & (error < before)).any()):
                break
            x = new
        check_inverted(error, y, self.hint())
        return x

    def hint(self) -> str:
        """Return what to do when the inverse fails."""
        if self.lipschitz:
            return (
                "the map is id plus a contraction, so rows that are not finite or rounding must be "
                "the cause: use dtype = float64"
            )
        return "the map may fold there: set lipschitz = 0.9, which makes it invertible everywhere"

    def floats_a_row(self) -> int:
        """Return how many numbers the largest tensor of a derivative holds for one row."""
        return self.dim * max(self.dim, self.width)


def _check_orientation(sign: Tensor, hint: str) -> None:
    """Raise where det DT <= 0: a map that starts as the identity has folded there."""
    folded = int((sign <= 0).sum())
    if folded:
        raise DivergenceError(
            f"the inverse is not unique at {folded} of {len(sign)} points: det DT is not positive "
            f"there; {hint}"
        )
