"""Two-sample and coverage tests agree with those of pted, an independent implementation."""

import pytest
import torch
from by_hand import normal as rows

from wopt_certify.two_sample import tarp_coverage, two_sample

pted = pytest.importorskip("pted", reason="pted is not installed: pip install pted")


def shifted(x):
    return x + torch.tensor([0.5, 0.0, 0.0]).double()


def correlated(x):
    return torch.stack([x[:, 0], 0.7 * x[:, 0] + 0.51**0.5 * x[:, 1], x[:, 2]], 1)


def two_modes(x):
    return torch.cat([(x[:, :1] + 2.5 * x[:, 1:2].sign()) / 7.25**0.5, x[:, 1:]], 1)


CHANGES = {
    "shift": shifted,
    "scale": lambda x: 1.5 * x,
    "correlation": correlated,
    "modes": two_modes,
    "tails": lambda x: x * (1 + x.abs().prod(1, keepdim=True)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_pted_rejects_is_rejected(change):
    x, y = rows(300, 3, 1), CHANGES[change](rows(300, 3, 2))
    assert pted.pted(x, y, permutations=500, rng=0) <= 0.01
    assert two_sample(x, y).p_value <= 0.01


def test_samples_of_one_law_are_rejected_as_seldom():
    pairs = [(rows(150, 3, 2 * k + 100), rows(150, 3, 2 * k + 101)) for k in range(40)]
    theirs = sum(pted.pted(x, y, permutations=200, rng=k) <= 0.05 for k, (x, y) in enumerate(pairs))
    ours = sum(two_sample(x, y, seed=k).p_value <= 0.05 for k, (x, y) in enumerate(pairs))
    assert max(ours, theirs) <= 2 + 3.5 * 1.4  # 40 trials of 5 %: mean 2, sd 1.4


@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_coverage_is_judged_as_by_pted(scale):
    """y given x is N(x, I); draws are too narrow by ``scale``."""
    n, draws = 200, 50
    x = rows(n, 2, 5)
    y, samples = x + rows(n, 2, 6), x[:, None] + scale * rows(n * draws, 2, 7).view(n, draws, 2)
    theirs = pted.pted_coverage_test(
        y, samples.transpose(0, 1), permutations=200, warn_confidence=None, rng=0
    )
    ours = tarp_coverage(y, samples, x)
    assert (theirs <= 0.01) == (ours.verdict != "calibrated") == (scale < 1)
