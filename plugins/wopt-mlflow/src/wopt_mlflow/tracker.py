"""The tracker ``mlflow``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

import wopt
from wopt.component import fields

_LONGEST = 500
"""Largest length of a parameter's value that every store accepts."""
_STATUS = {"done": "FINISHED", "stopped": "KILLED"}


@fields
class MLflow(wopt.Tracker):
    """Tracker that sends to MLflow options as parameters, steps as metrics, and the result.

    It does not touch MLflow's active run, so several runs of one process do not mix. A run that is
    resumed is a new run in MLflow, whose steps continue the count; both have the tag ``wopt.seed``
    and the same parameters.

    Example:
        >>> MLflow(experiment="cells").experiment
        'cells'
    """

    cites = ()

    uri: Annotated[
        str | None,
        Field(
            description="URI of the tracking server or store, such as http://127.0.0.1:5000 "
            "or sqlite:///mlflow.db; by default that for which MLflow is set up "
            "(MLFLOW_TRACKING_URI)"
        ),
    ] = None
    experiment: Annotated[
        str,
        Field(
            min_length=1,
            description="name of the experiment, which is created if there is none",
        ),
    ] = "wopt"
    run: Annotated[
        str | None, Field(description="name of the run; by default chosen by MLflow")
    ] = None
    tags: Annotated[dict[str, str] | None, Field(description="further tags of the run")] = None

    def __post_init__(self) -> None:
        self._client: Any = None
        self._id = ""
        self._step = 0

    def start(self, config: dict[str, Any]) -> None:
        """Create a run with the options as parameters.

        Raises:
            ConfigError: The store is a database or a file, and only ``mlflow-skinny`` is installed.
        """
        from mlflow.entities import Param  # takes seconds to import
        from mlflow.exceptions import MlflowException

        try:
            client = _client_of(self.uri)
            known = client.get_experiment_by_name(self.experiment)
        except MlflowException as error:
            if "unsupported URI" not in str(error):
                raise
            raise wopt.ConfigError(
                "MLflow's store is a file here, which needs all of MLflow: pip install mlflow; or "
                'name a server: uri = "http://127.0.0.1:5000" in [tracker] (MLFLOW_TRACKING_URI)'
            ) from None
        experiment = known.experiment_id if known else client.create_experiment(self.experiment)
        tags = {"wopt.seed": str(config.get("seed", 0)), **(self.tags or {})}
        self._id = client.create_run(experiment, tags=tags, run_name=self.run).info.run_id
        options = [Param(k, str(v)[:_LONGEST]) for k, v in _flat(config) if str(v)]
        for part in _parts(options, 100):
            client.log_batch(self._id, params=part)
        self._client = client  # only now, so that an unreachable server is not tried at each step

    def step(self, record: dict[str, Any]) -> None:
        """Send the numbers of a step."""
        self._step = int(record["step"])
        self._send("", record)

    def end(self, result: dict[str, Any]) -> None:
        """Send the numbers of the result, and end the run."""
        if self._client is None:
            return
        self._send("result/", result)
        self._client.set_tag(self._id, "wopt.reason", str(result.get("reason", ""))[:_LONGEST])
        self._client.set_terminated(self._id, _STATUS.get(result["status"], "FAILED"))

    def _send(self, prefix: str, table: dict[str, Any]) -> None:
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [
            Metric(prefix + name, float(value), now, self._step)
            for name, value in _flat(table, "/")
            if isinstance(value, (int, float)) and not isinstance(value, bool)
            if math.isfinite(value)
        ]
        for part in _parts(metrics, 1000):
            self._client.log_batch(self._id, metrics=part)


def _client_of(uri: str | None) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def _flat(table: dict[str, Any], joint: str = ".") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{name}{joint}{inner}", v) for inner, v in _flat(value, joint))
        else:
            yield name, value


def _parts(rows: list[Any], size: int) -> Iterator[list[Any]]:
    """Yield ``size`` rows at a time, the limit of a request."""
    for offset in range(0, len(rows), size):
        yield rows[offset : offset + size]
