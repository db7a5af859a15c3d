"""The page of a run: one self-contained HTML file."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from markupsafe import Markup

from wopt.files import write_text
from wopt.host import host
from wopt.report.advice import advice
from wopt.report.animation import animation
from wopt.report.cards import cards
from wopt.report.figures import pictures
from wopt.report.page import page
from wopt.report.read import Run, read_run
from wopt.report.tables import flat, settings, status, subtitle
from wopt.store.directory import RunDirectory

__all__ = ["render"]


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
