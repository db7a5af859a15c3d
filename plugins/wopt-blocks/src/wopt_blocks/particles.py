"""The block ``particles``: one free displacement a particle."""

from __future__ import annotations

from typing import Any

import torch
from scipy.spatial import KDTree
from torch import Tensor, nn

import wopt
from wopt import Capability, CapabilityError, DataError
from wopt.bijection import given


class FreeParticles(wopt.FlowBlock):
    """T(x) = x + u_{i(x)}, with a vector u_i for each training particle x_i, and i(x) the nearest.

    Nothing restricts how the training particles move, so a step is the step of the particle
    system. Other points move as their nearest training particle does: T is piecewise a
    translation. So it has no meaningful log-det (it jumps, and tears the space) and no
    inverse, and suits objectives that need neither: ``mmd``, ``energy_distance``,
    ``sliced_wasserstein``, ``potential``, ``interaction``, ... A model of such blocks can be
    sampled where it pushes the start forward; it has no likelihood.

    The displacements are made when the block is given the particles (:meth:`initialise`). Until
    then there
    is one, for a particle at the origin: T is a translation. Particles that coincide share one.
    Given conditions, the nearest particle is that by coordinates and conditions.

    Example:
        >>> block = FreeParticles(1)
        >>> block.initialise(torch.tensor([[0.0], [1.0]]))
        >>> block.displacement.data += torch.tensor([[0.5], [-0.5]])
        >>> block.move(torch.tensor([[0.0], [0.2], [1.3]])).flatten().tolist()
        [0.5, 0.699999988079071, 0.7999999523162842]
    """

    cites = ()
    provides = Capability.CONDITION
    points: Tensor

    def __init__(self, dim: int, condition: int = 0) -> None:
        super().__init__()
        self.dim = dim
        self._tree: tuple[Tensor, int, KDTree] | None = None
        self.register_buffer("points", torch.zeros(1, dim + condition))
        self.displacement = nn.Parameter(torch.zeros(1, dim))

    def initialise(self, points: Tensor, c: Tensor | None = None) -> None:
        """Take the training particles, ``(n, d)``, given c ``(n, k)``, with displacements zero.

        Raises:
            DataError: A particle is not finite.
        """
        if not bool(torch.isfinite(points).all()):
            raise DataError("block particles was shown particles that are not finite")
        self.points = torch.cat(given(points, c), dim=1).detach().clone()
        self.displacement = nn.Parameter(torch.zeros_like(points))

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x), shape ``(n, d)``, and NaN, shape ``(n,)``: there is no log-det."""
        return self.move(x, c), torch.full_like(x[:, 0], torch.nan)

    def move(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return T(x; c), shape ``(n, d)``."""
        return x + self.displacement[self._nearest(torch.cat(given(x, c), dim=1))]

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raise, for points of any shape: there is no inverse.

        Raises:
            CapabilityError: Always.
        """
        raise CapabilityError(_LACKS.format("inverse", "INVERSE"))

    def audit(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raise, for points of any shape: there is no log-det to audit.

        Raises:
            CapabilityError: Always.
        """
        raise CapabilityError(_LACKS.format("log-det", "LOG_DET"))

    @torch.no_grad()
    def warm_start(self, previous: wopt.FlowBlock) -> None:
        """Start from each particle's displacement in the step before."""
        before = previous.displacement
        if isinstance(before, Tensor) and before.shape == self.displacement.shape:
            self.displacement.copy_(before)

    def _nearest(self, x: Tensor) -> Tensor:
        """Return the index of the nearest training particle for each row, found on the CPU."""
        points = self.points
        known = self._tree
        if known is None or known[0] is not points or known[1] != points._version:
            known = points, points._version, KDTree(points.cpu().double().numpy())
            self._tree = known
        if not bool(torch.isfinite(x).all()):
            raise DataError("block particles was asked to move points that are not finite")
        index = known[2].query(x.detach().cpu().double().numpy())[1]
        return torch.from_numpy(index).to(x.device)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        """Make room for as many particles as are saved, and load."""
        saved = state.get(f"{prefix}points")
        if saved is not None and len(saved) != len(self.points) and saved.ndim == self.points.ndim:
            n = len(saved)
            self.points = self.points.new_zeros(n, self.points.shape[1])
            self.displacement = nn.Parameter(self.displacement.new_zeros(n, self.dim))
        super()._load_from_state_dict(state, prefix, *args)


_LACKS = (
    "block particles has no {0}: it moves points as their nearest training particle; a model that "
    "is the start pushed forward can be sampled, without likelihood; for more, choose a block that "
    "provides {1}, such as icnn or residual"
)
