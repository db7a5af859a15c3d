"""First-order errors of a run, and the particles on which they are measured."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, ClassVar

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import fields
from wopt.config import RunConfig
from wopt.data import Dataset, smooth_dataset
from wopt.errors import WoptError
from wopt.interfaces import Budget, FinishedRun, Measurement
from wopt.memory import check_room
from wopt.particles import Particles
from wopt.runs import Prepared, log_density_of, particles_of
from wopt.seeds import derive, generator
from wopt.store import GapKind
from wopt_certify.certificate import make_certificate
from wopt_certify.effort import Effort, efforts, largest
from wopt_certify.options import Certify, settings_of
from wopt_certify.replay import EvaluationData, obeys_stein, score_of
from wopt_certify.results import Certificate


@fields
class FirstOrder(Measurement):
    """First-order errors of the steps, and the bounds that follow from them.

    Example:
        >>> FirstOrder().document.__name__
        'Certificate'
    """

    cites: ClassVar[tuple[str, ...]] = ("cheng2024",)
    document: ClassVar[type[Certificate]] = Certificate

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> Certificate:
        """Return a certificate without its other parts; ``run.lower`` refutes bounds below it."""
        settings, prepared = settings_of(run), run.prepared
        scored = run.particles is None and is_scored(prepared, settings)

        def made(effort: Effort) -> Certificate:
            run.listener.phase(
                f"certifying on {effort.particles:,} particles at most, critics of "
                f"{effort.iterations} iterations"
            )
            evidence = evidence_of(prepared, run.particles, effort, scored)
            return make_certificate(
                prepared.problem, run.maps, run.state.records, evidence, settings,
                effort=effort, lower=run.lower, listener=run.listener,
            )  # fmt: skip

        if recorded is not None:
            return made(recorded.effort)
        limit, rows = None if budget is None else budget.seconds, _most_rows(run)
        return largest(efforts(settings, limit, rows=rows, scored=scored), made, budget)


def _most_rows(run: FinishedRun) -> int:
    """Return the number of particles for first-order errors; many where they can be drawn."""
    data = run.prepared.dataset
    if run.particles is not None or data is None:
        return len(run.prepared.valid if run.particles is None else run.particles)
    return sys.maxsize if data.sample is not None else len(data.test) + len(data.valid)


_COPIES = 6
"""Number of copies of the particles that exist at a time, at the least."""

_PAIRWISE_ROWS = 4000
"""Most particles where the energy is not a mean over them, so that its cost may be quadratic."""


def evidence_of(
    prepared: Prepared, particles: Particles | None, effort: Effort, scored: bool
) -> EvaluationData:
    """Return the particles of a certificate, shape ``(n, d)``, with their score if asked for.

    Args:
        particles: Particles to use; ``None`` leaves the choice to the run: held-out rows, or fresh
            draws of its start.
        scored: Whether the start's score is pushed through the maps too.
    """
    if particles is None and prepared.dataset is not None:
        return _evidence(prepared, prepared.dataset, effort, scored)
    at, origin = particles, "particles that were given"
    if at is None:
        at, origin = prepared.valid, "held-out particles"
    of = GapKind.of_model(prepared.pushes)
    return EvaluationData(
        at, origin, None, prepared.transform, 0.0, at.points, of, prepared.conditions
    )


def _evidence(prepared: Prepared, raw: Dataset, effort: Effort, scored: bool) -> EvaluationData:
    """Return test rows or, if more are needed, fresh draws or other held-out rows."""
    # Never training rows: the maps were fitted to them, so their residual is too small.
    config, count = prepared.config, effort.particles
    objective = prepared.problem.objective
    if objective.contributions(prepared.valid.rows(slice(2))) is None:
        count = min(count, _PAIRWISE_ROWS)
    drawn, origin = raw.test, "test rows"
    if count > len(raw.test):
        if raw.sample is not None:
            what = f"certifying on {count} particles; set certify.particles lower"
            check_room(_COPIES * 8.0 * count * raw.dim, what)
            drawn = raw.sample(count, generator(config.seed, "certify", "particles"))
            origin = "fresh draws of the start"
        else:
            drawn = torch.cat([raw.test, raw.valid])[:count]
            origin = "test and validation rows"
    # All rows become particles before some are taken, so that judging rows are equal to the bit.
    start = as_test(raw, drawn, config)
    score, remarks = None, tuple[str, ...]()
    if scored:
        score, remarks = _score(raw, start.test[: min(count, effort.score_rows)])
    return EvaluationData(
        particles=particles_of(start, start.test, config, known=True).rows(slice(count)),
        origin=origin,
        score=score,
        transform=raw.transform,
        smooth_time=config.smooth_time,
        data=raw.transform.move(raw.split(drawn[:count])[0]),
        of=GapKind.of_model(prepared.pushes),
        conditions=prepared.conditions,
        remarks=remarks,
    )


def as_test(raw: Dataset, rows: Tensor, config: RunConfig) -> Dataset:
    """Return the dataset with test rows ``rows``, shape ``(n, d)``, smoothed like the run's."""
    part = dataclasses.replace(raw, train=rows[:1], valid=rows[:1], test=rows)
    return smooth_dataset(part, config.smooth_time, derive(config.seed, "certify", "smooth"))


def is_scored(prepared: Prepared, options: Certify) -> bool:
    """Return whether the start's score is known and is pushed through the maps."""
    wanted = options.score_rows != 0 and prepared.config.smooth_time == 0
    needed = bool(Capability.LOG_DET & prepared.problem.objective.needs)
    dataset = prepared.dataset
    return wanted and needed and dataset is not None and dataset.log_density is not None


def _score(dataset: Dataset, rows: Tensor) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return the start's score in the flow's coordinates at the rows, or a remark on why not."""
    left_out = "The pushed score is left out, so eps is that of test fields: "
    density, at = log_density_of(dataset), dataset.transform.move(rows)
    assert density is not None
    try:
        score = score_of(density, at)
    except (RuntimeError, WoptError) as error:  # a density that autograd cannot follow
        return None, (f"{left_out}the start's density cannot be differentiated ({error}).",)
    if score is None:
        return None, (f"{left_out}the start's density has no finite gradient.",)
    if not obeys_stein(score, at):
        return None, (f"{left_out}the start's density has jumps, its gradient is not its score.",)
    return score, ()


def one_of_each(groups: Tensor, seed: int) -> Tensor:
    """Return the index of one random row of each group, shape ``(groups,)``, in random order.

    Example:
        >>> chosen = one_of_each(torch.tensor([7, 7, 7, 2, 2]), seed=0)
        >>> sorted(torch.tensor([7, 7, 7, 2, 2])[chosen].tolist())
        [2, 7]
    """
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))
    numbers, at = torch.unique(groups[order], return_inverse=True)
    first = torch.full((len(numbers),), len(groups), dtype=torch.long)
    first = first.scatter_reduce(0, at, torch.arange(len(groups)), "amin")
    return order[first.sort()[0]]
