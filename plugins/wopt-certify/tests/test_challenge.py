"""The lower side: limits, mixtures, challengers and rivals against known answers."""

import dataclasses
import math
import statistics

import pytest
import torch

import wopt
from wopt.particles import Particles
from wopt.seeds import generator
from wopt.statistics import error_of_mean
from wopt.testing import GaussianTarget
from wopt_certify.challenge import (
    ChallengeRows,
    EscalationOptions,
    View,
    against,
    best_estimate,
    block_for,
    challenge,
    lower_limit,
)
from wopt_certify.challenge import plan as planning
from wopt_certify.challenge.elliptical import Gaussians
from wopt_certify.challenge.free_step import FreeStep, TrainingEffort
from wopt_certify.challenge.judge import Bet
from wopt_certify.challenge.kernels import KernelDensity
from wopt_certify.challenge.rows import Stack
from wopt_certify.challenge.tree import Tree
from wopt_measures.laws.known import known_laws

NORMAL = torch.distributions.Normal


def test_what_was_tried_repeats_without_a_clock(monkeypatch):
    """The counts of a challenge, and another budget, give the same numbers."""
    law, parts = known_laws()["banana-2"], []
    for k, n in enumerate((1500, 500, 800)):
        x = law.sample(n, law.dim, generator(k, "rows"))
        parts.append(ChallengeRows.of(standard(2), x, Particles.start(x)))
    monkeypatch.setattr(planning, "_probe", lambda: planning._PROBE)
    short = EscalationOptions(wopt.build("block", "affine"), 2.0)
    first = challenge(standard(2), *parts, short)
    assert len(first.tries.refits) == 10
    assert first.tries.free
    assert "tree on the data" in first.tries.closed
    long = dataclasses.replace(short, budget=50.0, tries=first.tries)
    again = challenge(standard(2), *parts, long)
    assert (again.value, again.low, again.error) == (first.value, first.low, first.error)
    assert again.tries == first.tries
    assert [r.gain for r in again.escalation] == [r.gain for r in first.escalation]


def test_a_plan_is_counts_that_grow_with_the_budget(monkeypatch):
    """With the costs of a known machine the plan is a function of budget, rows and dimension."""
    monkeypatch.setattr(planning, "_probe", lambda: planning._PROBE)
    monkeypatch.setattr(planning, "_of_iteration", lambda *_: 0.008)
    rows = [rows_of(normal(n, 2, n)) for n in (5000, 600)]

    def plan(budget, **options):
        return planning.planned(
            standard(2), *rows, 600, EscalationOptions(block_for(), budget, **options)
        )  # fmt: skip

    least, some, more, ample = (plan(budget) for budget in (0.01, 0.3, 3.0, 30.0))
    assert least.closed == ("Student on the data",)
    assert not least.free
    assert "tree on the data" in some.closed
    assert not some.free
    assert {one.side for one in more.free} == {"data", "noise"}
    assert all(one.iterations in (50, 100, 200) for one in more.free)
    assert more == plan(3.1)  # on one place of the grid
    assert set(some.closed) < set(more.closed) < set(ample.closed)
    assert sum(least.refits) <= sum(some.refits) < sum(more.refits) < sum(ample.refits)
    assert ample.refits == (12,) * 10
    assert [one.iterations for one in ample.free[:4]] == [200, 200, 400, 400]
    assert plan(0.01, quick=False).free  # something has to challenge


def standard(dim):
    return GaussianTarget([0.0] * dim, torch.eye(dim).tolist())


def rows_of(x, dim=None):
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
        over += lower_limit(judged, Bet.on(held, float(z.min()) - 0.01), 0.95) > mean
    assert over <= 400 * 0.05 + 2 * math.sqrt(400 * 0.05 * 0.95)


def test_the_limit_loses_about_two_and_a_half_standard_errors():
    z = 0.5 + normal(10_000, 1, 0)[:, 0].clamp(-3, 3)
    low = lower_limit(z[2000:], Bet.on(z[:2000], -2.6), 0.95)
    gap = (float(z[2000:].mean()) - low) / error_of_mean(z[2000:])
    assert 2.3 < gap < 2.9


def test_rounding_refutes_nothing():
    """Where the model has all the weight, values are zero up to rounding, and so is the floor."""
    assert lower_limit(torch.full((1000,), 1e-16), Bet(1e-12, 0.0), 0.95) < 1e-12


def test_rows_that_hang_together_are_worth_less():
    """A hundred groups of twenty equal rows say what a hundred rows say."""
    z = 0.5 + normal(100, 1, 0)[:, 0].clamp(-3, 3)
    copied, groups = z.repeat_interleave(20), torch.arange(100).repeat_interleave(20)
    bet = Bet(1.0, -2.6)
    alone, grouped = lower_limit(z, bet, 0.95), lower_limit(copied, bet, 0.95, groups)
    assert grouped == pytest.approx(alone, abs=1e-9)
    assert lower_limit(copied, bet, 0.95) > alone + 0.1
    assert error_of_mean(copied, groups) == pytest.approx(error_of_mean(z), rel=1e-9)


# --- the mixture ---------------------------------------------------------------------------------


def test_weights_are_the_mixture_that_made_the_rows():
    x = torch.cat([normal(3000, 1, 0), normal(1000, 1, 1, mean=8.0)])
    model, other = NORMAL(0.0, 1.0).log_prob(x[:, 0]), NORMAL(8.0, 1.0).log_prob(x[:, 0])
    stack = Stack.fit(["other"], (other - model)[:, None])
    assert stack.weights.tolist() == pytest.approx([0.75, 0.25], abs=1e-3)


def test_no_row_loses_more_than_the_floor():
    stack = Stack.fit(["r"], torch.ones(50, 1).double())
    bad = torch.tensor([[-math.inf], [math.nan], [math.inf], [-1e9]])
    assert stack.ratio(bad).tolist() == pytest.approx([math.log(0.02)] * 4)


# --- challengers are normalised densities --------------------------------------------------------


def planes(name):
    x = known_laws()["banana-2"].sample(600, 2, torch.Generator().manual_seed(0))
    fit, hold = x[:400], x[400:]
    if name == "free step":
        return FreeStep(block_for(), standard(2), fit, hold, TrainingEffort(iterations=30))
    if name == "Gaussians":
        return Gaussians.best(fit, hold, seed=0)
    return {"kernels": KernelDensity, "tree": Tree}[name](fit, hold)


@pytest.mark.parametrize("name", ["free step", "Gaussians", "kernels", "tree"])
def test_challengers_integrate_to_one(name):
    """A density that integrates to more could be above the truth: the midpoint rule on a square."""
    side = torch.linspace(-14, 14, 281, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    total = float(planes(name)(grid).exp().sum()) * 0.1**2
    assert total == pytest.approx(1.0, abs=0.01)


def test_a_tree_of_three_integrates_to_one():
    x = known_laws()["mixture-5"].sample(1500, 5, torch.Generator().manual_seed(0))[:, :3]
    side = torch.linspace(-15, 15, 91, dtype=torch.float64)
    total = float(Tree(x[:1000], x[1000:])(torch.cartesian_prod(side, side, side)).exp().sum())
    assert total / 27 == pytest.approx(1.0, abs=0.02)


def test_kernels_follow_what_is_sharp():
    law = known_laws()["ring-2"]
    x = law.sample(7000, 2, torch.Generator().manual_seed(0))
    gap = float((law.log_prob(x[5000:]) - KernelDensity(x[:4000], x[4000:5000])(x[5000:])).mean())
    assert 0 < gap < 0.06


# --- the whole -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "budget"), [(6, 0.5), pytest.param(60, 5.0, marks=pytest.mark.slow)]
)
def test_exact_models_are_not_accused(number, budget):
    """Under the null, at most 5 % and 2 standard errors of so many challenges may find L > 0."""
    accused = 0
    options = EscalationOptions(None, budget=budget)
    for seed in range(number):
        parts = [rows_of(normal(n, 2, 10 * seed + k)) for k, n in enumerate((250, 150, 400))]
        accused += challenge(standard(2), *parts, options).low > 0
    assert accused <= number * 0.05 + 2 * math.sqrt(number * 0.05 * 0.95)


@pytest.mark.slow
def test_exact_models_are_not_accused_by_free_steps():
    accused = 0
    for seed in range(40):
        options = EscalationOptions(
            block_for(), budget=3.0, effort=TrainingEffort(iterations=40), seed=seed
        )
        parts = [rows_of(normal(n, 3, 10 * seed + k)) for k, n in enumerate((1000, 500, 1000))]
        accused += challenge(standard(3), *parts, options).low > 0
    assert accused <= 40 * 0.05 + 2 * math.sqrt(40 * 0.05 * 0.95)


def test_the_lower_side_is_below_the_truth_and_most_of_it():
    """Rows of a banana, the model N(0, I): KL known by its own mean on many rows."""
    law = known_laws()["banana-2"]
    rng = torch.Generator().manual_seed(0)
    x = [law.sample(n, law.dim, rng) for n in (3000, 1500, 4000, 100_000)]
    gap = law.log_prob(x[3]) + standard(2).potential(x[3])
    true, error = float(gap.mean()), error_of_mean(gap)
    side = challenge(standard(2), *map(rows_of, x[:3]), EscalationOptions(None))
    assert 0.8 * true < side.low < true + 3 * error
    assert side.low < side.value
    assert side.rows == 4000
    assert best_estimate(side).low >= side.low


def test_a_free_step_finds_what_it_can_do():
    """N(1, 4) seen through the model N(0, 1): KL = (4 + 1 - 1 - log 4)/2 nats."""
    x = [1 + 2 * normal(n, 1, k) for k, n in enumerate((2000, 1000, 4000))]
    rows = [rows_of(part) for part in x]
    options = EscalationOptions(
        wopt.build("block", "affine"),
        budget=1.0,
        quick=False,
        effort=TrainingEffort(iterations=100, learning_rate=0.05),
    )
    side = challenge(standard(1), *rows, options)
    true = (4 + 1 - 1 - math.log(4)) / 2
    assert abs(side.value - true) < 5 * side.error
    assert 0.85 * true < side.low < true
    assert "free step" in side.by


def test_effort_doubles_and_the_ladder_is_kept():
    law = known_laws()["banana-2"]
    rng = torch.Generator().manual_seed(0)
    rows = [rows_of(law.sample(n, law.dim, rng)) for n in (800, 300, 500)]
    options = EscalationOptions(
        block_for(), budget=2.0, quick=False, effort=TrainingEffort(iterations=5, patience=99)
    )
    names = [rung.name for rung in challenge(standard(2), *rows, options).escalation]
    assert names[:2] == ["5 iterations", "10 iterations"]
    poor = dataclasses.replace(options, budget=0.0)
    assert len(challenge(standard(2), *rows, poor).escalation) == 1


def test_a_short_budget_is_kept():
    """A second and twenty thousand iterations: what is planned does not fit, so less is done.

    An eighth of them would take seconds on any machine.
    """
    law = known_laws()["banana-5"]
    rng = torch.Generator().manual_seed(0)
    rows = [rows_of(law.sample(n, law.dim, rng)) for n in (2000, 500, 1000)]
    options = EscalationOptions(block_for(), budget=1.0, effort=TrainingEffort(iterations=20_000))
    side = challenge(standard(5), *rows, options)
    assert sum(one.iterations for one in side.tries.free) <= options.effort.iterations / 8
    assert side.low > 0


def test_both_sides_of_a_map_agree():
    """y = x/2: a challenger of y and its pull-back have one ratio."""
    x = normal(200, 2, 0, mean=0.5)
    log_det = x.new_full((200,), 2 * math.log(0.5))
    rows = ChallengeRows.of(standard(2), x, Particles.start(x).moved(x / 2, log_det))
    noise = NORMAL(0.25, 0.5).log_prob(rows.views["noise"].points).sum(1)
    data = NORMAL(0.5, 1.0).log_prob(rows.views["data"].points).sum(1)
    gaps = [d - rows.views[s].log_model for d, s in ((noise, "noise"), (data, "data"))]
    assert torch.allclose(*gaps)


def test_rows_where_the_model_has_no_density_count_as_lost():
    """A model of -inf is refuted in truth; NaN may be anything, so neither helps the challenger."""
    x = normal(300, 1, 0, mean=2.0)
    bad = x.clone()
    bad[:20] = math.nan
    good, spoilt = (
        challenge(
            standard(1),
            rows_of(x),
            rows_of(normal(300, 1, 1, mean=2.0)),
            rows_of(part),
            EscalationOptions(None),
        )
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
        view = View(x, log_q)
        return ChallengeRows({"data": view, "noise": view}, condition=1)

    class Normal(wopt.Target):
        provides = wopt.Capability.POTENTIAL | wopt.Capability.NORMALISED

        def potential(self, x):
            return -NORMAL(0.0, 1.0).log_prob(x[:, 0])

    options = EscalationOptions(
        block_for(), budget=4.0, sides=("data",), effort=TrainingEffort(iterations=150)
    )
    side = challenge(Normal(), part(2000, 0), part(800, 10), part(2000, 20), options)
    true = (1 + 0.25 - 1 + math.log(4)) / 2
    assert 0.8 * true < side.low < true
    assert side.escalation[0].name == "150 iterations"  # joint densities take no part


def test_too_few_rows_are_refused():
    few, many = rows_of(normal(5, 1, 0)), rows_of(normal(100, 1, 1))
    with pytest.raises(wopt.DataError, match="judged on at least 20 rows"):
        challenge(standard(1), many, many, few, EscalationOptions(None))


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


# --- a trained flow ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ring-2", "mixture-10", "parity-5", "funnel-10"])
def test_half_of_the_truth_is_found(name):
    law = known_laws()[name]
    rng = generator(0, "challenge", name)
    x = [law.sample(n, law.dim, rng) for n in (6000, 2000, 8000)]
    transform = wopt.AffineTransform.fit(x[0], "whiten")
    start = [Particles.start(transform.move(part).float()) for part in x]
    found = wopt.solve(
        start[0],
        valid=start[1],
        block={"name": "ode", "width": 48},
        solver=wopt.InnerSolver(iterations=100),
        stop=wopt.Stop(steps=1),
    )
    moved = [found.flow.blocks[0].audit(p.points) for p in start]
    parts = [
        ChallengeRows.of(standard(law.dim), p.points, p.moved(y.detach(), log_det.detach()))
        for p, (y, log_det) in zip(start, moved, strict=True)
    ]
    gap = law.log_prob(x[2]) - transform(x[2])[1] - parts[2].views["data"].log_model
    side = challenge(standard(law.dim), *parts, EscalationOptions(block_for(), budget=10.0))
    true = statistics.fmean(gap.tolist())
    assert true / 2 < side.low < true + 3 * error_of_mean(gap)
