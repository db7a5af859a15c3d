"""Newton's method for the best critic that is linear in its features."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt_functionals.samples.critics import Dual

_STEPS = 50


@torch.no_grad()
def maximise(dual: Dual, p: Tensor, w: Tensor, q: Tensor, v: Tensor, ridge: float) -> Tensor:
    """Return theta, ``(k,)``, that maximises  E_p a(p theta) - E_q b(q theta) - ridge |theta|^2/2.

    Args:
        p: Features of the particles, shape ``(n, k)``.
        w: Weights of the particles, shape ``(n,)``.
        q: Features of the target's samples, shape ``(m, k)``.
        v: Weights of the samples, shape ``(m,)``.
    """
    dtype = p.dtype
    p, w, q, v = (t.double() for t in (p, w, q, v))
    theta = p.new_zeros(p.shape[1])
    eye = torch.eye(p.shape[1], dtype=p.dtype, device=p.device)

    def value(at: Tensor) -> Tensor:
        """Return the objective at ``(k,)`` coefficients, shape ``()``."""
        return w @ dual.a(p @ at) - v @ dual.b(q @ at) - ridge * at.square().sum() / 2

    best = value(theta)
    for _ in range(_STEPS):
        a1, a2 = _derivatives(dual.a, p @ theta)
        b1, b2 = _derivatives(dual.b, q @ theta)
        gradient = p.T @ (w * a1) - q.T @ (v * b1) - ridge * theta
        curvature = (q.T * (v * b2)) @ q - (p.T * (w * a2)) @ p + ridge * eye
        step = torch.linalg.solve(curvature, gradient)
        decrement = float(gradient @ step)
        # The error of the maximum is half the decrement.
        if not decrement > 1e-20 * max(1.0, abs(float(best))):
            break
        length = 1.0
        while length > 1e-8:
            trial = value(theta + length * step)
            if bool(trial >= best + 1e-4 * length * decrement):
                break
            length /= 2
        else:
            break  # at the limits of precision
        theta, best = theta + length * step, trial
    return theta.to(dtype)


def _derivatives(function: object, at: Tensor) -> tuple[Tensor, Tensor]:
    """Return an elementwise function's first two derivatives."""
    assert callable(function)
    with torch.enable_grad():
        g = at.detach().requires_grad_()
        (first,) = torch.autograd.grad(function(g).sum(), g, create_graph=True)
        if not first.requires_grad:
            return first.detach(), torch.zeros_like(at)
        (second,) = torch.autograd.grad(first.sum(), g, allow_unused=True)
    return first.detach(), torch.zeros_like(at) if second is None else second
