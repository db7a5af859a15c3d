"""One objective for each leg from a population to the next."""

from __future__ import annotations

import torch
from torch import Tensor

import wopt
from wopt import Capability, ConfigError, Particles
from wopt.errors import Converged


class RowsTarget(wopt.Target):
    """The law of given rows, drawn with replacement.

    Args:
        rows: Rows, shape ``(n, d)``, float64, in the flow's coordinates.
    """

    provides = Capability.TARGET_SAMPLES

    def __init__(self, rows: object) -> None:
        assert isinstance(rows, Tensor)
        self.rows = rows
        self.dim = rows.shape[1]

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return rows drawn with replacement, shape ``(n, dim)``, on the generator's device."""
        rows = self.rows.to(rng.device)
        return rows[torch.randint(len(rows), (n,), generator=rng, device=rows.device)]


class Legs(wopt.Objective):
    """G_1 in the steps of the first leg, G_2 in those of the second, ...

    The energy is that of the last leg: the distance of particles from the last population.

    Example:
        >>> part = wopt.build("objective", "sinkhorn")
        >>> legs = Legs([part, 2 * part], 3)
        >>> legs.of_step(2) is part, legs.of_step(3) is part
        (True, False)
    """

    def __init__(self, parts: list[wopt.Objective], steps: int) -> None:
        self.parts = parts
        self.minimum = parts[-1].minimum
        self.steps = steps

    def energy(self, particles: Particles) -> Tensor:
        """Return the energy of the last leg, shape ``()``."""
        return self.parts[-1].energy(particles)

    def contributions(self, particles: Particles) -> Tensor | None:
        """Return the contributions of the last leg, shape ``(n,)``."""
        return self.parts[-1].contributions(particles)

    def of_step(self, step: int) -> wopt.Objective:
        """Return the objective of the leg of a step."""
        leg = step // self.steps
        if leg >= len(self.parts):
            raise Converged(f"the last population is reached, after {step} steps")
        return self.parts[leg]

    def at(self, key: int) -> wopt.Objective:
        """Return the legs at the draws of a key."""
        return Legs([part.at(key) for part in self.parts], self.steps)


def legs_of(objective: wopt.Objective, populations: list[Tensor], steps: int) -> Legs:
    """Return an objective that leads to one population after the other.

    Args:
        populations: Rows in the flow's coordinates, float64, shape ``(n, d)`` each.
    """
    sampled = objective.target is not None and Capability.TARGET_SAMPLES in objective.needs
    if not sampled or objective.of_density or "target" not in objective.options:
        raise ConfigError(
            f"the source `snapshots` leads a flow to populations, known by samples, and "
            f"{type(objective).__name__} needs more than the samples of a target; choose the "
            "objective sinkhorn, wasserstein, energy_distance or mmd"
        )
    return Legs([objective.with_options(target=RowsTarget(rows)) for rows in populations], steps)
