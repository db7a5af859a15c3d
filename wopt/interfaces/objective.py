"""Objectives: functionals of a probability measure, their changes and their derivatives."""

from __future__ import annotations

import abc
import copy
import dataclasses
import re
import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import Component
from wopt.errors import CapabilityError, PluginError
from wopt.interfaces import returns
from wopt.interfaces.target import Draws, Target
from wopt.particles import Particles
from wopt.statistics import Mean, mean_and_error

_NO_ENERGY = (
    "objective {} does not say what its energy is: define contributions(particles), one value a "
    "particle whose mean is the energy, or energy(particles)"
)


class Objective(Component, abc.ABC):
    """A functional G(rho), evaluated on particles and differentiable through them.

    A subclass defines :meth:`contributions`, if G is a mean over particles, or :meth:`energy`, or
    both. Objectives add and scale: ``KL(target) + 0.1 * Interaction()``.

    Example:
        >>> class SecondMoment(Objective):
        ...     def contributions(self, particles):
        ...         return particles.points.square().sum(1) / 2
        >>> float((2 * SecondMoment()).energy(Particles.start(torch.ones(4, 3))))
        3.0
    """

    kind: ClassVar[str] = "objective"
    returns = returns.OBJECTIVE
    needs: Capability = Capability.NOTHING
    """Capabilities that the energy needs of the target, the block and the start."""
    convexity: float | None = None
    """lambda of geodesic convexity (along generalised geodesics), where it is known."""
    minimum: float | None = None
    """The least value of ``energy``, where it is known."""
    gap_is_kl: ClassVar[bool] = False
    """Whether G(rho) - min G = KL(rho | target): bounds of the gap then bound likelihoods too."""
    target: Target | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Raise for a class that defines no energy, unless it is marked as abstract."""
        super().__init_subclass__(**kwargs)
        silent = cls.energy is Objective.energy and cls.contributions is Objective.contributions
        if silent and abc.ABC not in cls.__bases__:
            raise PluginError(_NO_ENERGY.format(cls.__name__))

    @property
    def of_density(self) -> bool:
        """Whether the energy depends on the particles' density, not on their points alone."""
        return bool(self.needs & (Capability.LOG_DET | Capability.LOG_DENSITY))

    @property
    def dim(self) -> int | None:
        """The dimension that the objective needs; ``None`` for any, or its target's."""
        return None

    def energy(self, particles: Particles) -> Tensor:
        """Return G, shape ``()``, correct up to a constant that no map can change.

        It is differentiable in ``particles.points`` and ``particles.log_det``. By default it is
        the mean of :meth:`contributions`.
        """
        values = self.contributions(particles)
        if values is None:
            raise PluginError(_NO_ENERGY.format(type(self).__name__))
        return particles.mean(values)

    def contributions(self, particles: Particles) -> Tensor | None:
        """Return values, shape ``(n,)``, whose weighted mean is the energy, if there are any.

        They give the standard error of an energy change; without them it is estimated from the
        energies of disjoint groups of particles.
        """
        return None

    def terms(self, particles: Particles) -> dict[str, Tensor]:
        """Return the energy's summands by name, each of shape ``()``."""
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
        return {name: self.energy(particles)}

    def split(self) -> tuple[Objective | None, Objective | None]:
        """Return ``(f, rest)`` with G = f + rest, for schemes that treat f explicitly.

        f depends on the points alone, so that its gradient at particles is known. By default an
        objective is rest if it depends on the density, and f otherwise.
        """
        return (None, self) if self.of_density else (self, None)

    def difference(self) -> tuple[Objective, Objective] | None:
        """Return ``(rest, c)`` with G = rest - c and c convex in the points, if it is known."""
        return None

    def largest_explicit_step(self) -> float | None:
        """Return the step size above which explicit steps are unstable, if it is known."""
        return None

    def at(self, key: int) -> Objective:
        """Return the objective at the draw of a key: a function of the key alone.

        By default a copy whose :class:`~wopt.interfaces.target.Draws` are those of the key, and
        the objective itself if it draws nothing.

        Args:
            key: A seed; the same key gives the same draw, also to the parts of a sum.

        Example:
            >>> import wopt
            >>> x, g = Particles(torch.zeros(4, 1)), wopt.build("objective", "mmd")
            >>> [bool(g.at(key).energy(x) == g.at(1).energy(x)) for key in (1, 2)]
            [True, False]
        """
        if type(self).resample is not Objective.resample:
            name = type(self).__name__
            message = f"{name}.resample(rng) draws in place; define at(key) instead, see docs"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            made = copy.copy(self)
            made.resample(torch.Generator().manual_seed(key))
            return made
        drawn = {name: v.at(key) for name, v in vars(self).items() if isinstance(v, Draws)}
        return _with(self, drawn) if drawn else self

    def resample(self, rng: torch.Generator) -> None:
        """Draw anew in place; use :meth:`at`, which changes nothing."""
        warnings.warn("Objective.resample(rng) is now at(key)", DeprecationWarning, stacklevel=2)
        vars(self).update(vars(self.at(rng.initial_seed())))

    def of_step(self, step: int) -> Objective:
        """Return the objective of a step (0, 1, ...); by default this one."""
        return self

    def __add__(self, other: Objective) -> Sum:
        return Sum([*_parts(self), *_parts(other)])

    def __mul__(self, factor: float) -> Sum:
        return Sum([(factor * weight, part) for weight, part in _parts(self)])

    __rmul__ = __mul__


class Sum(Objective):
    """The sum  G = sum_i w_i G_i  of other objectives.

    Args:
        parts: Pairs of a weight and an objective.
    """

    def __init__(self, parts: list[tuple[float, Objective]]) -> None:
        self.parts = parts
        self.target = next((p.target for _, p in parts if p.target is not None), None)
        self.needs = Capability.NOTHING
        for _, part in parts:
            self.needs |= part.needs
        self.convexity = _weighted([(w, p.convexity) for w, p in parts])

    def energy(self, particles: Particles) -> Tensor:
        """Return the weighted sum of the parts' energies, shape ``()``."""
        total = particles.points.new_zeros(())
        for weight, part in self.parts:
            total = total + weight * part.energy(particles)
        return total

    def contributions(self, particles: Particles) -> Tensor | None:
        """Return the weighted sum of contributions, shape ``(n,)``, if every part has them."""
        total = particles.points.new_zeros(len(particles))
        for weight, part in self.parts:
            values = part.contributions(particles)
            if values is None:
                return None
            total = total + weight * values
        return total

    def terms(self, particles: Particles) -> dict[str, Tensor]:
        """Return every part's weighted terms, shape ``()``; a repeated name is numbered."""
        terms: dict[str, Tensor] = {}
        for index, (weight, part) in enumerate(self.parts):
            for name, value in part.terms(particles).items():
                terms[f"{name}_{index}" if name in terms else name] = weight * value
        return terms

    def split(self) -> tuple[Objective | None, Objective | None]:
        """Return the sum of the parts' explicit parts and that of their implicit parts."""
        explicit, implicit = [], []
        for weight, part in self.parts:
            f, rest = part.split()
            explicit += [] if f is None else [(weight, f)]
            implicit += [] if rest is None else [(weight, rest)]
        return _sum_of(explicit), _sum_of(implicit)

    def difference(self) -> tuple[Objective, Objective] | None:
        """Return the parts of positive weight, and minus those of negative weight."""
        rest = _sum_of([(w, p) for w, p in self.parts if w >= 0])
        c = _sum_of([(-w, p) for w, p in self.parts if w < 0])
        if rest is None or c is None or c.of_density:
            return None
        return rest, c

    def at(self, key: int) -> Objective:
        """Return the sum of the parts at the draw of a key."""
        parts = [(weight, part.at(key)) for weight, part in self.parts]
        same = all(new is old for (_, new), (_, old) in zip(parts, self.parts, strict=True))
        return self if same else _with(self, {"parts": parts})


def _with(objective: Objective, attributes: dict[str, Any]) -> Objective:
    """Return a copy with other attributes."""
    made = copy.copy(objective)
    vars(made).update(attributes)
    return made


def _parts(objective: Any) -> list[tuple[float, Objective]]:
    if isinstance(objective, Sum):
        return list(objective.parts)
    return [(1.0, objective)]


def _sum_of(parts: list[tuple[float, Objective]]) -> Objective | None:
    if not parts:
        return None
    return parts[0][1] if len(parts) == 1 and parts[0][0] == 1 else Sum(parts)


def _weighted(values: list[tuple[float, float | None]]) -> float | None:
    total = 0.0
    for weight, value in values:
        # A negative multiple of a convex functional is not convex: nothing is known then.
        if value is None or weight < 0:
            return None
        total += weight * value
    return total


def is_truth(objective: Objective) -> bool:
    """Return whether the minimiser is the objective's target, and not that of a part of it."""
    if isinstance(objective, Sum):
        return len(objective.parts) == 1 and is_truth(objective.parts[0][1])
    return True


_GROUPS = 20


def energy_change(
    objective: Objective, before: Particles, after: Particles, extra: Tensor | None = None
) -> Mean:
    """Return G(after) - G(before) plus the mean of ``extra``, paired by particle.

    Without an objective's contributions the error comes from disjoint groups of particles, which
    are independent. Weighted particles are quadrature nodes without a statistical error.

    Args:
        objective: The objective G.
        before: The particles before the change.
        after: The same particles, in the same order, after it.
        extra: One value for each particle, shape ``(n,)``.

    Example:
        >>> class Half(Objective):
        ...     def contributions(self, particles):
        ...         return particles.points.square().sum(1) / 2
        >>> x = Particles(torch.tensor([[1.0], [3.0]]))
        >>> energy_change(Half(), x, Particles(x.points + 1))  # (4 - 1)/2 and (16 - 9)/2
        Mean(value=2.5, error=1.0)
    """
    extra = before.points.new_zeros(len(before)) if extra is None else extra
    old, new = objective.contributions(before), objective.contributions(after)
    if old is not None and new is not None:
        return mean_and_error((new - old + extra).double(), before.weights)
    energy = objective.energy
    value = float(energy(after) - energy(before) + before.mean(extra))
    count = min(_GROUPS, len(before))
    if before.weights is not None or count < 2:
        return Mean(value, 0.0)
    groups = [slice(k, None, count) for k in range(count)]
    changes = torch.stack(
        [energy(after.rows(g)) - energy(before.rows(g)) + extra[g].mean() for g in groups]
    )
    return Mean(value, mean_and_error(changes).error)


def energy_derivatives(objective: Objective, particles: Particles) -> tuple[Tensor, Tensor]:
    """Return the energy's derivatives by points ``(n, d)`` and by log_det ``(n,)``.

    The derivative of G along any field v is

        DG(rho)[v] = d/dt G((id + t v)_# rho) = sum_i <g_i, v(x_i)> + l_i div v(x_i).
    """
    points = particles.points.detach().requires_grad_()
    log_det = None if particles.log_det is None else particles.log_det.detach().requires_grad_()
    with torch.enable_grad():
        energy = objective.energy(dataclasses.replace(particles, points=points, log_det=log_det))
        inputs = [points] if log_det is None else [points, log_det]
        derivatives = torch.autograd.grad(energy, inputs, allow_unused=True, materialize_grads=True)
    return derivatives[0], derivatives[1] if log_det is not None else points.new_zeros(len(points))


def wasserstein_gradient(objective: Objective, particles: Particles) -> Tensor:
    """Return grad_W G at the particles, shape ``(n, d)``, of an energy of the points alone.

    Raises:
        CapabilityError: The energy depends on the density, whose gradient is unknown.

    Example:
        >>> from wopt.interfaces.objective import Objective
        >>> class Half(Objective):
        ...     def contributions(self, particles):
        ...         return particles.points.square().sum(1) / 2
        >>> wasserstein_gradient(Half(), Particles(torch.tensor([[2.0], [4.0]]))).tolist()
        [[2.0], [4.0]]
    """
    if objective.of_density:
        raise CapabilityError(
            f"the gradient of {type(objective).__name__} at particles is not known, because it "
            "depends on their density; use a scheme that treats it implicitly"
        )
    by_point, _ = energy_derivatives(objective, particles)
    if particles.weights is None:
        return by_point * len(particles)
    return by_point / particles.weights[:, None]
