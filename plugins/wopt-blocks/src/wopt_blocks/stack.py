"""The block ``stack``."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from wopt import Capability, FlowBlock
from wopt.bijection import given
from wopt.component import fields, named
from wopt.data import AffineTransform
from wopt.interfaces import new_block
from wopt.statistics import mixing_weights
from wopt_blocks.labels import choose, labelled, read_labels
from wopt_blocks.recode import Recode


@fields
class Stack(FlowBlock):
    """A mixture of flows as one map to N(0, I).

        p(x) = sum_k w_k p_k(x),     p_k(x) = N(T_k(x); 0, I) |det DT_k(x)|.

    T(x) is T_k(x), where k is drawn with its posterior probability w_k p_k(x)/p(x), by digits of x
    far behind the point. It is moved within a narrow cell to tell which k that was, so that the
    inverse returns x. If the law of x is p, that of T(x) is N(0, I); the inverse of its draws has
    the law p. The log-det is log p(x) - log N(T(x); 0, I).

    The first map alone is trained. At the end the weights of all are the likeliest for held-out
    particles and, by Laplace's rule, one further row of each map.

    Source: Smyth, Wolpert, *Linearly combining density estimators via stacking*, 1999; Dinh,
    Sohl-Dickstein, Larochelle, Pascanu, *A RAD approach to deep mixture models*, 2019.

    Args:
        members: The maps T_k, as tables of blocks.

    Example:
        >>> block = Stack(2, members=["affine", "affine"]).eval()
        >>> block.maps[1].become_affine(2 * torch.eye(2), torch.zeros(2))
        >>> block.weights.copy_(torch.tensor([0.5, 0.5]))
        tensor([0.5000, 0.5000])
        >>> x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> back, _ = block.inverse(block(x)[0])
        >>> bool(torch.allclose(back, x, atol=1e-3))
        True
    """

    cites = ("smyth1999", "dinh2019")
    provides = Capability.LOG_DET | Capability.INVERSE | Capability.CONDITION
    folds = True

    dim: int
    condition: int = 0
    members: Annotated[
        tuple[FlowBlock, ...],
        Field(min_length=1, description="blocks whose laws are mixed; the first is trained"),
    ] = (named("affine"),)

    def __post_init__(self) -> None:
        super().__init__()
        specs: Any = self.members
        self.maps = nn.ModuleList(new_block(spec, self.dim, self.condition) for spec in specs)
        self.recodes = nn.ModuleList(Recode(self.dim) for _ in specs[1:])
        self.weights: Tensor
        self.register_buffer("weights", torch.eye(len(specs))[0])
        self.requires_grad_()

    def assemble(self, trained: Sequence[tuple[FlowBlock, AffineTransform]]) -> None:
        """Take trained maps, each with the preprocessing of its points; the first one's remains."""
        self.maps = nn.ModuleList(copy.deepcopy(block) for block, _ in trained)
        between = [Recode.between(trained[0][1], transform) for _, transform in trained[1:]]
        self.recodes = nn.ModuleList(between).to(self.weights.device)

    def initialise(self, points: Tensor, c: Tensor | None = None) -> None:
        """Show all maps the points, shape ``(n, d)``, given c, ``(n, k)``."""
        for block in self._maps:
            block.initialise(*given(points, c))

    @torch.no_grad()
    def calibrate(self, points: Tensor, c: Tensor | None = None) -> bool:
        """Choose the weights by held-out points, shape ``(n, d)``, given c, ``(n, k)``, by EM."""
        self._maps[0].calibrate(*given(points, c))
        everyone = range(len(self.maps))
        log_p = torch.stack([self._image(k, points, c)[1] for k in everyone], dim=1).double()
        self.weights.copy_(mixing_weights(log_p, prior=1.0))
        return len(everyone) > 1

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x), ``(n, d)``, and log p(x) - log N(T(x); 0, I), ``(n,)``, nats."""
        if self.training:
            return self._maps[0](*given(x, c))
        members, weights = self._active()
        images, log_p = zip(*(self._image(k, x, c) for k in members), strict=True)
        joint = torch.stack(log_p, dim=1) + weights.log().to(x)
        chosen = choose(joint.detach().softmax(1), x.detach())
        rows = torch.arange(len(x), device=x.device)
        z = labelled(torch.stack(images, dim=1)[rows, chosen], chosen, weights)
        return z, joint.logsumexp(1) - _normal(z)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y), ``(n, d)``, and log N(y; 0, I) - log p(T^-1(y)), ``(n,)``, nats."""
        return self._back(y, c, lambda block: block.inverse)

    def differentiable_inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return :meth:`inverse`, shapes ``(n, d)`` and ``(n,)``, with gradients to y."""
        return self._back(y, c, lambda block: block.differentiable_inverse)

    def _back(
        self, y: Tensor, c: Tensor | None, inverse_of: Callable[[Any], Any]
    ) -> tuple[Tensor, Tensor]:
        members, weights = self._active()
        chosen, z = read_labels(y, weights)
        x = torch.zeros_like(y)
        for place, k in enumerate(members):
            rows = (chosen == place).nonzero()[:, 0]
            if len(rows):
                at = given(z[rows], None if c is None else c[rows])
                found = inverse_of(self._maps[k])(*at)[0]
                found = self._recoded(k).inverse(found)[0] if k else found
                x = x.index_copy(0, rows, found)
        log_p = torch.stack([self._image(k, x, c)[1] for k in members], dim=1)
        return x, _normal(y) - (log_p + weights.log().to(x)).logsumexp(1)

    def _image(self, k: int, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return T_k(x), shape ``(n, d)``, and log p_k(x), ``(n,)``."""
        x, recoded = self._recoded(k)(x) if k else (x, torch.zeros_like(x[:, 0]))
        z, log_det = self._maps[k](*given(x, c))
        return z, _normal(z) + log_det + recoded

    @property
    def _maps(self) -> Sequence[FlowBlock]:
        return self.maps  # type: ignore[return-value]

    def _recoded(self, k: int) -> Recode:
        made: Any = self.recodes[k - 1]
        return made

    def _active(self) -> tuple[list[int], Tensor]:
        """Return the numbers of the maps that have a weight, and the weights, float64."""
        members: list[int] = self.weights.nonzero()[:, 0].tolist()
        weights = self.weights[members].double()
        return members, weights / weights.sum()

    def requires_grad_(self, requires_grad: bool = True) -> Stack:
        """Set whether the first map is trained; the others never are."""
        super().requires_grad_(False)
        self.maps[0].requires_grad_(requires_grad)
        return self

    def train(self, mode: bool = True) -> Stack:
        """Set the mode of the first map; the others are always in evaluation mode."""
        super().train(mode)
        for block in self.maps[1:]:
            block.eval()
        return self

    def refine(self) -> bool:
        """Make the discretisation of the first map finer; return whether that was possible."""
        return self._maps[0].refine()


def _normal(z: Tensor) -> Tensor:
    """Return log N(z; 0, I), shape ``(n,)``."""
    return -0.5 * (z.square().sum(1) + z.shape[1] * math.log(2 * math.pi))
