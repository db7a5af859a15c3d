"""The table of a sweep: a row a run, and what the seeds of a setting say together."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

from wopt.typed import Number, Typed

__all__ = ["Row", "Summary", "summaries"]


@dataclasses.dataclass(frozen=True)
class Row(Typed):
    """One run.

    Attributes:
        run: The name of its directory.
        setting: ``K=V`` texts.
        seed: Of the run.
        status: ``done``, ``failed`` (a step was rejected for good), ``pruned``, ``error``.
        reason: Why it ended.
        value: What is compared, less is better: the held-out NLL after the last step, or the
            energy there where there is no NLL. It is no test figure, so that these stay unseen.
        nll_test: On test rows, of the run's end.
        steps: Made.
        cpu_seconds: Of the run.
    """

    run: str
    setting: tuple[str, ...]
    seed: int
    status: str
    reason: str
    value: Number | None = None
    nll_test: float | None = None
    steps: int = 0
    cpu_seconds: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the run need not be made again."""
        return self.status != "stopped"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The runs of one setting.

    Attributes:
        setting: ``K=V`` texts.
        value: Mean over the seeds; infinite if a seed has none: a setting that fails is not best.
        error: Standard error of that mean; ``None`` for one seed.
        rows: A row a seed.
    """

    setting: tuple[str, ...]
    value: float
    error: float | None
    rows: tuple[Row, ...]


def summaries(rows: Iterable[Row]) -> list[Summary]:
    """Return a summary a setting, the best first.

    Example:
        >>> rows = [Row("0", ("a=1",), 0, "done", "", 2.0), Row("1", ("a=1",), 1, "done", "", 4.0)]
        >>> [(s.value, s.error) for s in summaries(rows)]
        [(3.0, 1.0)]
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    return sorted((_summary(s, g) for s, g in groups.items()), key=lambda s: s.value)


def _summary(setting: tuple[str, ...], rows: Sequence[Row]) -> Summary:
    values = [r.value for r in rows if r.value is not None and r.status == "done"]
    if len(values) < len(rows):
        return Summary(setting, math.inf, None, tuple(rows))
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Summary(setting, statistics.mean(values), error, tuple(rows))
