"""The random series for log det (I + J): unbiased in value and gradient."""

import math

import pytest
import torch

from wopt_blocks.perceptron import Derivative
from wopt_blocks.series import roulette_log_det

CALLS = 1200


def linear(matrix, n):
    """Return the derivative of x -> matrix x at n points, as a net of one hidden layer."""
    eye = torch.eye(len(matrix)).double()
    return Derivative([matrix, eye], [torch.ones(n, len(matrix)).double()])


def deviations(draws, exact):
    """Return by how many standard errors the means of draws, shape ``(calls, ...)``, are off."""
    error = draws.std(0) / math.sqrt(len(draws))
    assert (error > 0).all()
    return (draws.mean(0) - exact) / error


@pytest.fixture(scope="module")
def matrix():
    """Return J of norm 0.8 with eigenvalues -0.8, 0.7 and a rotating pair."""
    rng = torch.Generator().manual_seed(2)
    q = torch.linalg.qr(torch.randn(4, 4, generator=rng).double())[0]
    blocks = torch.block_diag(
        torch.tensor([[-0.8]]), torch.tensor([[0.7]]), torch.tensor([[0.3, -0.6], [0.6, 0.3]])
    )
    return q @ blocks.double() @ q.T


def test_value_and_gradient_are_unbiased(matrix):
    """Within 3 standard errors, where leaving out the tail would be off by many."""
    size = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    exact = torch.linalg.slogdet(torch.eye(4).double() + size * matrix)[1]
    (slope,) = torch.autograd.grad(exact, size)
    torch.manual_seed(0)
    values, slopes = [], []
    for _ in range(CALLS):
        found = roulette_log_det(linear(size * matrix, 8), torch.zeros(8, 4).double(), 0.8).mean()
        values.append(found.detach())
        slopes.append(torch.autograd.grad(found, size)[0])
    values, slopes = torch.stack(values), torch.stack(slopes)
    assert abs(float(deviations(values, exact.detach()))) < 3
    assert abs(float(deviations(slopes, slope))) < 3
    # The test can see a series that stops after its four certain terms.
    power, four, four_of_slope = matrix, 0.0, 0.0
    for k in range(1, 5):
        four += (-1) ** (k + 1) / k * float(power.trace())
        four_of_slope += (-1) ** (k + 1) * float(power.trace())
        power = power @ matrix
    assert abs(float(deviations(values, four))) > 6
    assert abs(float(deviations(slopes, four_of_slope))) > 6


def test_a_net_in_training_is_estimated_without_bias_and_judged_exactly(shaken):
    """In six dimensions with ``exact = 3``, against the exact log-det of the same net."""
    table = {"name": "residual", "width": 8, "lipschitz": 0.8, "exact": 3}
    block = shaken(table, 6)
    with torch.no_grad():  # layers of one singular frame make the bound on the slopes sharp
        eye = torch.eye(8, 6).double()
        block.net.layers[0].weight.copy_(eye)
        block.net.layers[1].weight.copy_(torch.eye(8))
        block.net.layers[2].weight.copy_(-4 * eye.T)
        for layer in block.net.layers:
            layer.bias.fill_(2.0)
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(5, 6, dtype=torch.float64, generator=rng)
    exact = block(x)[1]
    assert torch.equal(block.audit(x)[1], exact)
    assert float(exact.max()) < -3
    block.train()
    assert torch.equal(block.audit(x)[1], exact)
    torch.manual_seed(0)
    draws = torch.stack([block(x)[1] for _ in range(CALLS)])
    assert not torch.equal(draws[0], draws[1])
    assert float(deviations(draws, exact).abs().max()) < 3
    torch.testing.assert_close(block(x)[0], block.move(x), rtol=0, atol=1e-13)


def test_up_to_exact_dimensions_training_is_exact(shaken, x):
    block = shaken({"name": "residual", "width": 8, "exact": 3})
    expected = block(x)[1]
    assert torch.equal(block.train()(x)[1], expected)


def test_the_parameters_gradient_is_that_of_the_exact_log_det(shaken):
    """Averaged over draws, for each parameter, within 3.5 standard errors of 40 comparisons."""
    block = shaken({"name": "residual", "width": 3, "depth": 1, "lipschitz": 0.6, "exact": 0}, 4)
    block.net.layers[-1].weight.data *= 3
    block.requires_grad_(True)
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    parameters = list(block.parameters())

    def gradient(log_det):
        found = torch.autograd.grad(log_det.sum(), parameters, materialize_grads=True,
                                    allow_unused=True)  # fmt: skip
        return torch.cat([g.flatten() for g in found])

    exact = gradient(block.eval()(x)[1])
    block.train()
    torch.manual_seed(0)
    draws = torch.stack([gradient(block(x)[1]) for _ in range(600)])
    moves = draws.std(0) > 0  # the last bias has no part in the log-det
    assert not exact[~moves].any()
    assert int(moves.sum()) > 20
    assert float(deviations(draws[:, moves], exact[moves]).abs().max()) < 3.5
