"""Pages of evidence, made from the stored measurements when the documentation is built.

For each file of measurements its benchmark prints the table (``--table``) and a picture is drawn
here; both go to ``docs/auto_evidence``, which is not in git. So pages cannot differ from the data.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from wopt_evidence_cells import cells
from wopt_evidence_curves import likelihood
from wopt_evidence_pictures import laws, planner, several, tables
from wopt_evidence_tables import laws_by_model, of_likelihood, of_tables
from wopt_gallery import fresh, save_both, text_of

__all__ = ["EVIDENCE", "Evidence", "part", "table_of", "write", "write_groups"]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Row = dict[str, Any]

IMAGE = """```{{image}} /auto_evidence/{name}
:alt: {alt}
:class: {which}
```"""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One file of measurements.

    Attributes:
        name: Of the part of a page that is made.
        file: Below ``benchmarks``: a measurement a line, in JSON, or a document of ``rows``.
        command: What prints the table: a script there, with its arguments; none if none does.
        draw: Rows to a picture, if there is one.
        more: Rows to another table, or to the only one.
    """

    name: str
    file: str
    command: tuple[str, ...]
    draw: Callable[[Sequence[Row]], Figure] | None = None
    more: Callable[[Sequence[Row]], str] | None = None

    @property
    def path(self) -> Path:
        """Where the measurements are."""
        return BENCHMARKS / self.file


EVIDENCE = (
    Evidence(
        "laws",
        "certificates.jsonl",
        ("certificates.py", "certificates.jsonl"),
        laws,
        laws_by_model,
    ),
    Evidence("tables", "tables/measured.jsonl", (), tables, of_tables),
    Evidence("planner", "planner.jsonl", ("planner.py",), planner),
    Evidence("several", "several/results.jsonl", ("several/several.py",), several),
    *(
        Evidence(name, file, ("several/several.py", "--out", file), several)
        for name in ("light", "choosing", "arcs", "corrections")
        for file in (f"several/{name}.jsonl",)
    ),
    Evidence("cells", "cells.jsonl", ("cells.py",), cells),
    Evidence("maps", "optimal_maps.jsonl", ("optimal_maps.py",)),
    Evidence("sbibm", "sbibm_tasks.jsonl", ("sbibm_tasks.py",)),
    Evidence("gym", "gym_posteriors.jsonl", ("gym_posteriors.py",)),
    Evidence("nuts", "nuts.jsonl", ("nuts.py",)),
    Evidence("proximal", "proximal.jsonl", ("proximal.py",)),
    Evidence("likelihood", "likelihood/results.json", (), likelihood, of_likelihood),
)


def rows_of(path: Path) -> list[Row]:
    """Return the measurements of a file; none if there is no such file."""
    text = path.read_text() if path.exists() else ""
    if path.suffix == ".json":
        return list(json.loads(text)["rows"]) if text else []
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def table_of(evidence: Evidence) -> str:
    """Return what the benchmark prints of what is stored, as Markdown.

    Raises:
        RuntimeError: It fails.
    """
    if not evidence.command:
        return ""
    command = [sys.executable, *evidence.command, "--table"]
    paths = [str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        command, cwd=BENCHMARKS, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} fails: {done.stderr[-1000:]}")
    return done.stdout.strip().replace("nan%", "-")


def drawn(figure: Figure, path: Path) -> list[str]:
    """Save a figure for light and dark pages and return the Markdown of both."""
    alt = text_of(figure)
    pictures = save_both(figure, path.with_suffix(".png"))
    plt.close(figure)
    return [
        IMAGE.format(name=path.name, alt=alt, which=which)
        for path, which in zip(pictures, ("only-light", "only-dark"), strict=True)
    ]


def part(evidence: Evidence, rows: Sequence[Row], table: str, folder: Path) -> str:
    """Draw the picture into a folder and return the Markdown of picture and table."""
    if not rows:
        return "Nothing is stored yet.\n"
    fresh({}, None)
    shown = [] if evidence.draw is None else drawn(evidence.draw(rows), folder / evidence.name)
    tables = [table, "" if evidence.more is None else evidence.more(rows)]
    command = " ".join(["python", *evidence.command, "--table"])
    source = f"*{len(rows):,} runs of `benchmarks/{evidence.file}`"
    source += f"; there: `{command}`.*" if evidence.command else ".*"
    framed = [f":::{{container}} evidence\n{text}\n:::" for text in tables if text]
    return "\n\n".join([*shown, *framed, source]) + "\n"


def write(folder: Path) -> None:
    """Write every part, ``NAME.inc``, with its pictures, and those of ``evidence.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        tables = list(pool.map(table_of, EVIDENCE))
    for evidence, table in zip(EVIDENCE, tables, strict=True):
        text = part(evidence, rows_of(evidence.path), table, folder)
        (folder / f"{evidence.name}.inc").write_text(text)
    write_groups(folder)


def write_groups(folder: Path) -> None:
    """Write the parts of ``evidence.md``, ``field-GROUP.inc``."""
    sys.path[:0] = [str(BENCHMARKS / "evidence"), str(BENCHMARKS)]
    catalogue, page, runner = map(importlib.import_module, ("catalogue", "page", "runner"))
    for group in catalogue.groups():
        text = page.part(group, runner.read())
        (folder / f"field-{catalogue.slug(group.name)}.inc").write_text(text)


def setup(app: Any) -> dict[str, Any]:
    """Write the parts before Sphinx reads the pages that include them."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "auto_evidence"))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
