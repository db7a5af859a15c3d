"""The processes of a run: rank, share of the work, and agreement."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TypeVar, cast

import torch
from torch import Tensor

from wopt.errors import WoptError
from wopt.parallel import collective

T = TypeVar("T")

_FEW = 16
"""Rows a process below which every process computes all of them, as sending costs more."""


_SAME = 2.0
"""Seconds within which a second signal counts as the first, passed on by the launcher."""


class Interrupt:
    """The Ctrl-C of one process, until all processes raise it.

    Attributes:
        noted: Whether this process was interrupted and has not raised yet.
    """

    noted = False

    def heed(self, anyone: bool) -> None:
        """Raise if any process was interrupted; ``anyone`` has to be agreed on by all."""
        if anyone:
            self.noted = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note the first Ctrl-C inside, for all processes; a later one interrupts at once."""
        first: float | None = None

        def note(_: int, __: FrameType | None) -> None:
            nonlocal first
            now = time.monotonic()
            if first is not None and now - first > _SAME:
                raise KeyboardInterrupt
            if first is None:
                first, self.noted = now, True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self.noted = False


@dataclasses.dataclass(frozen=True)
class Team:
    """The processes of one run, each with the same particles and a share of the work on them.

    Rows are cut into as many contiguous *shards* as there are processes, and each process computes
    one. The same number of processes gives the same bits; another agrees to rounding. Every method
    but the properties is collective: all processes call it, in the same order.

    Attributes:
        rank: Index of this process: 0, 1, ...
        size: Number of processes.
        interrupt: The Ctrl-C of this process.

    Example:
        >>> Team(size=4).bounds(10)
        [slice(0, 2, None), slice(2, 5, None), slice(5, 7, None), slice(7, 10, None)]
        >>> Team(rank=1, size=4).span(10)
        slice(2, 5, None)
    """

    rank: int = 0
    size: int = 1
    interrupt: Interrupt = dataclasses.field(default_factory=Interrupt, compare=False, repr=False)

    def __deepcopy__(self, memo: dict[int, object]) -> Team:
        return self  # who has processes keeps them, however often blocks are copied

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def shares(self, n: int) -> bool:
        """Whether work on ``n`` rows is divided, instead of done by every process."""
        return self.size > 1 and n >= _FEW * self.size

    def bounds(self, n: int) -> list[slice]:
        """Return the ranges of rows of all processes."""
        ends = [n * k // self.size for k in range(self.size + 1)]
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    def span(self, n: int) -> slice:
        """Return the range of rows of this process."""
        return self.bounds(n)[self.rank]

    def sum(self, own: Tensor) -> Tensor:
        """Return the sum over all processes of vectors, shape ``(p,)``, in one message."""
        if self.size == 1:
            return own
        flat = torch.cat([own, own.new_tensor([float(self.interrupt.noted)])])
        flat = collective.all_reduce(flat)
        self.interrupt.heed(bool(flat[-1] > 0))
        return flat[:-1]

    def gather(self, own: Tensor, n: int) -> Tensor:
        """Return rows of all processes, shape ``(n, ...)``, given those of this process's span."""
        if self.size == 1:
            return own
        whole = own.new_empty(n, *own.shape[1:])
        whole[self.span(n)] = own
        collective.exchange(whole, self.bounds(n), self.rank)
        return whole

    def agreed(self, value: T) -> T:
        """Return the first process's value, so that all decide alike."""
        return value if self.size == 1 else cast(T, collective.of_first(value))

    def same(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's tensors, of any shape, in place."""
        if self.size > 1:
            for tensor in tensors:
                collective.broadcast(tensor)

    def noting(self) -> contextlib.AbstractContextManager[None]:
        """Note Ctrl-C inside, so that all processes raise it; a single one raises at once."""
        return self.interrupt.noting() if self.size > 1 else contextlib.nullcontext()

    def together(self, compute: Callable[[], T]) -> T:
        """Return what this process computes, without messages; if any fails, all raise."""
        if self.size == 1:
            return compute()
        failed, made = None, None
        try:
            made = compute()
        except WoptError as error:
            failed = error
        flags = torch.tensor([float(self.interrupt.noted), float(failed is not None)])
        flags = collective.all_reduce(flags)
        self.interrupt.heed(bool(flags[0] > 0))
        if flags[1] > 0:
            raise next(e for e in collective.of_each(failed, self.size) if e is not None)
        return cast(T, made)


SOLO = Team()
"""A single process."""
