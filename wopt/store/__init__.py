"""The run directory on disk: how a run's state is written and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.store.checkpoint import load_state
    from wopt.store.directory import RunDirectory
    from wopt.store.documents import SPARE, damaged, parsed, read_document, read_lines, write_lines
    from wopt.store.result import Distances, GapKind, RunResult

__all__ = [
    "SPARE",
    "Distances",
    "GapKind",
    "RunDirectory",
    "RunResult",
    "damaged",
    "load_state",
    "parsed",
    "read_document",
    "read_lines",
    "write_lines",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "Distances": "wopt.store.result",
        "GapKind": "wopt.store.result",
        "RunDirectory": "wopt.store.directory",
        "RunResult": "wopt.store.result",
        "SPARE": "wopt.store.documents",
        "damaged": "wopt.store.documents",
        "load_state": "wopt.store.checkpoint",
        "parsed": "wopt.store.documents",
        "read_document": "wopt.store.documents",
        "read_lines": "wopt.store.documents",
        "write_lines": "wopt.store.documents",
    },
)
