"""The page of evidence: catalogues and stored runs to ``docs/evidence.md``."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterator, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Any

from catalogue import CONFIGS, Group, Measure, Row, digest_of, slug
from runner import FORMAT

__all__ = ["Beside", "Figures", "figures", "number", "page", "part"]

BENCHMARKS = Path(__file__).parents[1]
Line = dict[str, Any]

HEAD = Path(__file__).parent / "head.md"
"""The beginning of the page."""


@dataclasses.dataclass(frozen=True)
class Beside:
    """A figure beside wopt's.

    Attributes:
        who: Whose figure it is.
        value: The figure.
        note: What it was measured on.
        error: The standard error of wopt's mean less this; that of a rival which the same run
            measured is of differences by seed.
        comparable: Whether it is of the same problem and data.
    """

    who: str
    value: float
    note: str = ""
    error: float = 0.0
    comparable: bool = True

    def __str__(self) -> str:
        notes = [self.note] if self.note else []
        notes += [] if self.comparable else ["not comparable"]
        summary = f" ({'; '.join(notes)})" if notes else ""
        return f"{number(self.value)} {self.who}{summary}"


@dataclasses.dataclass(frozen=True)
class Figures:
    """The numbers of a row and a measure.

    Attributes:
        values: wopt's, by seed.
        others: Those beside them; published ones first.
    """

    values: tuple[float, ...]
    others: tuple[Beside, ...]


def error_of(values: Sequence[float]) -> float:
    """Return the standard error of a mean; 0 of one value."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def current(row: Row, lines: Sequence[Line], group: str, folder: Path = CONFIGS) -> list[Line]:
    """Return the stored runs of a row as it is now, by seed."""
    digest = digest_of(row, folder)
    found = {
        line["seed"]: line
        for line in lines
        if (line["group"], line["problem"], line["digest"]) == (group, row.problem, digest)
    }
    return [found[seed] for seed in row.seeds if seed in found]


def figures(measure: Measure, lines: Sequence[Line]) -> Figures:
    """Return the numbers of a measure: wopt's, the published ones, those of rivals."""
    done = [line for line in lines if line["status"] == "done"]
    mine = tuple(line["values"][measure.name] for line in done if measure.name in line["values"])
    own = error_of(mine)
    others = [Beside(o.who, o.value, o.note, own, o.comparable) for o in measure.published]
    for rival in measure.rivals:
        pair = measure.name, f"{measure.name}: {rival.who}"
        both = [line["values"] for line in done if line["values"].keys() >= set(pair)]
        found = [[values[name] for name in pair] for values in both]
        if found:
            mean, error = statistics.mean(o for _, o in found), error_of([v - o for v, o in found])
            others.append(Beside(rival.who, mean, rival.note, error, rival.comparable))
    for one in measure.stored:
        values = list(_stored(one.file, one.where, one.value))
        if values:
            mean = statistics.mean(values)
            others.append(Beside(one.who, mean, one.note, own, one.comparable))
    return Figures(mine, tuple(others))


def _stored(file: str, where: dict[str, Any], value: str) -> Iterator[float]:
    for text in (BENCHMARKS / file).read_text().splitlines():
        line = json.loads(text)
        if all(line.get(key) == wanted for key, wanted in where.items()) and value in line:
            yield line[value]


def number(value: float) -> str:
    """Return a number with three figures.

    Example:
        >>> number(0.000123456), number(2.4855), number(164.6957), number(0.0)
        ('1.23e-04', '2.49', '164.7', '0')
    """
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"


def tally(measure: Measure, found: Figures) -> tuple[int, int, int]:
    """Return than how many comparable figures wopt is better, level with, and worse."""
    others = [one for one in found.others if one.comparable] if found.values else []
    mean = statistics.mean(found.values or (0.0,))
    sign = 1 if measure.better == "lower" else -1
    gaps = [sign * (one.value - mean) for one in others]
    level = [abs(gap) <= 2 * one.error for gap, one in zip(gaps, others, strict=True)]
    won = sum(gap > 0 and not same for gap, same in zip(gaps, level, strict=True))
    return won, sum(level), len(gaps) - won - sum(level)


def verdict(measure: Measure, found: Figures) -> str:
    """Return whether wopt is better than the figures beside it, in a word or two."""
    if not found.values or not found.others:
        return ""
    won, level, lost = tally(measure, found)
    every = won + level + lost
    if not every:
        return "not comparable"
    if every in (won, lost, level):
        return {won: "yes", lost: "no", level: "level"}[every]
    parts = [f"than {won} of {every}"] if won else []
    return ", ".join([*parts, *([f"level with {level}"] if level else [])])


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "-"
    text = number(statistics.mean(values))
    return text if len(values) < 2 else f"{text} +- {statistics.stdev(values):.1g}"


def _lines(row: Row, lines: Sequence[Line]) -> Iterator[str]:
    """Yield the lines of a row's table: a measure that has figures beside it each."""
    done = [line for line in lines if line["status"] == "done"]
    seconds = [line["cpu_seconds"] for line in done]
    found = [(measure, figures(measure, lines)) for measure in row.measure]
    shown = [one for one in found if one[1].others] or found[:1]
    also = "; ".join(f"{m.name} {_mean(f.values)}" for m, f in found if (m, f) not in shown)
    for k, (measure, one) in enumerate(shown):
        sense = "" if measure.better == "lower" else ", higher is better"
        cells = [
            row.problem if not k else "", measure.name + sense, _mean(one.values),
            "; ".join(map(str, one.others)) or "-", verdict(measure, one),
            also if not k else "", "" if k else str(len(one.values)),
            f"{statistics.mean(seconds):.0f}" if seconds and not k else "",
        ]  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def _words(rows: Sequence[tuple[Row, Sequence[Line]]]) -> Iterator[str]:
    """Yield why rows are as they are, rows of one reason together, and what failed."""
    for why in dict.fromkeys(row.why for row, _ in rows):
        same = [(row, lines) for row, lines in rows if row.why == why]
        names = [row.problem for row, _ in same]
        common = commonprefix(names) if len(names) > 1 else ""  # noqa: RUF071 - of characters
        configs = ", ".join(f"`{name}`" for name in dict.fromkeys(row.config for row, _ in same))
        common = common.rpartition(",")[0]
        yield f"- **{common or ', '.join(names)}** ({configs}): {why.strip()}"
        for row, lines in same:
            yield from _missing(row, lines, row.problem + ", " if len(same) > 1 else "")


def _missing(row: Row, lines: Sequence[Line], name: str) -> Iterator[str]:
    for line in lines:
        if line["status"] != "done":
            why = line["why"].rstrip(".")
            seed = f"{name}seed {line['seed']}"
            yield f"  - {seed} **failed** after {line['cpu_seconds']:.0f} s: {why}."
    missing = [seed for seed in row.seeds if seed not in {line["seed"] for line in lines}]
    if missing:
        yield f"  - {name}not run yet: {'seeds' if len(missing) > 1 else 'seed'} " + ", ".join(
            map(str, missing)
        )


def part(group: Group, lines: Sequence[Line], folder: Path = CONFIGS) -> str:
    """Return what is made when pages are built: words, picture, table, reasons, sources."""
    by_row = [(row, current(row, lines, group.name, folder)) for row in group.row]
    parts = [group.text.strip()]
    if any(line["status"] == "done" for _, some in by_row for line in some):
        alt = f"{group.title or group.name}: every run of wopt beside published figures and rivals"
        parts.append(f"![{alt}](images/evidence-{slug(group.name)}.svg)")
    table = [
        "| problem | measure | wopt | published, and rivals | better | also | seeds | CPU s |",
        "|---|---|---|---|---|---|---|---|",
        *(text for row, some in by_row for text in _lines(row, some)),
    ]
    parts += ["\n".join([":::{container} evidence", *table, ":::"]), "\n".join(_words(by_row))]
    sources: dict[str, dict[str, None]] = {}
    for one in (one for row in group.row for measure in row.measure for one in measure.published):
        sources.setdefault(one.source, {})[one.who] = None
    if sources:
        reported = (f"{', '.join(names)}: {source}" for source, names in sources.items())
        parts.append("*Published: " + "; ".join(reported) + ".*")
    return "\n\n".join(parts) + "\n"


def section(group: Group) -> str:
    """Return the section of a group: a heading, and where its part comes in."""
    title = group.title or group.name.capitalize()
    return f"## {title}\n\n```{{include}} auto_evidence/field-{slug(group.name)}.inc\n```\n"


def summary(found: Sequence[Group], lines: Sequence[Line], folder: Path = CONFIGS) -> str:
    """Return a table: a line a group, with how many figures wopt is better than."""
    table = [
        "| group | problems | runs | figures of others | better | level | worse |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in found:
        by_row = [(row, current(row, lines, group.name, folder)) for row in group.row]
        counts = [tally(m, figures(m, some)) for row, some in by_row for m in row.measure]
        won, level, lost = (sum(some) for some in zip(*counts, strict=True))
        runs = sum(len(some) for _, some in by_row)
        cells = (group.title or group.name, len(by_row), runs, won + level + lost, won, level, lost)
        table.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(table) + "\n"


def page(found: Sequence[Group], lines: Sequence[Line], folder: Path = CONFIGS) -> str:
    """Return the page."""
    head = HEAD.read_text().format(
        format=FORMAT,
        machines="; ".join(sorted({line["machine"] for line in lines})) or "no machine yet",
        versions=", ".join(sorted({line["wopt"] for line in lines})) or "has not run yet",
        summary=summary(found, lines, folder),
    )
    return "\n".join([head, *map(section, found)])
