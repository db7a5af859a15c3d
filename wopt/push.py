"""Images of particles under maps, computed on a bounded number of rows at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.interfaces.block import FlowBlock, audit_of
from wopt.mapped import is_large, room
from wopt.parallel import Team, team
from wopt.parallel.rows import ShardDraws
from wopt.particles import Particles
from wopt.sharded import ShardedParticles

__all__ = [
    "ROWS",
    "apply",
    "in_batches",
    "inversion_error",
    "invert",
    "invertible",
    "push",
    "push_all",
    "there_and_back",
]

ROWS = 8192
"""Rows mapped at a time, so that memory does not grow with the particles."""

_calls = 0


@torch.no_grad()
def in_batches(
    function: Callable[..., Any],
    *inputs: Tensor,
    rows: int = ROWS,
    cuts: Sequence[slice] | None = None,
) -> Any:
    """Return ``function(*inputs)``, shape ``(n, ...)`` or a tuple, computed on chunks of rows.

    In a team each process computes its shards, and all receive all rows. Results above the budget
    of :func:`wopt.mapped.memmap_scope` are in mapped files, which the processes of a team share.
    Without a budget, results for points in a mapped file (``torch.from_file``) are in files under
    ``TMPDIR``.

    Args:
        function: The function of rows.
        inputs: All rows of its arguments, shapes ``(n, d)``, ``(n, k)``, ...
        rows: Largest number of rows of a chunk.
        cuts: Parts of the rows that chunks must not straddle, as the bits of a product may depend
            on the rows that are multiplied together.
    """
    of, n = team(), len(inputs[0])
    if of.shares(n):
        return _shared(of, function, inputs, rows)
    if n <= rows and (cuts is None or len(cuts) == 1):
        return function(*inputs)
    whole = _Rows(inputs, "")
    for part in cuts or [slice(0, n)]:
        whole.compute(function, part, rows)
    return whole.all


def _shared(of: Team, function: Callable[..., Any], inputs: tuple[Tensor, ...], rows: int) -> Any:
    global _calls
    _calls += 1  # the same on every process, for common names of files
    whole, bounds = _Rows(inputs, f"shared-{_calls}"), of.bounds(len(inputs[0]))

    def compute() -> None:
        for shard in of.mine:
            draws.begin(shard)
            whole.compute(function, bounds[shard], rows)

    with ShardDraws() as draws:
        of.together(compute)
    for into, path in zip(whole.parts, whole.paths, strict=True):
        if path is None:
            of.fill(into)
        else:  # all processes have mapped it, with the rows of others
            path.unlink(missing_ok=True)
    return whole.all


class _Rows:
    """The results of all rows, allocated when the first chunk shows their shape."""

    def __init__(self, inputs: tuple[Tensor, ...], name: str) -> None:
        self.inputs, self.name, self.single = inputs, name, False
        self.parts: list[Tensor] = []
        self.paths: list[Path | None] = []

    @property
    def all(self) -> Any:
        """The function's results of all rows."""
        return self.parts[0] if self.single else tuple(self.parts)

    def compute(self, function: Callable[..., Any], span: slice, rows: int) -> None:
        """Fill a range of rows, shape ``(n, d)``, chunk by chunk."""
        for at in _chunks(span, rows):
            output = function(*(t[at] for t in self.inputs))
            self.single = isinstance(output, Tensor)
            made = (output,) if self.single else tuple(output)
            for part in made if not self.parts else ():
                name = f"{self.name}-{len(self.paths)}" if self.name else None
                whole, path = _room(part, self.inputs[0], name)
                self.parts.append(whole)
                self.paths.append(path)
            for into, part in zip(self.parts, made, strict=True):
                into[at] = part


def _chunks(of: slice, rows: int) -> Iterator[slice]:
    """Yield chunks of a range of rows."""
    for start in range(of.start, of.stop, rows):
        yield slice(start, min(start + rows, of.stop))


def _room(part: Tensor, x: Tensor, name: str | None) -> tuple[Tensor, Path | None]:
    """Return an empty tensor for all rows, and its file if other processes share it."""
    shape = (len(x), *part.shape[1:])
    if x.device.type != "cpu":
        return part.new_empty(shape), None
    if is_large(len(x) * part[0].numel() * part.element_size()):
        return room(shape, part.dtype, name=name)
    if x.untyped_storage().filename is None:
        return part.new_empty(shape), None
    with tempfile.NamedTemporaryFile() as file:  # unlinked, it lives as long as the tensor
        size = len(x) * part[0].numel()
        whole = torch.from_file(file.name, shared=True, size=size, dtype=part.dtype)
    return whole.view(shape), None


def push(block: FlowBlock, particles: Particles, *, audit: bool = False) -> Particles:
    """Return the particles' image under a block."""
    if isinstance(particles, ShardedParticles) and team().size > 1:
        return _pushed_where_held(block, particles, audit)
    if Capability.LOG_DET not in block.provides:
        return particles.moved(in_batches(block.move, *particles.inputs), None)
    return particles.moved(*in_batches(audit_of(block) if audit else block, *particles.inputs))


@torch.no_grad()
def _pushed_where_held(block: FlowBlock, particles: ShardedParticles, audit: bool) -> Particles:
    """Return the image of the rows of this process, without messages."""
    known = Capability.LOG_DET in block.provides
    function = (audit_of(block) if audit else block) if known else block.move
    made = particles.through(lambda *inputs: in_batches(function, *inputs))
    return particles.moved(made[0], made[1] if known else None)


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
    """Return S(F(x)) - x, shape ``(n, d)``, F the blocks and S their inverses in turn.

    Args:
        blocks: Blocks T_1, ..., T_N, which all provide INVERSE.
        particles: Particles at x.
        audit: Use the blocks' finer computation for F, as reported likelihoods do.
    """
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
