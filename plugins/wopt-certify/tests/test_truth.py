"""What a certificate says holds: against laws of known density, and for rows that depend."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch

from wopt.config.model import validate
from wopt.interfaces import Budget, FinishedRun
from wopt.runs.evaluate import evaluate
from wopt.runs.log import LossLog
from wopt.runs.preparation import particles_of, prepare
from wopt.runs.solution import advance
from wopt.statistics import error_of_mean, mean_and_error
from wopt_certify.challenge.of_run import Rivals
from wopt_certify.evidence import one_of_each
from wopt_certify.held_out import TwoSample, compare_samples
from wopt_certify.results import Certificate
from wopt_certify.run import certify


def ready(table, **changes):
    """Return a run that is ready to begin, on a dataset that is changed."""
    config = validate(copy.deepcopy(table))
    dataset = config.source.load(0)
    return prepare(config, dataclasses.replace(dataset, **changes)), dataset


@pytest.fixture
def gaussian(certified):
    """Return the table of a model that is exact with no block at all."""
    certified["source"] = {
        "name": "gaussian", "mean": [0.0, 0.0],
        "n_train": 500, "n_valid": 400, "n_test": 1200,
    }  # fmt: skip
    certified["model"] = "pull_back"
    return certified


def test_a_poor_step_is_certified_truly(certified):
    """A ring of eight Gaussians, one short step, its density hidden from the run."""
    certified["source"] = {
        "name": "toy", "shape": "eight_gaussians", "n_train": 1000, "n_valid": 500, "n_test": 1000,
    }  # fmt: skip
    certified["scheme"] = {"name": "jko", "step_size": 0.1}
    certified["stop"] = {"steps": 1}
    certified["certify"] = {"particles": 1000, "iterations": 25, "transport_rows": 0}
    prepared, dataset = ready(certified, log_density=None, entropy=None)
    solution = advance(prepared, prepared.problem.begin(prepared.train, prepared.valid), False)
    run = FinishedRun(prepared, solution.state)
    found = certify(prepared.config.certify, run, Budget(2.0))

    fresh = dataset.sample(20_000, torch.Generator().manual_seed(99))
    ratio = dataset.log_density(fresh) - solution.flow.log_prob(fresh, audit=True).double()
    truth, error = mean_and_error(ratio)
    assert truth > 0.3  # it is poor
    assert found.gap.by != "both densities, which are known"
    assert found.gap.lower <= truth + 2 * error
    assert found.gap.lower > truth / 2
    assert found.gap.upper is None or found.gap.upper >= truth - 2 * error
    for one in found.gap.refuted:
        assert one.value < truth + 2 * error
    for each in found.resolution:  # of the blurred laws, which are closer
        assert each.kl_low <= truth + 2 * error
    assert found.two_sample.differs
    again = Certificate.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.challengers == found.challengers
    assert again.two_sample == found.two_sample
    assert again.to_dict()["two_sample"]["differs"] is True


def test_an_exact_model_is_told_from_nothing(gaussian):
    prepared, _ = ready(gaussian)
    alike = compare_samples(prepared, [], 0.95)
    assert alike.test.p_value > 0.05
    assert alike.notes == ()
    assert alike.conditional is None


def test_rows_of_a_group_are_counted_once(gaussian):
    prepared, dataset = ready(gaussian)
    test = dataset.test[:300]
    blocks = []

    def result(rows, groups):
        data = dataclasses.replace(dataset, test=rows, groups=groups)
        run = dataclasses.replace(prepared, dataset=data)
        return evaluate(run, blocks, particles_of(data, rows, run.config, known=False))

    single = result(test, None)
    numbers = torch.arange(300).repeat_interleave(4)
    four = test.repeat_interleave(4, 0)
    naive, honest = result(four, None), result(four, (numbers, numbers, numbers))
    assert honest.nll_test == pytest.approx(single.nll_test)
    assert honest.nll_error == pytest.approx(single.nll_error)
    assert naive.nll_error == pytest.approx(single.nll_error / 2, rel=0.01)
    assert honest.kl_error == pytest.approx(single.kl_error)


def test_two_sample_tests_take_one_row_of_a_group(gaussian):
    """Twenty copies of each row: all of them together would look like another law."""
    _, dataset = ready(gaussian)
    numbers = torch.arange(1200) // 20
    test = dataset.test[:60].repeat_interleave(20, 0)
    groups = (torch.arange(500), torch.arange(400), numbers)
    prepared, _ = ready(gaussian, test=test, groups=groups)
    alike = compare_samples(prepared, [], 0.99)
    assert not alike.test.differs
    assert alike.test.classifier.judged == 30
    assert "one test row of each of 60 groups" in alike.notes[0]
    unaware = compare_samples(ready(gaussian, test=test)[0], [], 0.99).test
    assert unaware.classifier.judged == 600
    assert unaware.differs


def test_one_of_each_is_of_each_group_and_by_chance():
    groups = torch.tensor([5, 5, 5, 1, 1, 9])
    chosen = {tuple(sorted(one_of_each(groups, seed).tolist())) for seed in range(40)}
    assert {tuple(sorted(groups[list(c)].tolist())) for c in chosen} == {(1, 5, 9)}
    assert len(chosen) == 6


def test_challengers_hear_of_groups(certified):
    """Each row four times: the error of the gain is that of the rows, not of their copies."""
    certified["source"] |= {"n_train": 1000, "n_valid": 500, "n_test": 500}
    _, dataset = ready(certified)
    split = {
        name: getattr(dataset, name).repeat_interleave(4, 0)[:2000] for name in ("valid", "test")
    }
    numbers = torch.arange(2000) // 4
    errors = []
    for groups in (None, (torch.arange(1000), numbers, numbers)):
        prepared, _ = ready(certified, sample=None, groups=groups, **split)
        state = prepared.problem.begin(prepared.train, prepared.valid)
        side = Rivals(rows=2000).measure(FinishedRun(prepared, state), Budget(0.5))
        errors.append(side.error)
    assert errors[1] == pytest.approx(2 * errors[0], rel=0.15)


def test_patches_of_a_cell_are_a_group():
    from wopt_measures import PatchesSource

    data = PatchesSource(n_train=2000, n_valid=500, n_test=500).load(seed=0)
    assert [len(g) for g in data.groups] == [2000, 500, 500]
    parts = [set(g.tolist()) for g in data.groups]
    assert not parts[0] & parts[1] | parts[1] & parts[2] | parts[0] & parts[2]
    assert 100 < len(parts[2]) <= 208
    # Patches of one cell share pixels, so they are nearer to each other than to the others.
    x, g = data.transform.move(data.test), data.groups[2]
    distances = torch.cdist(x, x)
    one = (g[:, None] == g) & ~torch.eye(len(g), dtype=torch.bool)
    assert float(distances[one].mean()) < 0.9 * float(distances[g[:, None] != g].mean())
    values = x.square().sum(1)
    assert error_of_mean(values, g) > 1.2 * error_of_mean(values)


def test_conditions_are_those_of_other_rows(certified, tmp_path):
    draw = np.random.default_rng(0)
    u = draw.uniform(-2, 2, (1500, 1))
    np.save(tmp_path / "rows.npy", np.hstack([0 * u + draw.normal(size=u.shape), u]))
    certified["source"] = {
        "name": "array", "path": str(tmp_path / "rows.npy"), "context": [1], "preprocess": "none",
    }  # fmt: skip
    prepared, dataset = ready(certified)
    alike = compare_samples(prepared, [], 0.95)  # y is N(0, 1) whatever u is: exact
    assert alike.test.p_value > 0.05
    assert not alike.conditional.wrong
    test, valid = dataset.test.clone(), dataset.valid
    test[:, 0] *= 0.5
    prepared, _ = ready(certified, test=test, valid=valid)
    alike = compare_samples(prepared, [], 0.95)
    assert alike.test.differs
    assert alike.conditional.wrong
    assert alike.test.columns[0].name == dataset.names[0]


def test_a_sampler_is_compared_with_its_target(certified):
    certified["source"] = {"name": "gaussian", "mean": [0.0, 0.0], "n_train": 300}
    target = {"name": "mixture", "means": [[-3.0, 0.0], [3.0, 0.0]]}
    certified["objective"] = {"name": "kl", "target": target}
    certified["model"] = "push_forward"
    prepared, _ = ready(certified)
    assert TwoSample().applies(FinishedRun(prepared, None)) is None
    alike = compare_samples(prepared, [], 0.95)
    assert alike.test.differs
    assert "draws of the target" in alike.notes[0]


def test_losses_are_thinned_and_trainings_counted_on(tmp_path):
    log = LossLog(tmp_path / "losses.jsonl")
    for done in range(1, 601):
        log.progress(1, "training", done, 600, 1.0 / done)
    for done in range(1, 11):  # trained again
        log.progress(1, "training", done, 600, 0.5)
    log.progress(1, "checking", 0, 1, float("nan"))  # which comes last, and forgets nothing
    log.keep(1)
    log.progress(2, "training", 1, 1, float("nan"))
    log.keep(2)
    first, second = map(json.loads, (tmp_path / "losses.jsonl").read_text().splitlines())
    assert (first["step"], first["what"], len(first["losses"])) == (1, "training", 200)
    assert (first["iterations"][0], first["iterations"][-1]) == (1, 610)
    assert first["losses"][0] == 1.0
    assert first["losses"][-1] == 0.5
    assert second == {"step": 2, "what": "training", "iterations": [1], "losses": [None]}
