"""A block whose rows are mapped by all processes together."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from wopt.errors import CapabilityError
from wopt.interfaces.block import FlowBlock
from wopt.parallel import over_rows, team

__all__ = ["spread"]


def spread(block: FlowBlock) -> FlowBlock:
    """Return a block of the same map and parameters, whose rows the team's processes share.

    Each maps its shards and all receive all images, so that whatever is made of these, a mean over
    particles, over pairs or a sort, is the same on every process; and the backward pass sums the
    gradients of the parameters, see :func:`wopt.parallel.over_rows`. Without a team it is the block
    itself.

    An evaluation of B rows in d dimensions sends B (d + 1) numbers to every process, its gradient
    as many numbers as there are parameters.

    Args:
        block: T, of which every row of the image is a function of one row.
    """
    return block if team().shards == 1 else _Spread(block)


class _Spread(FlowBlock):
    """The maps of a block, each over rows."""

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
        return self._rows("forward", x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows("inverse", y)

    def differentiable_inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows("differentiable_inverse", y)

    def move(self, x: Tensor) -> Tensor:
        return self._rows("move", x)

    def forward_with_action(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self._rows("forward_with_action", x)

    def half_way(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows("half_way", x)

    def velocity(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows("velocity", x)

    def field(self, t: Tensor, x: Tensor) -> Tensor:
        return self._rows("field", t, x)

    def audit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows("audit", x)


def _version(block: FlowBlock) -> int:
    """Return a number that grows when a buffer is changed in place."""
    return sum(buffer._version for buffer in block.buffers())
