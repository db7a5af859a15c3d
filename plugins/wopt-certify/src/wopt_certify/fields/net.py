"""A trained test field: the velocity of a block."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import Spec
from wopt.errors import CapabilityError
from wopt.interfaces.block import FlowBlock, new_block
from wopt.seeds import seeded
from wopt.stein.form import SteinForm

__all__ = ["NetField", "sharper"]


def sharper(net: Spec, rung: int) -> Spec:
    """Return the critic's choice, twice as wide and twice as sharp at every second rung.

    Options of other names stay unchanged.
    """
    if not rung:
        return net
    factors = {"width": 2 ** (rung // 2), "sharpness": 2 ** ((rung + 1) // 2)}
    known = type(net.options).model_fields
    update = {k: getattr(net.options, k) * f for k, f in factors.items() if k in known}
    return Spec(net.cls, net.options.model_copy(update=update))


class NetField:
    """phi(y) = s u((y - m)/s) for a block's velocity u, trained to maximise docs/theory.md (4.1).

    Args:
        train: The form on which the field is trained.
        validation: The form on which the best state is chosen.
        net: A block that provides VELOCITY.
        iterations: Iterations of Adam, on a cosine schedule.
        learning_rate: Peak of the schedule.
        batch_size: Rows per iteration.
        seed: Seed of initialisation and batches.

    Raises:
        CapabilityError: The net has no velocity.
    """

    def __init__(
        self,
        train: SteinForm,
        validation: SteinForm,
        net: Spec,
        iterations: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
    ) -> None:
        y = train.points
        self.shift = train.mean(y)
        self.scale = train.mean((y - self.shift).square()).sqrt().clamp(min=1e-12)
        self.value = 0.0
        with seeded(seed):
            self.net: FlowBlock = new_block(net, y.shape[1], train.condition)
            if Capability.VELOCITY not in self.net.provides:
                raise CapabilityError(
                    f"block {type(self.net).__name__} cannot be the critic: it provides no "
                    "VELOCITY; choose another certify.critic, such as ode"
                )
            self.net.to(dtype=torch.float32, device=y.device)
            with torch.enable_grad():
                self._train(train, validation, iterations, learning_rate, batch_size)
        self.net.freeze()

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y``, shapes ``(n, d)`` and ``(n,)``."""
        # Scaling by s outside and 1/s inside leaves the divergence unchanged.
        with torch.no_grad():
            v, divergence = self.net.velocity(self._inside(y))
        return self.scale * v.double(), divergence.double()

    def _inside(self, y: Tensor) -> Tensor:
        return ((y - self.shift) / self.scale).float()

    def _train(
        self, train: SteinForm, validation: SteinForm, iterations: int, rate: float, batch: int
    ) -> None:
        inside, scale = self._inside(train.points), self.scale.float()
        by_point = (train.by_point * self.scale).float()
        by_log_det = train.by_log_det.float()
        shares = None if train.weights is None else (train.weights * len(inside)).float()
        optimiser = torch.optim.Adam(self.net.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
        kept = {k: v.clone() for k, v in self.net.state_dict().items()}
        for iteration in range(1, iterations + 1):
            rows = torch.randint(len(inside), (min(batch, len(inside)),))
            v, divergence = self.net.velocity(inside[rows])
            along = (by_point[rows] * v).sum(1) + by_log_det[rows] * divergence
            terms = (scale * v).square().sum(1) - 2 * along
            loss = terms.mean() if shares is None else (shares[rows] * terms).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            if iteration % 25 == 0 or iteration == iterations:
                v, divergence = self(validation.points)
                size = 2 * validation.along(v, divergence) - v.square().sum(1)
                value = float(validation.mean(size))
                if value > self.value:
                    self.value = value
                    kept = {k: p.clone() for k, p in self.net.state_dict().items()}
        self.net.load_state_dict(kept)
