"""Images of particles under maps, computed on a bounded number of rows at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock, audit_of
from wopt.mapped import IN_MEMORY, Memory
from wopt.parallel import SOLO, over_rows
from wopt.particles import Particles
from wopt.runtime import ALONE, Runtime
from wopt.sharded import ShardedParticles

ROWS = 8192
"""Rows mapped at a time, so that memory does not grow with the particles."""


@torch.no_grad()
def in_batches(
    function: Callable[..., Any],
    *inputs: Tensor,
    rows: int = ROWS,
    memory: Memory = IN_MEMORY,
) -> Any:
    """Return ``function(*inputs)``, shape ``(n, ...)`` or a tuple, computed on chunks of rows.

    Results for points in a mapped file (``torch.from_file``) are in files under ``TMPDIR``, if
    not in those of ``memory``.

    Args:
        function: The function of rows.
        inputs: All rows of its arguments, shapes ``(n, d)``, ``(n, k)``, ...
        rows: Largest number of rows of a chunk.
        memory: Where large results are.
    """
    n = len(inputs[0])
    if n <= rows:
        return function(*inputs)
    parts: list[Tensor] = []
    single = False
    for start in range(0, n, rows):
        at = slice(start, start + rows)
        output = function(*(t[at] for t in inputs))
        single = isinstance(output, Tensor)
        made = (output,) if single else tuple(output)
        parts = parts or [_room(part, inputs[0], memory) for part in made]
        for into, part in zip(parts, made, strict=True):
            into[at] = part
    return parts[0] if single else tuple(parts)


def _room(part: Tensor, x: Tensor, memory: Memory) -> Tensor:
    """Return an empty tensor for all rows."""
    shape = (len(x), *part.shape[1:])
    if x.device.type != "cpu":
        return part.new_empty(shape)
    size = len(x) * part[0].numel()
    if memory.is_large(size * part.element_size()):
        return memory.room(shape, part.dtype)
    if x.untyped_storage().filename is None:
        return part.new_empty(shape)
    with tempfile.NamedTemporaryFile() as file:  # unlinked, it lives as long as the tensor
        whole = torch.from_file(file.name, shared=True, size=size, dtype=part.dtype)
    return whole.view(shape)


def push(
    block: FlowBlock, particles: Particles, *, audit: bool = False, runtime: Runtime = ALONE
) -> Particles:
    """Return the particles' image under a block."""
    known = Capability.LOG_DET in block.provides
    function = (audit_of(block) if audit else block) if known else block.move
    team = SOLO if isinstance(particles, ShardedParticles) else runtime.team
    moved, *log_det = particles.through(
        lambda *inputs: in_batches(
            lambda *parts: over_rows(team, function, parts), *inputs, memory=runtime.memory
        )
    )
    return particles.moved(moved, log_det[0] if known else None)


def push_all(
    blocks: Iterable[FlowBlock], particles: Particles, *, audit: bool = False
) -> Particles:
    """Return the particles' image under blocks, one after the other."""
    for block in blocks:
        particles = push(block, particles, audit=audit)
    return particles


def there_and_back(
    blocks: Sequence[FlowBlock], particles: Particles, *, audit: bool = False
) -> Tensor:
    """Return S(F(x)) - x, shape ``(n, d)``, F the blocks and S their inverses in turn."""
    return invert(blocks, apply(blocks, particles, audit=audit)).points - particles.points


def inversion_error(blocks: Sequence[FlowBlock], particles: Particles) -> float | None:
    """Return the root mean square of S(F(x)) - x at particles; ``None`` without inverses."""
    if not invertible(blocks):
        return None
    return float(there_and_back(blocks, particles).square().sum(1).mean().sqrt())


def apply(blocks: Iterable[FlowBlock], particles: Particles, *, audit: bool = False) -> Particles:
    """Return the particles after the blocks, without log-det."""
    for block in blocks:
        if audit and Capability.LOG_DET in block.provides:
            points = in_batches(block.audit, *particles.inputs)[0]
        else:
            points = in_batches(block.move, *particles.inputs)
        particles = particles.moved(points, None)
    return particles


def invert(blocks: Sequence[FlowBlock], particles: Particles) -> Particles:
    """Return the particles before the blocks, without log-det."""
    for block in reversed(blocks):
        particles = particles.moved(in_batches(block.inverse, *particles.inputs)[0], None)
    return particles


def invertible(blocks: Iterable[FlowBlock]) -> bool:
    """Whether every block has an inverse."""
    return all(Capability.INVERSE in block.provides for block in blocks)
