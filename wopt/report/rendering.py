"""The page of a run: one HTML file that needs nothing but itself, with all its pictures."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from markupsafe import Markup

from wopt.files import write_text
from wopt.host import host
from wopt.report.animation import animation
from wopt.report.curves import diagnostics, losses, progress
from wopt.report.motion import motion
from wopt.report.pages import page
from wopt.report.read import Run, read_run
from wopt.report.samples import density, images, pairs, scatter
from wopt.report.style import Picture, page_style
from wopt.report.summary import advice, cards, flat, settings, status, subtitle
from wopt.store.directory import RunDirectory

__all__ = ["pictures", "render"]


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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of numpy and matplotlib about columns without spread: 0/0, empty axes."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attempting to set identical")
        yield


def _sections(run: Run, *, first: bool) -> list[Markup]:
    """Return the sections that plugins bring, before or after the core's own."""
    made = (section(run) for section in host().registry.functions("page", first=first))
    return [Markup(text) for text in made if text is not None]


@_quiet()
def render(directory: Path) -> Path:
    """Write ``report.html`` from the files of a run directory, and return its path.

    ``config.toml`` is needed. ``steps.jsonl``, ``result.json``, ``figures.safetensors`` and
    ``certificate.json`` are used where they exist, so an interrupted run has a report too.

    Args:
        directory: The run directory.

    Raises:
        RunError: A file is damaged, or the page cannot be written.
    """
    run = read_run(directory)
    versions = (
        (None if run.result is None else run.result.versions) or run.config.get("versions") or {}
    )
    moving = animation(run)
    text = page(
        "template.html",
        run=run,
        status=status(run),
        subtitle=subtitle(run),
        cards=cards(run),
        pictures=pictures(run),
        settings=settings(run),
        versions=flat(versions) if isinstance(versions, dict) else [],
        advice=advice(run),
        sections_before=_sections(run, first=True),
        sections_after=_sections(run, first=False),
        animation=moving,
        animation_css=Markup(moving.css if moving else ""),
    )
    path = RunDirectory(directory).report
    write_text(path, text)
    return path
