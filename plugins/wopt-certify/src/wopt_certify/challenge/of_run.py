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
from wopt.interfaces import Budget, FlowBlock
from wopt.particles import Particles
from wopt.push import push_all
from wopt.runs import Prepared, load, particles_of
from wopt.seeds import derive, generator
from wopt.train import State
from wopt_certify.challenge import ChallengeRows, against, challenge, portfolio
from wopt_certify.held_out import as_test, one_of_each
from wopt_certify.lower import LowerSide
from wopt_certify.resolution import Resolution, resolutions

__all__ = ["Challenge", "can_be_challenged", "rival_of"]

_FIT, _HOLD, _JUDGE = 20_000, 5_000, 20_000
"""Largest numbers of rows that fit challengers, choose among them, and judge them."""

_FEW = 1_000
"""If there are fewer test rows, and the source can be sampled, this many draws judge."""

_LITTLE = 4_000
"""Number of rows that fit challengers in that case."""


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
    """A run at a state, and densities fitted to its particles that may beat its model.

    Training rows fit, held-out rows choose, and rows that neither training nor any choice has seen
    judge: fresh draws where the source can be drawn from, else test rows.

    Attributes:
        prepared: The run's data and parts, which can be challenged.
        state: State with the particles after the maps.
        rows: Largest number of rows that judge.
        fresh: Whether judging rows are drawn for this state, where possible, and are not test rows,
            since their result decides whether the run continues.
    """

    prepared: Prepared
    blocks: Sequence[FlowBlock]
    state: State
    rows: int = 20_000
    fresh: bool = False

    def lower_side(
        self, budget: Budget | None, level: float, recorded: int | None = None
    ) -> LowerSide:
        """Return a lower bound of KL(data | model), in nats.

        Args:
            budget: CPU seconds for the challengers.
            recorded: Number of challengers, instead of those that there is time for.
        """
        prepared = self.prepared
        target = prepared.problem.objective.target
        assert target is not None
        pairs = (*self._fitted(), self._judges)
        fit, hold, judge = (ChallengeRows.of(target, start.points, moved) for start, moved in pairs)
        if len(fit) > _FIT:
            fit = fit.part(slice(_FIT))
        seed = derive(prepared.config.seed, "challenge", self.state.step)
        return challenge(
            fit, hold, judge, portfolio(target, fit.condition), budget=budget, recorded=recorded,
            level=level, seed=seed, groups=self._groups(),
        )  # fmt: skip

    def at_resolutions(self, level: float, rows: int) -> tuple[Resolution, ...]:
        """Return both sides of KL between the blurred laws, where the target's blur is known.

        Args:
            rows: Largest number of rows that are compared; time grows with its square.
        """
        target = self.prepared.problem.objective.target
        assert target is not None
        if self.prepared.train.condition:
            return ()
        y, groups = self._judges[1].points, self._groups()
        seed = derive(self.prepared.config.seed, "resolution")
        if groups is not None:  # the limits are for independent rows
            y = y[one_of_each(groups[1], seed).to(y.device)]
        return tuple(resolutions(y[:rows], target, level=level, rows=rows // 3, seed=seed) or ())

    @functools.cached_property
    def _judges(self) -> tuple[Particles, Particles]:
        count = min(self.rows, _JUDGE)
        data = self.prepared.dataset
        assert data is not None
        if data.sample is None or not (self.fresh or len(data.test) < _FEW):
            return self._carried(data.test, count)
        if count <= _FEW and not self.fresh:  # at least: the certificate's rows judge too
            rng = generator(self.prepared.config.seed, "certify", "particles")
            return self._carried(data.sample(count, rng), count)
        return self._drawn("judge", count)

    def _groups(self) -> tuple[Tensor, Tensor] | None:
        """Return the groups of the rows that choose and of those that judge."""
        data = self.prepared.dataset
        if data is None or data.groups is None or data.sample is not None:
            return None
        return data.groups[1], data.groups[2][: len(self._judges[0])]

    def _fitted(self) -> tuple[tuple[Particles, Particles], ...]:
        """Return rows that fit and rows that choose, before and after the maps."""
        # New rows, if possible and if there is time: an overfitted model maps its own training rows
        # closer to the target than other rows.
        prepared, state = self.prepared, self.state
        data = prepared.dataset
        if data is not None and data.sample is not None and self.rows >= _JUDGE:
            fit = self._drawn("fit", min(_FIT, len(prepared.train)))
            return fit, self._drawn("hold", min(_HOLD, len(prepared.valid)))
        # Few judging rows mean little time, which images of many rows would use up.
        most = _FIT if self.rows > _FEW else _LITTLE
        fit = prepared.train.rows(slice(most)), state.train.first(most)
        return fit, (prepared.valid, state.valid.particles)

    def _drawn(self, what: str, count: int) -> tuple[Particles, Particles]:
        """Return new rows, before and after the audited maps."""
        data = self.prepared.dataset
        assert data is not None
        assert data.sample is not None
        rng = generator(self.prepared.config.seed, "challenge", what, self.state.step)
        return self._carried(data.sample(min(count, max(len(data.test), _FEW)), rng), count)

    @torch.no_grad()
    def _carried(self, rows: Tensor, count: int) -> tuple[Particles, Particles]:
        config, data = self.prepared.config, self.prepared.dataset
        assert data is not None
        smoothed = as_test(data, rows, config)
        start = particles_of(smoothed, smoothed.test, config, known=False).rows(slice(count))
        return start, push_all(self.blocks, start, audit=True)


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
