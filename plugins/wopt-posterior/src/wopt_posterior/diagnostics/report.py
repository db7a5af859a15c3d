"""The measurements of a sampler, as one typed result."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from pydantic import Field

from wopt.typed import Number, Typed
from wopt_posterior.diagnostics.truth import Corrected, SamplerTruth

__all__ = ["BLIND", "LostMode", "ModeWeight", "SamplerReport"]

BLIND = (
    "ESS and k-hat are computed at the model's own draws: a mode where the model has no draw "
    "changes neither. EUBO sees it, where exact draws of the target are there, and so does log Z "
    "where it is known; otherwise only the search for lost modes, which can miss some"
)
"""The limits of diagnostics at the model's draws, in words."""


@dataclasses.dataclass(frozen=True)
class LostMode(Typed):
    """A mode of the target near which the model has almost no draws.

    Attributes:
        location: The mode in the target's coordinates.
        log_density: -V at the mode, nats.
        fraction: Its fraction of all mass that was found, by Laplace's approximation: an estimate.
        model_fraction: The fraction of the model's draws near it.
    """

    location: tuple[Number, ...]
    log_density: Number
    fraction: Annotated[Number, Field(validation_alias="share")]
    model_fraction: Annotated[Number, Field(validation_alias="model_share")]

    @classmethod
    def _key(cls, name: str) -> str:
        return {"fraction": "share", "model_fraction": "model_share"}.get(name, name)


@dataclasses.dataclass(frozen=True)
class ModeWeight(Typed):
    """The weight of a component of a target whose components are known.

    Attributes:
        target: The true weight.
        model: The model's weight, the mean posterior probability of the component at its draws.
        model_error: Its standard error.
        weighted: The weight by smoothed importance weights.
    """

    target: Number
    model: Number
    model_error: Number
    weighted: Number = math.nan


@dataclasses.dataclass(frozen=True)
class SamplerReport(Typed):
    """Two sides of log Z, and estimates of the target's moments by importance weights.

    Attributes:
        elbo, elbo_error: E_q[-V - log q], at most log Z, and its standard error.
        eubo, eubo_error: E_p[-V - log q], at least log Z; ``None`` without exact draws of p.
        log_z, log_z_error: log Z by importance sampling, with its standard error: that of the delta
            method, and the effect of a standard error of k-hat.
        ess: Effective sample size of the raw weights, (sum w)^2 / sum w^2.
        k_hat, k_hat_threshold: Pareto's shape of the weights, and its largest reliable value.
        reliable: Whether k-hat is below the threshold by more than its own standard error, and
            there is no other warning.
        warnings: Warnings, in words; empty if reliable.
        means, means_error, sds, sds_error: Moments of the target by coordinate, with standard
            errors, by smoothed importance weights.
        mode_weights: Weights of the modes of a target with known components.
        lost_modes: Suspected lost modes; empty if none was found, ``None`` without a search.
        draws: S, the number of draws.
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
    truth: SamplerTruth | None = None
    corrected: Corrected | None = None
    figures: dict[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def _key(cls, name: str) -> str:
        return {"warnings": "doubts"}.get(name, name)

    @property
    def k_hat_text(self) -> str:
        """k-hat in words; a file cannot hold infinity, which is read back as NaN."""
        return f"{self.k_hat:.2g}" if math.isfinite(self.k_hat) else "infinite"

    def text(self) -> str:
        """Return one sentence with the numbers; warnings come first."""
        eubo = "" if self.eubo is None else f", EUBO {self.eubo:.3g} (at least log Z)"
        against = "at most" if self.k_hat <= self.k_hat_threshold else "above"
        numbers = (
            f"log Z = {self.log_z:.3g} +- {self.log_z_error:.2g}, ELBO {self.elbo:.3g} (at most "
            f"log Z){eubo}; ESS {self.ess:.0f} of {self.draws}, k-hat "
            f"{self.k_hat_text} ({against} {self.k_hat_threshold:.2g})"
        )
        if self.reliable:
            return numbers
        return f"not reliable: {'; '.join(self.warnings)}. {numbers}"
