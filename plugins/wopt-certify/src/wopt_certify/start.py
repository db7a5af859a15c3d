"""Bounds before the first step: distance and divergence of the start from the target."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.flow import draw
from wopt.interfaces import Objective, Target
from wopt.seeds import generator
from wopt.statistics import mean_and_error
from wopt.targets import gaussian_moments
from wopt.typed import Number, Typed
from wopt_certify.bounds import (
    smoothed_kl,
    smoothed_kl_from_distance,
    smoothing_distance,
    start_distance,
)
from wopt_certify.estimate import divergence
from wopt_certify.replay import EvaluationData

_TARGET_ROWS = 20_000
_SPREAD = 2.0
"""Standard errors added to moments, so that bounds made of them err on the safe side."""


@dataclasses.dataclass(frozen=True)
class Start(Typed):
    """Bounds at the start; ``None`` where there is none.

    Attributes:
        w2: Bound of W_2(p_0, q).
        kl: Bound of KL(p_0 | q), nats.
        second_moment: E|Z|^2 of the target.
    """

    w2: float | None = None
    kl: float | None = None
    second_moment: float | None = None
    label: Literal["bound, from sample moments"] = "bound, from sample moments"


@dataclasses.dataclass(frozen=True)
class Smoothing(Typed):
    """The distance that smoothing moves the data.

    Attributes:
        w2, w2_data_units: A bound of W_2 between data and smoothed start, in the flow's
            coordinates and in the data's units.
    """

    time: float
    w2: Number
    w2_data_units: Number
    label: Literal["bound"] = "bound"


def start_of_run(objective: Objective, evidence: EvaluationData) -> Start:
    """Bound W_2(p_0, q) by moments, and KL(p_0 | q) where it is known or smoothing bounds it.

    Source: docs/theory 1.6 and 1.8.
    """
    target, at = objective.target, evidence.particles
    if target is None or Capability.TARGET_SAMPLES not in target.provides:
        return Start()
    z = draw(target, _TARGET_ROWS, at.dim, generator(0, "certify", "target")).double()
    second = float(z.square().sum(1).mean())
    weights = None if at.weights is None else at.weights.double().cpu()
    w0 = _independent(at.points.double().cpu(), z, weights)
    known = divergence(objective, at, level=0.95)
    if known is not None and not known.impossible:
        return Start(w0, known.value + _SPREAD * known.error, second)
    time = evidence.smooth_time
    if time and _is_standard(target, at.dim):
        rows = evidence.data.double().cpu()
        squares = mean_and_error(rows.square().sum(1))
        moment = squares.value + _SPREAD * squares.error
        bounds = (
            smoothed_kl(moment, at.dim, time),
            smoothed_kl_from_distance(_independent(rows, z), time),
        )
        return Start(w0, float(min(bounds)), second)
    return Start(w0, None, second)


def smoothing_part(evidence: EvaluationData) -> Smoothing | None:
    """Return a bound of W_2 between the data and the smoothed start.

        W_2^2 <= (1 - e^-t)^2 E|A^-1 z|^2 + (1 - e^-2t) |A^-1|^2,

    in the data's units, A being the linear part of the preprocessing. Source: docs/theory (1.12).
    """
    time = evidence.smooth_time
    if not time:
        return None
    back = evidence.transform.inverse_matrix
    rows = evidence.data.double().cpu()
    ends = rows.square().sum(1), (rows @ back.T).square().sum(1)
    inside, outside = (
        float(smoothing_distance(float(values.mean()), size, time))
        for values, size in zip(ends, (rows.shape[1], float(back.square().sum())), strict=True)
    )
    return Smoothing(time, inside, outside)


def _independent(x: Tensor, z: Tensor, weights: Tensor | None = None) -> float:
    """Return  (E|X|^2 + E|Z|^2 - 2 <E X, E Z>)^1/2  of two samples, two standard errors up."""
    by_row = x.square().sum(1) - 2 * x @ z.mean(0)
    mean, second = mean_and_error(by_row, weights), mean_and_error(z.square().sum(1))
    noise = math.hypot(mean.error, second.error)
    return start_distance(mean.value + second.value + _SPREAD * noise, 0.0)


def _is_standard(target: Target, dim: int) -> bool:
    """Return whether a target is N(0, I)."""
    law = gaussian_moments(target, dim)
    apart = () if law is None else (law[0], law[1] - torch.eye(dim))
    return law is not None and all(float(one.abs().max()) < 1e-6 for one in apart)
