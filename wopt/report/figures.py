"""All pictures of a report, in the order of the page."""

from __future__ import annotations

from wopt.host import host
from wopt.report.curves import diagnostics, progress
from wopt.report.losses import losses
from wopt.report.motion import motion
from wopt.report.plane import density, scatter
from wopt.report.read import Run
from wopt.report.samples import images, pairs
from wopt.report.style import Picture, page_style

__all__ = ["pictures"]


def pictures(run: Run) -> list[Picture]:
    """Return the pictures that this run's files allow."""
    with page_style():
        # The tables show a single step; curves need several.
        several = len(run.steps) > 1
        rows_are_pictures = "real_images" in run.arrays or "generated_images" in run.arrays
        drawn = [
            *_of_plugins(run, first=True),
            images(run),
            density(run),
            # Single pixels as columns show nothing.
            None if rows_are_pictures else scatter(run) or pairs(run),
            progress(run) if several else None,
            motion(run, "paths"),
            motion(run, "backward"),
            diagnostics(run) if several else None,
            losses(run),
            *_of_plugins(run, first=False),
        ]
    return [picture for picture in drawn if picture is not None]


def _of_plugins(run: Run, *, first: bool) -> list[Picture]:
    """Return the pictures that plugins draw, before or after the core's own."""
    functions = host().registry.functions("pictures", first=first)
    return [picture for draw in functions for picture in draw(run)]
