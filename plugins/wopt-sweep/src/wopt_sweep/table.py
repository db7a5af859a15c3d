"""The table of a sweep: one row per run, and summaries of the seeds of a setting."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

from wopt.typed import Number, Typed

__all__ = ["Summary", "SweepRun", "summaries"]


@dataclasses.dataclass(frozen=True)
class SweepRun(Typed):
    """One run of a sweep.

    Attributes:
        run: Name of the run's directory.
        setting: Texts ``K=V``, as for ``--set``.
        seed: Seed of the run.
        status: ``done``, ``failed`` (a step was finally rejected), ``pruned``, ``error``.
        reason: Why it ended.
        value: Value for comparison, less is better: the held-out NLL in nats after the last step,
            or the energy if there is no NLL. Test rows are not used.
        nll_test: NLL of the test rows, in nats, at the end of the run.
        steps: Number of steps made.
        cpu_seconds: CPU seconds of the run.
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
        """Whether the run has ended and need not be resumed."""
        return self.status != "stopped"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The runs of one setting.

    Attributes:
        setting: Texts ``K=V``, as for ``--set``.
        value: Mean over the seeds; infinite if a seed has no value, so that it is not the best.
        error: Standard error of that mean; ``None`` for one seed.
        rows: One row per seed.
    """

    setting: tuple[str, ...]
    value: float
    error: float | None
    rows: tuple[SweepRun, ...]


def summaries(rows: Iterable[SweepRun]) -> list[Summary]:
    """Return one summary per setting, the best first.

    Example:
        >>> rows = [SweepRun(str(k), ("a=1",), k, "done", "", 2.0 + 2 * k) for k in range(2)]
        >>> [(s.value, s.error) for s in summaries(rows)]
        [(3.0, 1.0)]
    """
    groups: dict[tuple[str, ...], list[SweepRun]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    return sorted((_summary(s, g) for s, g in groups.items()), key=lambda s: s.value)


def _summary(setting: tuple[str, ...], rows: Sequence[SweepRun]) -> Summary:
    values = [r.value for r in rows if r.value is not None and r.status == "done"]
    if len(values) < len(rows):
        return Summary(setting, math.inf, None, tuple(rows))
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Summary(setting, statistics.mean(values), error, tuple(rows))
