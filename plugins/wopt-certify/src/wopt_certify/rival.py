"""Rivals of a run: another run, a saved flow or a file of log-densities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.data.tables import READABLE, read_table
from wopt.errors import CapabilityError, DataError
from wopt.interfaces.block import FlowBlock
from wopt.runs.load import load
from wopt.runs.prepare import Prepared
from wopt_certify.challenge import against
from wopt_certify.lower import LowerSide

__all__ = ["rival_of"]


def rival_of(prepared: Prepared, blocks: Sequence[FlowBlock], path: Path) -> LowerSide:
    """Return a lower bound of KL(data | model), by a rival's log-densities at the test rows.

    Args:
        prepared: The run's data and parts.
        blocks: The run's maps.
        path: A run directory, a file that ``Flow.save`` wrote, or a table with one column: the
            rival's log-density at each test row, in the data's units and in the data's order.

    Raises:
        DataError: The rival does not score these rows.
        CapabilityError: The run is not a model of data with a density.
    """
    dataset, target = prepared.dataset, prepared.problem.objective.target
    known = target is not None and Capability.NORMALISED in target.provides
    if dataset is None or prepared.pushes or not known:
        raise CapabilityError(
            "a rival challenges models of data with a density, and this is not one: no test "
            "rows can be scored by both"
        )
    own = prepared.flow(blocks).log_prob(dataset.test, audit=True).double().cpu()
    groups = None if dataset.groups is None else dataset.groups[2]
    return against(_log_density(path, dataset.test), own, groups=groups, name=path.name)


def _log_density(path: Path, rows: Tensor) -> Tensor:
    if path.is_dir() or path.suffix.lower() not in READABLE:
        rival = load(path)
        if rival.dim != rows.shape[1]:
            raise DataError(
                f"{path}: a model of {rival.dim} columns, and the run's data have {rows.shape[1]}"
            )
        return rival.log_prob(rows, audit=True).double().cpu()
    table, names = read_table(path)
    if table.shape != (len(rows), 1):
        raise DataError(
            f"{path}: has shape {tuple(table.shape)} (columns {', '.join(names[:8])}); a rival's "
            f"log-densities are one column of {len(rows)} numbers, one for each test row"
        )
    return torch.from_numpy(table)[:, 0]
