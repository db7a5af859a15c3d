"""The interaction energy."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Annotated, Any, Literal, final

import torch
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from torch import Tensor

import wopt
from wopt import ConfigError, Particles
from wopt_functionals.means import centred
from wopt_functionals.options import chosen, named_function
from wopt_functionals.pairs.kernel import Difference, PairKernel
from wopt_functionals.pairs.mean import rows_within, within
from wopt_functionals.points.attraction import NAMES, convexity, is_singular, radial

Kernel = Annotated[
    Any,
    PlainValidator(chosen(NAMES, "W(z), even, shape (..., d) to (...)")),
    PlainSerializer(named_function),
    WithJsonSchema({"enum": list(NAMES)}),
    Field(
        description=f"the kernel W: {', '.join(NAMES)}; in Python also an even function W(z), "
        "shape (..., d) to (...)"
    ),
]


class PairEnergy(wopt.Objective):
    """Half the mean of a kernel over pairs of particles.

    Attributes:
        diagonal: Whether pairs of a particle with itself take part.
    """

    diagonal: bool

    @abc.abstractmethod
    def pairs(self, particles: Particles) -> tuple[PairKernel, Tensor]:
        """Return the kernel, and a row for each particle, shape ``(n, f)``."""

    def energy(self, particles: Particles) -> Tensor:
        """Return half the mean over pairs, shape ``()``."""
        return within(*self.pairs(particles), particles.shares(), diagonal=self.diagonal) / 2

    @torch.no_grad()
    def contributions(self, particles: Particles) -> Tensor:
        """Return the first variation, shape ``(n,)``, shifted to have the energy as its mean."""
        of_each = rows_within(*self.pairs(particles), particles.shares(), diagonal=self.diagonal)
        return centred(particles, particles.mean(of_each) / 2, of_each)


@final
class Interaction(PairEnergy):
    """The interaction energy of a kernel W.

        G(rho) = E W(X - X')/2,    X, X' ~ rho independent.

    | kernel | W(z) / strength | lambda | least G |
    |---|---|---|---|
    | quadratic | r^2 / 2, r = the length of z | 0 | 0 |
    | power | r^power | 0 for power >= 1 | 0 for power > 0 |
    | log | -log r | - | - |
    | newtonian | Green's function of -Laplace: -r/2, -log(r)/2 pi, ... | - | - |
    | attraction_repulsion | r^4/4 - r^2/2 | -strength | - |

    The columns are for a positive strength; a negative one turns attraction into repulsion (and
    makes lambda of ``quadratic`` the strength). lambda holds along any coupling. In one dimension
    log, newtonian and minus r are convex too along geodesics, which keep the order of particles.

    ``log``, ``newtonian`` and powers below 0 are singular at 0, so pairs (i, i) are left out
    (estimate ``u``). ``quadratic`` is computed from the variance, O(n); others block by block,
    O(n^2) time in flat memory.

    Source: docs/theory 2, row 11; Carrillo, McCann, Villani, Kinetic equilibration rates for
    granular media, 2003.

    Raises:
        ConfigError: A singular kernel is used with ``estimator = "v"``, or the power is 0.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> float(Interaction(strength=3.0).energy(Particles(x)))  # (a/2) variance
        1.5
        >>> float(Interaction(kernel=lambda z: z.abs().sum(-1)).energy(Particles(x)))
        0.5
    """

    cites = ("carrillo2003",)

    def __init__(
        self,
        kernel: Kernel = "quadratic",
        strength: Annotated[
            float, Field(allow_inf_nan=False, description="factor a of W; negative for repulsion")
        ] = 1.0,
        power: Annotated[
            float, Field(allow_inf_nan=False, description='the exponent, for kernel = "power"')
        ] = 1.0,
        estimator: Annotated[
            Literal["auto", "v", "u"],
            Field(
                description="mean over all pairs of particles (v), over those of different ones "
                "(u, unbiased), or (auto) v unless the kernel is singular"
            ),
        ] = "auto",
    ) -> None:
        self.kernel: Any = kernel
        self.strength = strength
        self.power = power
        named = not callable(kernel)
        if kernel == "power" and power == 0:
            raise ConfigError("interaction: a power of 0 is a constant; its limit is kernel = log")
        singular = named and is_singular(kernel, power)
        if singular and estimator == "v":
            raise ConfigError(
                f"interaction: the kernel {kernel} is infinite at 0, where a particle meets "
                'itself; use estimator = "u"'
            )
        self.diagonal = estimator == "v" or (estimator == "auto" and not singular)
        self.convexity = convexity(kernel, strength, power) if named else None
        attracts = kernel == "quadratic" or (kernel == "power" and power > 0)
        self.minimum = 0.0 if attracts and strength >= 0 else None

    def pairs(self, particles: Particles) -> tuple[PairKernel, Tensor]:
        """Return W, and the points, shape ``(n, d)``."""
        if not callable(self.kernel):
            kernel = radial(self.kernel, self.strength, self.power, particles.dim)
            return kernel, particles.points
        function: Callable[[Tensor], Tensor] = self.kernel
        return Difference(lambda z: self.strength * function(z)), particles.points
