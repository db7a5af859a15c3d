"""The processes of a run: rank, share of the work, and agreement."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor

from wopt.errors import ConfigError, WoptError
from wopt.parallel import collective
from wopt.parallel.collective import numbers_in, with_numbers
from wopt.parallel.interrupt import Interrupt

__all__ = ["SOLO", "Team"]

T = TypeVar("T")

_FEW = 16
"""Rows a shard below which every process computes all of them, as sending costs more."""


@dataclasses.dataclass(frozen=True)
class Team:
    """The processes of one run, each with the same particles and a share of the work on them.

    Rows are cut into contiguous *shards*, and each process computes an equal number of them. Sums
    are made over shards in the order of a binary tree,

        ((s_0 + s_1) + (s_2 + s_3)) + ...,

    whose subtrees are the processes' own sums. For a fixed number of shards the bits therefore do
    not depend on the number of processes. Every method but the properties is collective: all
    processes call it, in the same order.

    Attributes:
        rank: Index of this process: 0, 1, ...
        size: Number of processes.
        fixed: Number of shards, a power of two, for any number of processes; ``None`` for one shard
            a process, whose sums agree to rounding.
        interrupt: The Ctrl-C of this process.

    Raises:
        ConfigError: The shards cannot be divided among the processes.

    Example:
        >>> Team(fixed=4).bounds(10)
        [slice(0, 2, None), slice(2, 5, None), slice(5, 7, None), slice(7, 10, None)]
        >>> Team(rank=1, size=2, fixed=4).mine
        range(2, 4)
    """

    rank: int = 0
    size: int = 1
    fixed: int | None = None
    interrupt: Interrupt = dataclasses.field(default_factory=Interrupt, compare=False, repr=False)

    def __post_init__(self) -> None:
        shards = self.fixed
        if shards is not None and (shards & (shards - 1) or shards % self.size):
            raise ConfigError(
                f"run.shards = {shards} cannot be shared by {self.size} processes to the same bits:"
                " it must be a power of two, and the number of processes one that divides it; "
                "start another number of processes, or leave it out (sums then agree to rounding)"
            )

    def __deepcopy__(self, memo: dict[int, object]) -> Team:
        return self  # who has processes keeps them, however often blocks are copied

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    @property
    def shards(self) -> int:
        """Number of shards of the rows; 1 if nothing is shared."""
        return self.fixed or self.size

    @property
    def mine(self) -> range:
        """The shards that this process computes."""
        own = self.shards // self.size
        return range(self.rank * own, (self.rank + 1) * own)

    def shares(self, n: int) -> bool:
        """Whether work on ``n`` rows is divided, instead of done by every process."""
        return self.shards > 1 and n >= _FEW * self.shards

    def bounds(self, n: int) -> list[slice]:
        """Return the ranges of rows of all shards."""
        ends = [n * k // self.shards for k in range(self.shards + 1)]
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    def span(self, n: int, rank: int | None = None) -> slice:
        """Return the range of rows of a process, by default of this one."""
        at, own = self.rank if rank is None else rank, self.shards // self.size
        return slice(n * at * own // self.shards, n * (at + 1) * own // self.shards)

    def sum(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the sum over all shards of vectors, shape ``(p,)``, given this process's own.

        It sends one message of p numbers to and from every process.

        Raises:
            KeyboardInterrupt: Any process was interrupted.
        """
        total = _tree(list(parts))
        if self.size == 1:
            return total
        flat = torch.cat([total, total.new_tensor([float(self.interrupt.noted)])])
        if self.fixed is None:
            flat = collective.all_reduce(flat)
        else:
            flat = _tree(collective.all_gather(flat, self.size))
        self.interrupt.heed(bool(flat[-1] > 0))
        return flat[:-1]

    def gather(self, own: Tensor, n: int) -> Tensor:
        """Return rows of all processes, shape ``(n, ...)``, given those of this process's span.

        Every process receives n rows.
        """
        if self.size == 1:
            return own
        whole = own.new_empty(n, *own.shape[1:])
        whole[self.span(n)] = own
        self.fill(whole)
        return whole

    def fill(self, whole: Tensor) -> None:
        """Fetch the rows of a tensor, shape ``(n, ...)``, that other processes have computed."""
        if self.size == 1:
            return
        spans = [self.span(len(whole), rank) for rank in range(self.size)]
        collective.exchange(whole, spans, self.rank)

    def agreed(self, value: T) -> T:
        """Return a value with the first process's numbers, so that all decide alike.

        On processors of one kind they are the same anyway.

        Args:
            value: A number, ``None``, or a value that holds them, see :func:`numbers_in`.
        """
        if self.size == 1:
            return value
        own = numbers_in(value)
        known = [0.0 if v is None else float(v) for v in own]
        flat = torch.tensor([known, [float(v is not None) for v in own]], dtype=torch.float64)
        collective.broadcast(flat)
        return with_numbers(value, (v if t else None for v, t in zip(*flat.tolist(), strict=True)))

    def same(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's tensors, of any shape, in place."""
        if self.size > 1:
            for tensor in tensors:
                collective.broadcast(tensor)

    def noting(self) -> contextlib.AbstractContextManager[None]:
        """Note Ctrl-C inside, so that all processes raise it; a single one raises at once."""
        return self.interrupt.noting() if self.size > 1 else contextlib.nullcontext()

    def together(self, compute: Callable[[], T]) -> T:
        """Return what this process computes for its share; if any process fails, all raise.

        Args:
            compute: A computation without messages.

        Raises:
            KeyboardInterrupt: Any process was interrupted.
            WoptError: The error of the first process that failed, on every process.
        """
        failed, made = None, None
        try:
            made = compute()
        except WoptError as error:
            failed = error
            if self.size == 1:
                raise
        if self.size > 1:
            flags = torch.tensor([float(self.interrupt.noted), float(failed is not None)])
            flags = collective.all_reduce(flags)
            self.interrupt.heed(bool(flags[0] > 0))
            if flags[1] > 0:
                collective.raise_first(failed, self.size)
        return cast(T, made)


SOLO = Team()
"""A single process."""


def _tree(parts: list[Tensor]) -> Tensor:
    """Return a sum in the order of a binary tree."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return _tree(parts[:half]) + _tree(parts[half:])
