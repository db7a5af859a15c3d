"""The planner: facts, candidates, how a plan joins what is given, and the race."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import wopt
from wopt import ConfigError
from wopt.config.model import to_table, validate
from wopt.interfaces.budget import Budget
from wopt.plan import Facts, facts_of, plan, portfolio, race, seconds_of
from wopt.plan.trials import Trial, beats
from wopt.runs.building import build_problem
from wopt.runs.memory import Rows
from wopt.runs.preparation import prepare
from wopt.testing import AffineBlock
from wopt.train import repeated
from wopt.train.steps import iterate

MAGIC = Facts(rows=15_216, held_out=1_902, columns=10)
SHAPES = {
    "magic": MAGIC,
    "plane": Facts(100_000, 10_000, 2),
    "patches": Facts(50_000, 5_000, 63, pictures=True),
    "few": Facts(300, 30, 10),
    "tiny": Facts(40, 5, 10),
    "given": Facts(20_000, 2_000, 1, conditions=3),
    "start": Facts(10_000, 1_000, 8, gradient=True),
}
each = pytest.mark.parametrize("name", SHAPES)

BENT = torch.randn(600, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BENT[:, 2] += BENT[:, 0].square()


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
    for found in portfolio(SHAPES[name]):
        config = validate(found.fill({"source": "toy"}))
        assert to_table(config)["stop"]["steps"] == 1
        assert config.scheme.step_size(0) == 100
        assert found.summary.count("\n") == 0


def test_candidates_come_in_the_order_of_their_distance():
    plans = {name: [p.reasons[0] for p in portfolio(facts)] for name, facts in SHAPES.items()}
    mixture = "a mixture of Gaussians"  # which has its turn early everywhere
    assert all(mixture in plans[name][:2] for name in ("magic", "plane", "few", "tiny"))
    first = {name: next(p for p in found if p != mixture) for name, found in plans.items()}
    assert "on curves" in first["magic"]
    assert "many bins" in first["plane"]
    assert "wide nets" in first["patches"]
    assert first["few"] == "small nets, on curves of columns"
    assert first["tiny"] == "a Gaussian"
    assert plans["start"] == ["an autoregressive map"]


def test_facts_are_sizes_and_kinds():
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    facts = facts_of(Rows(x).load(0), 30.0)
    assert facts == Facts(800, 100, 3, budget=30.0)
    given = facts_of(Rows(x[:, :2], x[:, 2:]).load(0))
    assert (given.columns, given.conditions) == (2, 1)


def test_what_is_given_wins():
    given = {
        "source": "toy",
        "block": {"name": "autoregressive", "bins": 5},
        "scheme": {"step_size": 2.0},
        "solver": {"weight_decay": 0.0},
        "stop": {"steps": 3},
    }
    table = plan(MAGIC).fill(given)
    assert table["block"]["bins"] == 5
    assert table["block"]["transforms"] == 4
    assert table["scheme"] == {"name": "jko", "step_size": 2.0}
    assert table["solver"]["weight_decay"] == 0
    assert table["solver"]["optimiser"] == "muon"
    assert table["stop"] == {"steps": 3}
    assert given["block"] == {"name": "autoregressive", "bins": 5}


@pytest.mark.parametrize("block", ["ode", {"name": "ode", "width": 8}])
def test_another_block_is_not_given_options_of_the_planned_one(block):
    table = plan(SHAPES["few"]).fill({"source": "toy", "block": block})
    assert to_table(validate(table))["block"]["name"] == "ode"
    assert "weight_decay" not in table["solver"]
    assert table["scheme"]["step_size"] == 8.0


def test_an_instance_is_another_block():
    block = AffineBlock(2)
    table = plan(MAGIC).fill({"source": "toy", "block": block, "solver": wopt.InnerSolver()})
    assert table["block"] is block
    assert isinstance(table["solver"], wopt.Solver)


def test_another_scheme_replaces_the_planned_one():
    table = plan(MAGIC).fill({"source": "toy", "scheme": "bdf2"})
    assert table["scheme"] == {"name": "bdf2"}


def ready(found):
    source = Rows(BENT)
    return prepare(validate(found.fill({"source": source})), source.load(0))


def test_a_plan_that_cannot_learn_loses_wherever_it_stands():
    able = plan(Facts(480, 60, 3), wopt.build("candidate", "few_rows"))
    slow = {**able.table["solver"], "learning_rate": 1e-12, "matrix_rate": 1e-12}
    unable = dataclasses.replace(able, table={**able.table, "solver": slow})
    for plans in ((able, unable), (unable, able)):
        outcome = race(plans, ready, Budget(6.0))
        assert outcome.plan.table["solver"] == able.table["solver"]
        assert outcome.plan.reasons[1].startswith("tried ")


def trial(scores, counts=(1,)):
    return Trial(None, 1.0, None, None, counts, torch.as_tensor(scores), 0.0, False)


def test_the_better_trial_on_held_out_rows_leads():
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(500, generator=rng)
    better = scores - 0.3 + 0.1 * torch.randn(500, generator=rng)
    assert beats(trial(better), trial(scores))
    assert not beats(trial(scores), trial(scores))
    assert not beats(trial(scores + 0.01), trial(scores))


def test_the_best_of_those_that_gain_by_time_leads(monkeypatch):
    """EM, which has no iterations, is the best; of the nets, the one tried last is."""
    plans = [dataclasses.replace(plan(MAGIC), name=name) for name in ("net", "em", "best net")]
    scores = {"net": ([2.0], (5,)), "em": ([0.0], (0,)), "best net": ([1.0], (5,))}

    def made(found, entry, seconds):
        return dataclasses.replace(trial(*scores[found.name]), plan=found)

    monkeypatch.setattr("wopt.plan.trials.made_trial", made)
    outcome = race(plans, lambda found: found, Budget(1000.0))
    assert [one.plan.name for one in outcome.trials] == ["best net", "net", "em"]


@pytest.mark.parametrize(("over", "tried"), [(False, 3), (True, 6)])
def test_others_are_tried_where_the_leader_gains_no_more(monkeypatch, over, tried):
    """A trial of a sixth each: three until two fifths are spent, or all that fit in the budget."""
    plans = [dataclasses.replace(plan(MAGIC), name=str(number)) for number in range(9)]
    clock = SimpleNamespace(cpu=0.0)

    def made(found, entry, seconds):
        clock.cpu += seconds
        return dataclasses.replace(trial([0.0]), plan=found, over=over)

    monkeypatch.setattr("wopt.plan.trials.made_trial", made)
    outcome = race(plans, lambda found: found, Budget(6.0, began=clock))
    assert len(outcome.trials) == tried


def test_a_row_far_out_decides_nothing():
    scores = torch.randn(500, generator=torch.Generator().manual_seed(0))
    broken = scores - 0.3
    broken[7] = 8e7
    assert beats(trial(broken), trial(scores))
    assert not beats(trial(scores), trial(broken))


@pytest.mark.parametrize("preprocess", ["auto", "standardise"])
def test_training_goes_on_from_the_trials_and_their_record_repeats_it(preprocess):
    """The run makes the rest of the winner's schedules alone; by the record, the same bits."""
    solution = wopt.fit(BENT, budget=2, preprocess=preprocess)
    made, record = solution.prepared, solution.history[-1]
    assert len(record.schedules) == len(made.config.solver.seconds)
    assert record.iterations == sum(map(sum, record.schedules))
    assert len(made.problem.begun()[1]) == 1
    assert all((" " in name) == (preprocess == "auto") for name in made.config.plan.tried)
    solver = repeated(made.problem.solver, solution.history)
    problem = dataclasses.replace(build_problem(made.config), solver=solver)
    (state, again), *_ = iterate(problem, problem.begin())
    assert again.schedules == record.schedules
    one, two = (block.state_dict() for block in (state.block, solution.state.block))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_nothing_is_tried_where_something_to_choose_is_given():
    for given in ({"block": "affine"}, {"solver": {"iterations": 3}}):
        prepared = build_problem({"source": Rows(BENT), "plan": {"budget": 2}, **given})
        assert "tried" not in prepared.config.plan.summary
        assert prepared.problem.begun is None


@pytest.mark.filterwarnings("ignore:the fit made no step")  # which is right
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


def test_a_row_unlike_all_others_costs_tens_of_nats():
    """A row far out is not impossible, whatever won."""
    found = wopt.fit(BENT, budget=3)
    far = torch.tensor([[1e3, 0.5, -1e3]], dtype=torch.float64)
    assert -float(found.flow.log_prob(far)) < 200


def test_the_command_shows_a_configuration_that_validates(tmp_path, command):
    path = tmp_path / "rows.csv"
    rows = np.random.default_rng(0).normal(size=(60, 2))
    path.write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in rows))
    answer = command("plan", path, "--budget", "2s", "--set", "solver.iterations=7")
    assert answer.status == 0, answer.err
    assert "# planned for 2 CPU s: " in answer.out
    assert "iterations = 7" in answer.out
    shown = tmp_path / "shown.toml"
    shown.write_text(answer.out)
    assert command("validate", shown).status == 0
    assert command("plan", path, "--budget", "soon").is_mistake("not a positive time")
