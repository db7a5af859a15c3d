"""Models of Pyro, NumPyro and PyMC: the density is that of their authors, and can be sampled."""

import pytest
import torch
from torch.distributions import Exponential, Normal

import wopt
from wopt.targets import from_numpyro, from_pymc, from_pyro

Y = [1.2, 0.4, 2.2]
POINTS = torch.tensor([[0.3, 1.5, -0.2], [1.0, 0.4, 0.7]], dtype=torch.float64)
NAMES = ("scale", "mean[0]", "mean[1]")


def by_hand(x):
    """scale ~ Exp(1), mean_k ~ N(0, 2), y_i ~ N(mean_0 + mean_1, scale)."""
    s, m = x[:, 0], x[:, 1:]
    y = torch.tensor(Y, dtype=torch.float64)
    rows = Normal(m.sum(1)[:, None], s[:, None]).log_prob(y).sum(1)
    return Exponential(1.0).log_prob(s) + Normal(0.0, 2.0).log_prob(m).sum(1) + rows


def agrees(model):
    points = torch.stack([POINTS[:, 1], POINTS[:, 0], POINTS[:, 2]], 1).requires_grad_()
    assert model.dim == 3
    assert model.names == NAMES
    found, exact = model.log_prob(points), by_hand(points)
    assert torch.allclose(found.double(), exact, atol=1e-4)
    slopes = [torch.autograd.grad(v.sum(), points)[0] for v in (found, exact)]
    assert torch.allclose(*slopes, atol=1e-3)
    assert set(model.support) == {0}
    drawn = wopt.sample(model, n=200, iterations=1)
    assert drawn.names == NAMES
    assert bool((drawn.draws[:, 0] > 0).all())
    assert drawn.k_hat < 0.7


def test_pyro():
    pyro = pytest.importorskip("pyro")
    law = pyro.distributions

    def model(y):
        scale = pyro.sample("scale", law.Exponential(1.0))
        mean = pyro.sample("mean", law.Normal(torch.zeros(2), 2.0).to_event(1))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", law.Normal(mean.sum(), scale), obs=y)

    agrees(from_pyro(model, torch.tensor(Y)))


def test_pyro_with_a_discrete_variable_is_refused():
    pyro = pytest.importorskip("pyro")

    def model():
        pyro.sample("k", pyro.distributions.Bernoulli(0.5))

    with pytest.raises(wopt.ConfigError, match="'k' has the constraint"):
        from_pyro(model)


@pytest.mark.filterwarnings("ignore")
def test_numpyro():
    numpyro = pytest.importorskip("numpyro")
    law = numpyro.distributions

    def model(y):
        scale = numpyro.sample("scale", law.Exponential(1.0))
        mean = numpyro.sample("mean", law.Normal(0.0, 2.0).expand([2]).to_event(1))
        numpyro.sample("y", law.Normal(mean.sum(), scale), obs=y)

    import numpy as np

    agrees(from_numpyro(model, np.array(Y)))


@pytest.mark.filterwarnings("ignore")
def test_pymc():
    pm = pytest.importorskip("pymc")
    with pm.Model() as model:
        scale = pm.Exponential("scale", 1.0)
        mean = pm.Normal("mean", 0.0, 2.0, shape=2)
        pm.Normal("y", mean.sum(), scale, observed=Y)
    agrees(from_pymc(model))
