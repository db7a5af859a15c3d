"""Random numbers of shards, which do not depend on the process that computes a shard."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["ShardDraws"]


class ShardDraws:
    """Seeds torch's global generator for every shard, from its current state.

    Afterwards the state is restored, or advanced by one draw if a shard drew anything, so that
    functions without draws leave later draws as in one process.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> with ShardDraws() as draws:
        ...     both = [float(torch.rand(())) for k in (0, 1) if not draws.begin(k)]
        >>> _ = torch.manual_seed(0)
        >>> with ShardDraws() as draws:
        ...     draws.begin(1)
        ...     float(torch.rand(())) == both[1]
        True
    """

    def __init__(self) -> None:
        self._before = torch.get_rng_state()
        rng = torch.Generator()
        rng.set_state(self._before)
        self._seed = int(torch.randint(2**62, (), generator=rng))
        self._further = rng.get_state()
        self._begun: Tensor | None = None
        self._drew = False

    def __enter__(self) -> ShardDraws:
        return self

    def begin(self, shard: int) -> None:
        """Seed the generator for a shard."""
        self._look()
        torch.manual_seed(self._seed + shard)
        self._begun = torch.get_rng_state()

    def _look(self) -> None:
        if self._begun is not None and not self._drew:
            self._drew = not torch.equal(self._begun, torch.get_rng_state())

    def __exit__(self, *_: object) -> None:
        self._look()
        torch.set_rng_state(self._further if self._drew else self._before)
