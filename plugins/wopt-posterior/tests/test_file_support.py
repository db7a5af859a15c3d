"""Constraints in a file: samples, means, densities and log Z where the density itself lives."""

import json
import math
import re

import numpy as np
import pyarrow.csv
import pytest
import tomli_w
import torch
from torch.distributions import Beta, Gamma, LogNormal, Normal

import wopt

LAWS = (Gamma(5.0, 2.0), Beta(4.0, 6.0), LogNormal(0.3, 0.4), Normal(-1.0, 2.0))
NAMES = ["rate", "share", "scale", "shift"]
LOG_Z = math.log(7)

MODEL = """
import math
from torch.distributions import Beta, Gamma, LogNormal, Normal

LAWS = (Gamma(5.0, 2.0), Beta(4.0, 6.0), LogNormal(0.3, 0.4), Normal(-1.0, 2.0))

def log_prob(x):
    return sum(law.log_prob(x[:, j]) for j, law in enumerate(LAWS)) + math.log(7)
"""


def exact(x):
    """Return the normalised log-density, of points inside."""
    return sum(law.log_prob(x[:, j]) for j, law in enumerate(LAWS))


def moments():
    """Return means and standard deviations."""
    law = [(float(law.mean), float(law.stddev)) for law in LAWS]
    return (torch.tensor(v, dtype=torch.float64) for v in zip(*law, strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("support")
    (folder / "my_model.py").write_text(MODEL)
    target = {
        "python": f"{folder}/my_model.py:log_prob",
        "names": NAMES,
        "support": {"rate": "positive", "share": [0.0, 1.0], "scale": [0.0, math.inf]},
    }
    table = {"target": target, "solver": {"iterations": 10}, "certify": {"enabled": False}}
    (folder / "posterior.toml").write_text(tomli_w.dumps(table))
    with wopt.allow_code():
        result = wopt.run(folder / "posterior.toml", folder / "run")
    assert result.status == "done", result.reason
    return folder / "run"


def test_means_and_log_z_are_the_closed_forms(run):
    found = json.loads((run / "result.json").read_text())["sampler"]
    means, sds = moments()
    error = sds / found["ess"] ** 0.5
    assert found["reliable"], found["doubts"]
    assert found["ess"] > 8000
    assert abs(found["log_z"] - LOG_Z) < 4 * found["log_z_error"] + 1e-3
    assert ((torch.tensor(found["means"]) - means).abs() < 5 * error).all()
    assert ((torch.tensor(found["sds"]) - sds).abs() < 0.05 * sds).all()


def test_samples_and_densities_are_in_the_coordinates_of_log_prob(run):
    with wopt.allow_code():
        flow = wopt.load(run)
    assert flow.names == tuple(NAMES)
    x, log_q = flow.sample_and_log_prob(4000, generator=torch.Generator().manual_seed(0))
    means, sds = moments()
    assert ((x.mean(0) - means).abs() < 5 * sds / 4000**0.5 + 0.02 * sds).all()  # the model's own
    assert (x[:, :3] > 0).all()
    assert (x[:, 1] < 1).all()
    # log q - log p is KL(model | target) in the mean, near zero, only if the log-dets are right.
    gap = log_q - exact(x)
    assert abs(float(gap.mean())) < 0.05
    assert torch.allclose(flow.log_prob(x), log_q, atol=1e-6)
    outside = torch.tensor([[-1.0, 0.5, 1.0, 0.0], [1.0, 1.5, 1.0, 0.0], [0.0, 0.5, 1.0, 0.0]])
    assert (flow.log_prob(outside) == -math.inf).all()
    assert np.load(run / "samples.npy")[:, :3].min() > 0


def test_a_saved_flow_keeps_its_support(run, tmp_path):
    with wopt.allow_code():
        flow = wopt.load(run)
    again = wopt.load(flow.save(tmp_path / "model.wopt"))
    draws = [f.sample(50, generator=torch.Generator().manual_seed(3)) for f in (flow, again)]
    assert torch.equal(*draws)
    assert torch.equal(flow.log_prob(draws[0]), again.log_prob(draws[0]))


def test_the_commands_speak_of_the_same_coordinates(command, run, tmp_path, pictures):
    def call(*words):
        answer = command(*words, "--allow-code")
        assert answer.status == 0, answer.err
        return answer.out

    out, scores = tmp_path / "draws.csv", tmp_path / "scores.csv"
    assert call("sample", run, "-n", 2000, "-o", out, "--importance", "-q") == ""
    drawn = pyarrow.csv.read_csv(out).to_pandas()
    assert list(drawn) == [*NAMES, "log_density", "log_weight", "weight"]
    x = torch.from_numpy(drawn[NAMES].to_numpy())
    weights = exact(x) + LOG_Z - torch.from_numpy(drawn["log_density"].to_numpy())
    assert np.allclose(drawn["log_weight"], weights, atol=1e-6)
    mean = (drawn[NAMES].mul(drawn["weight"], axis=0)).sum()
    means, sds = moments()
    assert (np.abs(mean - means.numpy()) < 5 * sds.numpy() / 2000**0.5).all()
    call("score", run, out, "-o", scores)
    scored = pyarrow.csv.read_csv(scores).to_pandas()["log_likelihood"]
    assert np.allclose(scored, drawn["log_density"], atol=1e-6)
    page = run / "report.html"
    page.unlink()
    call("report", run)
    text = " ".join(re.sub(r"<[^>]+>", " ", page.read_text()).split())
    part = text[text.index("Moments of the target") :][:1000]
    for name, mean in zip(NAMES, next(moments()).tolist(), strict=True):
        said = re.search(rf" {name} (\S+) ± ", part)[1].replace("−", "-")
        assert float(said) == pytest.approx(mean, abs=0.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"support": {"a": "positive"}, "names": ["b"]}, "no coordinate 'a'"),
        ({"support": {"0": "positive"}}, "needs `names`, or `dim`"),
        ({"names": ["a", "a"]}, "2 different ones"),
        ({"names": ["a", "b"], "dim": 3}, "3 different ones"),
        ({"support": {"0": [1.0, 1.0]}, "dim": 1}, "is empty"),
    ],
)
def test_a_support_that_cannot_be_is_told(options, says, tmp_path):
    (tmp_path / "m.py").write_text("def log_prob(x): return -x.square().sum(1)")
    table = {"name": "python", "log_prob": f"{tmp_path}/m.py:log_prob", **options}
    with wopt.allow_code(), pytest.raises(wopt.ConfigError, match=says):
        wopt.build("target", table)


def test_a_density_that_lacks_its_support_is_told_so_before_any_work(command, tmp_path):
    """Gamma on all of the line: by `wopt.sample`, `wopt validate` and `wopt run`."""
    with pytest.raises(wopt.DataError, match="refuses a value or parameter there: if a coord") as e:
        wopt.sample(lambda x: Gamma(2.0, 1.0).log_prob(x[:, 0]), dim=1)
    assert 'support = {"0": "positive"' in str(e.value)
    (tmp_path / "m.py").write_text(
        "from torch.distributions import Gamma\n"
        "def log_prob(x): return Gamma(2.0, 1.0).log_prob(x[:, 0])"
    )
    path = tmp_path / "gamma.toml"
    path.write_text(tomli_w.dumps({"target": {"python": f"{tmp_path}/m.py:log_prob", "dim": 1}}))
    for words in (["validate", path], ["run", path, "--out", tmp_path / "run"]):
        answer = command(*words, "--allow-code")
        assert answer.is_mistake("log_prob is nan at", "x0 = -", 'support = { 0 = "positive"')
    assert not (tmp_path / "run").exists()
    setting = "target.support={0='positive'}"
    answer = command("validate", path, "--allow-code", "--set", setting)
    assert answer.status == 0, answer.err
