"""Laplace's approximation of a target: its mode and the curvature there."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.interfaces.target import Target
from wopt_posterior.solvers.robust import minimise_robustly

__all__ = ["laplace"]

_MOST = 200
"""Largest dimension for which a Hessian is computed."""


def laplace(target: Target, start: Tensor, iterations: int) -> tuple[Tensor, Tensor] | None:
    """Return a target's mode, shape ``(d,)``, and H^(-1/2), ``(d, d)``; ``None`` unless H > 0.

    H is the Hessian of the potential V, so N(mode, H^-1) is Laplace's approximation.

    Args:
        target: A law known by its potential.
        start: Point from which the mode is searched, shape ``(d,)``, float64.
        iterations: Largest number of L-BFGS iterations.

    Example:
        >>> import wopt
        >>> law = wopt.build("target", {"name": "gaussian", "mean": [3.0, 0.0], "scale": 2.0})
        >>> mode, root = laplace(law, torch.zeros(2).double(), 100)
        >>> [round(v, 4) for v in mode.tolist()], round(float(root[0, 0]), 4)
        ([3.0, 0.0], 2.0)
    """
    x = start.detach().clone()[None].requires_grad_()
    if x.shape[1] > _MOST or not minimise_robustly([x], lambda: _value(target, x), iterations):
        return None
    mode = x.detach()[0]
    try:
        hessian = torch.autograd.functional.hessian(lambda y: _value(target, y[None]), mode)
    except RuntimeError:  # not twice differentiable
        return None
    if not bool(torch.isfinite(hessian).all()):
        return None
    values, vectors = torch.linalg.eigh(hessian)
    if not float(values[0]) > 1e-12 * float(values[-1]):
        return None
    return mode, vectors * values.rsqrt() @ vectors.T


def _value(target: Target, x: Tensor) -> Tensor:
    value: Tensor = target.potential(x).sum()
    return value
