"""Flows of wopt as flows of zuko and back: the same densities, samples and gradients."""

import copy
import pickle

import pytest
import torch
import zuko

import wopt
from wopt_zuko import from_zuko, to_zuko


def rows(n=300, d=2):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=rng) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]) + 1


@pytest.fixture(scope="module")
def fitted():
    found = wopt.fit(
        rows(),
        block={"name": "coupling", "hidden": [8]},
        solver={"iterations": 20},
        stop={"steps": 2},
        guard={"retries": 0},
    )
    return found.flow.double()


def test_the_density_is_the_same(fitted):
    x = rows(7).double()
    found = to_zuko(fitted)()
    assert torch.allclose(found.log_prob(x), fitted.log_prob(x), atol=1e-12)
    assert found.log_prob(x.reshape(7, 1, 2)).shape == (7, 1)


def test_a_method_of_the_flow_does_the_same(fitted):
    x = rows(7).double()
    assert torch.equal(fitted.to_zuko()().log_prob(x), to_zuko(fitted)().log_prob(x))
    assert isinstance(fitted.to_zuko(), zuko.lazy.Flow)


def test_samples_and_their_density(fitted):
    torch.manual_seed(0)
    x = to_zuko(fitted)().sample((4000,))
    assert x.shape == (4000, 2)
    assert torch.allclose(x.mean(0), rows(4000).mean(0), atol=0.3)
    y, log_p = to_zuko(fitted)().rsample_and_log_prob((5,))
    assert torch.allclose(log_p.double(), fitted.log_prob(y.double()), atol=1e-3)


def test_gradients_reach_x_and_the_parameters(fitted):
    flow = copy.deepcopy(fitted).requires_grad_()
    x = rows(3).double().requires_grad_()
    to_zuko(flow)().log_prob(x).sum().backward()
    assert bool((x.grad != 0).any())
    assert all(p.grad is not None for p in flow.parameters())


def test_conditions_are_the_context():
    x = rows(400)
    found = wopt.fit(
        x[:, :1],
        conditions=x[:, 1:],
        block={"name": "maf", "hidden": [8]},
        solver={"iterations": 20},
        stop={"steps": 1},
        guard={"retries": 0},
    )
    flow = found.flow.double()
    given, c = x[:5, :1].double(), x[:5, 1:].double()
    law = to_zuko(flow)(c)
    assert torch.allclose(law.log_prob(given), flow.log_prob(given, conditions=c), atol=1e-12)
    assert law.sample((3,)).shape == (3, 5, 1)
    with pytest.raises(wopt.CapabilityError, match=r"has 1 condition"):
        to_zuko(flow)()


def test_there_and_back():
    torch.manual_seed(0)
    given = zuko.flows.NSF(3, transforms=2, hidden_features=[16]).double()
    x = torch.randn(20, 3).double()
    flow = from_zuko(given)
    assert torch.allclose(flow.log_prob(x), given().log_prob(x), atol=1e-12)
    assert torch.allclose(to_zuko(flow)().log_prob(x), given().log_prob(x), atol=1e-12)
    z, _ = flow(x)
    assert torch.allclose(flow.inverse(z)[0], x, atol=1e-8)
    again = pickle.loads(pickle.dumps(flow))
    assert torch.equal(again.log_prob(x), flow.log_prob(x))


def test_a_flow_with_context_is_refused():
    with pytest.raises(wopt.CapabilityError, match="without context"):
        from_zuko(zuko.flows.MAF(2, context=1, transforms=1, hidden_features=[8]))
