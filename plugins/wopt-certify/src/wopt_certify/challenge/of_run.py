"""Challenging a run: by densities fitted to its rows, and by a rival that is named."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.data import READABLE, read_table
from wopt.errors import CapabilityError, DataError
from wopt.interfaces import Budget, FinishedRun, FlowBlock
from wopt.particles import Particles
from wopt.push import push_all
from wopt.runs import Prepared, load, particles_of
from wopt.seeds import derive, generator
from wopt_certify.challenge import ChallengeRows, against, challenge, portfolio
from wopt_certify.held_out import as_test, one_of_each
from wopt_certify.lower import LowerSide
from wopt_certify.resolution import Resolution, resolutions

__all__ = ["Challenge", "can_be_challenged", "rival_of"]

_MOST = 20_000
"""Largest numbers of rows that fit challengers, and that judge them."""

_FEW = 1_000
"""If there are fewer test rows, and the source can be sampled, this many draws judge."""


def can_be_challenged(prepared: Prepared) -> bool:
    """Return whether challengers apply: the model has a density and is a model of data."""
    target = prepared.problem.objective.target
    normalised = target is not None and Capability.NORMALISED in target.provides
    weighted = prepared.train.weights is not None
    return bool(
        normalised
        and prepared.dataset is not None
        and prepared.problem.objective.gap_is_kl
        and not prepared.pushes
        and not weighted
        and prepared.train.log_det is not None
    )


@dataclasses.dataclass(frozen=True)
class Challenge:
    """A run that can be challenged, and densities fitted to its particles that may beat its model.

    Training rows fit, held-out rows choose, and rows that neither training nor any choice has seen
    judge: fresh draws where the source can be drawn from, else test rows.

    Attributes:
        rows: Largest number of rows that judge.
    """

    run: FinishedRun
    rows: int = _MOST

    def lower_side(
        self, budget: Budget | None, level: float, recorded: int | None = None
    ) -> LowerSide:
        """Return a lower bound of KL(data | model), in nats.

        Args:
            budget: CPU seconds for the challengers.
            recorded: Number of challengers, instead of those that there is time for.
        """
        prepared, state = self.run.prepared, self.run.state
        target = prepared.problem.objective.target
        pairs = (
            (prepared.train.rows(slice(_MOST)), state.train.first(_MOST)),
            (prepared.valid, state.valid.particles),
            self._judges,
        )
        fit, hold, judge = (ChallengeRows.of(target, start.points, moved) for start, moved in pairs)
        seed = derive(prepared.config.seed, "challenge", state.step)
        return challenge(
            fit, hold, judge, portfolio(target, fit.condition), budget=budget, recorded=recorded,
            level=level, seed=seed, groups=self._groups(),
        )  # fmt: skip

    def at_resolutions(self, level: float, rows: int) -> tuple[Resolution, ...]:
        """Return both sides of KL between the blurred laws, where the target's blur is known.

        Args:
            rows: Largest number of rows that are compared; time grows with its square.
        """
        prepared, groups = self.run.prepared, self._groups()
        if prepared.train.condition:
            return ()
        y, seed = self._judges[1].points, derive(prepared.config.seed, "resolution")
        if groups is not None:  # the limits are for independent rows
            y = y[one_of_each(groups[1], seed).to(y.device)]
        target = prepared.problem.objective.target
        return tuple(resolutions(y[:rows], target, level=level, rows=rows // 3, seed=seed) or ())

    @functools.cached_property
    @torch.no_grad()
    def _judges(self) -> tuple[Particles, Particles]:
        """Rows that judge, before and after the audited maps."""
        data, config = self.run.prepared.dataset, self.run.prepared.config
        rows, count = data.test, min(self.rows, _MOST)
        if data.sample is not None and (self.run.fresh or len(rows) < _FEW):
            rng = generator(config.seed, "challenge", "judge", self.run.state.step)
            # Repeated draws of this many decide as test rows would.
            rows = data.sample(min(count, max(len(rows), _FEW)), rng)
        smoothed = as_test(data, rows, config)
        start = particles_of(smoothed, smoothed.test, config, known=False).rows(slice(count))
        return start, push_all(self.run.maps, start, audit=True)

    def _groups(self) -> tuple[Tensor, Tensor] | None:
        """Return the groups of the rows that choose and of those that judge."""
        data = self.run.prepared.dataset
        if data.groups is None or data.sample is not None:
            return None
        return data.groups[1], data.groups[2][: len(self._judges[0])]


def rival_of(prepared: Prepared, blocks: Sequence[FlowBlock], path: Path) -> LowerSide:
    """Return a lower bound of KL(data | model), by a rival's log-densities at the test rows.

    Args:
        path: A run directory, a file that ``Flow.save`` wrote, or a table with one column: the
            rival's log-density at each test row, in the data's units and in the data's order.
    """
    dataset, target = prepared.dataset, prepared.problem.objective.target
    known = target is not None and Capability.NORMALISED in target.provides
    if dataset is None or prepared.pushes or not known:
        raise CapabilityError(
            "a rival challenges models of data with a density, and this is not one: no test "
            "rows can be scored by both"
        )
    own = prepared.flow(blocks).log_prob(dataset.test, audit=True).double().cpu()
    groups = None if dataset.groups is None else dataset.groups[2]
    return against(_log_density(path, dataset.test), own, groups=groups, name=path.name)


def _log_density(path: Path, rows: Tensor) -> Tensor:
    if path.is_dir() or path.suffix.lower() not in READABLE:
        rival = load(path)
        if rival.dim != rows.shape[1]:
            raise DataError(
                f"{path}: a model of {rival.dim} columns, and the run's data have {rows.shape[1]}"
            )
        return rival.log_prob(rows, audit=True).double().cpu()
    table, names = read_table(path)
    if table.shape != (len(rows), 1):
        raise DataError(
            f"{path}: has shape {tuple(table.shape)} (columns {', '.join(names[:8])}); a rival's "
            f"log-densities are one column of {len(rows)} numbers, one for each test row"
        )
    return torch.from_numpy(table)[:, 0]
