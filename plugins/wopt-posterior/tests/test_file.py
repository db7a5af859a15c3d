"""A posterior in a file: planned as ``wopt.sample`` plans, and with the same result."""

import pytest
import tomli_w
import torch

import wopt
from wopt.cli.common import read_config
from wopt.component import name_of
from wopt.runs.building import build_problem

BANANA = """
def log_prob(x):
    return -x[:, 0].square() / 2 - ((x[:, 1] - x[:, 0].square()) / 0.7).square() / 2
"""


def written(folder, code, dim, **options):
    """Write a model and a configuration of nothing else but options."""
    (folder / "my_model.py").write_text(code)
    table = {"target": {"python": f"{folder}/my_model.py:log_prob", "dim": dim}, **options}
    path = folder / "posterior.toml"
    path.write_text(tomli_w.dumps(table))
    return path


def function(path):
    """Return the model's own log_prob, for wopt.sample."""
    names = {}
    exec((path.parent / "my_model.py").read_text(), names)
    return names["log_prob"]


def the_same(path, dim, out, *, iterations, seed):
    """Check that the run of a file has the maps of wopt.sample, and return both."""
    with wopt.allow_code():
        result = wopt.run(path, out)
        flow = wopt.load(out)
    posterior = wopt.sample(function(path), dim, n=500, iterations=iterations, seed=seed)
    assert result.status == "done"
    assert len(flow.blocks) == 2
    for mine, theirs in zip(flow.blocks, posterior.flow.blocks, strict=True):
        for name, value in theirs.state_dict().items():
            assert torch.equal(value, mine.state_dict()[name]), name
    return flow, posterior


def test_a_file_without_options_gives_what_sample_gives(tmp_path):
    options = {"solver": {"iterations": 5}, "certify": {"enabled": False}}
    path = written(tmp_path, BANANA, 2, seed=5, **options)
    flow, posterior = the_same(path, 2, tmp_path / "run", iterations=5, seed=5)
    x = posterior.draws[:50]
    assert torch.equal(flow.log_prob(x), posterior.flow.log_prob(x))
    assert torch.equal(
        *(f.sample(9, generator=torch.Generator().manual_seed(1)) for f in (flow, posterior.flow))
    )


def test_the_plan_is_in_the_configuration_and_is_not_planned_again(tmp_path):
    path = written(tmp_path, BANANA, 2, plan={"budget": "1s"}, certify={"enabled": False})
    with wopt.allow_code():
        wopt.run(path, tmp_path / "run")
        config = read_config(tmp_path / "run" / "config.toml")
        again = build_problem(wopt.config.model.to_table(config)).config
    assert [spec.cls.__name__ for spec in config.block_specs] == ["Affine", "Autoregressive"]
    assert config.dtype == "float64"
    assert "points has one part: a Gaussian by L-BFGS" in config.plan.summary
    names = [name_of(config.solver.of_step(k)) for k in range(3)]
    assert names == ["gaussian", "chains", "chains"]
    assert wopt.config_of(again.solver) == wopt.config_of(config.solver)


def test_a_target_with_samples_is_planned_alike_where_a_plan_is_asked_for():
    table = {"target": {"name": "funnel", "dim": 3}, "plan": {}, "solver": {"iterations": 3}}
    config = build_problem(table).config
    assert [spec.cls.__name__ for spec in config.block_specs] == ["Affine", "Autoregressive"]
    assert name_of(config.solver.of_step(0)) == "gaussian"


def test_a_given_block_follows_the_gaussian(tmp_path):
    block = {"name": "autoregressive", "hidden": [8], "whiten": True}
    path = written(tmp_path, BANANA, 2, block=block, plan={}, solver={"iterations": 3})
    with wopt.allow_code():
        config = build_problem(wopt.config.read.read_toml(path)).config
    assert config.blocks[1].options.hidden == (8,)
    assert config.solver.of_step(1).iterations == 3


@pytest.mark.parametrize("option", [{"stop": {"steps": 3}}, {"block": "affine"}])
def test_who_says_how_to_step_is_not_planned_for(tmp_path, option):
    path = written(tmp_path, BANANA, 2, **option)
    with wopt.allow_code():
        config = build_problem(wopt.config.read.read_toml(path)).config
    assert config.plan is None
    assert config.blocks is None


def test_a_target_given_twice_is_refused(tmp_path):
    path = written(tmp_path, BANANA, 2, objective={"name": "kl", "target": "gaussian"})
    with pytest.raises(wopt.ConfigError, match="given twice"):
        wopt.run(path, tmp_path / "run")
