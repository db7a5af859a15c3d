"""A lazy transform of zuko as a block of wopt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import wopt
from wopt import Bijection, Capability
from wopt.jacobian import linearised
from wopt_zuko.stack import Activation, Structure, stack
from wopt_zuko.univariate import Boxed, Univariate

_FEW = 12
"""Largest dimension in which the whole Jacobian is computed, which some schemes need."""


class ZukoBlock(wopt.FlowBlock):
    """Base of this plugin's blocks; a subclass's constructor calls :meth:`compose` or :meth:`hold`.

    Log-dets are exact, in closed form. Conditions are zuko's context. In few dimensions (d <= 12)
    the whole Jacobian DT gives what ``midpoint`` and ``explicit`` need too: log |det (I + DT)/2|
    and the divergence of T - id, its trace.
    """

    provides = Capability.LOG_DET | Capability.INVERSE | Capability.CONDITION

    def compose(
        self,
        structure: Structure,
        univariate: Callable[[], Univariate],
        dim: int,
        condition: int,
        transforms: int,
        hidden: Sequence[int],
        activation: Activation,
        passes: int | None = None,
    ) -> None:
        """Hold a composition of lazy transforms; arguments are those of :func:`.stack`."""
        shape = (transforms, hidden, activation, passes)
        self.hold(stack(structure, univariate, dim, condition, *shape), dim)

    def hold(self, transform: Any, dim: int) -> None:
        """Hold a ``zuko.lazy.LazyTransform`` of ``dim`` features."""
        self.transform = transform
        if dim <= _FEW:
            self.provides = type(self).provides | Capability.HALF_WAY | Capability.VELOCITY

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""
        y, log_det = self.transform(c).call_and_ladj(x)
        return self._tracked(x, y), self._tracked(x, log_det)

    def move(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return T(x), shape ``(n, d)``, without the log-det."""
        return self._tracked(x, self.transform(c)(x))

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""
        x, log_det = self.transform(c).inv.call_and_ladj(y)
        return self._tracked(y, x), self._tracked(y, log_det)

    differentiable_inverse = Bijection.differentiable_inverse  # autograd follows the inverse

    def half_way(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (x + T(x))/2 ``(n, d)`` and log |det (I + DT)/2| ``(n,)``, by the Jacobian."""
        y, jacobian = linearised(lambda at: self.move(at, c), x)
        half = (jacobian + torch.eye(x.shape[1], dtype=x.dtype, device=x.device)) / 2
        return (x + y) / 2, torch.linalg.slogdet(half)[1]

    def velocity(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return u = T - id, ``(n, d)``, and div u, ``(n,)``, by the whole Jacobian."""
        y, jacobian = linearised(lambda at: self.move(at, c), x)
        return y - x, jacobian.diagonal(dim1=1, dim2=2).sum(1) - x.shape[1]

    def initialise(self, points: Tensor, c: Tensor | None = None) -> None:
        """Choose the box on which splines act by points, shape ``(n, d)``."""
        for box in self._boxes():
            box.initialise(points)

    def warm_start(self, previous: wopt.FlowBlock) -> None:
        """Start from the previous step's parameters, on this block's own boxes."""
        bounds = [box.bound.clone() for box in self._boxes()]
        super().warm_start(previous)
        for box, bound in zip(self._boxes(), bounds, strict=True):
            box.bound.copy_(bound)

    def _boxes(self) -> list[Boxed]:
        return [module for module in self.modules() if isinstance(module, Boxed)]

    def _tracked(self, x: Tensor, value: Tensor) -> Tensor:
        """Return ``value``, detached where no gradient was asked for."""
        # zuko enables gradients to differentiate polynomials; particles would keep the graph.
        asked = x.requires_grad or any(p.requires_grad for p in self.parameters())
        return value if asked and torch.is_grad_enabled() else value.detach()
