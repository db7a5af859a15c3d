"""A block whose rows are mapped by all processes together."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from wopt.errors import CapabilityError
from wopt.interfaces.block import FlowBlock
from wopt.parallel import over_rows, team

__all__ = ["spread"]


def spread(block: FlowBlock) -> FlowBlock:
    """Return a block of the same map whose rows are split among the team's processes.

    Each process maps its shards and receives all images, so that any function of these is the same
    on every process; the backward pass sums the gradients of the parameters, see
    :func:`wopt.parallel.over_rows`. Without a team the block itself is returned.

    An evaluation of n rows in d dimensions sends n (d + 1) numbers to every process, its gradient
    as many numbers as there are parameters.

    Args:
        block: A map T that maps each row independently of the others.
    """
    return block if team().shards == 1 else _Spread(block)


class _Spread(FlowBlock):
    """A block that splits the rows of each evaluation among processes."""

    def __init__(self, inner: FlowBlock) -> None:
        super().__init__()
        self.inner = inner
        self.provides = inner.provides

    def _rows(self, name: str, *inputs: Tensor) -> Any:
        inner, before = self.inner, _version(self.inner)
        method = inner if name == "forward" else getattr(inner, name)
        made = over_rows(method, inputs, list(inner.parameters()))
        if _version(inner) != before:
            raise CapabilityError(
                f"block {type(inner).__name__} cannot be shared by processes or shards: it changes "
                "its buffers while it maps rows, as batch normalisation does, so that its map "
                "depends on other rows; choose another block, or one process without run.shards"
            )
        return made

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and log |det DT|, ``(n,)``."""
        return self._rows("forward", x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inverse, shape ``(n, d)``, and its log |det|, ``(n,)``."""
        return self._rows("inverse", y)

    def differentiable_inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inverse, shape ``(n, d)``, and its log |det|, ``(n,)``."""
        return self._rows("differentiable_inverse", y)

    def move(self, x: Tensor) -> Tensor:
        """Return T(x), shape ``(n, d)``."""
        return self._rows("move", x)

    def forward_with_action(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, log |det DT|, ``(n,)``, and the action, ``(n,)``."""
        return self._rows("forward_with_action", x)

    def half_way(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points, shape ``(n, d)``, and log |det|, ``(n,)``, at half of the time."""
        return self._rows("half_way", x)

    def velocity(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the velocities at the start and at the end, each of shape ``(n, d)``."""
        return self._rows("velocity", x)

    def field(self, t: Tensor, x: Tensor) -> Tensor:
        """Return the velocity field, shape ``(n, d)``, at times ``t``."""
        return self._rows("field", t, x)

    def audit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and log |det DT|, ``(n,)``, at higher accuracy."""
        return self._rows("audit", x)


def _version(block: FlowBlock) -> int:
    """Return a number that grows when a buffer is changed in place."""
    return sum(buffer._version for buffer in block.buffers())
