"""Carrying particles through maps, a bounded number of rows at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock
from wopt.parallel import team
from wopt.parallel.draws import ShardDraws
from wopt.particles import Particles

__all__ = [
    "ROWS",
    "go",
    "in_batches",
    "inversion_error",
    "invertible",
    "push",
    "push_all",
    "there_and_back",
    "undo",
]

ROWS = 8192
"""Rows that go through a map at a time, so that memory does not grow with the particles."""


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Any], x: Tensor, rows: int = ROWS) -> Any:
    """Return ``function(x)``, a tensor or a tuple of them, computed on chunks of rows.

    A team computes together: each process its shards, and all receive all rows. Where ``x`` lies in
    a shared mapped file (``torch.from_file``), so do results of more than one chunk, in files
    without a name under ``TMPDIR`` that live as long as the tensors.
    """
    of, single = team(), False
    shared = of.shares(len(x))
    if len(x) <= rows and not shared:
        return function(x)
    bounds = of.bounds(len(x)) if shared else [slice(0, len(x))]

    def compute(begin: Callable[[int], None] = lambda _: None) -> tuple[Tensor, ...]:
        nonlocal single
        whole: tuple[Tensor, ...] = ()
        for shard in of.mine if shared else (0,):
            begin(shard)
            for at in _chunks(bounds[shard], rows):
                output = function(x[at])
                single = isinstance(output, Tensor)
                parts = (output,) if single else tuple(output)
                whole = whole or tuple(_room(part, x) for part in parts)
                for into, part in zip(whole, parts, strict=True):
                    into[at] = part
        return whole

    if not shared:
        whole = compute()
    else:
        with ShardDraws() as draws:
            whole = of.together(lambda: compute(draws.begin))
        for into in whole:
            of.fill(into)
    return whole[0] if single else whole


def _chunks(of: slice, rows: int) -> Iterator[slice]:
    """Yield chunks of a span of rows."""
    for start in range(of.start, of.stop, rows):
        yield slice(start, min(start + rows, of.stop))


def _room(part: Tensor, x: Tensor) -> Tensor:
    """Return an empty tensor for all rows, in a mapped file if ``x`` is in one."""
    shape = (len(x), *part.shape[1:])
    if x.device.type != "cpu" or x.untyped_storage().filename is None:
        return part.new_empty(shape)
    with tempfile.NamedTemporaryFile() as file:  # lives on, nameless, as long as the tensor
        size = len(x) * part[0].numel()
        return torch.from_file(file.name, shared=True, size=size, dtype=part.dtype).view(shape)


def push(block: FlowBlock, particles: Particles, *, audit: bool = False) -> Particles:
    """Return the particles' image under a block."""
    if Capability.LOG_DET not in block.provides:
        return particles.moved(in_batches(block.move, particles.points), None)
    return particles.moved(*in_batches(block.audit if audit else block, particles.points))


def push_all(
    blocks: Iterable[FlowBlock], particles: Particles, *, audit: bool = False
) -> Particles:
    """Return the particles' image under blocks, one after the other."""
    for block in blocks:
        particles = push(block, particles, audit=audit)
    return particles


def there_and_back(blocks: Sequence[FlowBlock], x: Tensor, *, audit: bool = False) -> Tensor:
    """Return S(F(x)) - x, F the blocks and S their inverses in turn, shape ``(n, d)``.

    Args:
        blocks: T_1, ..., T_N, which all provide INVERSE.
        x: Shape ``(n, d)``.
        audit: Go there by the blocks' finer computation, with which likelihoods are reported.
    """
    return undo(blocks, go(blocks, x, audit=audit)) - x


def inversion_error(blocks: Sequence[FlowBlock], x: Tensor) -> float | None:
    """Return the root mean square of S(F(x)) - x; ``None`` if a block has no inverse."""
    if not invertible(blocks):
        return None
    return float(there_and_back(blocks, x).square().sum(1).mean().sqrt())


def go(blocks: Iterable[FlowBlock], x: Tensor, *, audit: bool = False) -> Tensor:
    """Return where points are after the blocks."""
    for block in blocks:
        if audit and Capability.LOG_DET in block.provides:
            x = in_batches(block.audit, x)[0]
        else:
            x = in_batches(block.move, x)
    return x


def undo(blocks: Sequence[FlowBlock], y: Tensor) -> Tensor:
    """Return where points were before the blocks."""
    for block in reversed(blocks):
        y = in_batches(block.inverse, y)[0]
    return y


def invertible(blocks: Iterable[FlowBlock]) -> bool:
    """Whether every block has an inverse."""
    return all(Capability.INVERSE in block.provides for block in blocks)
