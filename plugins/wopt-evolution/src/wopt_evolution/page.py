"""What a report shows of evolutions: pictures in time, arrivals at populations."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wopt.data import LeftOut
from wopt.report import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    VERMILION,
    WIDTH,
    Picture,
    Run,
    Snapshot,
    page,
    png,
    svg,
)
from wopt.store import Distances

__all__ = [
    "Guesses",
    "PopulationsPart",
    "evolution",
    "exactness",
    "pictures",
    "populations_part",
    "section",
]

_PANELS, _SHOWN = 3, 800
_CURVES = (
    ("sym_kl", "KL both ways, nats", BLUE, "o"),
    ("l1", "L1", VERMILION, "s"),
    ("w2_at_most", "W2 at most", GREEN, "D"),
    ("second_moment_error", "second moment, relative", ORANGE, "^"),
)


def pictures(run: Run) -> list[Picture]:
    """Draw the evolution of a run, and its distance from the exact one."""
    by_time = () if run.result is None else run.result.exact_by_time
    drawn = [evolution(run.snapshots), exactness(by_time)]
    return [picture for picture in drawn if picture is not None]


def evolution(snapshots: list[Snapshot]) -> Picture | None:
    """Draw particles at up to three times.

    Args:
        snapshots: Snapshots in the order of time.
    """
    if not snapshots:
        return None
    chosen = _some(snapshots)
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.subplots(1, len(chosen), squeeze=False)[0]
    for one, at in zip(axes, chosen, strict=True):
        _draw(one, at)
    known = any("exact" in s.arrays for s in snapshots)
    return Picture(
        "evolution",
        "The evolution in time" + (", beside the exact solution" if known else ""),
        "Held-out particles at some of the times that were asked for"
        + ("; grey is the exact law, and they should lie on it." if known else "."),
        f"Particles at times {', '.join(f'{s.time:g}' for s in chosen)}.",
        png(figure, [[[one] for one in axes]]),
    )


def exactness(by_time: tuple[Distances, ...]) -> Picture | None:
    """Draw the distances from the exact law over time.

    Args:
        by_time: Distances from ``result.json``; empty without an exact solution.
    """
    curves = [c for c in _CURVES if any(_value(d, c[0]) for d in by_time)]
    if len(by_time) < 2 or not curves:
        return None
    figure = Figure(figsize=(WIDTH, 3.4))
    _distances(figure.subplots(1, 1), by_time, curves)
    return Picture(
        "exactness",
        "Distance from the exact solution",
        "Estimates on held-out particles; a scheme of order two has a smaller error at the same "
        "step size, where the particles let it be seen.",
        f"Curves of distances over {len(by_time)} times, logarithmic scale.",
        svg(figure),
    )


def _some(snapshots: list[Snapshot]) -> list[Snapshot]:
    if len(snapshots) <= _PANELS:
        return snapshots
    last = len(snapshots) - 1
    return [snapshots[round(k * last / (_PANELS - 1))] for k in range(_PANELS)]


def _draw(axes: Axes, at: Snapshot) -> None:
    axes.set_title(f"t = {at.time:.4g}")
    x = at.arrays["points"]
    if x.shape[1] == 1 and "log_density" in at.arrays:
        _line(axes, at)
        return
    if x.shape[1] == 1:
        axes.hist(x[:, 0], bins=40, weights=at.arrays.get("weights"), density=True, color=BLUE)
        axes.set_xlabel("x", color=MUTED)
        return
    exact = at.arrays.get("exact")
    if exact is not None:
        axes.scatter(exact[:_SHOWN, 0], exact[:_SHOWN, 1], s=5, color="0.7", lw=0)
    axes.scatter(x[:_SHOWN, 0], x[:_SHOWN, 1], s=5, color=BLUE, lw=0)
    shown = (
        x[:_SHOWN, :2] if exact is None else np.concatenate([x[:_SHOWN, :2], exact[:_SHOWN, :2]])
    )
    width, height = np.ptp(shown, 0)
    axes.set_aspect("equal" if 0.5 < width / max(height, 1e-300) < 2 else "auto")
    axes.set_xlabel("coordinate 1", color=MUTED)
    axes.set_ylabel("coordinate 2", color=MUTED)


def _line(axes: Axes, at: Snapshot) -> None:
    x = at.arrays["points"][:, 0]
    order = np.argsort(x)
    if "exact_log_density" in at.arrays:
        exact = np.exp(at.arrays["exact_log_density"])
        axes.plot(x[order], exact[order], color="0.6", lw=2, zorder=2)
    every = order[:: max(1, len(order) // 60)]
    axes.plot(x[every], np.exp(at.arrays["log_density"][every]), ".", color=BLUE, zorder=3)
    axes.set_xlabel("x", color=MUTED)
    axes.set_ylabel("density", color=MUTED)


def _distances(axes: Axes, by_time: tuple[Distances, ...], curves: list[Any]) -> None:
    times = [d.time for d in by_time]
    for key, label, colour, marker in curves:
        values = [_value(d, key) or np.nan for d in by_time]
        axes.plot(times, values, color=colour, marker=marker, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("time", color=MUTED)
    axes.legend(loc="best")


def _value(distances: Distances, key: str) -> float | None:
    value: float | None = getattr(distances, key)
    if value is None or not math.isfinite(value) or value == 0:
        return None
    return abs(value)


@dataclasses.dataclass(frozen=True)
class Guesses:
    """The guesses of a population that was left out.

    Attributes:
        time: Time of the population.
        cells: Number of rows that were compared.
        guesses: Name, W_1 and W_2 of each; the flow's first.
        verdict: The nearest guess, in words.
    """

    time: float
    cells: int
    guesses: list[tuple[str, float, float]]
    verdict: str


@dataclasses.dataclass(frozen=True)
class PopulationsPart:
    """The section's content on a flow through populations.

    Attributes:
        arrivals: Time of each population, and W_2 between it and the rows carried to it.
        left_out: The guesses of each population that was left out.
    """

    arrivals: list[tuple[float, float]]
    left_out: list[Guesses]


def populations_part(run: Run) -> PopulationsPart | None:
    """Return the section's content; ``None`` for a run without populations."""
    found = None if run.result is None else run.result.populations
    if found is None:
        return None
    arrivals = list(zip(found.times[1:], found.arrival_w2, strict=False))
    return PopulationsPart(arrivals, [_guesses(one) for one in found.left_out])


def section(run: Run) -> str | None:
    """Return the section as HTML; ``None`` for a run that leads through no populations."""
    part = populations_part(run)
    if part is None:
        return None
    return page("populations.html", "wopt_evolution", populations=part)


def _guesses(one: LeftOut) -> Guesses:
    """Return the guesses of a population, with the nearest one in words."""
    named = [
        ("the flow", one.w1, one.w2),
        ("displacement interpolation, exact plan", one.displacement_w1, one.displacement_w2),
        ("the population before", one.before_w1, one.before_w2),
        ("the population after", one.after_w1, one.after_w2),
        ("(half of the rows themselves to the other half)", one.noise_w1, one.noise_w2),
    ]
    nearest = min(named[:-1], key=lambda guess: guess[1])[0]
    word = "The flow is" if nearest == "the flow" else f"Not the flow but {nearest} is"
    return Guesses(one.time, one.cells, named, f"{word} nearest by W1.")
