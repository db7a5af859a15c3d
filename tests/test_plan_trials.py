"""The planner's trials: what they measure, when there are some, and what they decide."""

import dataclasses

import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.particles import Particles
from wopt.plan import Facts, alternatives, choose, facts_of, plan
from wopt.plan.planner import apply
from wopt.plan.selection import Trial, holdout, of_iterations, tried
from wopt.plan.speed import first_of
from wopt.runs.memory import Rows
from wopt.runs.planned import prepared_run
from wopt.runs.preparation import prepare
from wopt.train.stage import Stage

BANANA = torch.randn(300, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BANANA[:, 2] += BANANA[:, 0].square()


def ready(candidate, x=BANANA):
    source = Rows(x)
    dataset = source.load(0)
    prepared = prepare(validate(apply(candidate, {"source": source})), dataset)
    return prepared.problem, prepared.train, prepared.valid


def facts(x=BANANA, budget=2.0):
    return facts_of(Rows(x).load(0), budget)


def test_a_trial_reaches_what_the_run_reaches():
    problem, train, valid = ready(of_iterations(plan(facts()), 40))
    trial = tried(problem, train, valid)
    stage = Stage(problem, 0, 0, 0, first_of(problem, train), first_of(problem, valid))
    block, _ = stage.train(None)
    assert trial.held_out == stage.held_out(block)
    assert trial.iterations == 40
    assert 0 < trial.at <= 40
    assert trial.at % problem.solver.check_every == 0
    assert trial.seconds > 0


def test_a_trial_turned_where_it_was_best_long_before_its_end():
    assert Trial(1.0, 60, 100, 1.0).turned
    assert not Trial(1.0, 90, 100, 1.0).turned


def test_few_rows_have_alternatives_and_many_have_none():
    few = alternatives(Facts(300, 30, 10, crowding=0.6))
    assert len(few) == 4
    assert len({str(p.table) for p in few}) == 4
    assert few[0] == plan(few[0].facts)
    for many in (
        Facts(60_000, 600, 4),
        Facts(300, 30, 4, kind="density_known"),
        Facts(60, 6, 3),
    ):
        assert alternatives(many) == (plan(many),)


def test_trials_choose_the_plan_that_learns(monkeypatch):
    """A plan that cannot move loses to one that can, wherever it stands."""
    monkeypatch.setattr("wopt.plan.selection._TELLING", 5)
    able = plan(facts(budget=4.0))
    slow = {**able.table["solver"], "learning_rate": 1e-12, "matrix_rate": 1e-12}
    unable = dataclasses.replace(able, table={**able.table, "solver": slow})
    for plans in ((able, unable), (unable, able)):
        chosen = choose(plans, ready)
        assert chosen.table["solver"]["learning_rate"] == able.table["solver"]["learning_rate"]
        assert "of 2 tried briefly the best on held-out rows" in chosen.summary
        assert chosen.seconds < 2 * chosen.facts.budget


@pytest.mark.parametrize(("other", "chosen", "word"), [(0.98, 0, "none clearly"), (0.96, 1, "the")])
def test_a_plan_is_not_left_for_one_that_is_hardly_better(monkeypatch, other, chosen, word):
    plans = alternatives(facts(budget=4.0))[:2]
    reached = {str(plan.table["block"]): v for plan, v in zip(plans, (1.0, other), strict=True)}

    def trial(plan, ready):
        held_out = reached[str(plan.table["block"])]
        return Trial(held_out, plan.table["solver"]["iterations"], 40, 0.0)

    monkeypatch.setattr("wopt.plan.selection._TELLING", 5)
    monkeypatch.setattr("wopt.plan.selection._trial", trial)
    found = choose(plans, ready)
    assert found.table["block"] == plans[chosen].table["block"]
    assert f"of 2 tried briefly {word} be" in found.summary


def test_what_trials_hold_out_is_apart_and_the_same_for_the_same_seed():
    rows = torch.arange(270.0)[:, None].expand(-1, 2)
    train, valid = (Particles.start(part.contiguous()) for part in rows.split([240, 30]))
    parts = holdout(train, valid, seed=3)
    values = [set(part.points[:, 0].tolist()) for part in parts]
    assert [len(v) for v in values] == [189, 81]
    assert values[0] | values[1] == set(range(270))
    again = holdout(train, valid, seed=3)
    assert all(torch.equal(a.points, b.points) for a, b in zip(parts, again, strict=True))
    many = Particles.start(torch.zeros(2000, 2))
    assert holdout(many, valid, seed=3)[0] is many


def test_nothing_is_tried_where_something_to_choose_is_given(monkeypatch):
    monkeypatch.setattr("wopt.plan.selection._TELLING", 5)
    for given in ({"block": "affine"}, {"solver": {"iterations": 3}}):
        prepared = prepared_run({"source": Rows(BANANA), "plan": {"budget": 4}, **given})
        assert "tried" not in prepared.config.plan.told
    summary = prepared_run({"source": Rows(BANANA), "plan": {"budget": 4}}).config.plan.told
    assert "tried briefly" in summary


def test_nothing_is_tried_where_a_budget_is_too_short_to_tell():
    plans = alternatives(facts(budget=0.5))
    assert "tried" not in choose(plans, ready).summary


def test_small_tables_with_heavy_tails_are_not_overfitted(monkeypatch):
    """300 rows of a Student law with 4 degrees: better than the Gaussian, as the truth is."""
    monkeypatch.setattr("wopt.plan.selection._TELLING", 5)
    rng = torch.Generator().manual_seed(5)
    normal = torch.randn(5300, 6, generator=rng, dtype=torch.float64)
    chi = torch.randn(5300, 4, generator=rng, dtype=torch.float64).square().mean(1, keepdim=True)
    x = normal / chi.sqrt()
    solution = wopt.fit(x[:300], budget=4)
    gaussian = torch.distributions.MultivariateNormal(x[:300].mean(0), x[:300].T.cov())
    gain = solution.flow.log_prob(x[300:]) - gaussian.log_prob(x[300:])
    assert solution.status == "done"
    assert float(gain.mean()) > 3 * float(gain.std() / len(gain) ** 0.5)
