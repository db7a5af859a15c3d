"""Known laws: densities that integrate to one, samplers that belong to them."""

import math

import pytest
import torch

from wopt_measures.laws.known import known_laws

LAWS = known_laws()
each = pytest.mark.parametrize("name", sorted(LAWS))


@pytest.mark.parametrize("name", sorted(n for n in LAWS if LAWS[n].dim == 2))
def test_planes_integrate_to_one(name):
    # Only the rose has features of 0.05, and it lies within [-2, 2].
    step, half = (0.02, 2) if name == "rose-2" else (0.08, 24)
    side = torch.arange(-half, half, step, dtype=torch.float64)
    total = 0.0
    for part in side.split(100):
        total += float(LAWS[name].log_prob(torch.cartesian_prod(part, side)).exp().sum())
    # Beyond the square are the tails of Student's law, 24^-5 of it, and of the funnel.
    assert total * step**2 == pytest.approx(1.0, abs=0.004)


@each
def test_samples_belong_to_the_density(name):
    """E p(X - t)/p(X) = 1 for X from p: a sampler of another law moves the mean.

    Six standard errors, which are below 0.2.
    """
    law = LAWS[name]
    rng = torch.Generator().manual_seed(7)
    x = law.sample(4000, law.dim, rng)
    d = law.dim
    shift = 0.1 * x.std(0) / d**0.5 * (0.2 if name.startswith("rose") else 0.5)
    ratio = (law.log_prob(x - shift) - law.log_prob(x)).exp()
    error = float(ratio.std()) / math.sqrt(len(ratio))
    assert error < 0.2
    assert abs(float(ratio.mean()) - 1) < 6 * error


@pytest.mark.parametrize("dim", [2, 5, 10, 20])
def test_moments_are_the_known_ones(dim):
    x = {k: LAWS[f"{k}-{dim}"].sample(50_000, dim, torch.Generator().manual_seed(dim))
         for k in ("shell", "student", "gaussian", "funnel")}  # fmt: skip
    size = x["shell"].norm(dim=1)
    assert float(size.mean()) == pytest.approx(3.0, abs=6 * 0.3 / 223)
    assert float(size.std()) == pytest.approx(0.3, rel=0.02)
    assert x["gaussian"].mean(0).tolist() == pytest.approx([1.0] * dim, abs=0.06)
    # Variance v/(v - 2) = 5/3; its fourth moment is finite and the mean is over d coordinates.
    assert float(x["student"].square().mean()) == pytest.approx(5 / 3, rel=0.04)
    assert float(x["funnel"][:, 1:].square().mean()) == pytest.approx(math.exp(0.5), rel=0.08)


def test_parity_shows_in_all_coordinates_only():
    x = LAWS["parity-5"].sample(20_000, 5, torch.Generator().manual_seed(0)).sign()
    assert float(x.prod(1).mean()) > 0.9 * (1 - 2 * 0.0062) ** 5
    assert abs(float(x[:, :4].prod(1).mean())) < 6 / math.sqrt(20_000)
