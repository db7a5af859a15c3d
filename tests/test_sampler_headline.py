"""A sampler of a target that is not normalised: KL = log Z - ELBO is the headline's estimate."""

import json

import pytest

import wopt
from wopt.config.model import validate
from wopt.runs.execute import run
from wopt_certify.results import Certificate


@pytest.fixture
def posterior(tiny, tmp_path):
    """Return the table of a sampler whose target is a file without its dimension."""
    file = tmp_path / "model.py"
    file.write_text("def log_prob(x): return -((x - 1) ** 2).sum(1) / 2\n")
    tiny["source"] = {
        "name": "gaussian", "mean": [0.0, 0.0], "n_train": 500, "n_valid": 300, "n_test": 300,
    }  # fmt: skip
    tiny["objective"] = {"name": "kl", "target": {"name": "python", "log_prob": f"{file}:log_prob"}}
    tiny["certify"] = {"particles": 200, "iterations": 5, "transport_rows": 0}
    return tiny


def test_the_headline_of_a_sampler(posterior, tmp_path):
    with wopt.allow_code():
        run(validate(posterior), tmp_path / "run", report=False)
    result = json.loads((tmp_path / "run/result.json").read_text())
    document = json.loads((tmp_path / "run/certificate.json").read_text())
    certificate = Certificate.from_dict(document)
    sampler = result["sampler"]
    assert certificate.gap.of == "KL(model | target)"
    assert certificate.gap.estimate == pytest.approx(sampler["log_z"] - sampler["elbo"])
    assert document["kl"]["estimate"] == certificate.gap.estimate
    assert "log Z by importance sampling less ELBO" in certificate.statement.text
    assert "No bound is stated" not in " ".join(certificate.notes)


def test_a_function_of_another_shape_is_told_where_no_dimension_is(posterior, tmp_path):
    (tmp_path / "model.py").write_text("def log_prob(x): return x.sum()\n")
    with (
        wopt.allow_code(),
        pytest.raises(wopt.UserError, match="one value a point"),
    ):
        run(validate(posterior), tmp_path / "run")
    assert not (tmp_path / "run").exists()
