"""A lazy transform of zuko as a block of wopt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import wopt
from wopt import Capability
from wopt.jacobian import linearised
from wopt_zuko.stack import Activation, Structure, stack
from wopt_zuko.univariate import Boxed, Univariate

__all__ = ["ZukoBlock"]

_FEW = 12
"""Largest dimension in which the whole Jacobian is computed, which some schemes need."""


class ZukoBlock(wopt.FlowBlock):
    """Base of this plugin's blocks; a subclass's constructor calls :meth:`compose` or :meth:`hold`.

    Log-dets are exact, in closed form. Conditions are zuko's context: the last coordinates of x
    come back as they are and the others move given them. In few dimensions (d <= 12) the whole
    Jacobian DT gives what ``midpoint`` and ``explicit`` need besides: log |det (I + DT)/2|, and
    the divergence of T - id, its trace.
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
        """Hold a composition of lazy transforms; arguments as for :func:`~wopt_zuko.stack.stack`.

        Raises:
            ConfigError: All coordinates are conditions.
        """
        shape = (transforms, hidden, activation, passes)
        self.hold(stack(structure, univariate, dim - condition, condition, *shape), dim, condition)

    def hold(self, transform: Any, dim: int, condition: int) -> None:
        """Hold a ``zuko.lazy.LazyTransform`` of ``dim - condition`` features.

        Args:
            transform: The transform, the identity at the start.
            dim: Dimension d, conditions included.
            condition: Number of the last coordinates that are conditions.
        """
        self.transform = transform
        self.moved = dim - condition
        if dim <= _FEW:
            self.provides = type(self).provides | Capability.HALF_WAY | Capability.VELOCITY

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""
        transform, z, c = self._parts(x)
        y, log_det = transform.call_and_ladj(z)
        return self._whole(x, y, c), self._tracked(x, log_det)

    def move(self, x: Tensor) -> Tensor:
        """Return T(x), shape ``(n, d)``, without the log-det."""
        transform, z, c = self._parts(x)
        return self._whole(x, transform(z), c)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return T^-1(y), shape ``(n, d)``, and its log-det in nats, shape ``(n,)``."""
        transform, z, c = self._parts(y)
        x, log_det = transform.inv.call_and_ladj(z)
        return self._whole(y, x, c), self._tracked(y, log_det)

    def differentiable_inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return :meth:`inverse`, shapes ``(n, d)`` and ``(n,)``: autograd can follow it."""
        return self.inverse(y)

    def half_way(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x + T(x))/2 ``(n, d)`` and log |det (I + DT)/2| ``(n,)``, by the Jacobian."""
        y, jacobian = linearised(self.move, x)
        half = (jacobian + torch.eye(x.shape[1], dtype=x.dtype, device=x.device)) / 2
        return (x + y) / 2, torch.linalg.slogdet(half)[1]

    def velocity(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return u = T - id, ``(n, d)``, and div u, ``(n,)``, by the whole Jacobian."""
        y, jacobian = linearised(self.move, x)
        return y - x, jacobian.diagonal(dim1=1, dim2=2).sum(1) - x.shape[1]

    def initialise(self, points: Tensor) -> None:
        """Choose the box on which splines act by points, shape ``(n, d)``."""
        for box in self._boxes():
            box.initialise(points[:, : self.moved])

    def warm_start(self, previous: wopt.FlowBlock) -> None:
        """Start from the previous step's parameters, on this block's own boxes."""
        bounds = [box.bound.clone() for box in self._boxes()]
        super().warm_start(previous)
        for box, bound in zip(self._boxes(), bounds, strict=True):
            box.bound.copy_(bound)

    def _boxes(self) -> list[Boxed]:
        return [module for module in self.modules() if isinstance(module, Boxed)]

    def _parts(self, x: Tensor) -> tuple[Any, Tensor, Tensor]:
        """Return the transform given the conditions, the coordinates that move, the conditions."""
        z, c = x[:, : self.moved], x[:, self.moved :]
        return self.transform(c if c.shape[1] else None), z, c

    def _whole(self, x: Tensor, y: Tensor, c: Tensor) -> Tensor:
        return self._tracked(x, torch.cat([y, c], 1) if c.shape[1] else y)

    def _tracked(self, x: Tensor, value: Tensor) -> Tensor:
        """Return ``value``, detached where no gradient was asked for."""
        # zuko enables gradients to differentiate polynomials; particles would keep the graph.
        asked = x.requires_grad or any(p.requires_grad for p in self.parameters())
        return value if asked and torch.is_grad_enabled() else value.detach()
