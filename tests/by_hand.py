"""What tests compute by plain means, to compare with: draws, Jacobians, distances of Gaussians."""

import torch


def normal(n, d, seed=0):
    """Return draws of N(0, I) in float64, shape ``(n, d)``."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=torch.float64)


def jacobians(move, x):
    """Return DT at each row by autograd, row by row, shape ``(n, d, d)``."""
    found = [torch.autograd.functional.jacobian(lambda p: move(p[None])[0], row) for row in x]
    return torch.stack(found)


def root(matrix):
    """Return the square root of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def w2_squared(m, c, n, s):
    """Return W_2^2 of N(m, c) and N(n, s): |m - n|^2 + tr c + tr s - 2 tr (c^1/2 s c^1/2)^1/2."""
    half = root(c)
    cross = torch.trace(root(half @ s @ half))
    return (m - n).square().sum() + torch.trace(c) + torch.trace(s) - 2 * cross
