"""What is known of a sampler, as one typed result."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

__all__ = ["BLIND", "LostMode", "ModeWeight", "SamplerReport"]

BLIND = (
    "ESS and k-hat are computed at the model's own draws: a mode where the model has no draw "
    "changes neither. EUBO sees it, where exact draws of the target are there, and so does log Z "
    "where it is known; otherwise only the search for lost modes, which can miss some"
)
"""What the diagnostics at the model's draws cannot see."""


@dataclasses.dataclass(frozen=True)
class LostMode:
    """A mode of the target that was found and where the model has almost no draws.

    Attributes:
        location: Where, in the target's coordinates.
        log_density: -V there.
        share: Its mass over that of all that was found, by Laplace's approximation: an estimate.
        model_share: The share of the model's draws near it.
    """

    location: tuple[float, ...]
    log_density: float
    share: float
    model_share: float


@dataclasses.dataclass(frozen=True)
class ModeWeight:
    """The weight of a component of a target whose components are known.

    Attributes:
        target: The true weight.
        model: The model's, the mean posterior probability of the component at its draws.
        model_error: Its standard error.
    """

    target: float
    model: float
    model_error: float


@dataclasses.dataclass(frozen=True)
class SamplerReport:
    """Two sides of log Z, and what can be said of the target by importance weights.

    Attributes:
        elbo, elbo_error: E_q[-V - log q], at most log Z, and its standard error.
        eubo, eubo_error: E_p[-V - log q], at least log Z; ``None`` without exact draws of p.
        log_z, log_z_error: By importance sampling, with its standard error: by the delta method,
            and what a standard error of k-hat makes of the tail.
        ess: Effective sample size of the raw weights, (sum w)^2 / sum w^2.
        k_hat, k_hat_threshold: Pareto's shape of the weights, and the largest that is trusted.
        reliable: Whether k-hat is below the threshold by more than its own standard error, and
            nothing else speaks against it.
        doubts: What does, in words; empty if reliable.
        means, means_error, sds, sds_error: Of the target, by smoothed importance weights.
        mode_weights: Of a target with known components.
        lost_modes: Suspected ones; empty if none was found, ``None`` if none was looked for.
        draws: S.

    Example:
        >>> found = SamplerReport(-0.5, 0.01, None, None, 0.0, 0.02, 900.0, 0.2, 0.7, True, (),
        ...     (0.0,), (0.1,), (1.0,), (0.1,), None, (), 1000)
        >>> found.to_dict()["elbo"], found.text()
        (-0.5, 'log Z = 0 +- 0.02, ELBO -0.5 (at most log Z); ESS 900 of 1000, k-hat 0.2 (at most 0.7)')
    """  # noqa: E501

    elbo: float
    elbo_error: float
    eubo: float | None
    eubo_error: float | None
    log_z: float
    log_z_error: float
    ess: float
    k_hat: float
    k_hat_threshold: float
    reliable: bool
    doubts: tuple[str, ...]
    means: tuple[float, ...]
    means_error: tuple[float, ...]
    sds: tuple[float, ...]
    sds_error: tuple[float, ...]
    mode_weights: tuple[ModeWeight, ...] | None
    lost_modes: tuple[LostMode, ...] | None
    draws: int

    def to_dict(self) -> dict[str, Any]:
        """Return what ``result.json`` holds under "sampler"; a number may be infinite."""
        keys = (
            "elbo", "eubo", "log_z", "log_z_error", "ess", "k_hat", "k_hat_threshold", "reliable",
            "draws", "means", "means_error", "sds", "sds_error",
        )  # fmt: skip
        document: dict[str, Any] = {key: getattr(self, key) for key in keys}
        document["doubts"] = list(self.doubts)
        for key in ("means", "means_error", "sds", "sds_error"):
            document[key] = list(document[key])
        for key in ("mode_weights", "lost_modes"):
            rows = getattr(self, key)
            document[key] = None if rows is None else [dataclasses.asdict(row) for row in rows]
        for row in document["lost_modes"] or []:
            row["location"] = list(row["location"])
        return document

    def text(self) -> str:
        """Return one sentence with the numbers; what speaks against them comes first."""
        eubo = "" if self.eubo is None else f", EUBO {self.eubo:.3g} (at least log Z)"
        against = "at most" if self.k_hat <= self.k_hat_threshold else "above"
        numbers = (
            f"log Z = {self.log_z:.3g} +- {self.log_z_error:.2g}, ELBO {self.elbo:.3g} (at most "
            f"log Z){eubo}; ESS {self.ess:.0f} of {self.draws}, k-hat "
            f"{_number(self.k_hat)} ({against} {self.k_hat_threshold:.2g})"
        )
        if self.reliable:
            return numbers
        return f"not reliable: {'; '.join(self.doubts)}. {numbers}"


def _number(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "infinite"
