"""The run directory on disk: how a run's state is written and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.store.checkpoint import load_state as load_state
    from wopt.store.checkpoint import load_transform as load_transform
    from wopt.store.directory import RunDirectory as RunDirectory
    from wopt.store.documents import SPARE as SPARE
    from wopt.store.documents import damaged as damaged
    from wopt.store.documents import parsed as parsed
    from wopt.store.documents import read_document as read_document
    from wopt.store.documents import read_lines as read_lines
    from wopt.store.documents import write_lines as write_lines
    from wopt.store.result import GapKind as GapKind
    from wopt.store.result import Losses as Losses
    from wopt.store.result import RunResult as RunResult

__getattr__, __dir__ = exports(__name__, __file__)
