"""The Stein kernel of a radial kernel."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor

from wopt_functionals.pairs.kernel import PairKernel, without_diagonal


@final
class Stein(PairKernel):
    """The Stein kernel k_q of rows (x, s(x)).

    k_q = <s, s'> p - 2 p' <s - s', x - y> - 2 d p' - 4 u p'',    k = p(u), u = |x - y|^2.
    """

    def __init__(self, name: Literal["inverse_multiquadric", "gaussian"], bandwidth: float) -> None:
        self.name = name
        self.bandwidth = bandwidth

    def numbers_per_pair(self, width: int) -> int:
        """Return the average number of arrays that autograd keeps."""
        return 2

    def block(
        self, x: Tensor, y: Tensor, v: Tensor, *, diagonal: int | None, slopes: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return sums and derivatives, shapes ``(b,)`` and ``(b, f)``, as in the base class."""
        rows = x.detach().requires_grad_(slopes)
        with torch.set_grad_enabled(slopes):
            values = self._values(rows, y.detach())
            if diagonal is not None:
                kept = torch.ones_like(values, requires_grad=False)
                values = values * without_diagonal(kept, diagonal)
            sums = values @ v
            slope = torch.autograd.grad(sums.sum(), rows)[0] if slopes else None
        return sums.detach(), slope

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        (x, s), (y, t) = x.chunk(2, dim=1), y.chunk(2, dim=1)
        squared = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
        k, first, second = self._profile(squared)
        # <s - t, x - y>, multiplied out so that no array has a third axis
        slant = (s * x).sum(1)[:, None] + (t * y).sum(1) - s @ y.T - x @ t.T
        stein = (s @ t.T) * k - 2 * first * slant
        return stein - 2 * x.shape[1] * first - 4 * squared * second

    def _profile(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return p and its first two derivatives."""
        h2 = self.bandwidth**2
        if self.name == "gaussian":
            k = torch.exp(-u / (2 * h2))
            return k, -k / (2 * h2), k / (4 * h2**2)
        inverse = 1 / (1 + u / h2)
        k = inverse.sqrt()
        return k, -k * inverse / (2 * h2), 0.75 * k * inverse.square() / h2**2
