"""build: from a configuration and rows to the problem of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wopt.config.model import RunConfig, validate
from wopt.data.dataset import Dataset
from wopt.data.transform import AffineTransform
from wopt.interfaces.listener import SILENT, Listener
from wopt.particles import Particles
from wopt.runs.memory import Rows
from wopt.runs.planned import prepared_run
from wopt.runs.preparation import Prepared, from_particles, prepare
from wopt.runtime import ALONE, Runtime

__all__ = ["build"]

Table = Mapping[str, Any]


def build(
    config: RunConfig | Table,
    rows: Dataset | tuple[Particles, Particles] | None = None,
    *,
    transform: AffineTransform | None = None,
    where: str = "",
    listener: Listener = SILENT,
    runtime: Runtime = ALONE,
) -> Prepared:
    """Return the problem of a run: data, laws and parts, loaded, made and checked once.

    Args:
        config: The options; those of a table that are not given are planned if it has a ``plan``.
        rows: The data that the source would load, or training and held-out particles instead.
        transform: The preprocessing that was applied to particles, for the model's units.
        where: The file of the table, for messages.
        listener: Receives messages on planning.
        runtime: What computes the run; its precision is that of the options.

    Raises:
        UserError: The configuration, data or parts cannot be used.

    Example:
        >>> from wopt.train.steps import steps
        >>> problem = build({"source": {"name": "toy", "n_train": 200}, "block": "affine",
        ...     "solver": {"iterations": 20}, "stop": {"steps": 2}})
        >>> [state.step for state in steps(problem)]
        [1, 2]
    """
    if isinstance(rows, tuple):
        table = (
            config if isinstance(config, RunConfig) else {**config, "source": Rows(rows[0].points)}
        )
        return from_particles(_validated(table, where), *rows, transform, runtime)
    if rows is None and not isinstance(config, RunConfig):
        return prepared_run(config, where, listener, runtime)
    return prepare(_validated(config, where), rows, runtime=runtime)


def _validated(config: RunConfig | Table, where: str) -> RunConfig:
    return config if isinstance(config, RunConfig) else validate(dict(config), where)
