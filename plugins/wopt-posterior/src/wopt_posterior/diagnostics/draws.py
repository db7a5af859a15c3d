"""Tests of weighted draws: whether they end where their target does, and stay as they are."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wopt.flow import log_weights
from wopt.interfaces import Target
from wopt.seeds import generator

__all__ = ["InvarianceTest", "TruncationTest", "largest_drift", "sharpest_edge"]

_BATCH, _BATCHES, _SECONDS_OF_EDGES = 4000, 16, 3.0
"""Draws per batch, batches at most, and CPU seconds; the number of batches is a power of two."""
_SHARES = 0.01, 0.03, 0.1
"""Masses of the tails that are tested."""
_ROWS, _CONTROLS = 40, 400
"""Draws of a tail per control variate, and the number of control variates at most."""
_BEYOND = 100
"""Draws that are moved outwards to test whether the target itself ends there."""


@dataclasses.dataclass(frozen=True)
class TruncationTest:
    """An end of a coordinate at which draws seem to be cut off.

    Attributes:
        coordinate: The coordinate, from 0.
        below: Whether it is the lower end, otherwise the upper one.
        at: The start of the tested tail.
        density: Estimated density of the target's coordinate at the cut; 0 if there is no cut.
        error: Its standard error.
        spread: The standard deviation of the coordinate.
        ends: The number of estimates of which this is the largest, in its errors.
    """

    coordinate: int
    below: bool
    at: float
    density: float
    error: float
    spread: float
    ends: int


def sharpest_edge(
    target: Target,
    draws: Tensor,
    log_w: Tensor,
    more: Callable[[int], tuple[Tensor, Tensor]] | None = None,
) -> TruncationTest | None:
    """Return the end of a coordinate at which the draws are most clearly cut off.

    For a function f of a coordinate, 1 in its lower tail and 0 in the bulk, integration by parts
    gives Stein's identity for p = exp(-V)/Z, and for p without its mass below a cut c

        E_p[f'(x_j) - f(x_j) dV/dx_j] = 0,    E_p[... | x_j > c] = -p_j(c)/P(x_j > c),

    p_j the density of the coordinate, and likewise above. So weighted draws show, by the slope of V
    where they are, that mass continues where there are none. Neither the weights nor steps from the
    draws show it if the way is narrow, as into the neck of a hierarchical model. Tails of three
    masses are tested, with up to 16 times as many draws as are given, at most 64,000. Ends where V
    is infinite just beyond the draws are the target's own, and are left out; a jump of its density
    inside would be taken for a cut.

    Source: Stein, 1972; Gorham, Mackey, *Measuring sample quality with Stein's method*, 2015.

    Args:
        target: A target known by its potential V.
        draws: Independent draws of the model, shape ``(n, d)``, float64.
        log_w: -V - log q at the draws, nats, shape ``(n,)``.
        more: Function from a number m to as many other draws ``(m, d)`` and log q there ``(m,)``.

    Returns:
        The estimate that is most above 0 in its errors, or ``None`` where there are few draws.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> p = GaussianTarget([0.0], [[1.0]])
        >>> x = p.sample(20_000, 1, torch.Generator().manual_seed(0))
        >>> edge = sharpest_edge(p, x, torch.zeros(len(x)))
        >>> edge.density < 4 * edge.error
        True
        >>> x = x[x[:, 0] > -1.6]  # 5 % of the mass are cut off, where the density is 0.11
        >>> edge = sharpest_edge(p, x, torch.zeros(len(x)))
        >>> edge.below, edge.density > 8 * edge.error, round(edge.density, 1)
        (True, True, 0.1)
    """
    x, log_w = (draws, log_w) if more is None else _drawn(target, more, min(len(draws), _BATCH))
    usable = x.isfinite().all(1) & log_w.isfinite()
    x, log_w = x[usable].double(), log_w[usable].double()
    if len(x) < 1000:
        return None
    score = target.score(x).double().cpu()
    usable = score.isfinite().all(1)
    x, score, weights = x[usable], score[usable], torch.softmax(log_w[usable], 0)
    found = [
        estimate
        for j in range(x.shape[1])
        for below in (True, False)
        for estimate in _of_end(target, x, score, weights, j, below)
    ]
    if not found:
        return None
    at, density, error, j, below = max(found, key=lambda one: one[1] / one[2])
    mean = weights @ x[:, j]
    spread = float((weights @ (x[:, j] - mean).square()).sqrt())
    return TruncationTest(j, below, at, density, error, spread, len(found))


def _of_end(
    target: Target, x: Tensor, score: Tensor, weights: Tensor, j: int, below: bool
) -> Iterator[tuple[float, float, float, int, bool]]:
    """Yield the start of a tail, the density at a cut, its error, the coordinate and the end."""
    side = 1.0 if below else -1.0
    t, slope = side * x[:, j], side * score[:, j]
    order = t.argsort()
    mass = weights[order].cumsum(0)
    for fraction in _SHARES:
        inner, outer = (t[order[int((mass < part).sum())]] for part in (fraction, fraction / 3))
        width = inner - outer
        tail = torch.nonzero(t < outer)[:_BEYOND, 0]
        if width <= 1e-6 * t.std() or len(tail) < 10 or _ends(target, x[tail], j, -side * width):
            continue
        f = ((inner - t) / width).clamp(0, 1)
        rows = torch.nonzero(f > 0)[:, 0]  # f and its slope are zero at all other rows
        w, f = weights[rows], f[rows]
        h = torch.where(f < 1, 1 / width, 0.0) - f * slope[rows]
        h, freedom = _less_noise(h, f, x[rows], score[rows], w, j)
        density = w @ h
        # At rows with f = 0, all but a tail, the deviation is the mean itself.
        spread = w.square() @ (h - density).square()
        spread += (weights.square().sum() - w.square().sum()) * density.square()
        yield float(side * inner), float(density), float((spread / freedom).sqrt()), j, below


def _less_noise(
    h: Tensor, f: Tensor, x: Tensor, score: Tensor, weights: Tensor, j: int
) -> tuple[Tensor, float]:
    """Return h minus control variates of least variance, and the fraction of freedom left."""
    # Whatever is cut off of x_j, E[f(x_j) (dg/dx_k - g dV/dx_k)] = 0 for k other than j. With g
    # constant and linear these cover the noise by a hierarchy's scale, which would hide a cut.
    others = [k for k in range(x.shape[1]) if k != j]
    s, z = score[:, others], x[:, others] - weights @ x[:, others] / weights.sum()
    count, most = len(others), min(len(x) // _ROWS, _CONTROLS)
    if count + count**2 <= most:
        linear = (s[:, :, None] * z[:, None, :] + torch.eye(count).to(x)).flatten(1)
    elif 2 * count <= most:
        linear = s * z + 1
    else:
        return h, 1.0
    controls = f[:, None] * torch.cat([s, linear], 1)
    a = weights[:, None] * controls
    a, scale = a / a.norm(dim=0).clamp_min(1e-300), a.norm(dim=0).clamp_min(1e-300)
    gram = a.T @ a + 1e-8 * torch.eye(a.shape[1]).to(a)
    factors = torch.linalg.solve(gram, a.T @ (weights * h)) / scale
    return h - controls @ factors, 1 - a.shape[1] / len(x)


def _ends(target: Target, x: Tensor, j: int, outwards: Tensor | float) -> bool:
    """Return whether the target has no density a little further out than the draws of a tail."""
    beyond = x.clone()
    beyond[:, j] += outwards * torch.linspace(0.5, 3, len(x)).to(x)
    return not bool(target.potential(beyond).isfinite().all())


def _drawn(
    target: Target, more: Callable[[int], tuple[Tensor, Tensor]], batch: int
) -> tuple[Tensor, Tensor]:
    """Return as many draws as the time allows, with their log weights."""
    parts: list[tuple[Tensor, Tensor]] = []
    count = 1
    while len(parts) < count:
        began = time.process_time()
        y, log_q = more(batch)
        parts.append((y.double().cpu(), log_weights(target, y, log_q).double().cpu()))
        if len(parts) == 1:
            target.score(parts[0][0])  # timed with the draws
            lap = max(time.process_time() - began, 1e-9)
            count = min(_BATCHES, 2 ** int(math.log2(max(_SECONDS_OF_EDGES / lap, 1.0))))
    return torch.cat([x for x, _ in parts]), torch.cat([w for _, w in parts])


_CHAINS, _STEPS, _SECONDS_OF_WALK = 4000, 2048, 3.0
"""Chains, steps and CPU seconds at most; the number of steps is a power of two, so that the same
machine makes the same ones."""
_ROUNDING = 1e-4
"""Least error of the mean of w/(w + Z), by the precision of float32 densities."""
_TIMED = 4
"""Number of timed steps."""
_SCALES = math.log(0.003), math.log(1.5)
"""Logarithms of the least and largest scale of proposals, in standard deviations; each chain draws
its own scale at each step."""


@dataclasses.dataclass(frozen=True)
class InvarianceTest:
    """The change of a mean.

    Attributes:
        of: The quantity that is averaged, in words.
        value: The mean after the steps minus that before.
        error: Its standard error over the chains.
        means: The number of means of which this one changed most, in errors.
    """

    of: str
    value: float
    error: float
    means: int


@torch.no_grad()
def largest_drift(
    target: Target,
    draws: Tensor,
    log_weights: Tensor,
    seed: int,
    model: Callable[[Tensor], Tensor] | None = None,
    steps: int = _STEPS,
) -> InvarianceTest | None:
    """Return the mean that random-walk Metropolis steps from the draws change most.

    If draws with their weights w represent the target p, so do the draws after steps of a Markov
    chain that preserves p, so that for every f

        E_w[f(X_k) - f(X_0)] = 0.

    Weights cannot show that the model's draws lack an arm or a tail of p, since no draw is there;
    chains walk into it. The functions are V, every coordinate and its square about the mean, and,
    where the model's density q is known,  f = w/(w + Z),  w = exp(-V)/q, the fraction of p in an
    equal mixture of both: near 1 where q has no draws, and bounded, so that errors are reliable.

    A proposal moves a random subset of coordinates, one at least, by a normal step whose scale is
    drawn log-uniformly: both are symmetric whatever the subset and scale. So chains enter a neck
    that is narrow in most coordinates and long in one. Chains are few, so no change proves little.

    Source: Metropolis et al., 1953; the test by paired differences follows Gorham, Mackey,
    *Measuring sample quality with Stein's method*, 2015, with steps in place of the generator; f
    is the optimal bridge of Meng, Wong, *Simulating ratios of normalizing constants*, 1996.

    Args:
        target: A target known by its potential V.
        draws: Independent draws of the model, shape ``(n, d)``, float64.
        log_weights: -V - log q at the draws, nats, shape ``(n,)``.
        seed: Seed of the steps.
        model: log q at any points, from shape ``(n, d)`` to ``(n,)``.
        steps: Number of steps at most, a power of two; fewer where they would take over three
            seconds.

    Returns:
        The change that is largest in its errors, or ``None`` where there are too few draws.

    Example:
        >>> from wopt.testing import GaussianTarget
        >>> p = GaussianTarget([0.0], [[1.0]])
        >>> x = p.sample(2000, 1, torch.Generator().manual_seed(0))
        >>> drift = largest_drift(p, x, torch.zeros(2000), seed=0, steps=128)
        >>> abs(drift.value) < 4 * drift.error
        True
        >>> drift = largest_drift(p, x.clamp(-1, 1), torch.zeros(2000), seed=0, steps=128)
        >>> drift.value > 10 * drift.error  # its tails are missing
        True
    """
    rows = torch.nonzero(torch.isfinite(log_weights))[:_CHAINS, 0]
    if len(rows) < 100:
        return None
    before, log_w = draws[rows].double(), log_weights[rows].double()
    after, weights = _walk(target, before, seed, steps), torch.softmax(log_w, 0)
    mean, spread = before.mean(0), before.std(0).clamp_min(1e-300)
    change = _features(target, after, mean, spread) - _features(target, before, mean, spread)
    names = ["V", *(f"({p} of coordinate {j + 1})/sd" for p in ("deviation", "squared deviation")
                    for j in range(draws.shape[1]))]  # fmt: skip
    if model is not None:
        log_z = log_weights.double().logsumexp(0) - math.log(len(log_weights))
        shares = [_share(target, model, x, log_z) for x in (after, before)]
        change = torch.cat([change, (shares[0] - shares[1])[:, None]], 1)
        names.append("p/(p + q), p the target and q the model,")
    value = weights @ change
    error = (weights.square() @ (change - value).square()).sqrt()
    if model is not None:
        error[-1] = error[-1].clamp_min(_ROUNDING)
    ratio = torch.where(error > 0, value.abs() / error, 0)
    k = int(ratio.argmax())
    return InvarianceTest(names[k], float(value[k]), float(error[k]), len(names))


def _share(target: Target, model: Callable[[Tensor], Tensor], x: Tensor, log_z: Tensor) -> Tensor:
    """Return w/(w + Z); 1 where q is zero, or too small to be known."""
    log_w = -target.potential(x).double() - model(x).double().cpu()
    return torch.nan_to_num(torch.sigmoid(log_w - log_z), nan=1.0)


def _features(target: Target, x: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    z = (x - mean) / spread
    return torch.cat([target.potential(x).double()[:, None], z, z.square()], 1)


def _walk(target: Target, x: Tensor, seed: int, most: int) -> Tensor:
    """Return the particles after Metropolis steps that preserve exp(-V)."""
    chance, spread = generator(seed, "walk"), x.std(0)
    potential = target.potential(x).double()
    made, steps, began = 0, min(most, _TIMED), time.process_time()
    while made < steps:
        to = x + spread * _proposal(x, chance)
        there = target.potential(to).double()
        uniform = torch.rand(len(x), generator=chance, dtype=torch.float64)
        accepted = uniform.log() < potential - there  # false where V is NaN or infinite
        x = torch.where(accepted[:, None], to, x)
        potential = torch.where(accepted, there, potential)
        made += 1
        if made == _TIMED:
            steps = min(most, _fitting((time.process_time() - began) / _TIMED))
    return x


def _proposal(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return steps in deviations: of one coordinate, and of others with a random probability."""
    n, d = x.shape
    low, high = _SCALES
    scale = torch.exp(low + (high - low) * torch.rand((n, 1), generator=rng)).double()
    fraction = torch.exp(-math.log(d) * torch.rand((n, 1), generator=rng))
    moved = torch.rand((n, d), generator=rng) < fraction
    one = torch.randint(d, (n, 1), generator=rng)
    noise = torch.randn((n, d), generator=rng, dtype=torch.float64)
    return scale * noise * moved.scatter(1, one, True)


def _fitting(lap: float) -> int:
    """Return the number of steps that fit, a power of two, at ``lap`` CPU seconds each.

    Example:
        >>> _fitting(0.01), _fitting(0.02), _fitting(0.021), _fitting(9.0)
        (256, 128, 128, 1)
    """
    return min(_STEPS, 2 ** int(math.log2(max(_SECONDS_OF_WALK / max(lap, 1e-9), 1.0))))
