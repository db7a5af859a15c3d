"""The section of a report on a sampler: what can be said of its target, doubts first."""

from __future__ import annotations

import dataclasses
from typing import Any

from wopt.certify.sampler import BLIND
from wopt.errors import RunError
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
    mean: float | None
    mean_error: float | None
    sd: float | None
    sd_error: float | None


@dataclasses.dataclass(frozen=True)
class SamplerPart:
    """What the page shows of a sampler.

    Attributes:
        reliable: Whether nothing speaks against it.
        doubts: What does.
        numbers: log Z, its two sides, the effective size, k-hat: name, value, error, remark.
        moments: Of each coordinate.
        modes: Weights of known components: target's, model's, its error.
        lost: Suspected lost modes: location, share of the target, share of the model.
        searched: Whether lost modes were looked for.
        blind: What these diagnostics cannot see.
    """

    reliable: bool
    doubts: list[str]
    numbers: list[tuple[str, float | None, float | None, str]]
    moments: list[Moment]
    modes: list[tuple[float, float, float]]
    lost: list[tuple[str, float, float]]
    searched: bool
    blind: str = BLIND


def sampler_part(run: Run) -> SamplerPart | None:
    """Return the section's content; ``None`` for a model that is no sampler.

    Raises:
        RunError: ``result.json`` has a sampler that is not as wopt writes it.
    """
    stored = None if run.result is None else run.result.sampler
    if not stored:
        return None
    try:
        return _part(run, stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"result.json of {run.name} is damaged: its `sampler` is not as wopt writes it "
            f"({error}); `wopt resume` makes it again"
        ) from None


def _part(run: Run, stored: dict[str, Any]) -> SamplerPart:
    moments = zip(
        stored["means"], stored["means_error"], stored["sds"], stored["sds_error"], strict=True
    )
    return SamplerPart(
        reliable=bool(stored["reliable"]),
        doubts=[str(one) for one in stored.get("doubts") or []],
        numbers=_numbers(stored),
        moments=[Moment(column(run, j), *values) for j, values in enumerate(moments)],
        modes=[
            (float(m["target"]), float(m["model"]), float(m["model_error"]))
            for m in stored["mode_weights"] or []
        ],
        lost=[
            (_coordinates(m["location"]), float(m["share"]), float(m["model_share"]))
            for m in stored["lost_modes"] or []
        ],
        searched=stored["lost_modes"] is not None,
    )


def _numbers(stored: dict[str, Any]) -> list[tuple[str, float | None, float | None, str]]:
    draws = stored.get("draws")
    upper = "at least log Z, at exact draws of the target"
    if stored["eubo"] is None:
        upper = "needs exact draws of the target, which it has not"
    return [
        ("log Z", stored["log_z"], stored["log_z_error"], "by importance sampling, nats"),
        ("ELBO", stored["elbo"], None, "at most log Z, nats"),
        ("EUBO", stored["eubo"], None, upper),
        ("ESS", stored["ess"], None, f"of {draws:,} draws" if draws else "effective draws"),
        (
            "k-hat",
            stored["k_hat"],
            None,
            f"of the weights' tail; trusted up to {stored['k_hat_threshold']:.2g}",
        ),
    ]


def _coordinates(location: list[float]) -> str:
    shown = ", ".join(f"{value:.3g}" for value in location[:6])
    return f"({shown}{', ...' if len(location) > 6 else ''})"
