"""Whether a target has modes apart: parts of it that no straight line joins."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt.interfaces import Target

__all__ = ["mode_separation"]

_NEAR, _FAR = 10, 10
"""Number of partners of every point: nearest neighbours, and points drawn at random."""
_BETWEEN = 7
"""Number of points evaluated on a line."""
_DEEP = 2.0
"""By how much the log-density falls, below the chord, on a line that does not join its ends."""
_ROWS = 2000


@torch.no_grad()
def mode_separation(target: Target, x: Tensor, rng: torch.Generator) -> float:
    """Return the share of points outside the largest part that lines join.

    Points of the target are joined where the log-density on the line between them is nowhere more
    than two nats below its chord: on a log-concave part it is never below. (To compare with both
    ends is not enough: where one end is in a tail, nothing is below it.) So arms, rings and necks
    are one part, by lines from neighbour to neighbour, and modes are several.

    Args:
        target: A law known by its potential V.
        x: Points that approximately follow exp(-V), shape ``(n, d)``.
        rng: Random numbers for the choice of partners.

    Example:
        >>> import wopt
        >>> two = wopt.build("target", {"name": "mixture", "means": [[-6.0, 0.0], [6.0, 0.0]]})
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = two.sample(200, 2, rng)
        >>> 0.4 < mode_separation(two, x, rng) <= 0.5
        True
        >>> x = torch.randn(200, 10, generator=rng)
        >>> mode_separation(wopt.build("target", "funnel"), x, rng)
        0.0
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(x)
    z = (x - x.mean(0)) / x.std(0).clamp_min(1e-300)
    near = torch.cdist(z, z).topk(min(n, _NEAR + 1), largest=False).indices[:, 1:]
    far = torch.randint(n, (n, _FAR), generator=rng, device=rng.device).to(near)
    partners = torch.cat([near, far], 1)
    i = torch.arange(n, device=x.device).repeat_interleave(partners.shape[1])
    j = partners.flatten()
    t = torch.linspace(0, 1, _BETWEEN + 2)[1:-1].to(x)
    lines = (x[i] + t[:, None, None] * (x[j] - x[i])).flatten(0, 1)
    value = torch.cat([_value(target, rows) for rows in lines.split(_ROWS)]).view(len(t), -1)
    ends = _value(target, x)
    chord = ends[i] + t[:, None] * (ends[j] - ends[i])
    joined = (value >= chord - _DEEP).all(0)
    pairs = i[joined].cpu().numpy(), j[joined].cpu().numpy()
    edges = coo_matrix((torch.ones(len(pairs[0])).numpy(), pairs), shape=(n, n))
    sizes = torch.from_numpy(connected_components(edges, directed=False)[1]).bincount()
    return 1 - int(sizes.max()) / n


def _value(target: Target, x: Tensor) -> Tensor:
    """Return -V, and -infinity where it is not a number."""
    return (-target.potential(x)).nan_to_num(nan=-torch.inf, neginf=-torch.inf)
