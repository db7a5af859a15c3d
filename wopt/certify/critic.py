"""The critic: a trained test field for the Stein form, fitted and evaluated on different rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.capabilities import Need
from wopt.certify.estimate import Estimate, combine
from wopt.component import Spec
from wopt.errors import CapabilityError
from wopt.interfaces.block import FlowBlock, new_block
from wopt.seeds import derive, seeded
from wopt.stein.affine import AffineField
from wopt.stein.form import SteinForm

__all__ = ["CriticOptions", "stein_norm"]

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points ``(n, d)`` to ``(phi, div phi)``."""


@dataclasses.dataclass(frozen=True)
class CriticOptions:
    """How the test field is found.

    Attributes:
        net: A block that provides VELOCITY: its velocity is the field, with exact divergence.
        iterations: Adam iterations; 0 leaves affine fields alone.
        learning_rate: Peak of a cosine.
        batch_size: Rows per iteration.
        level: Confidence of the interval.
        seed: Of initialisation and batches.
    """

    net: Spec
    iterations: int = 300
    learning_rate: float = 5e-3
    batch_size: int = 1000
    level: float = 0.95
    seed: int = 0


def stein_norm(form: SteinForm, options: CriticOptions) -> Estimate:
    """Estimate |xi| of a Stein form by  sup over phi of <xi, phi>/|phi|.

    The field is the best combination of an affine one and a trained net. Rows are cut into two
    halves: a field fitted on one half is evaluated on the other, and the other way round, so no
    row judges a field that has seen it. What results is, up to the sampling error that the
    interval states, a *lower* bound of |xi|: a finite class cannot see all of xi.

    Quadrature nodes (weights) serve for both and have no sampling error.

    Source: theory.md 4.2 (b), (4.1).

    Args:
        form: From :meth:`SteinForm.of`.
        options: Of the critic.

    Raises:
        CapabilityError: The net has no velocity.
    """
    if form.weights is not None:
        return combine([form.size(*_best_field(form, form, options)(form.points))], options.level)
    found = []
    for k in (0, 1):
        fit, judge = form.rows(slice(k, None, 2)), form.rows(slice(1 - k, None, 2))
        cut = max(1, len(fit.points) * 4 // 5)
        fold = dataclasses.replace(options, seed=derive(options.seed, "fold", k))
        field = _best_field(fit.rows(slice(cut)), fit.rows(slice(cut, None)), fold)
        found.append(judge.size(*field(judge.points)))
    return combine(found, options.level)


def _best_field(train: SteinForm, held: SteinForm, options: CriticOptions) -> Field:
    """Return the best combination, on ``held``, of fields fitted on ``train``."""
    fields: list[Field] = [AffineField(train)]
    if options.iterations:
        fields.append(_Critic(train, held, options))
    values = [field(held.points) for field in fields]
    linear = torch.stack([held.mean(held.along(*value)) for value in values])
    gram = torch.stack(
        [torch.stack([held.mean((a * b).sum(1)) for a, _ in values]) for b, _ in values]
    )
    # A field that is zero (an exact step can leave nothing to find) makes the matrix singular.
    weights = torch.linalg.lstsq(gram, linear[:, None], driver="gelsd").solution[:, 0]
    if float(weights @ linear) <= 0:
        weights = torch.ones_like(weights)

    def combined(y: Tensor) -> tuple[Tensor, Tensor]:
        pairs = [field(y) for field in fields]
        v = sum(w * pair[0] for w, pair in zip(weights, pairs, strict=True))
        divergence = sum(w * pair[1] for w, pair in zip(weights, pairs, strict=True))
        assert isinstance(v, Tensor)
        assert isinstance(divergence, Tensor)
        return v, divergence

    return combined


class _Critic:
    """phi(y) = s * u((y - m)/s) for a block's velocity u, trained to maximise (4.1)."""

    def __init__(self, train: SteinForm, held: SteinForm, options: CriticOptions) -> None:
        y = train.points
        self.shift = train.mean(y)
        self.scale = train.mean((y - self.shift).square()).sqrt().clamp(min=1e-12)
        with seeded(options.seed):
            self.net: FlowBlock = new_block(options.net, y.shape[1], train.condition)
            if Need.VELOCITY not in self.net.provides:
                raise CapabilityError(
                    f"block {type(self.net).__name__} cannot be the critic: it provides no "
                    "VELOCITY; choose another certify.critic, such as ode"
                )
            self.net.to(dtype=torch.float32, device=y.device)
            with torch.enable_grad():
                self._train(train, held, options)
        self.net.freeze()

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        # Scaling by s outside and 1/s inside leaves the divergence as it is.
        with torch.no_grad():
            v, divergence = self.net.velocity(self._inside(y))
        return self.scale * v.double(), divergence.double()

    def _inside(self, y: Tensor) -> Tensor:
        return ((y - self.shift) / self.scale).float()

    def _train(self, train: SteinForm, held: SteinForm, options: CriticOptions) -> None:
        inside, scale = self._inside(train.points), self.scale.float()
        by_point = (train.by_point * self.scale).float()
        by_log_det = train.by_log_det.float()
        shares = None if train.weights is None else (train.weights * len(inside)).float()
        optimiser = torch.optim.Adam(self.net.parameters(), lr=options.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.iterations)
        best, kept = 0.0, {k: v.clone() for k, v in self.net.state_dict().items()}
        for iteration in range(1, options.iterations + 1):
            rows = torch.randint(len(inside), (min(options.batch_size, len(inside)),))
            v, divergence = self.net.velocity(inside[rows])
            along = (by_point[rows] * v).sum(1) + by_log_det[rows] * divergence
            terms = (scale * v).square().sum(1) - 2 * along
            loss = terms.mean() if shares is None else (shares[rows] * terms).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            if iteration % 25 == 0 or iteration == options.iterations:
                v, divergence = self(held.points)
                size = 2 * held.along(v, divergence) - v.square().sum(1)
                value = float(held.mean(size))
                if value > best:
                    best, kept = value, {k: p.clone() for k, p in self.net.state_dict().items()}
        self.net.load_state_dict(kept)
