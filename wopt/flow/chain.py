"""The map of a flow, a chain of preprocessing and blocks, and its inverse."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from wopt.capabilities import Capability
from wopt.data.transform import AffineTransform
from wopt.flow.exact import exact_inverse
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.target import Support

__all__ = ["Chain", "Inverse"]


class Chain(nn.Module):
    """F = S o T_N o ... o T_1 o A: the preprocessing A, the blocks T_k, and the support map S.

    Args:
        blocks: Blocks T_1, ..., T_N.
        transform: Preprocessing A, computed in float64.
        support: Map S from R^d to the support of a constrained target; ``None`` for all of R^d.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> chain = Chain([AffineBlock(2)], AffineTransform.fit(torch.randn(9, 2), "none"))
        >>> y, log_det = chain(torch.ones(3, 2))
        >>> y.shape, log_det.tolist()
        (torch.Size([3, 2]), [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        blocks: Iterable[FlowBlock],
        transform: AffineTransform,
        support: Support | None = None,
    ) -> None:
        super().__init__()
        self.transform = transform
        self.support = support
        self.blocks = nn.ModuleList(blocks)

    @property
    def like(self) -> Tensor:
        """A tensor of any shape with the dtype and device of the blocks."""
        return next(self.blocks.parameters(), self.transform.shift)

    def forward(self, x: Tensor, *, audit: bool = False) -> tuple[Tensor, Tensor]:
        """Return F(x), shape ``(n, d)``, and log |det DF(x)|, ``(n,)``, nats.

        Args:
            x: Rows in the data's units, shape ``(n, d)``.
            audit: Use the blocks' finer, independent computation.
        """
        y = self.transform(x).to(self.like)
        total = torch.zeros_like(y[:, 0]) + self.transform.log_det.to(y)
        by_row = self.transform.row_log_det(x)
        if by_row is not None:
            total = total + by_row.to(total)
        for block in self.blocks:
            y, log_det = block.audit(y) if audit else block(y)  # type: ignore[operator]
            total = total + log_det
        if self.support is not None:
            y, log_det = self.support(y)
            total = total + log_det
        return y, total

    def inverse(self, y: Tensor, *, audit: bool = False) -> tuple[Tensor, Tensor]:
        """Return F^-1(y), shape ``(n, d)``, and log |det DF^-1(y)|, ``(n,)``, nats.

        Gradients reach the parameters by :meth:`FlowBlock.differentiable_inverse`. A point outside
        of the support has log-det minus infinity.

        Args:
            y: Points, shape ``(n, d)``.
            audit: Invert the audited map: where the blocks' inverses are inexact, x is corrected in
                float64; the log-det is NaN where no inverse was found. No gradients are computed.
        """
        x, outside = self._free(y)
        total = outside - self.transform.log_det.to(x)
        tracked = torch.is_grad_enabled() and (
            y.requires_grad or any(p.requires_grad for p in self.parameters())
        )
        like = x
        able = not tracked and x.device.type != "mps"  # which has no float64
        if audit and able and self.provides(Capability.LOG_DET | Capability.INVERSE):
            x, log_det = exact_inverse(list(self.blocks), x)  # type: ignore[arg-type]
            total = total + log_det
        else:
            for block in reversed(self.blocks):
                back = block.differentiable_inverse if tracked else block.inverse
                x, log_det = back(x)  # type: ignore[operator]
                total = total + log_det
        rows = self.transform.inverse(x)
        by_row = self.transform.row_log_det(rows)
        if by_row is None:
            return (rows if self.transform.coarse else rows.to(like)), total
        # Not rounded to the blocks' precision: integers and ends of supports are exact.
        return rows, total - by_row.to(total)

    def _free(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return free points, and the log-det of the map to them."""
        if self.support is None:
            x = y.to(self.like)
            return x, torch.zeros_like(x[:, 0])
        x, log_det = self.support.inverse(y)
        return x.to(self.like), log_det.to(self.like)

    def trajectory(self, x: Tensor) -> Tensor:
        """Return rows before and after each block, shape ``(N + 1, n, d)``.

        They are in the flow's coordinates, before the support map, as for
        :meth:`inverse_trajectory`.
        """
        positions = [self.transform(x).to(self.like)]
        for block in self.blocks:
            positions.append(block.move(positions[-1]))  # type: ignore[operator]
        return torch.stack(positions)

    def inverse_trajectory(self, y: Tensor) -> Tensor:
        """Return points before and after each inverted block, shape ``(N + 1, n, d)``."""
        positions = [y.to(self.like)]
        for block in reversed(self.blocks):
            positions.append(block.inverse(positions[-1])[0])  # type: ignore[operator]
        return torch.stack(positions)

    def provides(self, needed: Capability) -> bool:
        """Whether every block provides a capability."""
        return all(needed in block.provides for block in self.blocks)  # type: ignore[operator]


class Inverse(nn.Module):
    """The inverse of a chain, as a map.

    Args:
        of: The chain.
    """

    def __init__(self, of: Chain) -> None:
        super().__init__()
        self.of = of

    def forward(self, x: Tensor, *, audit: bool = False) -> tuple[Tensor, Tensor]:
        """Return the chain's inverse at ``x``, shape ``(n, d)``, and its log-det, ``(n,)``."""
        return self.of.inverse(x, audit=audit)

    def inverse(self, y: Tensor, *, audit: bool = False) -> tuple[Tensor, Tensor]:
        """Return the chain at ``y``, shape ``(n, d)``, and its log-det, ``(n,)``."""
        mapped: tuple[Tensor, Tensor] = self.of(y, audit=audit)
        return mapped
