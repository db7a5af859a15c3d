"""The planner: facts, rules, how a plan joins what is given, and iterations for a budget."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import wopt
from wopt import ConfigError
from wopt.config.model import to_table, validate
from wopt.data.assembly import assemble
from wopt.plan import (
    Facts,
    Speed,
    alternatives,
    apply,
    facts_of,
    plan,
    preprocess_of,
    seconds_of,
    timed,
)
from wopt.plan.facts import blurring, crowding
from wopt.plan.preprocess import tail_weight
from wopt.plan.rules import RULES
from wopt.plan.speed import down_to_grid
from wopt.runs.memory import Rows
from wopt.testing import AffineBlock

MAGIC = Facts(rows=15_216, held_out=1_902, columns=10, crowding=0.57)
SHAPES = {
    "magic": MAGIC,
    "plane": Facts(100_000, 10_000, 2, kind="plane", crowding=0.6),
    "patches": Facts(50_000, 5_000, 63, crowding=0.24, kind="image"),
    "crowded": Facts(300, 30, 10, crowding=0.6),
    "smooth": Facts(300, 30, 10, crowding=1.0),
    "tiny": Facts(40, 5, 10),
    "given": Facts(20_000, 2_000, 1, conditions=3, kind="conditional"),
    "huge": Facts(1_000_000, 100_000, 64),
    "start": Facts(10_000, 1_000, 8, kind="density_known"),
}
each = pytest.mark.parametrize("name", SHAPES)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("60s", 60), ("5min", 300), (90, 90), ("1.5h", 5400), ("45", 45), (" 2 m ", 120)],
)
def test_budgets_are_cpu_seconds(written, seconds):
    assert seconds_of(written) == seconds


@pytest.mark.parametrize("bad", ["", "fast", "5 years", "-3s", 0, -1.0, float("nan"), True])
def test_a_budget_that_is_no_time_is_refused(bad):
    with pytest.raises(ConfigError, match="not a positive time"):
        seconds_of(bad)


@each
def test_every_plan_is_a_valid_configuration(name):
    found = plan(SHAPES[name])
    config = validate(apply(found, {"source": "toy"}))
    assert to_table(config)["stop"]["steps"] == 1
    assert config.scheme.step_size(0) == 100
    assert found.summary.count("\n") == 0
    assert found.seconds == SHAPES[name].budget


def test_every_rule_says_what_it_rests_on():
    for rule in RULES:
        assert len(rule.measured) > 40, rule.name


def test_few_rows_get_smaller_nets_and_more_decay():
    few, many = (plan(SHAPES[n]).table for n in ("crowded", "magic"))
    assert few["block"]["hidden"] == [32, 32] < many["block"]["hidden"]
    assert few["solver"]["weight_decay"] > many["solver"]["weight_decay"]
    assert few["solver"]["iterations"] < many["solver"]["iterations"]


def test_noise_is_less_for_rows_that_crowd_and_none_for_values_that_repeat():
    crowded, smooth = (plan(SHAPES[n]).table["solver"]["noise"] for n in ("crowded", "smooth"))
    assert 0 < crowded < smooth
    repeated = dataclasses.replace(SHAPES["crowded"], repeated=(0.99,))
    assert [p.table["solver"]["noise"] for p in alternatives(repeated)] == [0, 0, 0, 0]


def test_tails_are_logarithmic_where_values_repeat():
    """In every plan that is tried, and not of the affine block that hardly any rows get."""
    repeated = dataclasses.replace(SHAPES["crowded"], repeated=(0.99,))
    assert [p.table["block"]["tails"] for p in alternatives(repeated)] == 4 * ["logarithmic"]
    assert "tails" not in plan(SHAPES["crowded"]).table["block"]
    tiny = plan(dataclasses.replace(SHAPES["tiny"], repeated=(0.99,)))
    assert tiny.table["block"] == {"name": "affine"}
    assert "few values" in tiny.summary


def test_the_weight_of_tails_is_that_of_the_law():
    """Of 100,001 quantiles, against the closed forms; and of columns of one value, or mostly."""
    u = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    normal, cauchy = torch.special.ndtri(u), (math.pi * (u - 0.5)).tan()
    student = (2 * u - 1) * (2 / (4 * u * (1 - u))).sqrt()  # two degrees of freedom
    for column, law in ((normal, 4.5817), (cauchy, 318.309), (student, 27.345)):
        assert tail_weight(torch.stack([u, 3 - 2 * column], 1)) == pytest.approx(law, rel=1e-4)
    assert tail_weight(torch.ones(100, 1)) == 0
    assert tail_weight((torch.arange(100) // 80)[:, None]) == 0


def test_planes_of_few_rows_get_noise():
    rows = (4000, 8000, 11_999, 12_000)
    chosen = [plan(Facts(n, n // 8, 2, kind="plane")).table["solver"] for n in rows]
    assert [solver.get("noise", 0) for solver in chosen] == [0.03, 0.02, 0.02, 0]
    thin = plan(Facts(8000, 1000, 2, kind="plane", blurring=0.02))
    assert "noise" not in thin.table["solver"]
    assert "noise" not in plan(SHAPES["magic"]).table["solver"]
    assert plan(SHAPES["tiny"]).table["block"]["name"] == "affine"


def test_what_noise_costs_a_plane_is_what_kernels_say():
    """Of a wide Gaussian nearly nothing; of spots of width w, far apart, what the closed form says.

    Noise s makes N(0, w^2) of two columns N(0, w^2 + s^2): KL = log(1 + s^2/w^2) - s^2/(w^2 + s^2).
    """
    rng = torch.Generator().manual_seed(3)
    flat = torch.randn(4000, 2, generator=rng)
    assert abs(blurring(flat, 0.03)) < 0.01
    width, noise = 0.005, 0.03
    spots = torch.randint(-2, 3, (4000, 2), generator=rng) + width * flat
    ratio = (noise / width) ** 2
    cost = math.log(1 + ratio) - ratio / (1 + ratio)
    assert blurring(spots, noise) == pytest.approx(cost, rel=0.1)
    assert blurring(torch.ones(500, 2), 0.03) == 0


def test_what_is_given_wins():
    given = {
        "source": "toy",
        "block": {"name": "autoregressive", "bins": 5},
        "scheme": {"step_size": 2.0},
        "solver": {"weight_decay": 0.0},
        "stop": {"steps": 3},
    }
    table = apply(plan(MAGIC), given)
    assert table["block"]["bins"] == 5
    assert table["block"]["transforms"] == 4
    assert table["scheme"] == {"name": "jko", "step_size": 2.0}
    assert table["solver"]["weight_decay"] == 0
    assert table["solver"]["name"] == "muon"
    assert table["stop"] == {"steps": 3}
    assert given["block"] == {"name": "autoregressive", "bins": 5}


@pytest.mark.parametrize("block", ["ode", {"name": "ode", "width": 8}])
def test_another_block_is_not_given_options_of_the_planned_one(block):
    table = apply(plan(SHAPES["crowded"]), {"source": "toy", "block": block})
    config = validate(table)
    assert to_table(config)["block"]["name"] == "ode"
    assert "weight_decay" not in table["solver"]
    assert table["scheme"]["step_size"] == 8.0


def test_an_instance_is_another_block():
    block = AffineBlock(2)
    table = apply(plan(MAGIC), {"source": "toy", "block": block, "solver": wopt.InnerSolver()})
    assert table["block"] is block
    assert isinstance(table["solver"], wopt.Solver)


def test_another_scheme_replaces_the_planned_one():
    table = apply(plan(MAGIC), {"source": "toy", "scheme": "bdf2"})
    assert table["scheme"] == {"name": "bdf2"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), (100, 100), (124.9, 100), (125, 125), (990, 800), (6.4e4, 64000)],
)
def test_the_grid_has_ten_numbers_a_decade(value, expected):
    assert down_to_grid(value) == expected


def test_iterations_fit_the_budget():
    facts = dataclasses.replace(SHAPES["plane"], budget=100)
    speed = Speed(iteration=0.02, check=0.1, judge=3.0, spent=0.5)
    found = timed(plan(facts), speed)
    iterations = found.table["solver"]["iterations"]
    assert iterations == 4000
    assert found.seconds == pytest.approx(iterations * 0.02 + 3 + 40 * 0.1 + 0.5)
    assert found.seconds < 100
    halved = timed(plan(facts), speed, steps=2)
    assert halved.table["solver"]["iterations"] == 1600
    assert timed(plan(facts), dataclasses.replace(speed, iteration=0.0205)).table == found.table


def test_few_rows_are_not_trained_for_all_of_a_budget():
    found = timed(plan(SHAPES["crowded"]), Speed(0.01, 0.001, 0.0, 0.1))
    assert found.table["solver"]["iterations"] == 640
    assert found.seconds < 8
    assert "so few rows" in found.summary


def test_facts_of_data():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 3, generator=rng)
    x[:, 2] = x[:, 2].round()
    facts = facts_of(Rows(x).load(0), 30.0, seed=4)
    assert (facts.rows, facts.held_out, facts.columns, facts.kind) == (800, 100, 3, "table")
    assert facts.repeated[:2] == (0, 0)
    assert facts.repeated[2] > 0.98
    assert (facts.budget, facts.seed) == (30.0, 4)
    assert facts == facts_of(Rows(x).load(0), 30.0, seed=4)
    given = facts_of(Rows(x[:, :2], x[:, 2:]).load(0))
    assert (given.kind, given.columns, given.conditions) == ("conditional", 2, 1)


def test_a_covariance_that_is_singular_is_not_whitened():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(200, 4, generator=rng, dtype=torch.float64)
    assert preprocess_of(160, x) == "whiten"
    assert preprocess_of(160, torch.cat([x, x[:, :1] + x[:, 1:2]], 1)) == "standardise"
    assert preprocess_of(10, x) == "standardise"
    assert preprocess_of(160, x[:, :1]) == "standardise"
    assert preprocess_of(160, torch.cat([x, 0 * x[:, :1]], 1)) == "standardise"


def test_nets_of_the_plane_are_narrow_where_time_is_short():
    long, short = (
        plan(dataclasses.replace(SHAPES["plane"], budget=budget)).table["block"]
        for budget in (60.0, 20.0)
    )
    assert (long["hidden"], short["hidden"]) == ([128, 128], [64, 64])
    assert {**long, "hidden": None} == {**short, "hidden": None}


def test_columns_that_nearly_depend_on_each_other_are_whitened():
    """A copy with noise of 1e-4: nets would have to find an eigenvalue of 2.5e-9."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 3, generator=rng, dtype=torch.float64)
    copy = x[:, :1] + 1e-4 * torch.randn(400, 1, generator=rng, dtype=torch.float64)
    near, exact = torch.cat([x, copy], 1), torch.cat([x, 2 * x[:, :1]], 1)
    assert preprocess_of(320, near) == "whiten"
    found = [facts_of(Rows(rows, preprocess="standardise").load(0)) for rows in (near, exact)]
    assert [facts.dependent for facts in found] == [False, True]
    reported = [plan(facts).summary for facts in found]
    assert ["linear functions of others" in text for text in reported] == [False, True]
    facts = facts_of(Rows(exact[:10], preprocess="standardise").load(0))
    assert not facts.dependent  # of too few rows nothing is known


def test_a_gaussian_stays_what_it_is():
    """Its maximum likelihood is the whitening: no step from 240 rows is worth more than 0.05."""
    x = torch.randn(300, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = wopt.fit(x, budget=3)
    fresh = torch.randn(4000, 5, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    exact = torch.distributions.MultivariateNormal(torch.zeros(5).double(), torch.eye(5).double())
    excess = float((exact.log_prob(fresh) - found.flow.log_prob(fresh)).mean())
    # 20 moments of 240 rows cost 20/480 = 0.042 nats at best; the step may add 0.05.
    assert found.status == "done"
    assert excess < 0.042 + 0.05


def test_the_command_shows_a_configuration_that_validates(tmp_path, command):
    path = tmp_path / "rows.csv"
    rows = np.random.default_rng(0).normal(size=(60, 2))
    path.write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in rows))
    answer = command("plan", path, "--budget", "2s", "--set", "solver.iterations=7")
    assert answer.status == 0, answer.err
    assert "# planned for 2 CPU s: one step" in answer.out
    assert "iterations = 7" in answer.out
    shown = tmp_path / "shown.toml"
    shown.write_text(answer.out)
    assert command("validate", shown).status == 0
    assert command("plan", path, "--budget", "soon").is_mistake("not a positive time")


def test_crowding_is_that_of_rows_without_curves():
    """A curve of each column spreads rows out that crowd all the same."""
    x = torch.randn(3000, 3, generator=torch.Generator().manual_seed(0)).double()
    x = torch.cat([(2 * x[:, :1]).exp(), x[:, 1:]], 1)
    parts = x.split([2400, 300, 300])
    bent, straight = (assemble(parts, how) for how in ("gaussianise", "whiten"))
    assert bent.transform.columns.curves == 1
    assert crowding(bent.transform.move(bent.train[:1500])) > 0.9
    assert facts_of(bent).crowding == pytest.approx(facts_of(straight).crowding, abs=0.02)
    assert facts_of(bent).crowding < 0.8
