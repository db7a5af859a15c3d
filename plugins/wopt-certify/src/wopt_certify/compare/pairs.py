"""Every run challenges every other, on test rows that are common to them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from wopt.config import validate
from wopt.data import Dataset
from wopt.errors import UserError, WoptError
from wopt.runs import check_data, load_run
from wopt.seeds import derive
from wopt.store import RunDirectory
from wopt_certify.gap import LowerSide
from wopt_certify.rival import against


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


class _Scored(NamedTuple):
    """Nats ``(n,)`` of a run at its first test rows, which source and seed determine."""

    split: str
    log_density: Tensor
    groups: Tensor | None


def pairwise_comparison(paths: Sequence[Path], names: Sequence[str]) -> PairwiseComparison:
    """Return lower bounds of KL(data | model) for each run, by the density of each other.

    For any density r,  KL(p | model) >= E_p[log r - log model]  on rows that neither was fitted
    to: the test rows of runs with the same source and seed. Each is scored once, by its audited
    maps, on the first 2000 rows at most.
    """
    data: dict[str, Dataset] = {}
    scored, reasons = dict[str, _Scored](), list[str]()
    for path, name in zip(paths, names, strict=True):
        try:
            scored[name] = _scored(path, data)
        except (WoptError, UserError) as error:
            reasons.append(f"the density of {name} challenges none: {error}")
    if len({one.split for one in scored.values()}) > 1:
        reasons.append(
            "Runs whose source or seed differs have other test rows, which the other may have been "
            "trained on: they are not compared"
        )
    level = 1 - (1 - _LEVEL) / max(len(paths) - 1, 1)
    sides = tuple(tuple(_side(scored, k, j, level) for j in names) for k in names)
    rows = max((len(one.log_density) for one in scored.values()), default=0)
    return PairwiseComparison(sides, tuple(reasons), rows, level)


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
    test, groups = data[split].test[:_ROWS], data[split].groups
    log_density = run.flow.log_prob(test, audit=True).double().cpu()
    return _Scored(split, log_density, None if groups is None else groups[2][:_ROWS])


def _side(scored: dict[str, _Scored], name: str, rival_name: str, level: float) -> LowerSide | None:
    model, rival = scored.get(name), scored.get(rival_name)
    if name == rival_name or model is None or rival is None or model.split != rival.split:
        return None
    nats = rival.log_density, model.log_density
    try:
        return against(*nats, level=level, groups=model.groups, name=rival_name)
    except WoptError:  # too few rows, or a density with NaN
        return None
