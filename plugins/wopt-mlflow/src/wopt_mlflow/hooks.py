"""Names what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wopt

if TYPE_CHECKING:
    from wopt.registry import Registry

WOPT_API = (1, 0)


@wopt.hookimpl
def wopt_register(registry: Registry) -> None:
    """Name the component."""
    registry.add(
        "tracker", "mlflow", "wopt_mlflow.tracker:MLflow", summary="runs of wopt in MLflow"
    )
