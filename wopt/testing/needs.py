"""Check that an objective uses no more than it declares that it needs."""

from __future__ import annotations

import dataclasses

import torch

from wopt.capabilities import Capability
from wopt.errors import WoptError
from wopt.interfaces.objective import Objective
from wopt.particles import Particles
from wopt.testing.checks import LawError
from wopt.testing.random_laws import ConvexMap, displaced, normal_particles
from wopt.testing.restricted import Restricted

__all__ = ["check_needs"]

_PARTICLES = 60


def check_needs(objective: Objective, dim: int, *, seed: int = 0) -> list[str]:
    """Check that the energy uses no more than the objective declares that it needs.

    The energy is evaluated without log_det or density if these are not declared, and with a target
    that provides only the declared capabilities.

    Args:
        objective: The objective, with its target.
        dim: The dimension d.
        seed: Seed of the particles.

    Raises:
        LawError: The energy needs more, or depends on more, than is declared.
    """
    rng = torch.Generator().manual_seed(seed + 2)
    one = ConvexMap.draw(dim, 1.0, rng)
    at = displaced(normal_particles(_PARTICLES, dim, rng), one, one, 0.0)
    needs, name = objective.needs, type(objective).__name__
    bare, what = at, ""
    if Capability.LOG_DENSITY not in needs:
        bare, what = dataclasses.replace(bare, log_density_start=None), "the start's log-density"
        if Capability.LOG_DET not in needs:
            bare, what = dataclasses.replace(bare, log_det=None), "log_det"
    if what:
        _same_without(objective, at, bare, what)
    target = objective.target
    if target is not None and "target" in objective.options:
        try:
            narrow = objective.with_options(target=Restricted(target, needs))
        except WoptError:  # its constructor needs a target of another type
            return ["needs_are_declared"]
        try:
            narrow.energy(at)
        except WoptError as error:
            raise LawError(
                f"{name} needs {needs.describe()} by its declaration, and its energy asks the "
                f"target for more: {error}"
            ) from error
    return ["needs_are_declared"]


def _same_without(objective: Objective, at: Particles, bare: Particles, what: str) -> None:
    """Raise if the energy fails without ``what``, or changes by more than a constant."""
    name = type(objective).__name__
    said = f"{name} needs {objective.needs.describe()} by its declaration, and its energy"
    try:
        without = float(objective.energy(bare))
    except Exception as error:  # any type: a None in place of a tensor, say
        raise LawError(f"{said} fails without {what}: {type(error).__name__}: {error}") from error
    # With another density at the same points only a constant may change, the start's entropy.
    tilted = at.moved(at.points, at.points[:, 0])
    energies = [float(objective.energy(particles)) for particles in (at, tilted)]
    if Capability.LOG_DET in objective.needs:
        log_density = at.log_density_start
        assert log_density is not None
        other = dataclasses.replace(bare, log_det=tilted.log_det)
        change = float(objective.energy(other)) - without
    else:
        change = 0.0
    difference = energies[1] - energies[0] - change
    if abs(difference) > 1e-9 * (1 + abs(energies[0])):
        raise LawError(f"{said} depends on {what}: it changes by {difference:.3g} with it")
