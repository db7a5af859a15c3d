"""Weighted nodes of laws: quasi-random points, and Gauss rules with positive weights."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wopt import ConfigError
from wopt_measures.laws.barenblatt import BarenblattLaw
from wopt_measures.laws.gaussian import GaussianLaw

Rule = Literal["random", "sobol", "gauss", "radial"]
"""Rule that places the particles of a start."""

_MOST = 200_000
"""Largest number of nodes of a tensor product."""


def nodes(
    law: GaussianLaw | BarenblattLaw, rule: Rule, n: int, dim: int, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Return points and weights, shapes ``(k, d)`` and ``(k,)``; ``None`` for equal weights.

    Args:
        rule: ``sobol``: n scrambled quasi-random points, on the line n quantiles; ``gauss``: n^d
            Gauss-Hermite nodes, exact for polynomials of degree 2 n - 1; ``radial``: n radii times
            the 2 d points along the axes, exact for quadratic functions and, in |x|^2, for
            polynomials of degree 2 n - 1.

    Example:
        >>> x, w = nodes(GaussianLaw.make(0.0, 2.0, dim=3), "radial", 2, 3, seed=0)
        >>> len(x), round(float(w @ x[:, 0].square()), 6)  # the variance
        (12, 4.0)
    """
    if rule == "sobol":
        return _sobol(law, n, dim, seed), None
    if rule == "radial":
        radii, weights = _radial(law, n, dim)
        axes = torch.cat([torch.eye(dim), -torch.eye(dim)]).double()
        points = (radii[:, None, None] * axes).reshape(-1, dim)
        weights = weights.repeat_interleave(2 * dim) / (2 * dim)
        return (law.push(points) if isinstance(law, GaussianLaw) else points), weights
    if not isinstance(law, GaussianLaw):
        raise ConfigError('rule = "gauss" is for a Gaussian; use radial, sobol or random')
    if n**dim > _MOST:
        raise ConfigError(
            f'rule = "gauss" with {n} nodes along each of {dim} axes has {n**dim} nodes; take '
            'fewer (`nodes`), or rule = "radial" (2 d points a radius) or "sobol"'
        )
    z, w = np.polynomial.hermite_e.hermegauss(n)
    points = torch.tensor(list(itertools.product(z, repeat=dim)), dtype=torch.float64)
    weights = torch.tensor(list(itertools.product(w / w.sum(), repeat=dim))).double().prod(1)
    return law.push(points), weights


def _sobol(law: GaussianLaw | BarenblattLaw, n: int, dim: int, seed: int) -> Tensor:
    from scipy.special import ndtri

    if dim == 1:
        u = (torch.arange(n, dtype=torch.float64)[:, None] + 0.5) / n
    else:
        sides = dim + isinstance(law, BarenblattLaw)
        engine = torch.quasirandom.SobolEngine(sides, scramble=True, seed=seed % 2**31)
        u = engine.draw(n, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    if isinstance(law, BarenblattLaw):
        return law.from_cube(u)
    return law.push(torch.from_numpy(ndtri(u.numpy())))


def _radial(law: GaussianLaw | BarenblattLaw, n: int, dim: int) -> tuple[Tensor, Tensor]:
    if isinstance(law, BarenblattLaw):
        return law.radial_rule(n)
    from scipy.special import roots_genlaguerre

    halves, weights = roots_genlaguerre(n, dim / 2 - 1)  # |z|^2/2 has the law Gamma(d/2)
    return torch.from_numpy(2 * halves).sqrt(), torch.from_numpy(weights / weights.sum())
