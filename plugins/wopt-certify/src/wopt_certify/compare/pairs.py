"""Every run challenges every other, on test rows that are common to them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wopt.config import validate
from wopt.data import Dataset
from wopt.errors import UserError, WoptError
from wopt.runs import check_data, load_run
from wopt.seeds import derive
from wopt.store import RunDirectory
from wopt_certify.challenge import against
from wopt_certify.gap import LowerSide

__all__ = ["PairwiseComparison", "pairwise_comparison"]


@dataclasses.dataclass(frozen=True)
class PairwiseComparison:
    """Every run against every other.

    Attributes:
        sides: For each run a list with the lower side of its KL(data | model) by each other run's
            density; ``None`` for itself and where the two cannot be compared.
        reasons: Why some were not compared, a sentence each.
        level: Confidence of each limit: 95 % for all rivals of a run together.
    """

    sides: tuple[tuple[LowerSide | None, ...], ...] = ()
    reasons: tuple[str, ...] = ()
    rows: int = 0
    level: float = 0.95

    @property
    def some(self) -> bool:
        """Whether any two runs were compared."""
        return any(side is not None for row in self.sides for side in row)

    def least(self, model: int) -> float | None:
        """Return the largest lower side of a run; ``None`` if it was not challenged."""
        if model >= len(self.sides):
            return None
        lows = [max(side.low, 0.0) for side in self.sides[model] if side is not None]
        return max(lows, default=None)


_ROWS = 2000
_LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class _Scored:
    """A run's log-densities at its first test rows.

    Attributes:
        split: Source and seed, which determine the test rows.
        log_density: Log-densities in nats, shape ``(n,)``.
    """

    split: str
    log_density: Tensor


def pairwise_comparison(paths: Sequence[Path], names: Sequence[str]) -> PairwiseComparison:
    """Return lower bounds of KL(data | model) for each run, by the density of each other.

    For any density r,  KL(p | model) >= E_p[log r - log model]  on rows that neither was fitted
    to: the test rows of runs with the same source and seed. Each is scored once, by its audited
    maps, on the first 2000 rows at most.
    """
    data: dict[str, Dataset] = {}
    scored, reasons = list[_Scored | None](), list[str]()
    for path, name in zip(paths, names, strict=True):
        try:
            scored.append(_scored(path, data))
        except (WoptError, UserError) as error:
            scored.append(None)
            reasons.append(f"the density of {name} challenges none: {error}")
    if len({one.split for one in scored if one is not None}) > 1:
        reasons.append(
            "Runs whose source or seed differs have other test rows, which the other may have been "
            "trained on: they are not compared"
        )
    level = 1 - (1 - _LEVEL) / max(len(paths) - 1, 1)
    sides = [
        tuple(
            None if k == j else _side(model, rival, data, names[j], level)
            for j, rival in enumerate(scored)
        )
        for k, model in enumerate(scored)
    ]
    rows = max((len(one.log_density) for one in scored if one is not None), default=0)
    return PairwiseComparison(tuple(sides), tuple(reasons), rows, level)


@torch.no_grad()
def _scored(path: Path, data: dict[str, Dataset]) -> _Scored:
    directory = RunDirectory(path)
    table = directory.read_config()
    split = json.dumps([table.get("source"), table.get("seed")], sort_keys=True, default=str)
    run = load_run(path)
    if run.config.model == "push_forward":
        raise UserError("it is a start pushed forward, not a model of data")
    if split not in data:
        config = validate(table, str(directory.config))
        data[split] = config.source.loaded(derive(config.seed, "source"))
    check_data(directory, run.config.source, data[split])
    rows = data[split].test[:_ROWS]
    return _Scored(split, run.flow.log_prob(rows, audit=True).double().cpu())


def _side(
    model: _Scored | None,
    rival: _Scored | None,
    data: dict[str, Dataset],
    name: str,
    level: float,
) -> LowerSide | None:
    if model is None or rival is None or model.split != rival.split:
        return None
    groups = data[model.split].groups
    try:
        return against(
            rival.log_density,
            model.log_density,
            level=level,
            groups=None if groups is None else groups[2][:_ROWS],
            name=name,
        )
    except WoptError:  # too few rows, or a density with NaN
        return None
