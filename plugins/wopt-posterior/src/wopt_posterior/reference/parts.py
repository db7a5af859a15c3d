"""Parts of a target: its modes, where no straight line from points of one leads to another."""

from __future__ import annotations

import torch
from torch import Tensor

from wopt_posterior.reference.moves import LogDensity

_NEAR, _FAR = 10, 10
"""Number of partners of every point: nearest neighbours, and points drawn at random."""
_BETWEEN = 7
"""Number of points evaluated on a line."""
_DEEP = 2.0
"""By how much the log-density falls, below the chord, on a line that does not join its ends."""
_ROWS = 2000


@torch.no_grad()
def joined(density: LogDensity, x: Tensor, y: Tensor) -> Tensor:
    """Return whether lines from points ``(n, d)`` to ``(n, d)`` join them, shape ``(n,)``.

    Two points are joined where the log-density on the line between them is nowhere more than two
    nats below its chord: on a log-concave part it is never below. (To compare with both ends is
    not enough: where one end is in a tail, nothing is below it.)

    Example:
        >>> two = lambda x: (-(x[:, 0].abs() - 6).square() / 2, None)
        >>> x = torch.tensor([[-6.0], [-6.0]])
        >>> joined(two, x, torch.tensor([[-5.0], [6.0]])).tolist()
        [True, False]
    """
    t = torch.linspace(0, 1, _BETWEEN + 2).to(x)
    lines = (x + t[:, None, None] * (y - x)).flatten(0, 1)
    value = torch.cat([density(rows)[0] for rows in lines.split(_ROWS)]).view(len(t), -1)
    chord = value[0] + t[:, None] * (value[-1] - value[0])
    return (value >= chord - _DEEP).all(0)


def mode_of(density: LogDensity, x: Tensor, rng: torch.Generator) -> Tensor:
    """Return the part of each point, shape ``(n,)``, counted from the largest part, 0.

    Arms, rings and necks are one part, by lines from neighbour to neighbour; modes are several.

    Args:
        x: Points that approximately follow it, shape ``(n, d)``.

    Example:
        >>> two = lambda x: (-(x[:, 0].abs() - 6).square() / 2, None)
        >>> rng = torch.Generator().manual_seed(0)
        >>> x = torch.randn(200, 1, generator=rng)
        >>> x[100:] += 6
        >>> x[:100] -= 6
        >>> mode_of(two, x, rng).bincount().tolist()
        [100, 100]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(x)
    z = (x - x.mean(0)) / x.std(0).clamp_min(1e-300)
    near = torch.cdist(z, z).topk(min(n, _NEAR + 1), largest=False).indices[:, 1:]
    partners = torch.cat([near, torch.randint(n, (n, _FAR), generator=rng)], 1)
    i, j = torch.arange(n).repeat_interleave(partners.shape[1]), partners.flatten()
    line = joined(density, x[i], x[j])
    pairs = i[line].numpy(), j[line].numpy()
    edges = coo_matrix((line[line].double().numpy(), pairs), shape=(n, n))
    label = torch.from_numpy(connected_components(edges, directed=False)[1]).long()
    rank = label.bincount().argsort(descending=True, stable=True)
    return rank.argsort()[label]
