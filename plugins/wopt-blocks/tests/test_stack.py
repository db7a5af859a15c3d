"""A stack is the mixture of its members' laws, both ways, and its weights are the likeliest."""

import math
import warnings

import pytest
import torch
from scipy import stats
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

import wopt
from wopt.data.table_transform import fit_transform
from wopt_blocks.labels import labelled, read_labels
from wopt_blocks.recode import Recode
from wopt_blocks.stack import Stack

WEIGHTS = torch.tensor([0.5, 0.3, 0.2]).double()
SLOPES, SHIFTS = torch.tensor([1.0, 4.0, 0.5]).double(), torch.tensor([0.0, -8.0, 2.0]).double()
LAW = MixtureSameFamily(  # of x = (z - b)/a in its first coordinate
    Categorical(WEIGHTS),
    MultivariateNormal(
        torch.stack([-SHIFTS / SLOPES, torch.zeros(3)], dim=1),
        torch.eye(2) / SLOPES[:, None, None].square(),
    ),
)
DRAWS = 100_000


@pytest.fixture
def stack():
    block = Stack(2, members=["affine"] * 3).double()
    for part, slope, shift in zip(block.maps, SLOPES, SHIFTS, strict=True):
        part.become_affine(slope * torch.eye(2), torch.tensor([shift, 0.0]))
    block.weights.copy_(WEIGHTS)
    return block.freeze()


def drawn(seed):
    torch.manual_seed(seed)
    return LAW.sample((DRAWS,))


def distance(x, cdf):
    """Return Kolmogorov's distance times the root of n; 1.95 has the p-value 0.001."""
    return float(stats.kstest(x.numpy(), cdf).statistic) * math.sqrt(len(x))


def normal(z):
    return MultivariateNormal(torch.zeros(2).to(z), torch.eye(2).to(z)).log_prob(z)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_it_is_the_mixture_of_its_members(stack, dtype, digits):
    block, x = stack.to(dtype), drawn(0).to(dtype)
    z, log_det = block(x)
    density = LAW.log_prob(x.double())
    torch.testing.assert_close((normal(z) + log_det).double(), density, rtol=0, atol=digits)
    assert max(distance(z[:, j], "norm") for j in (0, 1)) < 1.95
    assert abs(float(torch.corrcoef(z.T)[0, 1])) < 4 / math.sqrt(DRAWS)
    back, log_inverse = block.inverse(z)
    torch.testing.assert_close(back, x, rtol=0, atol=digits)
    torch.testing.assert_close(log_inverse, -log_det, rtol=0, atol=10 * digits)


def test_its_draws_have_the_law(stack):
    z = torch.randn(DRAWS, 2, generator=torch.Generator().manual_seed(1)).double()
    x, log_inverse = stack.inverse(z)

    def cdf(at):
        each = stats.norm.cdf(SLOPES.numpy() * at[:, None] + SHIFTS.numpy())
        return each @ WEIGHTS.numpy()

    assert distance(x[:, 0], cdf) < 1.95
    torch.testing.assert_close(normal(z) - log_inverse, LAW.log_prob(x), rtol=0, atol=1e-9)


def test_labels_are_read_back_wherever_points_are():
    z = torch.cat([torch.linspace(-40, 40, 9001), torch.tensor([-300.0, 1e3])])[:, None].double()
    labels = torch.arange(len(z)) % 3
    told, back = read_labels(labelled(z, labels, WEIGHTS), WEIGHTS)
    assert torch.equal(told, labels)
    torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-9)


def test_weights_are_the_likeliest_with_a_row_more_for_each_map(stack):
    x = drawn(2)[:2000]
    stack.maps[2].become_affine(torch.eye(2), torch.tensor([500.0, 0.0]))
    assert stack.calibrate(x)
    assert float(stack.weights[2]) == pytest.approx(1 / 2003)
    z = [part(x) for part in stack.maps]
    joint = torch.stack([normal(y) + log_det for y, log_det in z], dim=1)
    posterior = (joint + stack.weights.log()).softmax(1).sum(0)
    torch.testing.assert_close(stack.weights, (posterior + 1) / 2003, atol=1e-5, rtol=0)


def test_a_density_has_the_gradient_of_the_mixture(stack):
    x = drawn(3)[:200].requires_grad_()
    z, log_det = stack(x)
    (found,) = torch.autograd.grad((normal(z) + log_det).sum(), x)
    (exact,) = torch.autograd.grad(LAW.log_prob(x).sum(), x)
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)


def test_members_of_other_preprocessings_are_recoded_and_files_hold_them(tmp_path):
    rng = torch.Generator().manual_seed(4)
    x = torch.randn(400, 2, generator=rng).double().exp() + 1e4
    columns = wopt.fit(x, preprocess="gaussianise", block="affine", stop={"steps": 1},
                       solver={"iterations": 1}).flow.transform  # fmt: skip
    assert columns.columns.curves == 2
    plain = fit_transform(x, "whiten", columns.columns.straight())
    for a, b in ((plain, columns), (columns, plain)):
        y, log_det = Recode.between(a, b).float()(a.move(x))
        torch.testing.assert_close(y, b.move(x), rtol=0, atol=1e-9)
        torch.testing.assert_close(log_det, b(x)[1] - a(x)[1], rtol=0, atol=1e-9)
    made = Stack(2, members=["affine", "affine"])
    made.assemble([(wopt.interfaces.new_block(wopt.build("block", "affine"), 2), t)
                   for t in (plain, columns)])  # fmt: skip
    made.weights.copy_(torch.tensor([0.25, 0.75]))
    flow = wopt.Flow(
        [plain, made.freeze()], wopt.build("target", "gaussian"), columns.columns.names
    )
    base = wopt.build("target", "gaussian")
    each = torch.stack([base.log_prob(t(x)[0]) + t(x)[1] for t in (plain, columns)], dim=1)
    exact = (each + torch.tensor([0.25, 0.75]).log()).logsumexp(1)
    torch.testing.assert_close(flow.log_prob(x).double(), exact, rtol=0, atol=1e-4)
    again = wopt.load(flow.save(tmp_path / "flow.wopt"))
    assert torch.equal(again.log_prob(x), flow.log_prob(x))


def test_a_flow_audits_its_draws(stack):
    flow = wopt.Flow([stack], wopt.build("target", "gaussian"), ("a", "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, log_density = flow.sample_and_log_prob(500, audit=True)
    torch.testing.assert_close(log_density, LAW.log_prob(x), rtol=0, atol=1e-6)
    assert bool(torch.isfinite(flow.rsample(5)).all())
