"""The seed paper's experiment: one step from N((3,3), I) to N((2,2), I), h = 0.5, exact for KL.

Its first-order error is zero, and the affine Stein form says so within its interval.

Source: Cheng, Lu, Tan, Xie 2024 (arXiv 2310.17582); docs/theory 1.3 and 4.2.
"""

import statistics

import pytest
import torch

import wopt
from wopt.interfaces.subproblem import Stationarity
from wopt.stein import AffineField, SteinForm, affine_residual

H, N = 0.5, 2000
SEEDS = range(100)


def samples(seed, n=N, shift=0.0):
    """Return rows of the start and their images; ``shift`` is an error of the block's mean."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, dtype=torch.float64, generator=rng) + 3
    return x, x - 1 + shift


def moved(x, y):
    return wopt.Particles.start(x).moved(y, torch.zeros(len(x)).double())


def stein(x, y):
    """Return <xi, phi>/|phi| and its standard error, phi affine, fitted on the other half."""
    form = SteinForm.of(wopt.build("objective", "kl"), moved(x, y), x, H)
    fit, judge = form.rows(slice(0, None, 2)), form.rows(slice(1, None, 2))
    return judge.size(*AffineField(fit)(judge.points))


def test_the_stein_form_finds_nothing_within_its_interval():
    found = [stein(*samples(seed)) for seed in SEEDS]
    outside = sum(abs(value) > 1.96 * error for value, error in found)
    assert outside <= 5 + 3 * 2.2  # 5 of 100, with the binomial's standard error
    assert max(error for _, error in found) < 0.06
    mean = statistics.mean(value for value, _ in found)
    assert abs(mean) < 3 * statistics.mean(error for _, error in found) / 10
    # What training prints, cross-fitted, is of that size too.
    x, y = samples(0)
    kl = wopt.build("objective", "kl")
    assert affine_residual(Stationarity(kl, moved(x, y), x, H)) < 0.12


@pytest.mark.parametrize("shift", [0.05, 0.3])
def test_the_stein_form_finds_an_error_that_is_there(shift):
    """A mean that is off by s has xi = 3 s in each coordinate: s from V and 2 s from the map."""
    truth = 3 * shift * 2**0.5
    found = [stein(*samples(seed, shift=shift)) for seed in SEEDS]
    # It is a lower bound: a field fitted on samples is a little less than the best one.
    missed = sum(value - 1.96 * error > truth for value, error in found)
    assert missed <= 2.5 + 3 * 1.6
    mean = statistics.mean(value for value, _ in found)
    assert 0.8 * truth < mean < 1.02 * truth
    assert all(value > 1.96 * error for value, error in found)
