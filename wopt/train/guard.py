"""The guard: a finished step is accepted only if it holds on held-out particles."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import Component, fields
from wopt.errors import DivergenceError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective, energy_change
from wopt.interfaces.subproblem import Subproblem
from wopt.particles import Particles
from wopt.push import inversion_error, push
from wopt.runtime import ALONE, Runtime
from wopt.statistics import Mean
from wopt.train.wrappers import spread

INVERTED = 1000
"""Number of rows on which a block's inverse is checked, which may cost a pass a dimension."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Measurements of a step by the guard, and its verdict.

    Attributes:
        moved: The held-out particles, moved by the audited map.
        energy: The objective at the moved particles.
        decrease: Mean of the subproblem's value at T minus that at the identity, with its standard
            error.
        likelihood_error: Mean absolute difference of the log-likelihoods of grid and audit, in
            nats, or ``None``.
        inversion_error: Root mean square of T^-1(T(x)) - x, or ``None``.
        lacks_decrease: Why the decrease is not sufficient, or ``None``.
        lacks_accuracy: Why the likelihood is not accurate enough, or ``None``.
    """

    moved: Particles
    energy: float
    decrease: Mean
    likelihood_error: float | None
    inversion_error: float | None
    lacks_decrease: str | None
    lacks_accuracy: str | None

    @property
    def accepted(self) -> bool:
        """Whether the step may stand."""
        return self.lacks_decrease is None and self.lacks_accuracy is None

    @property
    def why_not(self) -> str:
        """The reasons of a rejection, in words."""
        return "; ".join(w for w in (self.lacks_decrease, self.lacks_accuracy) if w)


@fields
class Guard(Component):
    """Accepts a step by sufficient decrease and by the accuracy of its likelihood.

    The step must satisfy, on held-out particles and with the block's audited map,

        F(T) - F(id) <= k s,    F(T) = G'(T_# rho) + E|T(x) - a|^2/(2h'),

    with s the standard error of the difference; for jko F(T) - F(id) is the energy change plus
    E|y-x|^2/(2h), which an exact step never makes positive. A step that treats nothing implicitly
    (explicit schemes) must not raise the energy. And the log-likelihoods by the training grid and
    by the audit must agree. A step that is only inaccurate gets a finer grid; one that fails
    otherwise is trained again, with a finer grid and half the learning rate.

    Source: docs/theory 4.1.

    Example:
        >>> Guard(retries=1).retries
        1
    """

    likelihood_tolerance: Annotated[
        float,
        Field(
            gt=0,
            description="largest mean numerical error of a block's log-likelihood, in nats",
        ),
    ] = 0.02
    standard_errors: Annotated[
        float,
        Field(
            ge=0,
            description="a rise of the objective by at most this many standard errors is accepted",
        ),
    ] = 1.0
    retries: Annotated[
        int, Field(ge=0, description="how often a rejected step may be trained again")
    ] = 2
    refinements: Annotated[
        int, Field(ge=0, description="how often the time grid of a block may be refined")
    ] = 4
    keep: Annotated[
        bool,
        Field(
            description="whether a run ends as done, with the steps before, where a step is "
            "rejected for good; otherwise it fails",
        ),
    ] = False
    rows: Annotated[
        int | None,
        Field(
            ge=2,
            description="held-out rows that steps are judged on, and test rows that the model is, "
            "at most, chosen by the seed; by default all of a split",
        ),
    ] = None

    @torch.no_grad()
    def judge(
        self,
        subproblem: Subproblem,
        objective: Objective,
        block: FlowBlock,
        *,
        final: bool = True,
        runtime: Runtime = ALONE,
    ) -> Verdict:
        """Measure a finished step on held-out particles."""
        before, shared = subproblem.particles, spread(block, runtime.team)
        moved = push(block, before, audit=True, runtime=runtime)
        decrease = subproblem.change(shared, moved)
        change = energy_change(objective, before, moved) if final and subproblem.explicit else None
        inversion, folded = None, None
        try:
            inversion = inversion_error([shared], before.rows(slice(INVERTED)))
        except DivergenceError as error:  # not one to one: a smaller learning rate may help
            folded = str(error)
        inexact = _likelihood_error(objective, push(block, before, runtime=runtime), moved)
        energy = float(objective.energy(moved))
        decrease, change, inversion, inexact, energy = runtime.team.agreed(
            (decrease, change, inversion, inexact, energy)
        )
        # The identity, where training found nothing better, moves by rounding alone.
        rounding = 8 * torch.finfo(before.points.dtype).eps
        lacks = self.rises("subproblem", decrease, rounding)
        if change is not None and not lacks:
            lacks = self.rises("energy", change, rounding)
        lacks = lacks or folded
        return Verdict(
            moved=moved,
            energy=energy,
            decrease=decrease,
            likelihood_error=inexact,
            inversion_error=inversion,
            lacks_decrease=lacks,
            lacks_accuracy=self._inaccurate(inexact),
        )

    def _inaccurate(self, error: float | None) -> str | None:
        if error is None or error <= self.likelihood_tolerance:
            return None
        return (
            f"the likelihood by the training grid is off by {error:.3g} nats "
            f"(tolerance {self.likelihood_tolerance:g})"
        )

    def rises(self, what: str, change: Mean, rounding: float = 0.0) -> str | None:
        """Return a message if a held-out value rose by more than noise, else ``None``.

        The noise of a single held-out row is unknown, and none is allowed for.
        """
        if not math.isfinite(change.value):
            return f"the held-out {what} became {change.value}"
        known = math.isfinite(change.error)
        limit = self.standard_errors * (change.error if known else 0.0) + max(1e-9, rounding)
        if change.value <= limit:
            return None
        noise = f"standard error {change.error:.2g}" if known else "its standard error is not known"
        return f"the held-out {what} rose by {change.value:.4g} ({noise}) instead of falling"


def nll(objective: Objective, particles: Particles) -> Tensor | None:
    """Return V(y) - log |det DT| up to log Z, shape ``(n,)``, nats; ``None`` if not known."""
    target = objective.target
    if particles.log_det is None or target is None or Capability.POTENTIAL not in target.provides:
        return None
    return target.potential(particles.points) - particles.log_det


def _likelihood_error(objective: Objective, coarse: Particles, audited: Particles) -> float | None:
    if coarse.log_det is None or audited.log_det is None:
        return None
    with_target = nll(objective, coarse), nll(objective, audited)
    if with_target[0] is None or with_target[1] is None:
        return float((coarse.log_det - audited.log_det).abs().mean())
    return float((with_target[0] - with_target[1]).abs().mean())
