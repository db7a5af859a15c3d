"""Several steps: joint refinement, budgets and blocks by step, fresh draws, converged runs."""

import json

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, gaussian_nodes, jko_step, moments
from wopt.train.refine import Joint

M, C = torch.tensor([2.0, -1.0]).double(), torch.tensor([[3.0, 1.2], [1.2, 1.0]]).double()
ZERO, EYE = torch.zeros(2).double(), torch.eye(2).double()


def exact(scheme="jko", h=0.5, steps=2, **options):
    return wopt.solve(
        gaussian_nodes(M, C),
        scheme={"name": scheme, "step_size": h},
        block=AffineBlock(2),
        solver={"optimiser": "lbfgs"},
        stop={"steps": steps},
        **options,
    )


@pytest.mark.parametrize(("h", "total"), [(0.5, 1.0), ([0.25, 1.0], 1.25)])
def test_refined_steps_of_jko_are_one_step_of_their_total_size(h, total):
    found = exact(h=h, refine={"iterations": 200, "rate": 1.0})
    assert found.history[-1].refined == 200
    mean, covariance = moments(found.state.train.particles)
    expected = jko_step(M, C, ZERO, EYE, total)
    torch.testing.assert_close(mean, expected[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(covariance, expected[1], rtol=0, atol=1e-6)
    # Without refinement the two steps go elsewhere.
    greedy = moments(exact(h=h).state.train.particles)[1]
    assert float((greedy - expected[1]).abs().max()) > 1e-3


def test_the_path_of_refined_steps_is_straight_and_even():
    found = exact(h=0.5, refine={"iterations": 200, "rate": 1.0})
    x = gaussian_nodes(M, C).points
    places = [x]
    for block in found.flow.blocks:
        places.append(block.move(places[-1]))
    torch.testing.assert_close(places[1], (x + places[2]) / 2, rtol=0, atol=1e-5)


def test_records_are_those_of_the_refined_maps():
    found = exact(refine={"iterations": 200, "rate": 1.0})
    nodes = gaussian_nodes(M, C)
    first = nodes.moved(*found.flow.blocks[0](nodes.points))
    assert found.history[0].energy == pytest.approx(float(found.problem.objective.energy(first)))
    assert found.state.energy == found.history[-1].energy
    assert found.history[1].energy_change == pytest.approx(
        found.history[1].energy - found.history[0].energy
    )


@pytest.mark.parametrize("scheme", ["bdf2", "accelerated"])
def test_schemes_that_look_back_are_refined_too(scheme):
    plain, found = exact(scheme, steps=3), exact(scheme, steps=3, refine={"iterations": 100})
    assert found.history[-1].refined == 100
    nodes, values = gaussian_nodes(M, C), []
    for solution in (plain, found):
        joint = Joint(solution.problem, solution.history, solution.problem.objective)
        moved, paid = joint.value(solution.flow.blocks, nodes)
        values.append(float(solution.problem.objective.energy(moved) + moved.mean(paid)))
    assert values[1] < values[0] - 1e-3


@pytest.mark.parametrize("scheme", ["forward_backward", "explicit", "sdirk2", "midpoint"])
def test_schemes_whose_steps_do_not_add_up_are_refused_by_name(scheme):
    with pytest.raises(wopt.CapabilityError, match="do not add up"):
        wopt.solve(
            gaussian_nodes(M, C), scheme={"name": scheme, "step_size": 0.2},
            block={"name": "affine"}, solver={"optimiser": "lbfgs"}, stop={"steps": 2},
            refine={"iterations": 5},
        )  # fmt: skip


TRAINED = {
    "seed": 1,
    "source": {"name": "toy", "shape": "moons", "n_train": 400, "n_valid": 300, "n_test": 300},
    "scheme": {"name": "jko", "step_size": [0.5, 1.0]},
    "block": {"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2},
    "solver": {"iterations": 15, "batch_size": 100},
    "stop": {"steps": 2},
    "certify": {"enabled": False},
    "refine": {"iterations": 20},
}


def test_growing_and_refining(tmp_path):
    table = {**TRAINED, "stop": {"steps": 3}, "refine": {"iterations": 10, "when": "each"}}
    wopt.run(table, tmp_path / "a")
    lines = [json.loads(t) for t in (tmp_path / "a" / "steps.jsonl").read_text().splitlines()]
    assert [line["refined"] for line in lines] == [0, 10, 10]


def test_recomputing_blocks_changes_nothing_but_memory():
    options = {k: v for k, v in TRAINED.items() if k != "source"}
    one = wopt.solve(TRAINED["source"], **options)
    two = wopt.solve(
        TRAINED["source"], **{**options, "refine": {"iterations": 20, "recompute": True}}
    )
    x = torch.randn(20, 2)
    torch.testing.assert_close(one.flow.log_prob(x), two.flow.log_prob(x), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_an_interrupted_refinement_goes_on_to_the_same_bits(tmp_path, command, monkeypatch):
    from wopt.train import refine as room

    wopt.run(TRAINED, tmp_path / "whole")
    honest = room.refine

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("wopt.train.steps.refine", interrupted)
    wopt.run(TRAINED, tmp_path / "part")
    assert json.loads((tmp_path / "part" / "result.json").read_text())["status"] == "stopped"
    monkeypatch.setattr("wopt.train.steps.refine", honest)
    assert command("resume", tmp_path / "part").status == 0
    for step in ("001", "002"):
        name = f"blocks/{step}.safetensors"
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_refinement_that_is_no_better_leaves_the_maps():
    options = {k: v for k, v in TRAINED.items() if k not in ("source", "refine")}
    plain = wopt.solve(TRAINED["source"], **options)
    found = wopt.solve(TRAINED["source"], **options, refine={"iterations": 5, "rate": 1e5})
    assert found.history[-1].refined == -5
    x = torch.randn(20, 2)
    assert torch.equal(found.flow.log_prob(x), plain.flow.log_prob(x))


def test_budgets_and_blocks_by_step():
    options = {k: v for k, v in TRAINED.items() if k not in ("source", "refine", "block")}
    small = {"name": "ode", "width": 4, "sharpness": 2.0, "steps": 2}
    found = wopt.solve(
        TRAINED["source"],
        **{**options, "solver": {"iterations": 20, "batch_size": 100, "by_step": [0.2, 1.0]}},
        blocks=[{"name": "affine"}, small],
    )
    assert [record.iterations for record in found.history] == [4, 20]
    assert [type(block).__name__ for block in found.flow.blocks] == ["Affine", "ODEBlock"]


def test_blocks_by_step_are_read_back(tmp_path):
    table = {k: v for k, v in TRAINED.items() if k != "block"}
    wopt.run({**table, "blocks": ["affine", TRAINED["block"]]}, tmp_path / "out")
    blocks = wopt.load(tmp_path / "out").blocks
    assert [type(block).__name__ for block in blocks] == ["Affine", "ODEBlock"]


def test_fresh_draws_do_not_depend_on_the_training_rows():
    # With every iteration on new draws the rows of the split are not looked at.
    options = {k: v for k, v in TRAINED.items() if k not in ("source", "refine")}
    options["solver"] = {"iterations": 15, "batch_size": 100, "fresh": True}
    options["stop"] = {"steps": 1}
    source = {"name": "gaussian", "dim": 2, "n_valid": 200, "n_test": 100}
    kl = {"name": "kl", "target": {"name": "gaussian", "mean": [1.0, 0.0]}}
    flows = [wopt.solve({**source, "n_train": n}, **options, objective=kl).flow for n in (100, 101)]
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    # Not to the bit: products are rounded by where their factors lie in memory.
    values = [flow.log_prob(x) for flow in flows]
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-4)
    fixed = {**options, "solver": {**options["solver"], "fresh": False}}
    other = wopt.solve({**source, "n_train": 100}, **fixed, objective=kl).flow
    assert float((values[0] - other.log_prob(x)).abs().max()) > 1e-3


def test_a_step_that_cannot_be_trained_has_failed():
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    with pytest.warns(
        RuntimeWarning, match=r"the fit failed: step 1 was rejected[\s\S]*solver.learning_rate"
    ):
        found = wopt.fit(
            x, block={"name": "ode", "width": 8}, solver={"iterations": 20, "learning_rate": 1e6}
        )
    assert found.status == "failed"
    assert "warm_start" not in found.reason  # there was no step before
