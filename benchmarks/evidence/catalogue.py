"""Catalogues of evidence: which configurations are run, what is read of a run, what is published.

A catalogue, ``examples/evidence/GROUP.catalogue.toml``, is a group of rows: ::

    title = "Sampling"                     # of the section, with an optional text
    text = "Laws with an exact log Z."

    [[row]]
    problem = "8 modes"
    config = "sampling_eight_modes.toml"   # beside the catalogue
    set = ["source.dim=8"]                 # as `wopt run --set`, optional; {seed}: the run's seed
    seeds = [0, 1, 2, 3, 4]
    why = "Words, without a number that was measured."

    [[row.measure]]
    name = "log Z error"
    value = "result.json:log_z_error"      # a file of the run directory, a path of keys in it
    better = "lower"                       # or "higher"
    published = [{who = "...", value = 5.1e-6, note = "...", source = "arXiv ..., table ..."}]
    rivals = [{who = "...", value = "result.json:rival"}]    # measured by the same run, optional
    stored = [{who = "NSF", file = "planner.jsonl", where = {data = "rose"}, value = "nll"}]

``stored`` are rivals that another benchmark measured: the mean over the lines of its file that are
as ``where`` says. A number of a path is an index of a list, of a ``.jsonl`` file a line. A figure
of other data, or of another problem, has ``comparable = false``: it is shown, and not compared.
``panels = "problem"`` gives every problem a panel of its own in the picture of the group.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CONFIGS", "Group", "Job", "Measure", "Row", "groups", "jobs", "slug"]

CONFIGS = Path(__file__).parents[2] / "examples" / "evidence"
ENDING = ".catalogue.toml"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Published(_Table):
    """A figure that others printed."""

    who: str
    value: float
    note: str = ""
    source: str
    comparable: bool = True


class Rival(_Table):
    """A figure of another method that the same run measured."""

    who: str
    value: str = Field(pattern=r"^[^:]+:.+$")
    note: str = ""
    comparable: bool = True


class Stored(_Table):
    """A figure of another method that another benchmark of this repository stored."""

    who: str
    file: str
    where: dict[str, str | float | int] = {}
    value: str
    note: str = ""
    comparable: bool = True


class Measure(_Table):
    """What is read of a run."""

    name: str
    value: str = Field(pattern=r"^[^:]+:.+$")
    better: Literal["lower", "higher"]
    published: tuple[Published, ...] = ()
    rivals: tuple[Rival, ...] = ()
    stored: tuple[Stored, ...] = ()


class Row(_Table):
    """A problem, and the configuration that is to solve it."""

    problem: str
    config: str
    set: tuple[str, ...] = ()
    seeds: tuple[int, ...] = Field(min_length=1)
    measure: tuple[Measure, ...] = Field(min_length=1)
    why: str


class Group(_Table):
    """A catalogue."""

    name: str
    title: str = ""
    text: str = ""
    panels: Literal["measure", "problem"] = "measure"
    row: tuple[Row, ...] = ()


class Job(_Table):
    """One run: a row and a seed."""

    group: str
    row: Row
    seed: int
    digest: str

    @property
    def key(self) -> tuple[str, str, int]:
        """Which run of the page it is."""
        return self.group, self.row.problem, self.seed


def groups(folder: Path = CONFIGS) -> list[Group]:
    """Return the catalogues of a folder.

    Raises:
        ValueError: One has a wrong key, two rows of a problem, or names no configuration.
    """
    found = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        table = tomllib.loads(path.read_text())
        group = Group.model_validate({**table, "name": path.name.removesuffix(ENDING)})
        problems = [row.problem for row in group.row]
        if len(set(problems)) < len(problems):
            raise ValueError(f"{path}: two rows have the same problem")
        for row in group.row:
            if not (folder / row.config).exists():
                raise ValueError(f"{path}: {row.problem}: no configuration {row.config}")
        found.append(group)
    return found


def jobs(
    found: Sequence[Group],
    folder: Path = CONFIGS,
    *,
    names: Sequence[str] = (),
    problems: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> Iterator[Job]:
    """Yield the runs of catalogues: seed by seed, so that every problem has one run soon.

    Args:
        found: The catalogues.
        folder: Where their configurations are.
        names: Only these groups; all without any.
        problems: Only rows of these problems; a word that is none stands for those that have it.
        seeds: Only these seeds, of those that a row names.
    """
    whole = {row.problem.lower() for group in found for row in group.row}
    wanted = [word.lower() for word in problems]

    def chosen(problem: str) -> bool:
        named = problem in wanted or any(w in problem for w in wanted if w not in whole)
        return named or not wanted

    rows = [
        (group.name, row)
        for group in found
        for row in group.row
        if (not names or group.name in names) and chosen(row.problem.lower())
    ]
    for turn in range(max((len(row.seeds) for _, row in rows), default=0)):
        for name, row in rows:
            if turn < len(row.seeds) and (not seeds or row.seeds[turn] in seeds):
                digest = digest_of(row, folder)
                yield Job(group=name, row=row, seed=row.seeds[turn], digest=digest)


def digest_of(row: Row, folder: Path = CONFIGS) -> str:
    """Return a hash of what a row runs: a stored run with another one is of another problem.

    Comments and the words of a catalogue are no part of it.
    """
    config: dict[str, Any] = tomllib.loads((folder / row.config).read_text())
    text = json.dumps([config, row.set], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def slug(text: str) -> str:
    """Return a name for files: letters, numbers and dashes.

    Example:
        >>> slug("funnel, d = 10")
        'funnel-d-10'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
