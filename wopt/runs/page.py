"""The report page of a solve from Python, as ``wopt run`` writes report.html."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from wopt.component import name_of
from wopt.errors import CapabilityError
from wopt.files import replacing, write_json, write_text
from wopt.interfaces.objective import is_truth
from wopt.report import collect, render
from wopt.seeds import derive
from wopt.store.directory import RunDirectory, write_tensors

if TYPE_CHECKING:
    from wopt.runs.solution import Solution

__all__ = ["write_page"]


def write_page(solution: Solution, path: Path, certificate: Any = None) -> Path:
    """Write a page of a solution's steps and pictures, see :meth:`Solution.report`."""
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
        page = render(run.path)
        with replacing(path) as temporary:
            shutil.copyfile(page, temporary)
    return path


def _names(solution: Solution) -> dict[str, object]:
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
