"""The figures of a finished run, on test rows and in float64 where training was rounded."""

from __future__ import annotations

import copy
import dataclasses
import math

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.data.dataset import Dataset
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.particles import Particles
from wopt.push import inversion_error, push_all
from wopt.runs.preparation import Prepared
from wopt.statistics import error_of_mean, mean_and_error, normal_log_prob, some
from wopt.store.result import GapKind, RunResult
from wopt.train.guard import INVERTED, nll
from wopt.train.problem import State


def audited(prepared: Prepared, state: State) -> tuple[Prepared, State]:
    """Return a run and its state for measuring: in float64 where training was rounded.

    Training particles, which are not used for measuring, are unchanged.
    """
    if prepared.config.run.precision is None:
        return prepared, state
    blocks = [copy.deepcopy(block).double() for block in state.blocks]
    for block in blocks:
        block.precision = None  # they are in float64 now
    trace = state.valid
    valid = dataclasses.replace(
        trace,
        before=in_float64(trace.before),
        ahead=None if trace.ahead is None else blocks[-1],
    )
    config = prepared.config.model_copy(update={"dtype": "float64"})
    return (
        dataclasses.replace(
            prepared, config=config, start=(prepared.train, in_float64(prepared.valid))
        ),
        dataclasses.replace(state, blocks=tuple(blocks), valid=valid),
    )


def in_float64(particles: Particles) -> Particles:
    """Return particles in float64."""
    return dataclasses.replace(particles, **particles.each(Tensor.double))


@torch.no_grad()
def evaluate(prepared: Prepared, blocks: list[FlowBlock], test: Particles) -> RunResult:
    """Return the likelihood by the audited maps, and the errors of the maps in use.

    For a start pushed forward the test rows are draws of the start, not data: their likelihood does
    not measure the model and is left out.
    """
    audited, coarse = push_all(blocks, test, audit=True), push_all(blocks, test)
    objective, dataset = prepared.problem.objective, prepared.dataset
    assert dataset is not None
    scores = _nll(objective, audited, dataset.transform(dataset.split(dataset.test)[0])[1])
    forward = prepared.pushes
    groups = None if dataset.groups is None else dataset.groups[2]
    nll_mean, nll_error = (None, None) if forward else _mean_and_error(scores, groups)
    kl, kl_error = _mean_and_error(_log_ratio(dataset, objective, scores), groups)
    return RunResult(
        "done",
        "",
        len(blocks),
        nll_test=nll_mean,
        nll_error=nll_error,
        nll_gaussian=None if forward else _gaussian_nll(dataset),
        bits_per_dim=bits_per_dim(nll_mean, dataset.dim, dataset.cell),
        published=dict(dataset.published or {}),
        entropy=dataset.entropy,
        kl=kl,
        kl_error=kl_error,
        kl_of=GapKind.of_model(forward),
        likelihood_error=_likelihood_error(objective, coarse, audited),
        inversion_error=inversion_error(blocks, test.rows(slice(INVERTED))),
        rows=len(test),
        far_rows=None if forward else far_rows(scores),
        parameters=sum(p.numel() for block in blocks for p in block.parameters()),
        model="push_forward" if forward else "pull_back",
    )


_CHANCE = 0.01
"""Largest probability that a normal sample has a far row, at any number of rows."""


def far_rows(scores: Tensor | None) -> int | None:
    """Return how many rows decide a mean each by itself; ``None`` for none.

    With mean m and sum of squares S of the n other rows, the costliest row x is far if it moves
    the mean by more than a standard error, and normal rows would hardly lie so far apart:

        r = (x - m)^2 / S > 1    and    (n+1)/2 (1 + r n/(n+1))^(-(n-1)/2) < 1/100,

    by Student's law of (x - m)/S^(1/2) and the union over rows, as in Grubbs' test. The next row is
    asked without it.

    Args:
        scores: Costs of rows, shape ``(n,)``, nats.

    Example:
        >>> costs = torch.arange(100.0)
        >>> far_rows(costs), far_rows(torch.cat([costs, torch.tensor([8e7])]))
        (None, 1)
    """
    if scores is None:
        return None
    x = scores.double().sort().values
    x = x - x[len(x) // 2]
    n = torch.arange(1, len(x), dtype=torch.float64, device=x.device)
    mean = x[:-1].cumsum(0) / n
    others = (x[:-1].square().cumsum(0) - n * mean.square()).clamp(min=0)
    r = (x[1:] - mean).square() / others
    chance = (n + 1) / 2 * (1 + r * n / (n + 1)) ** ((1 - n) / 2)
    far = (r > 1) & (chance < _CHANCE)
    return int(far.flip(0).int().cumprod(0).sum()) or None


def bits_per_dim(nll: float | None, dim: int, cell: float | None) -> float | None:
    """Return (NLL/d - log w)/log 2, the bits per dimension of data in cells of width w.

    The mean log-density over a cell, plus log w, is at most the log-probability of its value.

    Source: Theis, van den Oord, Bethge, *A note on the evaluation of generative models*, 2016.

    Example:
        >>> bits_per_dim(2 * math.log(256), 2, 1.0)  # all levels of a pixel equally likely
        8.0
    """
    if nll is None or cell is None:
        return None
    return (nll / dim - math.log(cell)) / math.log(2)


def _mean_and_error(
    values: Tensor | None, groups: Tensor | None
) -> tuple[float, float] | tuple[None, None]:
    """Return the mean and its standard error; rows of one group may be dependent."""
    if values is None:
        return None, None
    mean, error = mean_and_error(values)
    return mean, error if groups is None else error_of_mean(values, groups)


def _log_ratio(dataset: Dataset, objective: Objective, scores: Tensor | None) -> Tensor | None:
    """Return log p - log q of each test row, for a known density p of the data and the model q."""
    # Paired by row, the mean is far less noisy than the difference of NLL and entropy.
    if dataset.log_density is None or scores is None or not objective.gap_is_kl:
        return None
    return scores + dataset.log_density(dataset.test)


def _gaussian_nll(dataset: Dataset) -> float | None:
    """Return the Gaussian's NLL; given conditions, that of the joint law minus theirs."""
    few = some(dataset.train)
    joint = gaussian_nll(few, dataset.test)
    if not dataset.condition or joint is None:
        return joint
    of_conditions = gaussian_nll(*(x[:, -dataset.condition :] for x in (few, dataset.test)))
    return None if of_conditions is None else joint - of_conditions


def gaussian_nll(train: Tensor, test: Tensor) -> float | None:
    """Return the test NLL, in nats, of a Gaussian fitted to ``train``; both ``(n, d)``.

    The result is ``None`` if the covariance is singular.

    Example:
        >>> x = torch.randn(20000, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> round(gaussian_nll(x, x), 2)  # log(2 pi e)/2 = 1.4189 for a standard normal
        1.42
    """
    covariance = torch.cov(train.double().T, correction=0).reshape(2 * train.shape[1:])
    factor, info = torch.linalg.cholesky_ex(covariance)
    if info.item():
        return None
    return float(-normal_log_prob(test.double(), train.double().mean(0), factor).mean())


def _nll(objective: Objective, moved: Particles, log_det: Tensor) -> Tensor | None:
    """Return -log q of each row in the data's units, float64 on the CPU."""
    values, target = nll(objective, moved), objective.target
    if values is None or target is None or Capability.NORMALISED not in target.provides:
        return None
    return values.double().cpu() - log_det


def _likelihood_error(objective: Objective, coarse: Particles, audited: Particles) -> float | None:
    pair = nll(objective, coarse), nll(objective, audited)
    if pair[0] is None or pair[1] is None:
        return None
    return float((pair[0] - pair[1]).abs().mean())
