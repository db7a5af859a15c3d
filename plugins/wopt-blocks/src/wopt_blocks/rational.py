"""Monotone rational-quadratic splines of many points at once, with a gradient written by hand."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from wopt_blocks.bins import LEAST, find_bins

SLOPE = 1e-3
"""Smallest slope of an affine map, and of a spline at its knots; the largest is 1/SLOPE."""

_BEND = -1 / math.log(SLOPE)


def bounded_log_slope(parameter: Tensor) -> Tensor:
    """Return parameters of any shape, squashed into (log SLOPE, -log SLOPE)."""
    return parameter / (1 + parameter.abs() * _BEND)


def spline(raw: Tensor, x: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
    """Return S(x) and log S'(x), ``(d, n)``; S is a spline of K bins on [-B, B], else the identity.

    In a bin of width w, height h and s = h/w, with slopes a and b at its ends, at the fraction t of
    its width:

        S = bottom + h t (s t + a (1 - t)) / (s + (a + b - 2 s) t (1 - t)).

    Source: Gregory, Delbourgo, *Piecewise rational quadratic interpolation to monotonic data*,
    1982; Durkan, Bekasov, Murray, Papamakarios, *Neural Spline Flows*, 2019.

    The first derivatives are written by hand: automatic ones pass over all bins several times as
    often, and over every point twice as often. A second derivative is automatic.

    Args:
        raw: K logits of widths, K of heights, K - 1 parameters of slopes, shape
            ``(3K - 1, d, n)``; zero for the identity.
        x: Points, shape ``(d, n)``.
    """
    evaluated: tuple[Tensor, Tensor] = _Spline.apply(raw, x, bound)  # type: ignore[no-untyped-call]
    return evaluated


def inverse_spline(raw: Tensor, y: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
    """Return S^-1(y) and its log-slope, ``(d, n)``, in closed form; see :func:`spline`."""
    fraction, inside = _fraction_of_box(y, bound)
    logits, inner = _parts(raw)
    at = find_bins(logits.flip(0), fraction.detach())
    before, after = _ends(inner, at.index)
    a, b = bounded_log_slope(before).exp(), bounded_log_slope(after).exp()
    (bottom, left), (height, width) = at.corner, at.length
    s = height / width
    above = fraction - bottom
    # S = share is the equation  quadratic t^2 + linear t + constant = 0  in t.
    bend = above * (a + b - 2 * s)
    quadratic = height * (s - a) + bend
    linear = height * a - bend
    constant = -s * above
    root = (linear * linear - 4 * quadratic * constant).clamp(min=0).sqrt()
    # Of the two forms of the solution the one in which nothing cancels.
    rising = linear > 0
    t = torch.where(rising, -2 * constant, root - linear) / torch.where(
        rising, linear + root, 2 * quadratic
    )
    rest = 1 - t
    bent = s + (a + b - 2 * s) * (t * rest)
    slope = b * t * t + 2 * s * t * rest + a * rest * rest
    log_derivative = -(slope.log() + 2 * (s / bent).log())
    shift = (left - bottom) + (width * t - above)
    return y + 2 * bound * shift * inside, log_derivative * inside


class _Spline(torch.autograd.Function):
    """See :func:`spline`."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, x: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
        """Return S(x) and log S'(x), shapes ``(d, n)``."""
        y, log_derivative, *needed = _evaluate(raw, x, bound)
        ctx.save_for_backward(raw, x, bound, *needed)
        return y, log_derivative

    @staticmethod
    def backward(ctx: Any, of_y: Tensor, of_log: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients by ``raw`` and ``x``, in their shapes, and None for ``bound``."""
        raw, x, bound, *saved = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for
            # Views, because raw may depend on x: only the direct dependence on each counts.
            inputs = raw.view_as(raw), x.view_as(x)
            again = _evaluate(*inputs, bound)[:2]
            asked = [part for part in inputs if part.requires_grad]
            gradients = iter(torch.autograd.grad(again, asked, (of_y, of_log), create_graph=True))
            return *(next(gradients) if part.requires_grad else None for part in inputs), None
        inside, corner, length, index, shares, before, after, a, b, s, t, bent, gain, slope = saved
        (width, height), size = length, 2 * bound
        outside = of_y * ~inside
        of_y = (of_y - outside) * size
        of_log = of_log * inside
        rest = 1 - t
        turn = t * rest
        by_slope, by_bent = of_log / slope, of_log / bent
        drop = (of_y * gain / bent + 2 * by_bent) * turn
        fraction = of_y * s * (width * s) / bent
        of_t = fraction * (slope / bent) + 2 * (
            by_slope * (b * t + s * (rest - t) - a * rest) - by_bent * (a + b - 2 * s) * (rest - t)
        )
        of_a = of_y * height * turn / bent + by_slope * rest * rest - drop
        of_b = by_slope * t * t - drop
        of_s = (
            of_y * (height * t * t - gain * (1 - 2 * turn)) / bent
            + 2 * by_slope * turn
            + 2 * of_log / s
            - 2 * by_bent * (1 - 2 * turn)
        )
        of_corner = torch.stack([-of_t / width, of_y])
        of_length = torch.stack(
            [-(of_t * t + of_s * s) / width, of_s / width + of_y * gain / height]
        )
        gradient = torch.empty_like(raw)
        logits, inner = _parts(gradient)
        _to_logits(logits, shares, corner, length, of_corner, of_length, index)
        ends = of_a * a * _bending(before), of_b * b * _bending(after)
        _to_inner(inner, *ends, index, shares.shape[1])
        return gradient, of_t / width / size + outside, None


def _to_inner(
    inner: Tensor, of_first: Tensor, of_second: Tensor, index: Tensor, pieces: int
) -> None:
    """Write the gradient by the slopes at inner knots, from those of each point's two ends."""
    inner.zero_()
    inner.scatter_add_(0, (index - 1).clamp(min=0)[None], (of_first * (index > 0))[None])
    last = pieces - 1
    inner.scatter_add_(0, index.clamp(max=last - 1)[None], (of_second * (index < last))[None])


def _evaluate(raw: Tensor, x: Tensor, bound: Tensor) -> tuple[Tensor, ...]:
    """Return the spline's values, its log-slopes, and all that their gradient needs."""
    fraction, inside = _fraction_of_box(x, bound)
    logits, inner = _parts(raw)
    at = find_bins(logits, fraction.detach())
    before, after = _ends(inner, at.index)
    a, b = bounded_log_slope(before).exp(), bounded_log_slope(after).exp()
    width, height = at.length
    s = height / width
    t = (fraction - at.corner[0]) / width
    rest = 1 - t
    turn = t * rest
    bent = s + (a + b - 2 * s) * turn
    gain = height * t * (s * t + a * rest) / bent
    slope = b * t * t + 2 * s * turn + a * rest * rest
    shift = (at.corner[1] - at.corner[0]) + (gain - t * width)
    # The displacement is added, which near the identity rounds less.
    y = x + 2 * bound * shift * inside
    log_derivative = (slope.log() + 2 * (s / bent).log()) * inside
    return (
        y, log_derivative, inside, at.corner, at.length, at.index, at.shares, before, after,
        a, b, s, t, bent, gain, slope,
    )  # fmt: skip


def _fraction_of_box(x: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points' position between -B (0) and B (1), and whether they lie inside."""
    fraction = (x + bound) / (2 * bound)
    inside = (fraction > 0) & (fraction < 1)
    # A point outside must not make a value that is not finite, even where it is not used.
    return torch.where(inside, fraction, 0.5), inside


def _parts(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of both axes, ``(2, K, d, n)``, and the parameters of the slopes."""
    k = (len(raw) + 1) // 3
    return raw[: 2 * k].view(2, k, *raw.shape[1:]), raw[2 * k :]


def _ends(inner: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slopes' parameters at both ends of a bin; they are zero at -B and B."""
    last = len(inner) - 1
    left = inner.gather(0, (index - 1).clamp(min=0)[None])[0]
    right = inner.gather(0, index.clamp(max=last)[None])[0]
    return left * (index > 0), right * (index <= last)


def _bending(parameter: Tensor) -> Tensor:
    """Return the derivative of :func:`bounded_log_slope`."""
    return (1 + parameter.abs() * _BEND) ** -2


def _to_logits(
    out: Tensor,
    shares: Tensor,
    corner: Tensor,
    length: Tensor,
    of_corner: Tensor,
    of_length: Tensor,
    index: Tensor,
) -> None:
    """Write the gradient by the logits z, from those by a bin's corner and length."""
    # With p = softmax(z) and c = 1 - K LEAST, bin i starts at  c sum_{j<i} p_j + LEAST i  and has
    # the length  c p_i + LEAST,  so that dL/dz_j = c p_j (g_j - sum_k p_k g_k),
    # g_j = of_start [j < i] + of_length [j = i].
    k = shares.shape[1]
    least = LEAST * index.to(corner.dtype)  # a product with an integer would be float32
    mean = of_corner * (corner - least) + of_length * (length - LEAST)
    scale = 1 - k * LEAST
    bins = torch.arange(k, device=index.device).view(-1, 1, 1)
    torch.mul((bins < index).to(shares.dtype), (scale * of_corner)[:, None], out=out)
    out.sub_(mean[:, None])
    out.scatter_add_(1, index.expand(2, 1, *index.shape), (scale * of_length)[:, None])
    out.mul_(shares)
