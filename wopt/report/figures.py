"""All pictures of a report, in the order of the page."""

from __future__ import annotations

from wopt.report.certificate import certificate_picture
from wopt.report.curves import diagnostics, progress
from wopt.report.evolution import evolution, exactness
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
            evolution(run.snapshots),
            None if run.result is None else exactness(run.result.exact_by_time),
            images(run),
            density(run),
            # Single pixels as columns show nothing.
            None if rows_are_pictures else scatter(run) or pairs(run),
            progress(run) if several else None,
            motion(run, "paths"),
            motion(run, "backward"),
            diagnostics(run) if several else None,
            losses(run),
            certificate_picture(run) if several else None,
        ]
    return [picture for picture in drawn if picture is not None]
