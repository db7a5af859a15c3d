"""The lower side: limits, mixtures and rivals against known answers."""

import math

import pytest
import torch

import wopt
from wopt.interfaces import Budget
from wopt.particles import Particles
from wopt.seeds import generator
from wopt.statistics import error_of_mean
from wopt.testing import NormalTarget
from wopt_certify.challenge import (
    ChallengeRows,
    challenge,
    challengers_for,
    lower_limit,
)
from wopt_certify.challenge.free_step import free_step
from wopt_certify.challenge.judge import StackedRatio, spread
from wopt_certify.rival import against
from wopt_measures.laws.known import known_laws

NORMAL = torch.distributions.Normal


def standard(dim):
    return NormalTarget([0.0] * dim, torch.eye(dim).tolist())


def rows_of(x):
    """Return rows of the model N(0, I) with no map at all."""
    return ChallengeRows.of(standard(x.shape[1]), x, Particles.start(x))


def normal(n, dim, seed, mean=0.0):
    rng = torch.Generator().manual_seed(seed)
    return mean + torch.randn(n, dim, generator=rng, dtype=torch.float64)


# --- the limit -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["normal", "heavy", "skew down"])
def test_the_limit_is_above_the_mean_at_most_as_often_as_it_says(shape):
    """Of 400 samples at most 5 % + 2 standard errors (7.2 %) may give a limit above the mean."""
    rng = torch.Generator().manual_seed(1)
    over, mean = 0, 0.3
    for _ in range(400):
        if shape == "normal":
            z = mean + 0.5 * torch.randn(300, generator=rng, dtype=torch.float64).clamp(-4, 4)
        elif shape == "heavy":  # Pareto of index 1.5 above its least value: no variance
            u = torch.rand(300, generator=rng, dtype=torch.float64)
            z = mean + 0.1 * (u ** (-1 / 1.5) - 3.0)
        else:  # one row in fifty falls to the floor, which a normal limit does not see in time
            u = torch.rand(300, generator=rng, dtype=torch.float64)
            z = torch.where(
                u < 0.02, torch.full_like(u, mean - 2.45), torch.full_like(u, mean + 0.05)
            )
        held, judged = z[:100], z[100:]
        over += lower_limit(judged, spread(held), float(z.min()) - 0.01, 0.95) > mean
    assert over <= 400 * 0.05 + 2 * math.sqrt(400 * 0.05 * 0.95)


def test_the_limit_loses_about_two_and_a_half_standard_errors():
    z = 0.5 + normal(10_000, 1, 0)[:, 0].clamp(-3, 3)
    low = lower_limit(z[2000:], spread(z[:2000]), -2.6, 0.95)
    gap = (float(z[2000:].mean()) - low) / error_of_mean(z[2000:])
    assert 2.3 < gap < 2.9


def test_rounding_refutes_nothing():
    """Where the model has all the weight, values are zero up to rounding, and so is the floor."""
    assert lower_limit(torch.full((1000,), 1e-16), 1e-12, 0.0, 0.95) < 1e-12


def test_rows_that_hang_together_are_worth_less():
    """A hundred groups of twenty equal rows say what a hundred rows say."""
    z = 0.5 + normal(100, 1, 0)[:, 0].clamp(-3, 3)
    copied, groups = z.repeat_interleave(20), torch.arange(100).repeat_interleave(20)
    bet = 1.0, -2.6
    alone, grouped = lower_limit(z, *bet, 0.95), lower_limit(copied, *bet, 0.95, groups)
    assert grouped == pytest.approx(alone, abs=1e-9)
    assert lower_limit(copied, *bet, 0.95) > alone + 0.1
    assert error_of_mean(copied, groups) == pytest.approx(error_of_mean(z), rel=1e-9)


def test_a_large_group_at_the_floor_leaves_capital():
    """1000 rows of 1 and a group of 30 at the floor -1, which bets are small enough to survive."""
    groups = torch.cat([torch.arange(1000), torch.full((30,), 1000)])
    z = torch.where(groups < 1000, 1.0, -1.0).double()
    assert 0.5 < lower_limit(z, 1e-6, -1.0, 0.95, groups) < float(z.mean())


# --- the mixture ---------------------------------------------------------------------------------


def test_weights_are_the_mixture_that_made_the_rows():
    x = torch.cat([normal(3000, 1, 0), normal(1000, 1, 1, mean=8.0)])
    model, other = NORMAL(0.0, 1.0).log_prob(x[:, 0]), NORMAL(8.0, 1.0).log_prob(x[:, 0])
    stack = StackedRatio.fit((other - model)[:, None])
    assert stack.weights.tolist() == pytest.approx([0.75, 0.25], abs=1e-3)


def test_no_row_loses_more_than_the_floor():
    stack = StackedRatio.fit(torch.ones(50, 1).double())
    bad = torch.tensor([[-math.inf], [math.nan], [math.inf], [-1e9]])
    assert stack.ratio(bad).tolist() == pytest.approx([math.log(0.02)] * 4)


# --- the whole -----------------------------------------------------------------------------------

CLOSED = challengers_for(NormalTarget([0.0], [[1.0]]))[:-1]


def test_a_recorded_number_repeats_without_a_clock():
    law = known_laws()["banana-2"]
    parts = [rows_of(law.sample(n, 2, generator(n, "rows"))) for n in (1500, 500, 800)]
    first = challenge(*parts, challengers_for(standard(2)), budget=Budget(1.0))
    again = challenge(*parts, challengers_for(standard(2)), recorded=first.tried)
    assert first.tried == len(first.escalation) > 2
    assert (again.value, again.low, again.error) == (first.value, first.low, first.error)
    assert [step.gain for step in again.escalation] == [step.gain for step in first.escalation]


def test_turns_end_with_the_budget_or_where_nothing_is_gained():
    """Densities in closed form on few rows, then on all; then free steps that double."""
    law = known_laws()["banana-2"]
    parts = [rows_of(law.sample(n, 2, generator(n, "rows"))) for n in (2100, 200, 200)]
    affine = free_step(wopt.build("block", "affine"), standard(2), iterations=2)
    names = [step.name for step in challenge(*parts, [*CLOSED, affine]).escalation]
    closed = [f"{kind.name} on the {side}" for side in ("data", "noise") for kind in CLOSED]
    assert names[:12] == [*closed, *closed]
    steps = ["free step on the data", "free step on the noise"]
    assert names[12:16] == 2 * steps
    assert len(names) < 40
    least = challenge(*parts, [*CLOSED, affine], budget=Budget(0.0))
    assert least.tried == 1


@pytest.mark.parametrize(
    ("number", "budget"), [(6, 0.5), pytest.param(60, 5.0, marks=pytest.mark.slow)]
)
def test_exact_models_are_not_accused(number, budget):
    """Under the null, at most 5 % and 2 standard errors of so many challenges may find L > 0."""
    accused = 0
    for seed in range(number):
        parts = [rows_of(normal(n, 2, 10 * seed + k)) for k, n in enumerate((250, 150, 400))]
        accused += challenge(*parts, CLOSED, budget=Budget(budget)).low > 0
    assert accused <= number * 0.05 + 2 * math.sqrt(number * 0.05 * 0.95)


def test_the_lower_side_is_below_the_truth_and_most_of_it():
    """Rows of a banana, the model N(0, I): KL known by its own mean on many rows."""
    law = known_laws()["banana-2"]
    rng = torch.Generator().manual_seed(0)
    x = [law.sample(n, law.dim, rng) for n in (3000, 1500, 4000, 100_000)]
    gap = law.log_prob(x[3]) + standard(2).potential(x[3])
    true, error = float(gap.mean()), error_of_mean(gap)
    side = challenge(*map(rows_of, x[:3]), CLOSED, recorded=4)
    assert 0.8 * true < side.low < true + 3 * error
    assert side.low < side.value
    assert side.rows == 4000


def test_a_free_step_finds_what_it_can_do():
    """N(1, 4) seen through the model N(0, 1): KL = (4 + 1 - 1 - log 4)/2 nats."""
    x = [1 + 2 * normal(n, 1, k) for k, n in enumerate((2000, 1000, 4000))]
    steps = free_step(wopt.build("block", "affine"), standard(1), iterations=200)
    side = challenge(*map(rows_of, x), [steps], recorded=2)
    true = (4 + 1 - 1 - math.log(4)) / 2
    assert abs(side.value - true) < 5 * side.error
    assert 0.85 * true < side.low < true
    assert "free step" in side.by


def test_columns_that_whitening_has_mixed_are_seen():
    """The model is the Gaussian of a correlated log-normal law in whitened coordinates.

    KL = E log p - E log N, both in closed form: of whitened rows the second is -(d/2) log 2 pi e.
    """
    e, turn = math.e, torch.tensor([[1.0, 0.0], [0.6, 0.8]]).double()
    x = (normal(12_000, 2, 0) @ turn.T).exp()
    covariance = e * torch.tensor([[e - 1, e**0.6 - 1], [e**0.6 - 1, e - 1]]).double()
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, (x - e**0.5).T, upper=False).T
    true = float(factor.logdet()) - math.log(0.8)
    side = challenge(*map(rows_of, white.split([4000, 1000, 7000])), CLOSED, recorded=3)
    assert 0.8 * true < side.low < true
    assert abs(side.value - true) < 5 * side.error + 0.1
    assert "turned tree" in side.by


def test_both_sides_of_a_map_agree():
    """y = x/2: a challenger of y and its pull-back have one ratio."""
    x = normal(200, 2, 0, mean=0.5)
    log_det = x.new_full((200,), 2 * math.log(0.5))
    rows = ChallengeRows.of(standard(2), x, Particles.start(x).moved(x / 2, log_det))
    noise = NORMAL(0.25, 0.5).log_prob(rows.points["noise"]).sum(1)
    data = NORMAL(0.5, 1.0).log_prob(rows.points["data"]).sum(1)
    gaps = [d - rows.log_model[s] for d, s in ((noise, "noise"), (data, "data"))]
    assert torch.allclose(*gaps)


def test_rows_where_the_model_has_no_density_count_as_lost():
    """A model of -inf is refuted in truth; NaN may be anything, so neither helps the challenger."""
    x = normal(300, 1, 0, mean=2.0)
    bad = x.clone()
    bad[:20] = math.nan
    good, spoilt = (
        challenge(rows_of(x), rows_of(normal(300, 1, 1, mean=2.0)), rows_of(part), CLOSED)
        for part in (x, bad)
    )
    assert math.isfinite(spoilt.value)
    assert spoilt.low < good.low


def test_conditions_are_conditions():
    """x given u is N(u, 1/4), the model N(0, 1): KL = (1 + 1/4 - 1 + log 4)/2 for u ~ N(0, 1)."""

    def part(n, seed):
        u = normal(n, 1, seed)
        x = torch.cat([u + normal(n, 1, seed + 1) / 2, u], dim=1)
        log_q = NORMAL(0.0, 1.0).log_prob(x[:, 0])
        both = ({"data": one, "noise": one} for one in (x, log_q))
        return ChallengeRows(*both, condition=1)

    class Normal(wopt.Target):
        provides = wopt.Capability.POTENTIAL | wopt.Capability.NORMALISED

        def potential(self, x):
            return -NORMAL(0.0, 1.0).log_prob(x).sum(1)

    steps = free_step(wopt.build("block", "autoregressive"), Normal(), condition=1, iterations=150)
    rows = part(2000, 0), part(800, 10), part(2000, 20)
    side = challenge(*rows, [*CLOSED, steps], recorded=1)
    true = (1 + 0.25 - 1 + math.log(4)) / 2
    assert 0.8 * true < side.low < true
    assert side.by == "free step on the data"  # joint densities take no part


def test_too_few_rows_are_refused():
    few, many = rows_of(normal(5, 1, 0)), rows_of(normal(100, 1, 1))
    with pytest.raises(wopt.DataError, match="judged on at least 20 rows"):
        challenge(many, many, few, CLOSED)


# --- rivals --------------------------------------------------------------------------------------


def test_a_rival_with_the_truth_gives_the_truth():
    x = normal(8000, 1, 0, mean=1.0)[:, 0]
    side = against(NORMAL(1.0, 1.0).log_prob(x), NORMAL(0.0, 1.0).log_prob(x))
    assert 0.43 < side.low < 0.5
    assert abs(side.value - 0.5) < 4 * side.error


def test_rivals_that_are_worse_say_nothing():
    accused = 0
    for seed in range(50):
        x = normal(300, 1, seed)[:, 0]
        rivals = torch.stack([NORMAL(0.3, 1.0).log_prob(x), NORMAL(0.0, 1.4).log_prob(x)], dim=1)
        accused += against(rivals, NORMAL(0.0, 1.0).log_prob(x)).low > 0
    assert accused <= 50 * 0.05 + 2 * math.sqrt(50 * 0.05 * 0.95)


def test_a_rival_that_excludes_rows_is_no_disaster():
    x = normal(2000, 1, 0, mean=1.0)[:, 0]
    rival = NORMAL(1.0, 1.0).log_prob(x)
    rival[::100] = -math.inf
    assert against(rival, NORMAL(0.0, 1.0).log_prob(x)).low > 0.25


@pytest.mark.parametrize(
    ("rival", "model", "words"),
    [
        (torch.zeros(50), torch.zeros(60), "evaluate both at the same rows"),
        (torch.zeros(5), torch.zeros(5), "at least 40 test rows"),
        (torch.full((50,), math.nan), torch.zeros(50), "50 of them NaN"),
    ],
)
def test_files_that_do_not_fit_are_refused(rival, model, words):
    with pytest.raises(wopt.DataError, match=words):
        against(rival, model)
