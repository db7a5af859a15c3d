"""The map of a flow, a chain of preprocessing and blocks, and its inverse."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from wopt.bijection import Bijection, given
from wopt.capabilities import Capability
from wopt.data.transform import AffineTransform
from wopt.errors import DataError
from wopt.flow.exact import exact_inverse
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.target import Support


class Chain(Bijection):
    """F = T_N o ... o T_1: bijections, the first one first.

    Args:
        maps: Bijections T_1, ..., T_N; in a flow from data a frozen preprocessing, then blocks, and
            last the map to the support of a constrained target.
        transform: A first map, before the others.
        support: A last map, after the others.

    Example:
        >>> from wopt.testing import AffineBlock
        >>> chain = Chain([AffineTransform.fit(torch.randn(9, 2), "none"), AffineBlock(2)])
        >>> y, log_det = chain(torch.ones(3, 2))
        >>> y.shape, log_det.tolist()
        (torch.Size([3, 2]), [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        maps: Iterable[Bijection],
        transform: Bijection | None = None,
        support: Bijection | None = None,
    ) -> None:
        super().__init__()
        self.maps = nn.ModuleList(m for m in (transform, *maps, support) if m is not None)

    def __iter__(self) -> Iterator[Bijection]:
        return iter(self.maps)  # type: ignore[arg-type]

    @classmethod
    def from_units(cls, maps: Iterable[Bijection], dim: int | None) -> Chain:
        """Return the chain of maps, which begins with the identity if there is no preprocessing.

        Raises:
            DataError: There is none, and the dimension is not known.
        """
        chain = maps if isinstance(maps, Chain) else cls(maps)
        if chain.transform is not None:
            return chain
        if dim is None:
            raise DataError("a flow without preprocessing needs `names`, to know its dimension")
        return cls(chain, AffineTransform.fit(torch.zeros(1, dim), "none"))

    @property
    def blocks(self) -> list[FlowBlock]:
        """The maps that were trained."""
        return [m for m in self if isinstance(m, FlowBlock)]

    @property
    def transform(self) -> AffineTransform | None:
        """The preprocessing, if it is the first map."""
        return next((m for m in self.maps[:1] if isinstance(m, AffineTransform)), None)

    @property
    def support(self) -> Support | None:
        """The map to a support, if it is the last one."""
        return next((m for m in self.maps[-1:] if isinstance(m, Support)), None)

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """What all maps provide."""
        return functools.reduce(operator.and_, (m.provides for m in self), super().provides)

    @property
    def folds(self) -> bool:
        """Whether several points may have one inverse image, see :class:`FlowBlock`."""
        return any(block.folds for block in self.blocks)

    @property
    def like(self) -> Tensor:
        """A tensor of any shape with the dtype and device of the blocks."""
        own = (p for block in self.blocks for p in block.parameters())
        return next(own, next(self.buffers(), torch.empty(0)))

    def forward(
        self, x: Tensor, c: Tensor | None = None, *, audit: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return F(x; c), shape ``(n, d)``, and log |det D_x F|, ``(n,)``, nats.

        Args:
            x: Points, shape ``(n, d)``.
            c: Conditions, shape ``(n, k)``, in the flow's coordinates.
            audit: Use the blocks' finer, independent computation.
        """
        total, like = torch.zeros_like(x[:, 0]), self.like
        for m in self:
            if isinstance(m, FlowBlock):
                x, c = x.to(like), None if c is None else c.to(like)
            x, log_det = (m.audit if audit else m)(*given(x, c))
            total = total.to(x) + log_det.to(x)
        return x, total

    def audit(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return F(x; c), ``(n, d)``, and its log-det, ``(n,)``, by the blocks' audits."""
        return self(x, c, audit=True)

    def inverse(
        self, y: Tensor, c: Tensor | None = None, *, audit: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return F^-1(y; c), shape ``(n, d)``, and log |det D_y F^-1|, ``(n,)``, nats.

        Gradients reach the parameters by :meth:`Bijection.differentiable_inverse`. A point outside
        of the support has log-det minus infinity.

        Args:
            y: Points, shape ``(n, d)``.
            c: Conditions, shape ``(n, k)``, in the flow's coordinates.
            audit: Invert the audited map: where the blocks' inverses are inexact, x is corrected in
                float64; the log-det is NaN where no inverse was found. No gradients are computed.
        """
        tracked = torch.is_grad_enabled() and (
            y.requires_grad or any(p.requires_grad for p in self.parameters())
        )
        able = audit and not tracked and y.device.type != "mps"  # which has no float64
        able = able and Capability.LOG_DET | Capability.INVERSE in self.provides
        x, total = y, torch.zeros_like(y[:, 0])
        c = None if c is None else c.to(self.like)
        for trained, part in itertools.groupby(reversed([*self]), _is_block):
            maps = list(part)
            x = x.to(self.like) if trained else x
            total = total.to(x)
            if trained and able:
                x, log_det = exact_inverse(maps[::-1], x, c)
                total = total + log_det
                continue
            for m in maps:
                x, log_det = (m.differentiable_inverse if tracked else m.inverse)(*given(x, c))
                total = total + log_det.to(total)
        return x, total

    def trajectory(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return points before and after each block, shape ``(N + 1, n, d)``.

        They are in the flow's coordinates, before the support map, as for
        :meth:`inverse_trajectory`; so are the conditions c, shape ``(n, k)``.
        """
        positions = [(x if self.transform is None else self.transform.move(x)).to(self.like)]
        c = None if c is None else c.to(self.like)
        for block in self.blocks:
            positions.append(block.move(*given(positions[-1], c)))
        return torch.stack(positions)

    def inverse_trajectory(self, y: Tensor, c: Tensor | None = None) -> Tensor:
        """Return points before and after each inverted block, shape ``(N + 1, n, d)``."""
        positions = [y.to(self.like)]
        c = None if c is None else c.to(self.like)
        for block in reversed(self.blocks):
            positions.append(block.inverse(*given(positions[-1], c))[0])
        return torch.stack(positions)


def _is_block(m: nn.Module) -> bool:
    return isinstance(m, FlowBlock)


class Inverse(Bijection):
    """The inverse of a chain, as a map.

    Args:
        of: The chain.
    """

    def __init__(self, of: Chain) -> None:
        super().__init__()
        self.of = of

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """What the chain provides."""
        return self.of.provides

    def forward(
        self, x: Tensor, c: Tensor | None = None, *, audit: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the chain's inverse at ``x``, shape ``(n, d)``, and its log-det, ``(n,)``."""
        return self.of.inverse(x, c, audit=audit)

    def inverse(
        self, y: Tensor, c: Tensor | None = None, *, audit: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the chain at ``y``, shape ``(n, d)``, and its log-det, ``(n,)``."""
        return self.of(y, c, audit=audit)
