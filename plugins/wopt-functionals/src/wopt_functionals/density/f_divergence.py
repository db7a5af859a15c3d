"""f-divergences, means of a function of the density ratio: named ones, and any convex f."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Annotated, Any, final

import torch
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from torch import Tensor
from torch.nn.functional import softplus

import wopt
from wopt import Capability, Particles
from wopt_functionals.options import NormalisedTarget, chosen, named_function


def _reverse(t: Tensor) -> Tensor:
    """Return h of f(s) = -log s + s - 1, precise near t = 0."""
    return -t * torch.exp(-t) - torch.expm1(-t)


def _jensen_shannon(t: Tensor) -> Tensor:
    of_p = math.log(2) - softplus(-t)
    of_q = math.log(2) - softplus(t)
    return (of_p + torch.exp(-t) * of_q) / 2


_NAMED: dict[str, Callable[[Tensor], Tensor]] = {
    "kl": lambda t: t,
    "reverse_kl": _reverse,
    "chi2": torch.expm1,
    "hellinger": lambda t: -2 * torch.expm1(-t / 2),
    "jensen_shannon": _jensen_shannon,
}
_NAMES = (*_NAMED, "alpha")


class RatioObjective(wopt.Objective):
    """An f-divergence  int f(p/q) q = E_p[h(t)],  t = log(p/q),  h(t) = f(e^t) e^-t."""

    needs = Capability.POTENTIAL | Capability.NORMALISED | Capability.LOG_DENSITY
    minimum = 0.0
    target: wopt.Target

    def __init__(self, target: NormalisedTarget = wopt.named("gaussian")) -> None:
        self.target = target

    @abc.abstractmethod
    def value(self, t: Tensor) -> Tensor:
        """Return h of the log-ratio ``t``, elementwise, in its shape."""

    def contributions(self, particles: Particles) -> Tensor:
        """Return h(t) at each particle, shape ``(n,)``."""
        return self.value(particles.log_density + self.target.potential(particles.points))


def is_convex(target: wopt.Target) -> bool:
    """Return whether the target's potential is known to be convex."""
    return target.convexity is not None and target.convexity >= 0


@final
class Chi2(RatioObjective):
    """The chi-squared divergence to a normalised target q.

        G(rho) = int rho^2/q - 1 = E[rho/q] - 1.

    Convex along generalised geodesics (lambda = 0) if V = -log q is convex; zero at q. It is
    infinite where rho has heavier tails than q (between Gaussians: variance 2 s or more against
    s); start narrow. Where the constant of q is not known, ``renyi_divergence`` of order 2, its
    logarithm, can be used.

    Source: docs/theory 2, row 7, with proof; Ohta, Takatsu, Displacement convexity of
    generalized relative entropies, 2011.

    Example:
        >>> from wopt.testing import NormalTarget, gaussian_nodes
        >>> one = torch.eye(1, dtype=torch.float64)
        >>> g = Chi2(NormalTarget([0.0], [[1.0]]))
        >>> round(float(g.energy(gaussian_nodes(one[0], one, order=30))), 6)  # e - 1
        1.718282
    """

    cites = ("ohta2011",)

    def __init__(self, target: NormalisedTarget = wopt.named("gaussian")) -> None:
        super().__init__(target)
        self.convexity = 0.0 if is_convex(target) else None

    def value(self, t: Tensor) -> Tensor:
        """Return e^t - 1, in the shape of t."""
        return torch.expm1(t)


@final
class ForwardKL(RatioObjective):
    """The divergence KL(q | rho) of a normalised target q, by importance weights.

        G(rho) = int q log(q/rho) = E[w log w - w + 1],    w = q/rho.

    The last two terms have mean zero and make every contribution non-negative. Particles give
    rho's density only where they are, so the mean is over rho and not over q: mass of q in a
    place without particles is not counted. Start from a measure that covers q.

    Not geodesically convex, not even between Gaussians; zero at q.

    Source: docs/theory 2, row 4.

    Example:
        >>> from wopt.testing import NormalTarget, gaussian_nodes
        >>> one = torch.eye(1, dtype=torch.float64)
        >>> g = ForwardKL(NormalTarget([0.0], [[1.0]]))
        >>> round(float(g.energy(gaussian_nodes(one[0], one, order=40))), 6)  # |m - n|^2/2
        0.5
    """

    cites = ()

    def value(self, t: Tensor) -> Tensor:
        """Return w log w - w + 1 for w = e^-t, in the shape of t."""
        return _reverse(t)


@final
class FDivergence(RatioObjective):
    """The f-divergence to a normalised target q, for a convex f with f(1) = 0.

        G(rho) = int f(rho/q) q = E[f(s)/s],    s = rho/q.

    | f | f(s) | G |
    |---|---|---|
    | kl | s log s | KL(rho, q) |
    | reverse_kl | -log s + s - 1 | KL(q, rho) |
    | chi2 | s^2 - s | int rho^2/q - 1 |
    | hellinger | 2 (s - sqrt s) | int (sqrt rho - sqrt q)^2 |
    | jensen_shannon | (s log(2s/(1+s)) + log(2/(1+s)))/2 | at most log 2 |
    | alpha | (s^alpha - s)/(alpha (alpha - 1)) | alpha -> 1: kl; 0: reverse_kl; 2: chi2/2 |

    or f is any Python function of s, elementwise in torch. Adding c (s - 1) to f changes G by
    nothing, but it does change its estimate; the f above are chosen for small variance.

    Along generalised geodesics G is convex (lambda = 0) if V = -log q is convex and f(e^t)/e^t
    is convex and nondecreasing in t: chi2, and alpha > 1; kl is lambda-convex with V; for the
    others nothing is known. It is zero at q.

    Source: docs/theory 2, row 9, with proof; Liese, Vajda, On divergences and informations,
    2006.

    Example:
        >>> from wopt.testing import NormalTarget, gaussian_nodes
        >>> one = torch.eye(1, dtype=torch.float64)
        >>> at = gaussian_nodes(one[0], one, order=30)
        >>> g = FDivergence(NormalTarget([0.0], [[1.0]]), f=lambda s: s * s.log())
        >>> round(float(g.energy(at)), 6)  # |m - n|^2/2
        0.5
    """

    cites = ("liese2006",)

    def __init__(
        self,
        target: NormalisedTarget = wopt.named("gaussian"),
        f: Annotated[
            Any,
            PlainValidator(chosen(_NAMES, "f(s) with f(1) = 0")),
            PlainSerializer(named_function),
            WithJsonSchema({"enum": list(_NAMES)}),
            Field(
                description=f"name of the divergence: {', '.join(_NAMES)}; in Python also a "
                "function f(s), elementwise"
            ),
        ] = "jensen_shannon",
        alpha: Annotated[
            float, Field(allow_inf_nan=False, description='the exponent, for f = "alpha"')
        ] = 0.5,
    ) -> None:
        super().__init__(target)
        self.f, self.alpha = f, alpha
        if f == "kl":
            self.convexity = target.convexity
        elif is_convex(target) and (f == "chi2" or (f == "alpha" and alpha > 1)):
            self.convexity = 0.0

    def value(self, t: Tensor) -> Tensor:
        """Return f(e^t) e^-t, in the shape of t."""
        if callable(self.f):
            values: Tensor = self.f(t.exp()) * torch.exp(-t)
            return values
        function = _alpha(self.alpha) if self.f == "alpha" else _NAMED[self.f]
        return function(t)


def _alpha(alpha: float) -> Callable[[Tensor], Tensor]:
    if alpha == 1:
        return _NAMED["kl"]
    if alpha == 0:
        return _NAMED["reverse_kl"]
    return lambda t: torch.expm1((alpha - 1) * t) / (alpha * (alpha - 1))
