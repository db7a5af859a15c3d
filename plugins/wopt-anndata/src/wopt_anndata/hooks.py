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
    path = "wopt_anndata.source:AnnDataSource"
    registry.add("source", "anndata", path, summary="cells of an h5ad file in an embedding")
