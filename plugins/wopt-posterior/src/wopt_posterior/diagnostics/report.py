"""What is known of a sampler, as one typed result, and what is known of its target."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces import Target
from wopt.statistics import mean_and_error
from wopt.typed import Number, Typed
from wopt_measures import Draw, Rejection, log_mean_weight, sliced_energy_distance

_PILOTS = 1000
"""Least number of draws to which rejection is fitted."""


@dataclasses.dataclass(frozen=True)
class Corrected(Typed):
    """A sampler after steps of rejection and resampling.

    Attributes:
        steps: Number of steps, each of which rejects ``rate`` of the draws.
        rate: Fraction of the draws that a step rejects.
        proposals: Draws of the model that one accepted draw takes, on average.
        elbo, elbo_error: E[-V - log p_K], at most log Z but for the error of E alpha, with its
            standard error: that of the mean, and that of log Z by the draws of E alpha, which it
            tends to as p_K tends to the target.
        log_z_error: |ELBO - log Z|, where log Z is known.
        energy_distance: Energy distance to exact draws of the target, where there are any.
        mode_error: The largest error of a mode's weight, where they are known.
    """

    steps: int
    rate: float
    proposals: float
    draws: int
    elbo: Number
    elbo_error: Number
    log_z_error: float | None = None
    energy_distance: float | None = None
    mode_error: float | None = None


@dataclasses.dataclass(frozen=True)
class SamplerTruth(Typed):
    """Errors of a sampler where the truth is known; ``None`` for unknown ones.

    Attributes:
        log_z_error: |log Z by bridge sampling - log Z|.
        elbo_error: |ELBO - log Z|, also called the error of log Z without correction.
        energy_distance: Between draws of the model and exact ones, of ``draws`` each.
        energy_distance_weighted: To exact draws, after resampling by smoothed importance weights.
        energy_distance_exact: Between exact draws: that of a perfect sampler.
        mode_error: The largest error of a mode's weight, among the model's draws.
        mode_error_weighted: The largest error of a mode's weight, by smoothed importance weights.
        draws: Number of draws of each kind.
    """

    log_z: float | None
    log_z_error: float | None
    elbo_error: float | None
    energy_distance: float | None
    energy_distance_weighted: float | None
    energy_distance_exact: float | None
    mode_error: float | None
    mode_error_weighted: float | None
    draws: int


def known_log_z(target: Target) -> float | None:
    """Return log Z of a target, if it is known."""
    return 0.0 if Capability.NORMALISED in target.provides else target.log_z


@torch.no_grad()
def truth_of(
    target: Target,
    draws: Tensor,
    weights: Tensor,
    estimates: tuple[float, float],
    exact: tuple[Tensor, Tensor] | None,
    seed: int = 0,
) -> SamplerTruth | None:
    """Return the errors of a sampler; ``None`` where nothing is known of its target.

    Args:
        draws: Draws of the model, in the target's coordinates, shape ``(n, d)``, finite.
        weights: Importance weights of the draws, shape ``(n,)``, which sum to one.
        estimates: log Z by bridge sampling, and ELBO, nats.
        exact: Two samples of the target, shape ``(m, d)`` each, if it can be sampled.
    """
    log_z, modes = known_log_z(target), target.components(draws[:1])
    if log_z is None and exact is None and modes is None:
        return None
    by_weights, elbo = (None if log_z is None else abs(value - log_z) for value in estimates)
    distances: list[float | None] = [None, None, None]
    if exact is not None:
        rng = torch.Generator().manual_seed(seed)
        rows = torch.multinomial(weights, len(draws), replacement=True, generator=rng)
        others = draws, draws[rows], exact[1]
        distances = [sliced_energy_distance(x, exact[0], seed=seed) for x in others]
    model, weighted, perfect = distances
    return SamplerTruth(
        log_z,
        by_weights,
        elbo,
        energy_distance=model,
        energy_distance_weighted=weighted,
        energy_distance_exact=perfect,
        mode_error=mode_error(target, draws, None),
        mode_error_weighted=mode_error(target, draws, weights),
        draws=len(draws),
    )


def mode_error(target: Target, draws: Tensor, weights: Tensor | None) -> float | None:
    """Return the largest error of a mode's weight at draws ``(n, d)``, or ``None`` if unknown."""
    found = target.components(draws)
    if found is None:
        return None
    true, inside = found
    fraction = inside.double().mean(0) if weights is None else weights.double() @ inside.double()
    return float((fraction - true).abs().max())


@torch.no_grad()
def corrected(
    target: Target,
    draw: Draw,
    log_w: Tensor,
    exact: Tensor | None,
    steps: int,
    rate: float,
    rng: torch.Generator,
) -> Corrected | None:
    """Return the errors of a sampler after rejection; ``None`` with too few draws to fit it.

    Args:
        log_w: log w at independent draws, to which the steps are fitted, shape ``(n,)``; as many
            draws are made.
        exact: A sample of the target, shape ``(m, d)``, if it can be sampled.
    """
    if len(log_w) < _PILOTS or not bool(log_w.isfinite().any()):
        return None
    fit = Rejection.fitted(log_w, steps, rate)
    x, at = fit.sample(draw, len(log_w), rng)
    elbo, error = mean_and_error(at - fit.log_factor(at))
    log_z = known_log_z(target)
    return Corrected(
        steps,
        rate,
        fit.proposals,
        len(x),
        elbo,
        math.hypot(error, log_mean_weight(log_w.double())[1]),
        None if log_z is None else abs(elbo - log_z),
        None if exact is None else sliced_energy_distance(x, exact),
        mode_error(target, x, None),
    )


BLIND = (
    "ESS and k-hat are computed at the model's own draws: a mode where the model has no draw "
    "changes neither. The comparison with a reference sample sees it, where that sample does"
)
"""The limits of diagnostics at the model's draws, in words."""


@dataclasses.dataclass(frozen=True)
class LostMode(Typed):
    """A mode of the target near which the model has almost no draws.

    Attributes:
        location: Mean of the reference points there, in the target's coordinates.
        log_density: The largest -V among them, nats.
        fraction: Its fraction of the target's mass, by the reference sample.
        model_fraction: The fraction of the model's draws near it.
    """

    location: tuple[Number, ...]
    log_density: Number
    fraction: Annotated[Number, Field(validation_alias="share")]
    model_fraction: Annotated[Number, Field(validation_alias="model_share")]
    in_file: ClassVar = {"fraction": "share", "model_fraction": "model_share"}


@dataclasses.dataclass(frozen=True)
class ModeWeight(Typed):
    """The weight of a component of a target whose components are known.

    Attributes:
        model: The model's weight, the mean posterior probability of the component at its draws.
        weighted: The weight among the draws, with the weights that they carry.
    """

    target: Number
    model: Number
    model_error: Number
    weighted: Number = math.nan


@dataclasses.dataclass(frozen=True)
class SamplerReport(Typed):
    """Two sides of log Z, estimates of the target's moments, and whether to rely on them.

    Attributes:
        elbo, elbo_error: E_q[-V - log q], at most log Z, and its standard error.
        eubo, eubo_error: E_p[-V - log q], at least log Z; ``None`` without exact draws of p.
        log_z, log_z_error: log Z by bridge sampling, with its standard error: that of the delta
            method, the difference to the value by the reference sample, and ``missing_error``.
        ess: Effective sample size of the raw weights, (sum w)^2 / sum w^2.
        k_hat, k_hat_threshold: Pareto's shape of the weights, and its largest reliable value.
        reliable: Whether there is no warning.
        warnings: Warnings, in words; empty if reliable.
        means, means_error, sds, sds_error: Moments of the target by coordinate, with standard
            errors, by the draws with the weights that they carry.
        mode_weights: Weights of the modes of a target with known components.
        lost_modes: Modes of the reference sample without a draw; ``None`` without a comparison.
        missing, missing_error: Fraction of the target's mass where the model has almost no draw, by
            the reference sample, with its standard error; ``None`` without a comparison.
        ascents: Number of ascents by which the reference sample's modes were sought.
        truth: Errors, where log Z, exact draws or the modes' weights are known.
        corrected: The model after rejection and resampling, if that was requested.
        figures: The target's own figures: accuracy, errors against reference draws, ...

    Example:
        >>> found = SamplerReport(-0.5, None, 0.0, 0.02, 900.0, 0.2, 0.7, True, (), (0.0,), (0.1,),
        ...     (1.0,), (0.1,), None, (), 1000)
        >>> found.to_dict()["elbo"], found.text()
        (-0.5, 'log Z = 0 +- 0.02, ELBO -0.5 (at most log Z); ESS 900 of 1000, k-hat 0.2 (at most 0.7)')
    """  # noqa: E501

    elbo: Number
    eubo: float | None
    log_z: Number
    log_z_error: Number
    ess: Number
    k_hat: Number
    k_hat_threshold: Number
    reliable: bool
    warnings: Annotated[tuple[str, ...], Field(validation_alias="doubts")]
    means: tuple[Number, ...]
    means_error: tuple[Number, ...]
    sds: tuple[Number, ...]
    sds_error: tuple[Number, ...]
    mode_weights: tuple[ModeWeight, ...] | None
    lost_modes: tuple[LostMode, ...] | None
    draws: int
    elbo_error: Number = math.nan
    eubo_error: float | None = None
    missing: float | None = None
    missing_error: float | None = None
    ascents: int = 0
    truth: SamplerTruth | None = None
    corrected: Corrected | None = None
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    in_file: ClassVar = {"warnings": "doubts"}

    @property
    def k_hat_text(self) -> str:
        """k-hat in words; a file cannot hold infinity, which is read back as NaN."""
        return f"{self.k_hat:.2g}" if math.isfinite(self.k_hat) else "infinite"

    def _unseen(self) -> str:
        """Return which modes neither sample can have, by the rule of three (95 %), in words."""
        if not self.ascents:
            return ""
        return (
            f"; modes were sought by {self.ascents:,} ascents: one to which fewer than 1 in "
            f"{self.ascents // 3:,} lead may be missing"
        )

    def text(self) -> str:
        """Return one sentence with the numbers; warnings come first."""
        eubo = "" if self.eubo is None else f", EUBO {self.eubo:.3g} (at least log Z)"
        against = "at most" if self.k_hat <= self.k_hat_threshold else "above"
        numbers = (
            f"log Z = {self.log_z:.3g} +- {self.log_z_error:.2g}, ELBO {self.elbo:.3g} (at most "
            f"log Z){eubo}; ESS {self.ess:.0f} of {self.draws}, k-hat "
            f"{self.k_hat_text} ({against} {self.k_hat_threshold:.2g}){self._unseen()}"
        )
        if self.reliable:
            return numbers
        return f"not reliable: {'; '.join(self.warnings)}. {numbers}"
