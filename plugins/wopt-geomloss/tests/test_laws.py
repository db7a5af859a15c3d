"""What holds for distances by plans beside the laws of all (tests/test_objectives.py)."""

import pytest
import torch

import wopt
from wopt.interfaces.objective import energy_derivatives
from wopt.testing import NormalTarget

TIGHT = {"epsilon": 1.0, "tolerance": 1e-11}
CASES = [
    ("sinkhorn", {"samples": 25, **TIGHT}),
    ("wasserstein", {"samples": 25}),
    ("barycenter", {"samples": 25}),
]
each = pytest.mark.parametrize(("name", "options"), CASES, ids=[name for name, _ in CASES])


def gaussian(dim, shift=0.0):
    mean, covariance = [0.3 + shift, -0.1], [[1.5, 0.3], [0.3, 1.0]]
    return NormalTarget(mean[:dim], [row[:dim] for row in covariance[:dim]])


def make(name, options, dim=2):
    """Return the objective with Gaussian targets of this dimension."""
    if name == "barycenter":
        targets = [{"target": gaussian(dim), "weight": 3.0}, {"target": gaussian(dim, 2.0)}]
        return wopt.build("objective", {"name": name, "targets": targets, **options})
    return wopt.build("objective", {"name": name, "target": gaussian(dim), **options})


def weighted(n=18, dim=2):
    """Return particles of a law that is not Gaussian, with weights that are not equal."""
    rng = torch.Generator().manual_seed(3)
    z = torch.randn(n, dim, dtype=torch.float64, generator=rng)
    w = torch.rand(n, dtype=torch.float64, generator=rng) + 0.2
    return wopt.Particles(z + z.square() / 3, w / w.sum())


def points(n, seed=0):
    return torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@each
@pytest.mark.parametrize("dim", [1, 2])
def test_contributions_are_the_first_variation(name, options, dim):
    """d/dt G((1 - t) rho + t pi) = sum_i (pi_i - rho_i) dG(x_i), for pi on the same points."""
    p, g = weighted(dim=dim), make(name, options, dim)
    change = p.weights.roll(5) - p.weights
    slope = float(change @ g.contributions(p))

    def along(t):
        return float(g.energy(wopt.Particles(p.points, p.weights + t * change)))

    h = 1e-3 if name == "sinkhorn" else 1e-6
    numeric = (8 * (along(h) - along(-h)) - along(2 * h) + along(-2 * h)) / (12 * h)
    assert slope == pytest.approx(numeric, rel=1e-5)


@each
def test_float32_agrees(name, options):
    x = points(30)
    energy = make(name, options).energy(wopt.Particles(x.float()))
    assert energy.dtype == torch.float32
    assert float(energy) == pytest.approx(
        float(make(name, options).energy(wopt.Particles(x))), 1e-5
    )


@each
def test_particles_of_no_weight_change_nothing(name, options):
    p, g = weighted(), make(name, options)
    more = wopt.Particles(
        torch.cat([p.points, torch.full((1, 2), 3.0).double()]),
        torch.cat([p.weights, torch.zeros(1).double()]),
    )
    assert float(g.energy(more)) == pytest.approx(float(g.energy(p)), rel=1e-9)
    assert torch.isfinite(energy_derivatives(g, more)[0]).all()
    assert torch.isfinite(g.contributions(more)).all()


@each
def test_particles_that_ran_away_give_nan_and_no_error(name, options):
    x = points(10)
    x[3, 1] = float("inf")
    assert make(name, options).energy(wopt.Particles(x)).isnan()
