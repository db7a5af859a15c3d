"""The tracker ``mlflow``: runs in MLflow.

Names are imported when first used, so that finding the plugin costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_mlflow.tracker import MLflow as MLflow

__getattr__, __dir__ = exports(__name__, __file__)
