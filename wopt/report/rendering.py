"""The page of a run: one HTML file that needs nothing but itself, with all its pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from markupsafe import Markup

from wopt.files import write_text
from wopt.host import host
from wopt.report.animation import animation
from wopt.report.curves import diagnostics, losses, progress
from wopt.report.pages import page
from wopt.report.read import Run, read_run
from wopt.report.samples import columns, density, images, pairs
from wopt.report.style import Picture
from wopt.report.summary import advice, cards, status, subtitle
from wopt.report.verdict import verdict_of
from wopt.store.directory import RunDirectory

__all__ = ["pictures", "render"]


def pictures(run: Run) -> tuple[list[Picture], list[Picture]]:
    """Return the pictures that this run's files allow: of what it gives, and of how it came."""
    several = len(run.steps) > 1  # the tables show a single step; curves need several
    gives = [images(run), columns(run), pairs(run), density(run), *_of_plugins(run, first=True)]
    came = [
        progress(run) if several else None,
        diagnostics(run) if several else None,
        losses(run),
        *_of_plugins(run, first=False),
    ]
    return [one for one in gives if one is not None], [one for one in came if one is not None]


def _of_plugins(run: Run, *, first: bool) -> list[Picture]:
    """Return the pictures that plugins draw, before or after the core's own."""
    functions = host().registry.functions("pictures", first=first)
    return [picture for draw in functions for picture in draw(run)]


def _sections(run: Run, *, first: bool) -> list[Markup]:
    """Return the sections that plugins bring, before or after the core's own."""
    made = (section(run) for section in host().registry.functions("page", first=first))
    return [Markup(text) for text in made if text is not None]


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def render(directory: Path) -> Path:
    """Write ``report.html`` from the files of a run directory, and return its path.

    ``config.toml`` is needed. ``steps.jsonl``, ``result.json``, ``figures.safetensors`` and
    ``certificate.json`` are used where they exist, so an interrupted run has a report too.

    Raises:
        RunError: A file is damaged, or the page cannot be written.
    """
    run = read_run(directory)
    moving = animation(run)
    text = page(
        "template.html",
        run=run,
        status=status(run),
        subtitle=subtitle(run),
        cards=cards(run),
        pictures=pictures(run),
        verdict=verdict_of(run),
        advice=advice(run),
        sections_before=_sections(run, first=True),
        sections_after=_sections(run, first=False),
        animation=moving,
        animation_css=Markup(moving.css if moving else ""),
    )
    path = RunDirectory(directory).report
    write_text(path, text)
    return path
