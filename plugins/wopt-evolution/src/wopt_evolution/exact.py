"""An evolution as a run goes on: its particles at asked times, and how far it is from exact."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wopt.errors import ConfigError, RunError, WoptError
from wopt.interfaces import ExactLaws, Target, Watch
from wopt.particles import Particles
from wopt.runs import Prepared
from wopt.seeds import generator
from wopt.statistics import mean_and_error
from wopt.store import SPARE, RunDirectory, damaged, parsed
from wopt.tensors import read_tensors, write_tensors
from wopt.train import State, elapsed, is_at
from wopt_evolution.distances import Distances

_DRAWS = 20_000
"""Number of draws of the exact law, where it cannot carry particles."""

Density = Callable[[Tensor], Tensor]


@torch.no_grad()
def distances(
    exact: ExactLaws,
    start: Particles,
    now: Particles,
    density: Density,
    step: int,
    time: float,
    rng: torch.Generator,
) -> Distances:
    """Return the distances of particles, ``(n, d)``, and their law from the exact law.

    Args:
        start: The particles at time 0.
        now: The same particles at ``time``, in the same order.
        density: The log-density of their law at points ``(n, d)``; it may raise
            :class:`~wopt.errors.WoptError` where it is not known.
        rng: Generator of draws from the exact law, where it cannot carry particles.
    """
    numbers = _second_moments(exact, now, time)
    carried = None if exact.carry is None else exact.carry(start.points.double(), time)
    if carried is not None:
        gap = (now.points - carried.to(now.points)).double().square().sum(1)
        numbers["w2_at_most"] = math.sqrt(float(_as_double(now).mean(gap)))
    law = None if exact.law is None else exact.law(time)
    if law is not None and now.log_density_start is not None and now.log_det is not None:
        log_ratio = (now.log_density.double() + law.potential(now.points.double())).cpu()
        numbers |= _named("l1", 2 * (1 - (-log_ratio).exp()).clamp(min=0), now)
        if exact.positive:
            numbers |= _divergences(law, log_ratio, now, carried, density, rng)
    return Distances(step, time, **numbers)


def _second_moments(exact: ExactLaws, now: Particles, time: float) -> dict[str, float]:
    if exact.second_moment is None:
        return {}
    known = exact.second_moment(time)
    seen = float(_as_double(now).mean(now.points.double().square().sum(1)))
    return {
        "second_moment": seen,
        "second_moment_exact": known,
        "second_moment_error": abs(seen - known) / known,
    }


def _divergences(
    law: Target,
    log_ratio: Tensor,
    now: Particles,
    carried: Tensor | None,
    density: Density,
    rng: torch.Generator,
) -> dict[str, float]:
    """Return KL(p | p*), and KL(p* | p) by carried particles or by draws."""
    numbers = _named("kl", log_ratio, now)
    draws = law.sample(_DRAWS, now.dim, rng) if carried is None else carried
    try:
        back = -(law.potential(draws).cpu() + density(draws).double().cpu())
    except WoptError:  # a map without inverse has no density at given points
        return numbers
    if carried is not None:
        numbers |= _named("kl_back", back, now)
        # Computed by row, since the noise of paired particles is common and cancels.
        return numbers | _named("sym_kl", log_ratio + back, now)
    numbers |= _named("kl_back", back)
    error = math.hypot(numbers["kl_error"], numbers["kl_back_error"])
    return numbers | {"sym_kl": numbers["kl"] + numbers["kl_back"], "sym_kl_error": error}


def _named(name: str, values: Tensor, of: Particles | None = None) -> dict[str, float]:
    weights = None if of is None or of.weights is None else of.weights.double().cpu()
    mean, error = mean_and_error(values, weights)
    return {name: mean, f"{name}_error": error}


def _as_double(particles: Particles) -> Particles:
    weights = particles.weights
    return Particles(particles.points.double(), None if weights is None else weights.double())


def check_exact(prepared: Prepared) -> None:
    """Raise if an exact solution is named that does not apply to the run."""
    config, data = prepared.config, prepared.dataset
    if config.exact is None:
        return
    if not prepared.pushes:
        raise ConfigError(
            "[exact] is for a start that is pushed forward in time, and this model pulls a target "
            'back; choose a start (source gaussian or density) or model = "push_forward"'
        )
    if data is not None and not data.transform.is_identity:
        raise ConfigError(
            '[exact] needs the evolution in the source\'s own units; set source.preprocess = "none"'
        )
    config.exact.of(config.source, prepared.problem.objective, prepared.train.dim)


class Evolution(Watch):
    """Snapshots of a run's held-out particles, at the configured times and at its end."""

    def __init__(self, directory: RunDirectory, prepared: Prepared) -> None:
        self.directory = directory
        self.prepared = prepared
        self.config = prepared.config
        exact, objective = self.config.exact, prepared.problem.objective
        dim = prepared.train.dim
        self.exact = None if exact is None else exact.of(self.config.source, objective, dim)
        self.asked = self.config.snapshots.times is not None or exact is not None

    def see(self, state: State) -> None:
        """Keep a snapshot if the state is at a configured time."""
        time = elapsed(state.records)
        if self._is_asked(time):
            self._keep(state, time)

    def end(self, state: State) -> dict[str, Any]:
        """Keep the last snapshot, and return the distances from the exact solution, by time."""
        by_time = self._by_time(state) if self.asked else ()
        return {"exact": by_time[-1] if by_time else None, "exact_by_time": by_time}

    def _by_time(self, state: State) -> tuple[Distances, ...]:
        if not self.directory.snapshot(state.step).is_file():
            self._keep(state, elapsed(state.records))
        for path in self.directory.snapshots():
            step = int(path.stem)
            if step != state.step and not self._is_asked(elapsed(state.records[:step])):
                path.unlink()  # the last one of a run that was continued
        return tuple(
            _distances_of(path) for path in self.directory.snapshots() if self.exact is not None
        )

    def _is_asked(self, time: float) -> bool:
        return any(is_at(time, asked) for asked in self.config.snapshots.times or ())

    def _keep(self, state: State, time: float) -> None:
        now, metadata = state.valid.particles, {"time": repr(time)}
        if self.exact is not None:
            metadata["distances"] = json.dumps(self._distances(state, time).to_dict())
        few = now.rows(slice(self.config.snapshots.particles))
        tensors = {"points": few.points}
        if few.weights is not None:
            tensors["weights"] = few.weights
        if few.log_density_start is not None and few.log_det is not None:
            tensors["log_density"] = few.log_density
        tensors |= self._exact_at(few, time)
        path = self.directory.snapshot(state.step)
        path.parent.mkdir(exist_ok=True)
        write_tensors(path, tensors, metadata)

    def _exact_at(self, few: Particles, time: float) -> dict[str, Tensor]:
        """Return the exact density at the particles, and draws of the exact law."""
        if self.exact is None or self.exact.law is None:
            return {}
        law = self.exact.law(time)
        draws = law.sample(
            self.config.snapshots.particles, few.dim, generator(self.config.seed, "exact", "shown")
        )
        with torch.no_grad():
            return {"exact_log_density": -law.potential(few.points.double()), "exact": draws}

    def _distances(self, state: State, time: float) -> Distances:
        assert self.exact is not None
        assert state.start is not None
        flow = self.prepared.flow(state.blocks)
        rng = generator(self.config.seed, "exact", "draws")
        held_out = state.start[1], state.valid.particles
        return distances(self.exact, *held_out, flow.log_prob, state.step, time, rng)


def _distances_of(path: Path) -> Distances:
    """Return the distances in a snapshot, or raise if they are missing."""
    metadata = read_tensors(path)[1]
    try:
        return parsed(metadata["distances"], Distances)
    except (KeyError, RunError) as error:
        raise damaged(path, error, SPARE) from None
