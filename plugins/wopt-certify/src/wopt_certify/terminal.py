"""A certificate on the terminal: a table of steps, the headline, then details."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from wopt.reading import printable
from wopt_certify.results import Certificate, certificate_cells

__all__ = ["show"]


def show(certificate: Certificate, console: Console | None = None) -> None:
    """Print a certificate.

    Args:
        console: Console to print on; by default the terminal.
    """
    to = console or Console(highlight=False)
    to.print(_table(certificate))
    to.print(printable(certificate.statement.text), style="bold", markup=False)
    for one in certificate.gap.refuted:
        to.print(printable(f"refuted: {one.name} <= {one.value:.4g}, by {one.by}"), markup=False)
    for each in certificate.resolution:
        to.print(
            f"at resolution {each.sigma:g}: KL in [{_number(each.kl_low)}, "
            f"{_number(each.kl_high)}] (no assumption)",
            markup=False,
        )
    if certificate.two_sample is not None:
        to.print(printable(f"samples: {certificate.two_sample.text()}"), markup=False)
    if certificate.conditional is not None:
        to.print(printable(f"given the conditions: {certificate.conditional.text()}"), markup=False)
    if certificate.round_trip is not None:
        trips, noise = certificate.round_trip, certificate.round_trip.noise
        to.print(
            f"round trips (rms, estimates): data {_number(trips.data.value)}"
            + (f", noise {_number(noise.value)}" if noise else "")
        )
    if plan := certificate.final.steps_needed:
        to.print(printable(f"from here on: {plan.text} ({plan.label})"), markup=False)
    for note in certificate.notes:
        to.print(printable(note), style="dim", markup=False)


def _table(certificate: Certificate) -> Table:
    title = f"bounds of {certificate.of} from above, given the errors (eps) that were seen"
    table = Table(title=title, title_justify="left")
    table.add_column("step", justify="right")
    for name in ("known", "eps seen"):
        table.add_column(name, justify="right")
    for name in ("movement/h", "least bound"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True, min_width=11)
    table.add_column("paper's", justify="right")
    for step in certificate.steps:
        paper = step.bounds.gap.get("paper")
        of_paper = None if paper is None else paper.value
        table.add_row(str(step.step), *certificate_cells(step), _number(of_paper))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
