"""A potential that is learnt from populations at several times."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import ConfigError, Particles, ProximalScheme
from wopt.component import fields
from wopt.seeds import generator
from wopt_evolution import MeasuredPopulations
from wopt_geomloss.populations.features import Features, least_squares
from wopt_geomloss.populations.judge import optimal_pairs

Rows = list[list[float]]


@final
@fields
class LearntPotential(wopt.Objective):
    """The energy E V of a potential V fitted to populations that descend it in time.

    If the population k + 1 is a JKO step of size tau from k, then, y a particle's point after the
    step and x before it,

        grad V(y) + (y - x) / tau = 0,

    and x and y are partners of an optimal plan. So the pairs of that plan give V by least squares,

        V = sum_i theta_i phi_i,    min over theta of  E |sum_i theta_i grad phi_i(y) + (y - x)/tau|^2,

    in closed form: no network is trained, and no step is made to learn it. With ``steps`` = m the
    condition is imposed at m points of every pair's way, y_j = x + (y - x) j/m, each as the end of
    a step of size tau/m from the one before: so populations that are far apart determine V in
    between too.
    too.

    The pairs of a plan between finite samples have a random displacement, large in many dimensions,
    and points further out have moved further: with ``place = "end"`` V is therefore repulsive, and
        the
    last population is too spread out. ``place = "middle"`` imposes the condition at the middle of
    each step, where this bias is absent.

    The functions phi_i are x_i, x_i x_j and Gaussian bumps at rows of all populations, as wide
    as the median distance of two of these.

    With the source ``snapshots`` V is learnt from its populations (in the flow's coordinates, with
    its ``steps``), and steps of size tau/m lead from the first to the last. Populations that do not
    descend one potential, because they split or turn, are met only approximately. The interaction
    and noise of JKOnet* are left out.

    Source: Terpin, Lanzetti, Gadea, Dorfler, *Learning diffusion at lightspeed*, 2024;
    docs/theory 5.8.

    Raises:
        ConfigError: There are no populations, or there is not one time for each.

    Example:
        >>> x = [[0.0], [1.0], [3.0]]
        >>> y = [[v / 2] for (v,) in x]  # a JKO step of size 1 for V = x^2/2
        >>> g = LearntPotential(populations=[x, y], times=[0.0, 1.0], bumps=0)
        >>> [round(float(t), 6) for t in g.theta]
        [0.0, 1.0]
    """  # noqa: E501

    cites = ("terpin2024",)
    example: ClassVar[dict[str, Any]] = {
        "populations": [[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], [[0.1, 0.0], [0.6, 0.2], [0.0, 1.0]]],
        "times": [0.0, 1.0],
        "bumps": 2,
    }

    bumps: Annotated[int, Field(ge=0, description="number of Gaussian bumps in V")] = 100
    ridge: Annotated[
        float,
        Field(
            ge=0,
            description="penalty of the squares of the bumps' coefficients, as a share of the mean "
            "diagonal of the least squares' matrix",
        ),
    ] = 1e-3
    pairs: Annotated[
        int, Field(ge=2, description="most rows of a population that the plan pairs")
    ] = 1000
    steps: Annotated[
        int,
        Field(ge=1, description="points of a pair's way where the condition holds, as in a source"),
    ] = 1
    place: Annotated[
        Literal["end", "middle"],
        Field(
            description="where in a step the condition is imposed: at its end, as in a JKO step, "
            "or in its middle, where random distances of pairs cause no repulsion"
        ),
    ] = "end"
    populations: Annotated[
        list[Rows] | None,
        Field(description="rows of each time; by default those of the source `snapshots`"),
    ] = None
    times: Annotated[
        list[float] | None, Field(description="rising times; by default the source's")
    ] = None

    @property
    def dim(self) -> int | None:
        """Dimension of the populations, where they are given."""
        return len(self.populations[0][0]) if self.populations else None

    def contributions(self, particles: Particles) -> Tensor:
        """Return V at each particle, shape ``(n,)``."""
        features, theta = self._beside(particles.points)
        return features.values(particles.points) @ theta

    def _beside(self, x: Tensor) -> tuple[Features, Tensor]:
        """Return the functions and their coefficients, copied once to each device."""
        place = x.device, x.dtype
        if place not in self._sent:
            known = self._features
            there = dataclasses.replace(known, centres=known.centres.to(x))
            self._sent[place] = there, self.theta.to(x)
        return self._sent[place]

    @functools.cached_property
    def _sent(self) -> dict[tuple[torch.device, torch.dtype], tuple[Features, Tensor]]:
        return {}

    @functools.cached_property
    def theta(self) -> Tensor:
        """Coefficients, shape ``(p,)``: of x_i, of x_i x_j (i <= j, squares halved), of bumps."""
        populations, times = self._known
        found = []
        for k, (begin, end) in enumerate(itertools.pairwise(times)):
            few = [_few(rows, self.pairs, f"{k}") for rows in populations[k : k + 2]]
            x, y, mass = optimal_pairs(*few)
            velocity = (y - x) / (end - begin)
            back = 0.0 if self.place == "end" else 0.5
            shares = [(j + 1 - back) / self.steps for j in range(self.steps)]
            found += [(x + fraction * (y - x), velocity, mass) for fraction in shares]
        places, velocities, masses = (torch.cat(parts) for parts in zip(*found, strict=True))
        return least_squares(self._features, places, velocities, masses, self.ridge)

    @functools.cached_property
    def _features(self) -> Features:
        centres = _few(torch.cat(self._known[0]), self.bumps, "centres")
        distances = torch.pdist(centres)
        return Features(centres, float(distances.median()) if len(distances) else 1.0)

    @functools.cached_property
    def _known(self) -> tuple[list[Tensor], list[float]]:
        """The populations, float64, and their times."""
        if self.populations is None or self.times is None:
            raise ConfigError(
                "objective learnt_potential has no populations to learn from: use the source "
                "snapshots, or give `populations` and `times`"
            )
        times = self.times
        rising = all(begin < end for begin, end in itertools.pairwise(times))
        if not (rising and 1 < len(times) == len(self.populations)):
            raise ConfigError(
                f"objective learnt_potential: there are {len(self.populations)} populations and "
                f"the times {times}; give two populations or more and a later time for each"
            )
        return [torch.tensor(rows, dtype=torch.float64) for rows in self.populations], times


def _few(x: Tensor, most: int, name: str) -> Tensor:
    """Return at most ``most`` rows, always the same ones."""
    return x[torch.randperm(len(x), generator=generator(0, "learnt_potential", name))[:most]]


def taught(
    objective: LearntPotential,
    snapshots: MeasuredPopulations,
    populations: Sequence[Tensor],
    scheme: ProximalScheme,
) -> LearntPotential:
    """Return the objective fitted to a source's populations, of shapes ``(n, d)``.

    Args:
        scheme: The scheme, whose step sizes must be those of time.
    """
    legs = itertools.pairwise(snapshots.times)
    due = [(end - begin) / snapshots.steps for begin, end in legs for _ in range(snapshots.steps)]
    made, h = [], None
    for step in range(len(due)):
        h = scheme.step_size(step, h)
        made.append(h)
    if any(abs(h - wanted) > 1e-6 * wanted for h, wanted in zip(made, due, strict=True)):
        sizes = due[0] if len(set(due)) == 1 else due
        raise ConfigError(
            "a potential that is learnt from snapshots is descended in their own time, and the "
            f"step sizes are {made}; choose scheme.step_size = {sizes}"
        )
    rows = [population.tolist() for population in populations]
    return objective.with_options(
        populations=rows, times=list(snapshots.times), steps=snapshots.steps
    )
