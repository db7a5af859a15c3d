"""Snapshots of an evolution during its run, and their distances from the exact solution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wopt.errors import ConfigError, RunError
from wopt.interfaces.measurement import Watch
from wopt.parallel import alone
from wopt.particles import Particles
from wopt.runs.prepare import Prepared
from wopt.seeds import generator
from wopt.store.directory import RunDirectory
from wopt.store.distances import Distances
from wopt.store.documents import SPARE, damaged, parsed
from wopt.tensors import read_tensors, write_tensors
from wopt.train.clock import elapsed, is_at
from wopt.train.problem import State
from wopt_evolution.distances import distances

__all__ = ["Evolution", "check_exact"]


def check_exact(prepared: Prepared) -> None:
    """Raise if an exact solution is named that does not apply to the run.

    Raises:
        ConfigError: The model is pulled back, the source is preprocessed, or the solution does not
            treat this start and objective.
    """
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
    """Snapshots of a run's held-out particles, at the configured times and at its end.

    Args:
        directory: Directory in which snapshots are kept.
        prepared: The run's data and parts.
    """

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
            with alone():  # only in the first process
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
