"""Blocks as they are trained: rows of all processes, compiled code, images that are kept."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import torch
from torch import Tensor

from wopt.errors import CapabilityError, ConfigError
from wopt.interfaces.block import FlowBlock
from wopt.memory import of_memory
from wopt.parallel import Team, over_rows
from wopt.push import in_batches


def spread(block: FlowBlock, team: Team) -> FlowBlock:
    """Return a block of the same map whose rows are split among a team's processes.

    Each process maps its own and receives all images, so that any function of these is the same
    on every process; the backward pass sums the gradients of the parameters, see
    :func:`wopt.parallel.over_rows`. For a single process it is the block itself.

    An evaluation of n rows in d dimensions sends n (d + 1) numbers to every process, its gradient
    as many numbers as there are parameters.

    Args:
        block: A map T that maps each row independently of the others.
        team: The processes.
    """
    return block if team.size == 1 else _Spread(block, team)


def _shared(name: str) -> Any:
    """Return a method of :class:`_Spread`, by which each process maps its own rows."""

    def method(self: _Spread, *inputs: Tensor) -> Any:
        """Return the results of all rows, each of shape ``(n, ...)``."""
        inner, before = self.inner, _version(self.inner)
        of_inner = inner if name == "forward" else getattr(inner, name)
        made = over_rows(self.team, of_inner, inputs, list(inner.parameters()))
        if _version(inner) != before:
            raise CapabilityError(
                f"block {type(inner).__name__} cannot be shared by processes: it changes "
                "its buffers while it maps rows, as batch normalisation does, so that its map "
                "depends on other rows; choose another block, or one process"
            )
        return made

    return method


class _Spread(FlowBlock):
    """A block that splits the rows of each evaluation among processes."""

    def __init__(self, inner: FlowBlock, team: Team) -> None:
        super().__init__()
        self.inner, self.team = inner, team
        self.provides = inner.provides
        self.precision = inner.precision

    forward = _shared("forward")
    inverse = _shared("inverse")
    differentiable_inverse = _shared("differentiable_inverse")
    move = _shared("move")
    audit = _shared("audit")
    forward_with_action = _shared("forward_with_action")
    half_way = _shared("half_way")
    velocity = _shared("velocity")
    field = _shared("field")


def _version(block: FlowBlock) -> int:
    """Return a number that grows when a buffer is changed in place."""
    return sum(buffer._version for buffer in block.buffers())


@contextlib.contextmanager
def compiled(block: FlowBlock, wanted: bool = True) -> Iterator[None]:
    """Let a block be trained by compiled code inside, if that is wanted."""
    if not wanted:
        yield
        return
    block.compile_training(_compiler)
    try:
        yield
    finally:
        block.compile_training(None)


@functools.cache
def _compiler(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function, compiled for each shape of its arguments when it is called."""
    made = torch.compile(function, dynamic=False, fullgraph=True)

    @functools.wraps(function)
    def call(*given: Any) -> Any:
        try:
            return made(*given)
        except RuntimeError as error:  # of the compiler, whose errors have no public class
            if of_memory(error):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"run.compile = true: torch.compile cannot make the maps of this run here "
                f"({reason[:160]}); leave it out"
            ) from None

    return call


class _Remembered:
    """A block with the audited images of the rows it has seen."""

    def __init__(self, block: FlowBlock, parts: bool) -> None:
        self._block, self._parts = block, parts
        self._seen: list[tuple[tuple[Tensor, ...], tuple[Tensor, Tensor]]] = []

    def audit(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cached or computed T(x), ``(n, d)``, and log |det DT(x)|, ``(n,)``."""
        n = len(inputs[0])
        for known, (y, log_det) in self._seen:
            fits = n <= len(known[0]) if self._parts else n == len(known[0])
            if fits and all(torch.equal(a[:n], b) for a, b in zip(known, inputs, strict=True)):
                return y[:n], log_det[:n]
        image: tuple[Tensor, Tensor] = in_batches(self._block.audit, *inputs)
        self._seen.append((inputs, image))
        return image

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        image: tuple[Tensor, Tensor] = self._block(*inputs)
        return image

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)


def remembering(blocks: Iterable[FlowBlock], *, parts: bool) -> list[FlowBlock]:
    """Return blocks that audit the same rows once.

    A grid that refines itself, and rounding, make an image depend a little on the rows beside it.
    Results that must not depend on earlier computations therefore need whole tensors.

    Args:
        blocks: T_1, ..., T_N.
        parts: Whether the first rows of a known tensor are taken from its image.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> (block,) = remembering([AffineBlock(2)], parts=True)
        >>> x = torch.randn(5, 2)
        >>> block.audit(x)[0].data_ptr() == block.audit(x[:3])[0].data_ptr()
        True
    """
    return [cast(FlowBlock, _Remembered(block, parts)) for block in blocks]
