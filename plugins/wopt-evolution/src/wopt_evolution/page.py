"""What a report shows of evolutions: pictures in time, arrivals at populations."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from wopt_evolution.distances import Distances
from wopt_evolution.snapshots import LeftOut
from wopt_report import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    VERMILION,
    Chart,
    Picture,
    PlottedRun,
    Snapshot,
    limits,
    log_range,
    page,
)

_PANELS, _SHOWN = 3, 800
_CURVES = (
    ("sym_kl", "KL both ways, nats", BLUE),
    ("l1", "L1", VERMILION),
    ("w2_at_most", "W2 at most", GREEN),
    ("second_moment_error", "second moment, relative", ORANGE),
)


def evolution_pictures(run: PlottedRun) -> list[Picture]:
    """Draw the evolution of a run, and its distance from the exact one."""
    by_time = () if run.result is None else run.result.exact_by_time
    drawn = [evolution(run.snapshots), exactness(by_time)]
    return [picture for picture in drawn if picture is not None]


def evolution(snapshots: list[Snapshot]) -> Picture | None:
    """Draw particles at up to three times."""
    if not snapshots:
        return None
    chosen = _some(snapshots)
    known = any("exact" in s.arrays for s in snapshots)
    return Picture(
        "evolution",
        "The evolution in time" + (", beside the exact solution" if known else ""),
        "Held-out particles at some of the times that were asked for"
        + ("; grey is the exact law, and they should lie on it." if known else "."),
        f"Particles at times {', '.join(f'{s.time:g}' for s in chosen)}.",
        tuple(_drawn(at) for at in chosen),
    )


def exactness(by_time: tuple[Distances, ...]) -> Picture | None:
    """Draw the distances from the exact law over time.

    Args:
        by_time: Distances from ``result.json``; empty without an exact solution.
    """
    curves = [c for c in _CURVES if any(_value(d, c[0]) for d in by_time)]
    if len(by_time) < 2 or not curves:
        return None
    return Picture(
        "exactness",
        "Distance from the exact solution",
        "Estimates on held-out particles; a scheme of order two has a smaller error at the same "
        "step size, where the particles let it be seen.",
        f"Curves of distances over {len(by_time)} times, logarithmic scale.",
        (_distances(by_time, curves),),
    )


def _some(snapshots: list[Snapshot]) -> list[Snapshot]:
    if len(snapshots) <= _PANELS:
        return snapshots
    last = len(snapshots) - 1
    return [snapshots[round(k * last / (_PANELS - 1))] for k in range(_PANELS)]


def _drawn(at: Snapshot) -> Chart:
    title, x = f"t = {at.time:.4g}", at.arrays["points"]
    if x.shape[1] == 1:
        return _line(at, title)
    exact = at.arrays.get("exact")
    both = x[:_SHOWN, :2] if exact is None else np.concatenate([x[:_SHOWN, :2], exact[:_SHOWN, :2]])
    across, up = (limits(both[:, j]) for j in range(2))
    alike = 0.5 < (up[1] - up[0]) / (across[1] - across[0]) < 2
    chart = Chart(across, up, title=title, height=None if alike else 240.0)
    if exact is not None:
        chart.points(exact[:_SHOWN, 0], exact[:_SHOWN, 1], MUTED, "exact")
    chart.points(x[:_SHOWN, 0], x[:_SHOWN, 1], BLUE)
    return chart


def _line(at: Snapshot, title: str) -> Chart:
    """Return the density along a line, or a histogram where it is not known."""
    x = at.arrays["points"][:, 0]
    if "log_density" not in at.arrays:
        heights, edges = np.histogram(x, 40, weights=at.arrays.get("weights"), density=True)
        chart = Chart((edges[0], edges[-1]), (0.0, 1.1 * heights.max()), title=title)
        chart.bars(edges[:-1], edges[1:], heights, BLUE)
        return chart
    order = np.argsort(x)
    known = {
        k: np.exp(at.arrays[k]) for k in ("exact_log_density", "log_density") if k in at.arrays
    }
    top = 1.1 * max(float(values.max()) for values in known.values())
    chart = Chart(limits(x, 0.0), (0.0, top), title=title, labels=("x", "density"))
    if "exact_log_density" in known:
        chart.line(x[order], known["exact_log_density"][order], MUTED, "exact")
    every = order[:: max(1, len(order) // 60)]
    chart.points(x[every], known["log_density"][every], BLUE, size=5)
    return chart


def _distances(by_time: tuple[Distances, ...], curves: list[Any]) -> Chart:
    times = [d.time for d in by_time]
    values = {key: [_value(d, key) or np.nan for d in by_time] for key, *_ in curves}
    ends = log_range(np.concatenate(list(values.values())))
    chart = Chart((times[0], times[-1]), ends, labels=("time", ""), log=True)
    for key, label, colour in curves:
        chart.line(times, values[key], colour, label, marks=True)
    return chart


def _value(distances: Distances, key: str) -> float | None:
    value: float | None = getattr(distances, key)
    if value is None or not math.isfinite(value) or value == 0:
        return None
    return abs(value)


@dataclasses.dataclass(frozen=True)
class Guesses:
    """The guesses of a population that was left out.

    Attributes:
        cells: Number of rows that were compared.
        guesses: Name, W_1 and W_2 of each; the flow's first.
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


def populations_part(run: PlottedRun) -> PopulationsPart | None:
    """Return the section's content; ``None`` for a run without populations."""
    found = None if run.result is None else run.result.populations
    if found is None:
        return None
    arrivals = list(zip(found.times[1:], found.arrival_w2, strict=False))
    return PopulationsPart(arrivals, [_guesses(one) for one in found.left_out])


def evolution_section(run: PlottedRun) -> str | None:
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
