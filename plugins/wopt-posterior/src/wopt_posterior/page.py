"""The section of a report on a sampler: warnings first, then estimates of its target."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import wopt.report
from wopt.store import RunResult
from wopt_posterior.diagnostics import BLIND, ModeWeight, SamplerReport
from wopt_report import PlottedRun, column, page


@dataclasses.dataclass(frozen=True)
class Moment:
    """The moments of a coordinate of the target, by importance weights.

    Attributes:
        mean, mean_error, sd, sd_error: Mean and standard deviation with their standard errors.
    """

    name: str
    mean: float
    mean_error: float
    sd: float
    sd_error: float


@dataclasses.dataclass(frozen=True)
class SamplerPart:
    """The section's content on a sampler.

    Attributes:
        reliable: Whether there is no warning.
        numbers: log Z, its two sides, the effective size, k-hat: name, value, error, remark.
        lost: Lost modes: location, fraction of the target, fraction of the model.
        searched: Whether a reference sample was compared with the draws.
        truth: Errors, where something is known of the target: name, value, remark.
        blind: The limits of these diagnostics, in words.
    """

    reliable: bool
    warnings: Sequence[str]
    numbers: list[tuple[str, float | None, float | None, str]]
    moments: list[Moment]
    modes: Sequence[ModeWeight]
    lost: list[tuple[str, float, float]]
    searched: bool
    truth: list[tuple[str, float, str]]
    blind: str = BLIND


def sampler_part(run: PlottedRun) -> SamplerPart | None:
    """Return the section's content; ``None`` for a model that is not a sampler."""
    found = None if run.result is None else run.result.sampler
    if found is None:
        return None
    moments = zip(found.means, found.means_error, found.sds, found.sds_error, strict=True)
    return SamplerPart(
        reliable=found.reliable,
        warnings=found.warnings,
        numbers=_numbers(found),
        moments=[Moment(column(run, j), *values) for j, values in enumerate(moments)],
        modes=found.mode_weights or (),
        lost=[
            (_coordinates(m.location), m.fraction, m.model_fraction) for m in found.lost_modes or ()
        ],
        searched=found.lost_modes is not None,
        truth=[row for row in _truth(found) if math.isfinite(row[1])],
    )


def sampler_section(run: PlottedRun) -> str | None:
    """Return the section as HTML; ``None`` for a model that is not a sampler."""
    part = sampler_part(run)
    return None if part is None else page("sampler.html", "wopt_posterior", sampler=part)


def sampler_advice(run: wopt.report.Run) -> Iterator[str]:
    """Yield what to do next where the draws are not to be relied on."""
    found = None if run.result is None else run.result.sampler
    if found is not None and not found.reliable:
        more = (
            "start wider, so that no mode is out of reach"
            if found.lost_modes
            else "make more steps"
        )
        yield (
            f"Do not use means or log Z of this sampler yet: {more} or widen the block, and run "
            "again; chains of another method are the check where that does not help."
        )


def sampler_summary(result: RunResult) -> list[tuple[str, str]]:
    """Return whether draws can be relied on: a run that is done may have missed its target."""
    found = result.sampler
    if found is None:
        return []
    if found.reliable:
        return [("draws and weights", "nothing speaks against them")]
    more = f" (and {len(found.warnings) - 1} more)" if len(found.warnings) > 1 else ""
    return [("draws and weights", f"not reliable: {found.warnings[0]}{more}")]


def _numbers(found: SamplerReport) -> list[tuple[str, float | None, float | None, str]]:
    upper = "at least log Z, at exact draws of the target"
    if found.eubo is None:
        upper = "needs exact draws of the target, which are not available"
    trusted = f"of the weights' tail; trusted up to {found.k_hat_threshold:.2g}"
    return [
        ("log Z", found.log_z, found.log_z_error, "by bridge sampling, nats"),
        ("ELBO", found.elbo, None, "at most log Z, nats"),
        ("EUBO", found.eubo, None, upper),
        ("ESS", found.ess, None, f"of {found.draws:,} draws"),
        ("k-hat", found.k_hat, None, trusted),
        (
            "missing",
            found.missing,
            found.missing_error,
            "of the target's mass, by a reference sample",
        ),
    ]


def _truth(found: SamplerReport) -> list[tuple[str, float, str]]:
    """Return known errors, those after rejection, and the target's own figures."""
    rows: list[tuple[str, float | None, str]] = []
    if found.truth is not None:
        truth = found.truth
        perfect = truth.energy_distance_exact
        reference = "" if perfect is None else f"; that of exact draws is {perfect:.2g}"
        samples = f"{truth.draws:,} draws of either"
        rows += [
            ("log Z, error", truth.log_z_error, "by bridge sampling, nats"),
            ("log Z by ELBO, error", truth.elbo_error, "the model's draws alone, nats"),
            ("energy distance", truth.energy_distance, f"{samples}{reference}"),
            ("energy distance by weights", truth.energy_distance_weighted, "drawn again by them"),
            ("mode weights, largest error", truth.mode_error, "the model's draws"),
            ("mode weights by weights", truth.mode_error_weighted, "largest error"),
        ]
    if found.corrected is not None:
        reported = found.corrected
        how = f"after {reported.steps} steps of rejection, {reported.proposals:.2g} draws for one"
        rows += [
            ("rejection: ELBO", reported.elbo, how),
            ("rejection: log Z by ELBO, error", reported.log_z_error, how),
            ("rejection: energy distance", reported.energy_distance, how),
            ("rejection: mode weights", reported.mode_error, "largest error"),
        ]
    rows += [(name.replace("_", " "), value, "") for name, value in found.figures.items()]
    return [(name, value, remark) for name, value, remark in rows if value is not None]


def _coordinates(location: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.3g}" for value in location[:6])
    return f"({shown}{', ...' if len(location) > 6 else ''})"
