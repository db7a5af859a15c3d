"""The section of a report on a sampler: what can be said of its target, doubts first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from wopt.certify.sampler import BLIND, ModeWeight, SamplerReport
from wopt.report.read import Run
from wopt.report.samples import column

__all__ = ["Moment", "SamplerPart", "sampler_part"]


@dataclasses.dataclass(frozen=True)
class Moment:
    """A coordinate of the target, by importance weights.

    Attributes:
        name: Of the coordinate.
        mean, mean_error, sd, sd_error: With their standard errors.
    """

    name: str
    mean: float
    mean_error: float
    sd: float
    sd_error: float


@dataclasses.dataclass(frozen=True)
class SamplerPart:
    """What the page shows of a sampler.

    Attributes:
        reliable: Whether nothing speaks against it.
        doubts: What does.
        numbers: log Z, its two sides, the effective size, k-hat: name, value, error, remark.
        moments: Of each coordinate.
        modes: Weights of known components.
        lost: Suspected lost modes: location, share of the target, share of the model.
        searched: Whether lost modes were looked for.
        blind: What these diagnostics cannot see.
    """

    reliable: bool
    doubts: Sequence[str]
    numbers: list[tuple[str, float | None, float | None, str]]
    moments: list[Moment]
    modes: Sequence[ModeWeight]
    lost: list[tuple[str, float, float]]
    searched: bool
    blind: str = BLIND


def sampler_part(run: Run) -> SamplerPart | None:
    """Return the section's content; ``None`` for a model that is no sampler."""
    found = None if run.result is None else run.result.sampler
    if found is None:
        return None
    moments = zip(found.means, found.means_error, found.sds, found.sds_error, strict=True)
    return SamplerPart(
        reliable=found.reliable,
        doubts=found.doubts,
        numbers=_numbers(found),
        moments=[Moment(column(run, j), *values) for j, values in enumerate(moments)],
        modes=found.mode_weights or (),
        lost=[(_coordinates(m.location), m.share, m.model_share) for m in found.lost_modes or ()],
        searched=found.lost_modes is not None,
    )


def _numbers(found: SamplerReport) -> list[tuple[str, float | None, float | None, str]]:
    upper = "at least log Z, at exact draws of the target"
    if found.eubo is None:
        upper = "needs exact draws of the target, which it has not"
    trusted = f"of the weights' tail; trusted up to {found.k_hat_threshold:.2g}"
    return [
        ("log Z", found.log_z, found.log_z_error, "by importance sampling, nats"),
        ("ELBO", found.elbo, None, "at most log Z, nats"),
        ("EUBO", found.eubo, None, upper),
        ("ESS", found.ess, None, f"of {found.draws:,} draws"),
        ("k-hat", found.k_hat, None, trusted),
    ]


def _coordinates(location: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.3g}" for value in location[:6])
    return f"({shown}{', ...' if len(location) > 6 else ''})"
