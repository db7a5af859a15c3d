"""Laws of known entropy: no model is better than the truth, and each agrees with itself."""

import math
import re
import warnings

import pytest
import torch
from torch import distributions as laws

import wopt
from wopt.flow.exact import InexactInverse, exact_inverse
from wopt_certify.mass import total_mass


class Banana:
    """(z1, z2 + z1^2) of a standard normal z: volume is kept, so the entropy too."""

    def sample(self, shape):
        z = torch.randn(*shape, 2)
        return torch.stack([z[:, 0], z[:, 1] + z[:, 0].square()], dim=1)

    def log_prob(self, x):
        z = torch.stack([x[:, 0], x[:, 1] - x[:, 0].square()], dim=1)
        return -z.square().sum(1) / 2 - math.log(2 * math.pi)

    def entropy(self):
        return torch.tensor(1 + math.log(2 * math.pi))


def twice(law):
    """Return two independent columns of a law."""
    return laws.Independent(law.expand((2,)), 1)


one, two = torch.tensor(1.0).double(), torch.tensor(2.0).double()
LAWS = {
    "normal": laws.MultivariateNormal(
        torch.zeros(2).double(), torch.tensor([[2.0, 1.2], [1.2, 1.0]]).double()
    ),
    "banana": Banana(),
    "square": twice(laws.Uniform(0 * one, one, validate_args=False)),
    "exponential": twice(laws.Exponential(one, validate_args=False)),
    "Laplace": twice(laws.Laplace(0 * one, one)),
    "Student": twice(laws.StudentT(3 * one)),
    "Cauchy": twice(laws.Cauchy(0 * one, one)),
    "log-normal": twice(laws.LogNormal(0 * one, one, validate_args=False)),
    "Gumbel": twice(laws.Gumbel(0 * one, one)),
    "beta": twice(laws.Beta(two, two, validate_args=False)),
    "gamma": twice(laws.Gamma(two, one, validate_args=False)),
}
"""Laws in the plane whose entropy is known."""

BLOCKS = {
    "affine": {"name": "affine"},
    "affine, not symmetric": {"name": "affine", "symmetric": False},
    "autoregressive": {"name": "autoregressive"},
    "autoregressive affine": {"name": "autoregressive", "univariate": "affine"},
    "icnn": {"name": "icnn", "width": 16},
    "residual": {"name": "residual"},
    "ode": {"name": "ode", "width": 16, "steps": 2},
    "ode, coarse": {"name": "ode", "width": 16, "steps": 1, "integrator": "euler"},
    "ode, deep": {"name": "ode", "width": 16, "net": "deep", "depth": 2},
    "coupling": {"name": "coupling"},
    "maf": {"name": "maf"},
    "naf": {"name": "naf"},
    "spline": {"name": "spline"},
    "spline coupling": {"name": "spline", "passes": 2},
}

SETTINGS = {
    "sane": ({"iterations": 40}, {"steps": 1}, 2.0),
    "aggressive": ({"iterations": 40, "learning_rate": 0.1, "clip": 0}, {"steps": 2}, 50.0),
}
"""Of the solver, the stop rule, and the step size."""


def sample_of(law, n, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return law.sample((n,)).double()


def fitted(law, block, setting):
    """Return the model of 500 rows of a law, in float64."""
    solver, stop, step_size = SETTINGS[setting]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a failed step leaves a model all the same
        return wopt.fit(
            sample_of(LAWS[law], 500, 1), block=BLOCKS[block], solver=solver, stop=stop,
            scheme={"name": "jko", "step_size": step_size}, listener=False,
        ).flow.double()  # fmt: skip


def judge(law, block, setting):
    flow = fitted(law, block, setting)
    not_better_than_the_truth(flow, LAWS[law])
    integrates_to_one(flow, LAWS[law])
    agrees_with_itself(flow)


def not_better_than_the_truth(flow, law, n=3000):
    """KL(p | q) is estimated, pair by pair, on fresh rows: never below zero by five errors."""
    x = sample_of(law, n, 2)
    ratio = law.log_prob(x) - flow.log_prob(x, audit=True).double()
    assert not ratio.isnan().any()
    error = float(ratio.std()) / math.sqrt(n)
    assert float(ratio.mean()) >= -5 * error - 1e-3, f"{float(ratio.mean())} (error {error})"


def integrates_to_one(flow, law):
    own = flow.sample(500, generator=torch.Generator().manual_seed(3)).double()
    own = own[own.isfinite().all(1)]
    where = torch.cat([sample_of(law, 500, 4), own[own.abs().amax(1) < 1e6]])
    mass = total_mass(lambda x: flow.log_prob(x, audit=True), where, draws=2000)
    assert mass.is_one, mass.text()


def agrees_with_itself(flow, n=500):
    """The log-density of a sample is what a score of it says, and what its draw says of it."""
    rng = torch.Generator().manual_seed(5)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", InexactInverse)
        x, log_density = flow.sample_and_log_prob(n, generator=rng, audit=True)
    reported = [re.match(r"(\d+) of", str(w.message)) for w in seen]
    counted = sum(int(match[1]) for match in reported if match)
    finite = x.isfinite().all(1)
    assert torch.equal(log_density[finite], flow.log_prob(x[finite], audit=True))
    z = flow.base.sample(n, flow.dim, torch.Generator().manual_seed(5))
    inside, log_det = exact_inverse(flow.blocks, z)
    rows, log_back = flow.transform.inverse(inside)
    drawn = flow.base.log_prob(z) - log_det - log_back
    # Draws beyond an end that was found are moved to it.
    possible = (flow.described.round(rows) == rows).all(1)
    distances = ~((drawn - log_density).abs() < 0.3) & finite & possible
    assert int(distances.sum()) <= counted, f"{int(distances.sum())} are apart, {counted} are told"
    assert inside.shape == z.shape


QUICK = [
    ("square", "spline", "aggressive"),
    ("Student", "autoregressive", "sane"),
]


@pytest.mark.parametrize(("law", "block", "setting"), QUICK)
def test_no_model_is_better_than_the_truth(law, block, setting):
    judge(law, block, setting)


@pytest.mark.soak
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("law", LAWS)
def test_no_model_of_any_block_is_better_than_the_truth(law, block, setting):
    judge(law, block, setting)


def test_the_entropies_are_those_of_the_samples():
    for name, law in LAWS.items():
        values = -law.log_prob(sample_of(law, 20_000, 0))
        error = float(values.std()) / math.sqrt(len(values))
        assert abs(float(values.mean()) - float(law.entropy())) < 5 * error + 1e-6, name


# Inverses, block by block.


def steep(name, size):
    """Return a block whose parameters were set at random, and are large."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        block = wopt.build("block", BLOCKS[name]).build(dim=2)
        torch.manual_seed(0)
        for parameter in block.parameters():
            parameter.data += size * torch.randn_like(parameter)
    return block.freeze()


STEEP = dict.fromkeys(BLOCKS, 0.5) | {
    "icnn": 0.2,
    "naf": 0.2,
    "autoregressive": 0.2,
    "ode": 0.3,
    "ode, deep": 0.3,
}


@pytest.mark.parametrize("name", [name for name in BLOCKS if not name.startswith("ode")])
def test_inverses_are_exact(name):
    """In float64, as `wopt sample` and `wopt score` compute."""
    inverts(steep(name, STEEP[name]).double(), rows=20)


@pytest.mark.parametrize(
    "name", ["ode", "ode, deep", pytest.param("ode, coarse", marks=pytest.mark.soak)]
)
def test_coarse_inverses_are_mended(name):
    """By a finer grid or Newton's method, where a coarse solve backwards misses."""
    before = inverts(steep(name, STEEP[name]).double(), rows=6, tolerance=1e-3)
    assert before > (1e-2 if name == "ode, coarse" else 1e-5)


def inverts(block, rows, tolerance=1e-4):
    """Check the mended inverse; return by how much the block's own misses."""
    y = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0)).double()
    own = (block.audit(block.inverse(y)[0])[0] - y).norm(dim=1)
    x, log_det = exact_inverse([block], y)
    at, expected = block.audit(x)
    assert not log_det.isnan().any()
    # How fine a grid an audit needs, within its tolerance, depends on the rows beside.
    assert float((at - y).norm(dim=1).max()) < tolerance
    assert float((expected + log_det).abs().max()) < 10 * tolerance
    return float(own.max())


def test_an_inverse_that_nearly_is_one_takes_an_audit_a_correction():
    """With G off by a few percent, a step of defect correction gains a digit and more."""

    class Nearly(wopt.FlowBlock):
        """x + sin(x)/4, with two steps of the fixed-point iteration for its inverse."""

        provides = wopt.Capability.LOG_DET | wopt.Capability.INVERSE
        audited = 0

        def forward(self, x):
            return x + x.sin() / 4, (1 + x.cos() / 4).log().sum(1)

        def audit(self, x):
            Nearly.audited += 1
            return self(x)

        def inverse(self, y):
            x = y
            for _ in range(2):
                x = y - x.sin() / 4
            return x, y[:, 0] * 0

    y = torch.linspace(-3, 3, 40).double()[:, None]
    block = Nearly()
    assert float((block(block.inverse(y)[0])[0] - y).abs().max()) > 4e-3
    x, log_det = exact_inverse([block], y)
    assert Nearly.audited <= 3
    assert float((block(x)[0] - y).abs().max()) < 4 * 2e-4
    assert torch.equal(log_det, -block(x)[1])


def test_what_cannot_be_inverted_is_told_and_is_nan():
    class Fold(wopt.FlowBlock):
        """x^2 + 1, which nothing carries below one."""

        provides = wopt.Capability.LOG_DET | wopt.Capability.INVERSE

        def forward(self, x):
            return x.square() + 1, (2 * x.abs()).log().sum(1)

        def inverse(self, y):
            return (y - 1).clamp(min=0).sqrt(), y[:, 0] * 0

    log_det = exact_inverse([Fold()], torch.tensor([[2.0], [0.5]]))[1]
    assert log_det.isnan().tolist() == [False, True]
