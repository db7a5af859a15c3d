"""Steps of equal length in W2 against steps of equal size, on the Ornstein-Uhlenbeck flow.

    python benchmarks/arc_length.py

Exact proximal steps of KL to N(0, 1) from Gaussians of the line, N of them in a time T: largest
W2 distance of a step to the exact flow at its time, and KL divergence at the end. No seconds and
no randomness; docs/theory 1.11 has an example.
"""

from __future__ import annotations

import math
from itertools import accumulate

from scipy.optimize import brentq

Gaussian = tuple[float, float]  # mean and standard deviation


def proximal(law: Gaussian, h: float) -> Gaussian:
    """Return the exact step: it minimises KL + W2^2/(2h) among Gaussians."""
    mean, deviation = law
    root = math.sqrt(deviation**2 + 4 * h * (1 + h))
    return mean / (1 + h), (deviation + root) / (2 * (1 + h))


def flow(law: Gaussian, time: float) -> Gaussian:
    """Return the law of the Ornstein-Uhlenbeck process at a time."""
    mean, deviation = law
    variance = 1 + (deviation**2 - 1) * math.exp(-2 * time)
    return mean * math.exp(-time), math.sqrt(variance)


def path(start: Gaussian, sizes: list[float]) -> list[Gaussian]:
    """Return the laws after the steps, the start first."""
    return list(accumulate(sizes, proximal, initial=start))


def equal_lengths(start: Gaussian, steps: int, length: float) -> list[float]:
    """Return the sizes of steps that are ``length`` long; infinite where the target is nearer."""
    sizes: list[float] = []
    for _ in range(steps):
        law = path(start, sizes)[-1]
        if math.dist(law, (0, 1)) <= length:
            return [math.inf] * steps
        sizes.append(brentq(lambda h, at=law: math.dist(proximal(at, h), at) - length, 0, 1e9))
    return sizes


def equal_lengths_in(start: Gaussian, time: float, steps: int) -> list[float]:
    """Return the sizes of steps of equal length that take a time together, by bisection."""
    low, high = 0.0, math.dist(start, (0, 1)) / steps
    for _ in range(60):
        middle = (low + high) / 2
        if sum(equal_lengths(start, steps, middle)) > time:
            high = middle
        else:
            low = middle
    return equal_lengths(start, steps, low)


def measured(start: Gaussian, sizes: list[float]) -> tuple[float, float]:
    """Return the largest W2 distance to the flow, and KL to the target at the end."""
    laws = path(start, sizes)
    times = accumulate(sizes, initial=0.0)
    apart = max(math.dist(law, flow(start, t)) for law, t in zip(laws, times, strict=True))
    mean, deviation = laws[-1]
    return apart, (mean**2 + deviation**2 - 1) / 2 - math.log(deviation)


def main() -> None:
    """Print a line a start and number of steps."""
    print("start, T, N: largest W2 to the flow, KL at the end; equal sizes, then equal lengths")
    for start in ((4.0, 1.0), (0.0, 4.0), (0.0, 0.1)):
        for time in (2.0, 5.0):
            for steps in (4, 8, 16):
                same = measured(start, [time / steps] * steps)
                long = measured(start, equal_lengths_in(start, time, steps))
                print(start, time, steps, *(f"{value:.3g}" for value in (*same, *long)))


if __name__ == "__main__":
    main()
