"""Joining the processes that ``torchrun`` started."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

import torch

from wopt.errors import TeamError, WoptError
from wopt.parallel.team import Team

T = TypeVar("T")

_POLL = 0.05


@contextlib.contextmanager
def launched(timeout: float, device: str = "cpu") -> Iterator[Team]:
    """Yield the team of this process, which is joined inside."""
    of = Team(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    if of.size == 1:
        yield of
        return
    backend = "gloo"
    if device.startswith("cuda"):
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    limit = datetime.timedelta(seconds=timeout)
    try:
        torch.distributed.init_process_group(
            backend, store=_store(of, limit), timeout=limit, rank=of.rank, world_size=of.size
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TeamError(
            f"process {of.rank} of {of.size} cannot join the others: {reason}"
        ) from None
    before = signal.signal(signal.SIGTERM, _told_to_end)
    try:
        yield of
    finally:
        signal.signal(signal.SIGTERM, before)
        torch.distributed.destroy_process_group()


def _store(of: Team, limit: datetime.timedelta) -> Any:
    """Return the store of the processes' addresses, of this attempt only."""
    # A single launcher (torchrun without --nnodes) keeps one store for all its restarts, with the
    # addresses of ended processes. Several launchers have a new store for each restart, and do not
    # count restarts alike.
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://", of.rank, of.size, timeout=limit))
    if int(os.environ.get("GROUP_WORLD_SIZE", "1")) > 1:
        return store
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"attempt {attempt}", store)


def _told_to_end(_: int, __: FrameType | None) -> None:
    raise TeamError(
        "ended by SIGTERM, which torchrun sends once another process has ended. Finished steps "
        "are kept: go on with `wopt resume DIRECTORY`, with any number of processes"
    )


def restarted() -> bool:
    """Whether ``torchrun --max-restarts`` restarted these processes after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def by_first(of: Team, action: Callable[[], T]) -> T | None:
    """Return the result of an action of the first process, such as writing; if it fails, end all.

    The other processes get ``None``.
    """
    made, failed = None, None
    if of.first:
        try:
            made = action()
        except WoptError as error:
            failed = error
    status = of.agreed(0 if failed is None else failed.exit_code)
    if failed is not None:
        raise failed
    if status:
        raise SystemExit(status)
    return made


def told_by_first(of: Team, key: str, make: Callable[[], str]) -> str:
    """Return a text that the first process makes, which may take any time.

    Other processes poll for it, so that signals reach them meanwhile.
    """
    if of.size == 1:
        return make()
    store = torch.distributed.distributed_c10d._get_default_store()
    if of.first:
        text = ""
        try:
            text = make()
        finally:
            store.set(f"wopt/{key}", "made " + text if text else "failed")
        return text
    while not store.check([f"wopt/{key}"]):
        time.sleep(_POLL)
    made: str = store.get(f"wopt/{key}").decode()
    if made == "failed":
        raise SystemExit(2)
    return made.removeprefix("made ")
