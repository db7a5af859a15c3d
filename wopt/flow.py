"""Flow: the trained model, an ordered stack of blocks between data and noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from wopt.capabilities import Need, require
from wopt.data.transform import AffineTransform
from wopt.errors import CapabilityError, DataError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.target import Target
from wopt.push import in_batches

__all__ = ["Direction", "Flow", "FlowDistribution", "Start", "draw"]

Direction = Literal["pull_back", "push_forward"]
"""``pull_back``: the model is the target pulled back to the data. ``push_forward``: it is the
start's law carried to the target."""


@dataclasses.dataclass(frozen=True)
class Start:
    """A start whose density is known, in the start's own units, float64.

    Attributes:
        log_density: ``(n, d)`` to ``(n,)``.
        sample: A number and a generator to samples ``(n, d)``.
    """

    log_density: Callable[[Tensor], Tensor]
    sample: Callable[[int, torch.Generator], Tensor]


class Flow(nn.Module):
    """F = T_N o ... o T_1 o (preprocessing), from the data's units to the target's coordinates.

    Args:
        blocks: T_1, ..., T_N.
        target: The measure that the particles were carried to, if there is one.
        transform: The preprocessing.
        direction: Which way the model looks, see :data:`Direction`.
        start: The start's law, needed for ``push_forward``.

    Example:
        >>> import wopt
        >>> flow = Flow([], wopt.build("target", "gaussian"), AffineTransform.fit(
        ...     torch.randn(100, 2), "none"))
        >>> flow.sample(3, seed=0).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        blocks: Sequence[FlowBlock],
        target: Target | None,
        transform: AffineTransform,
        direction: Direction = "pull_back",
        start: Start | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.target = target
        self.transform = transform
        self.direction = direction
        self.start = start
        self.eval()

    @property
    def dim(self) -> int:
        """The dimension d."""
        return len(self.transform.shift)

    def forward(self, x: Tensor, *, audit: bool = False) -> tuple[Tensor, Tensor]:
        """Return ``(F(x), log |det DF(x)|)`` for rows in the data's units.

        Args:
            x: Shape ``(n, d)``.
            audit: Use the blocks' finer, independent computation.
        """
        self._check(x)
        y = self.transform.forward(x.cpu()).to(self._like())
        total = torch.full_like(y[:, 0], self.transform.log_det)
        for block in self.blocks:
            y, log_det = (block.audit if audit else block)(y)  # type: ignore[operator]
            total = total + log_det
        return y, total

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(F^-1(y), log |det DF^-1(y)|)``, rows in the data's units."""
        self._check(y)
        x = y.to(self._like())
        total = torch.full_like(x[:, 0], -self.transform.log_det)
        for block in reversed(self.blocks):
            x, log_det = block.inverse(x)  # type: ignore[operator]
            total = total + log_det
        return self.transform.inverse(x.cpu()).to(x), total

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, audit: bool = False) -> Tensor:
        """Return the model's log-density at rows in its own units, nats, shape ``(n,)``.

        Args:
            x: Shape ``(n, d)``.
            audit: Use the blocks' finer, independent computation (``pull_back`` only: the
                inverse maps have no finer one).

        Raises:
            CapabilityError: The model has no density (the target is not normalised, say).
            DataError: Rows of another width.
        """
        self._check(x)
        if self.direction == "pull_back":
            target = self._target(Need.POTENTIAL | Need.NORMALISED, "a likelihood")
            y, log_det = in_batches(lambda rows: self(rows, audit=audit), x)
            return log_det - target.potential(y)
        start = self._start()
        back, log_det = in_batches(self.inverse, x)
        return log_det + start.log_density(back.double().cpu()).to(log_det)

    def sample(self, n: int, seed: int = 0, conditions: Tensor | None = None) -> Tensor:
        """Return ``n`` samples of the model, shape ``(n, d)``; see :meth:`sample_and_log_prob`."""
        return self.sample_and_log_prob(n, seed, conditions)[0]

    @torch.no_grad()
    def sample_and_log_prob(
        self, n: int, seed: int = 0, conditions: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return samples and the model's log-density at them, in one pass.

        The log-density is NaN where the model has samples but no density. That of a conditional
        model is given the conditions, which are its last columns.

        Args:
            n: How many.
            seed: Of the draw.
            conditions: Of a conditional model, shape ``(n, c)``, in the data's units; without
                them they are drawn from those of the training data.

        Raises:
            CapabilityError: The model cannot be sampled (the target has no samples, say).
        """
        generator = torch.Generator().manual_seed(seed)
        if self.direction == "push_forward":
            start = self._start()
            x = start.sample(n, generator)
            y, log_det = in_batches(self, x)
            return y, start.log_density(x.double().cpu()).to(log_det) - log_det
        target = self._target(Need.TARGET_SAMPLES, "samples")
        z = draw(target, n, self.dim, generator).to(self._like())
        if conditions is not None:
            z = self._with_conditions(z, conditions)
        x, log_det = in_batches(self.inverse, z)
        if Need.NORMALISED not in target.provides:
            return x, torch.full_like(log_det, torch.nan)
        return x, -target.potential(z) - log_det

    def distribution(self) -> FlowDistribution:
        """Return the model as a :class:`torch.distributions.Distribution`."""
        return FlowDistribution(self)

    def _with_conditions(self, z: Tensor, conditions: Tensor) -> Tensor:
        width = self.transform.condition
        if not width:
            raise CapabilityError("this model has no conditions; leave them out")
        if conditions.shape != (len(z), width) or not bool(torch.isfinite(conditions).all()):
            raise DataError(
                f"conditions are finite numbers of shape (n, c) = ({len(z)}, {width}), got shape "
                f"{tuple(conditions.shape)}"
            )
        rows = torch.zeros(len(z), self.dim, dtype=torch.float64)
        rows[:, -width:] = conditions.double().cpu()
        given = self.transform.forward(rows)[:, -width:]
        return torch.cat([z[:, :-width], given.to(z)], dim=1)

    def _like(self) -> Tensor:
        found = next(self.parameters(), None)
        return self.transform.shift if found is None else found

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise DataError(
                f"this flow takes rows of {self.dim} columns, got shape {tuple(x.shape)}"
            )

    def _target(self, need: Need, what: str) -> Target:
        if self.target is None:
            raise CapabilityError(f"the model has no {what}: its objective has no target")
        name = f"target {type(self.target).__name__}"
        require(f"a model with {what}", need, name, self.target.provides)
        return self.target

    def _start(self) -> Start:
        if self.start is None:
            raise CapabilityError(
                "a push-forward model needs a start whose density is known; choose such a source "
                '(gaussian, mixture), or model = "pull_back"'
            )
        return self.start


class FlowDistribution(torch.distributions.Distribution):
    """A flow seen as a distribution over R^d; ``sample`` draws from torch's global generator.

    Example:
        >>> import wopt
        >>> flow = Flow([], wopt.build("target", "gaussian"), AffineTransform.fit(
        ...     torch.randn(100, 2), "none"))
        >>> flow.distribution().sample((3,)).shape
        torch.Size([3, 2])
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        super().__init__(event_shape=torch.Size([flow.dim]), validate_args=False)

    @property
    def support(self) -> torch.distributions.constraints.Constraint:
        """All of R^d."""
        return torch.distributions.constraints.real_vector

    def sample(self, sample_shape: torch.Size | Sequence[int] = ()) -> Tensor:
        """Return samples of shape ``sample_shape + (d,)``."""
        shape = torch.Size(sample_shape)
        seed = int(torch.randint(2**62, ()).item())
        return self.flow.sample(shape.numel(), seed).reshape(*shape, self.flow.dim)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log-densities, shape ``value.shape[:-1]``."""
        rows = value.reshape(-1, value.shape[-1])
        return self.flow.log_prob(rows).reshape(value.shape[:-1])


def draw(target: Target, n: int, dim: int, generator: torch.Generator) -> Tensor:
    """Return samples of a target, checked for their shape."""
    x = target.sample(n, dim, generator)
    if x.shape != (n, dim):
        raise DataError(
            f"target {type(target).__name__} gave samples of shape {tuple(x.shape)} instead of "
            f"({n}, {dim})"
        )
    return x
