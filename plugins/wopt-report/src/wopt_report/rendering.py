"""The page of a run: one HTML file that needs nothing but itself, with all its pictures."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from markupsafe import Markup

from wopt.component import name_of
from wopt.errors import CapabilityError
from wopt.files import replacing, write_json, write_text
from wopt.host import host
from wopt.interfaces import is_truth
from wopt.report import advice, verdict_of
from wopt.seeds import derive
from wopt.store import RunDirectory
from wopt.tensors import write_tensors
from wopt_report.animation import animation
from wopt_report.collection import collect
from wopt_report.curves import diagnostics, losses, progress
from wopt_report.pages import page
from wopt_report.run import PlottedRun, read_plotted_run
from wopt_report.samples import columns, density, images, pairs
from wopt_report.style import Picture
from wopt_report.summary import cards, status, subtitle


def pictures(run: PlottedRun) -> tuple[list[Picture], list[Picture]]:
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


def _of_plugins(run: PlottedRun, *, first: bool) -> list[Picture]:
    """Return the pictures that plugins draw, before or after the core's own."""
    functions = host().registry.functions("pictures", first=first)
    return [picture for draw in functions for picture in draw(run)]


def _sections(run: PlottedRun, *, first: bool) -> list[Markup]:
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
    run = read_plotted_run(directory)
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


def of_solution(solution: Any, path: Path, certificate: Any = None) -> Path:
    """Write a page of a solution's steps and pictures, see :meth:`wopt.Solution.report`."""
    prepared = solution.prepared
    data, config = prepared.dataset, prepared.config
    if data is None:
        raise CapabilityError(
            "a report shows rows of a source, and this solve began with particles; solve from a "
            "source, such as wopt.fit's rows"
        )
    seed = derive(config.seed, "figures")
    objective = prepared.problem.objective
    figures = collect(solution.flow, data, seed, objective.target, truth=is_truth(objective))
    # The page is made from a run directory, which is not kept.
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / (path.stem or "report"))
        run.path.mkdir()
        write_text(run.config, tomli_w.dumps(_names(solution)))
        run.write_steps(solution.history)
        run.write_result(solution.result.to_dict())
        write_tensors(run.figures, figures, {})
        if certificate is not None:
            write_json(run.certificate, certificate.to_dict())
        render(run.path)
        with replacing(path) as temporary:
            shutil.copyfile(run.report, temporary)
    return path


def _names(solution: Any) -> dict[str, object]:
    """Return the parts' names for the page, since rows in memory cannot be in a file."""
    prepared, problem = solution.prepared, solution.problem
    parts = {"objective": problem.objective, "scheme": problem.scheme}
    named: dict[str, object] = {key: {"name": name_of(part)} for key, part in parts.items()}
    blocks = solution.flow.blocks
    return named | {
        "source": {"name": type(prepared.config.source).__name__},
        "block": {"name": name_of(blocks[0]) if blocks else "none"},
        "seed": prepared.config.seed,
        "model": "push_forward" if prepared.pushes else "pull_back",
    }
