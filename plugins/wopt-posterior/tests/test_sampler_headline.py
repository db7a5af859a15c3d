"""A sampler of a target that is not normalised: KL = log Z - ELBO is the headline's estimate."""

import json

import pytest

import wopt
from wopt.config.model import validate
from wopt.runs.execute import run_config
from wopt_certify.results import Certificate


def test_the_headline_of_a_sampler(zoo):
    path = zoo("posterior")
    result = json.loads((path / "result.json").read_text())
    document = json.loads((path / "certificate.json").read_text())
    certificate = Certificate.from_dict(document)
    sampler = result["sampler"]
    assert certificate.gap.of == "KL(model | target)"
    assert certificate.gap.estimate == pytest.approx(sampler["log_z"] - sampler["elbo"])
    assert document["kl"]["estimate"] == certificate.gap.estimate
    assert "log Z by bridge sampling less ELBO" in certificate.statement.text
    assert "No bound is stated" not in " ".join(certificate.notes)


def test_a_function_of_another_shape_is_told_where_no_dimension_is(tiny, tmp_path):
    file = tmp_path / "model.py"
    file.write_text("def log_prob(x): return x.sum()\n")
    tiny["source"] = {"name": "gaussian", "mean": [0.0, 0.0]}
    tiny["objective"] = {"name": "kl", "target": {"name": "python", "log_prob": f"{file}:log_prob"}}
    with wopt.allow_code(), pytest.raises(wopt.UserError, match="takes one point"):
        run_config(validate(tiny), tmp_path / "run")
    assert not (tmp_path / "run").exists()
