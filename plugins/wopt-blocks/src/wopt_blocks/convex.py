"""An input-convex network: its gradient and Hessian in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wopt.bijection import given


class ConvexNet(nn.Module):
    """A net g(y; c) that is convex in y for every c.

        z_1 = s(A_1 y + E_1 c + b_1),  z_{l+1} = s(W_l z_l + A_{l+1} y + E_{l+1} c + b_{l+1}),
        g = w . z_L,   s(u) = log(1 + e^(a u))/a,   W_l, w >= 0.

    With u_l the argument of s in layer l, p_l = dg/dz_l >= 0 and R_l = du_l/dy,

        grad g = sum_l A_l^T (p_l s'(u_l)),    Hess g = sum_l R_l^T diag(p_l s''(u_l)) R_l,

    so the Hessian is symmetric and not negative by its form. No autograd is needed.

    Source: Amos, Xu, Kolter, *Input convex neural networks*, 2017; non-negative weights by
    softplus and the condition as in Huang et al., *Convex potential flows*, 2021.

    Args:
        curvature: Bound of the Hessian's largest eigenvalue at the start.
    """

    scale: Tensor

    def __init__(
        self,
        moves: int,
        condition: int,
        width: int,
        depth: int,
        sharpness: float,
        curvature: float,
    ) -> None:
        super().__init__()
        self.moves = moves
        self.sharpness = sharpness
        self.into = nn.ModuleList(nn.Linear(moves + condition, width) for _ in range(depth))
        self.between = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth - 1))
        self.out = nn.Linear(width, 1, bias=False)
        self.register_buffer("scale", torch.ones(()))
        self.scale.copy_(curvature / self.curvature_bound())

    @torch.no_grad()
    def curvature_bound(self) -> Tensor:
        """Return a bound of |Hess g|, shape ``()``, from s' <= 1, s'' <= a/4, spectral norms."""
        between, p = self._weights()
        norms, norm = [], p.new_zeros(())
        for weight, layer in zip([None, *between], self.into, strict=True):
            by_y = torch.linalg.matrix_norm(layer.weight[:, : self.moves], 2)  # type: ignore[index]
            norm = by_y if weight is None else torch.linalg.matrix_norm(weight, 2) * norm + by_y
            norms.append(norm)
        bound = p.new_zeros(())
        for k in reversed(range(len(norms))):
            bound = bound + p.max() * norms[k].square() * self.sharpness / 4
            p = p @ between[k - 1] if k else p
        return bound

    def gradient(self, y: Tensor, c: Tensor | None) -> Tensor:
        """Return grad_y g, shape ``(n, m)``, at y ``(n, m)`` and c ``(n, k)``."""
        return self._derivatives(y, c, hessian=False)[0]

    def gradient_and_hessian(self, y: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return grad_y g and Hess_y g, shapes ``(n, m)`` and ``(n, m, m)``."""
        gradient, hessian = self._derivatives(y, c, hessian=True)
        assert hessian is not None
        return gradient, hessian

    def _derivatives(
        self, y: Tensor, c: Tensor | None, hessian: bool
    ) -> tuple[Tensor, Tensor | None]:
        between, p = self._weights()
        inputs = torch.cat(given(y, c), dim=1)
        into: list[Tensor] = [layer.weight[:, : self.moves] for layer in self.into]  # type: ignore[index]
        slopes: list[Tensor] = []
        z = None
        for k, layer in enumerate(self.into):
            u = layer(inputs) if z is None else layer(inputs) + z @ between[k - 1].T
            slopes.append(torch.sigmoid(self.sharpness * u))
            z = F.softplus(self.sharpness * u, threshold=40) / self.sharpness
        # backwards: p is dg/dz_l, at last times s''(u_l)
        p, gradient, bends = p.expand(len(y), -1), torch.zeros_like(y), []
        for k in reversed(range(len(slopes))):
            bends.append(self.sharpness * p * slopes[k] * (1 - slopes[k]))
            p = p * slopes[k]
            gradient = gradient + p @ into[k]
            p = p @ between[k - 1] if k else p
        if not hessian:
            return gradient, None
        first, *others = reversed(bends)
        a = into[0]  # R_1, the same at every point, so its part is one product
        squares = (a[:, :, None] * a[:, None, :]).flatten(1)
        total = (first @ squares).view(len(y), self.moves, self.moves)
        r = a.T  # R^T, since products with (n, m, width) from the right are one large product
        for k, bend in enumerate(others, start=1):
            r = (slopes[k - 1][:, None, :] * r) @ between[k - 1].T + into[k].T
            total = total + (bend[:, None, :] * r) @ r.mT
        return gradient, total

    def _weights(self) -> tuple[list[Tensor], Tensor]:
        """Return the non-negative W_l and w; an average over the width keeps them of order one."""
        between = [
            F.softplus(layer.weight) / len(layer.weight)  # type: ignore[arg-type]
            for layer in self.between
        ]
        out = F.softplus(self.out.weight[0])
        return between, self.scale * out / len(out)
