"""A certificate on the terminal: the headline, a row a step, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from wopt.certify.bounds import Entry
from wopt.certify.estimate import Estimate
from wopt.certify.results import Certificate

__all__ = ["show"]


def show(found: Certificate, console: Console | None = None) -> None:
    """Print a certificate.

    Args:
        found: The certificate.
        console: Where to.
    """
    to = console or Console(highlight=False)
    to.print(_table(found))
    to.print(found.statement.text, style="bold", markup=False)
    for one in found.gap.refuted:
        to.print(f"refuted: {one.name} <= {one.value:.4g}, by {one.by}", markup=False)
    for each in found.resolution:
        to.print(
            f"at resolution {each.sigma:g}: KL in [{_number(each.kl_low)}, "
            f"{_number(each.kl_high)}] (no assumption)",
            markup=False,
        )
    if found.two_sample is not None:
        to.print(f"samples: {found.two_sample.text()}", markup=False)
    if found.conditional is not None:
        to.print(f"given the conditions: {found.conditional.text()}", markup=False)
    if found.round_trip is not None:
        trips, noise = found.round_trip, found.round_trip.noise
        to.print(
            f"round trips (rms, estimates): data {_number(trips.data.value)}"
            + (f", noise {_number(noise.value)}" if noise else "")
        )
    if plan := found.final.steps_needed:
        to.print(f"from here on: {plan.text} ({plan.label})", markup=False)
    for note in found.notes:
        to.print(note, style="dim", markup=False)


def _table(found: Certificate) -> Table:
    title = f"bounds of {found.of} from above, given the errors (eps) that were seen"
    table = Table(title=title, title_justify="left")
    table.add_column("step", justify="right")
    for name in ("known", "eps seen"):
        table.add_column(name, justify="right")
    for name in ("movement/h", "least bound"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True, min_width=11)
    table.add_column("paper's", justify="right")
    for step in found.steps:
        name, best = _best(step.bounds.gap)
        paper = step.bounds.gap.get("paper")
        table.add_row(
            str(step.step),
            _interval(step.gap),
            _interval(step.residual),
            _number(step.movement.value / step.effective_step_size),
            _number(best),
            name,
            _number(None if paper is None else paper.value),
        )
    return table


def _best(entries: Mapping[str, Entry]) -> tuple[str, float | None]:
    values = {k: e.value for k, e in entries.items() if e.value is not None and e.stands}
    if not values:
        refuted = any(e.refuted for e in entries.values())
        return ("all refuted" if refuted else ""), None
    name = min(values, key=lambda k: values[k])
    return name, values[name]


def _interval(found: Estimate | None) -> str:
    if found is None:
        return "-"
    if found.impossible:
        return f"{_number(found.raw)} (false)"
    return f"{_number(found.value)} [{_number(found.low)}, {_number(found.high)}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
