"""``wopt sample --importance``: weights with which samples stand for the target."""

import math

import numpy as np
import pytest
import torch
from zoo import TARGET

import wopt


@pytest.fixture
def trained(zoo):
    """Return a push-forward run that stopped early."""
    return zoo("push_forward")


def test_weighted_samples_are_those_of_the_target(command, trained, tmp_path):
    answer = command("sample", trained, "-n", "5000", "-o", tmp_path / "s.csv", "--importance")
    assert answer.status == 0, answer.err
    assert "k-hat" in answer.out
    text = (tmp_path / "s.csv").read_text().splitlines()[0]
    assert text == "x0,x1,log_density,log_weight,weight"
    found = np.loadtxt(tmp_path / "s.csv", delimiter=",", skiprows=1)
    x, log_q, log_w, w = found[:, :2], found[:, 2], found[:, 3], found[:, 4]
    law = wopt.build("target", TARGET)
    exact = -law.potential(torch.from_numpy(x)).numpy() - log_q
    assert np.abs(exact - log_w).max() < 1e-4
    assert w.sum() == pytest.approx(1)
    # Z = 1: the mean weight, with its standard error
    raw = np.exp(log_w)
    assert abs(raw.mean() - 1) < 4 * raw.std() / math.sqrt(len(raw))
    ess = 1 / (w**2).sum()
    assert np.abs(w @ x - TARGET["mean"]).max() < 4 * 1.3 / math.sqrt(ess)
    assert np.abs(x.mean(0) - TARGET["mean"]).max() > 0.2  # without weights they are not


def test_the_same_samples_without_weights(command, trained, tmp_path):
    plain, weighted = tmp_path / "a.npy", tmp_path / "b.npy"
    assert command("sample", trained, "-n", "50", "-o", plain).status == 0
    assert command("sample", trained, "-n", "50", "-o", weighted, "--importance").status == 0
    a, b = np.load(plain), np.load(weighted)
    assert (a.shape, b.shape) == ((50, 3), (50, 5))
    assert np.array_equal(a, b[:, :3])


def test_few_samples_are_not_reliable(command, trained, tmp_path):
    answer = command("sample", trained, "-n", "20", "-o", tmp_path / "s.npy", "--importance")
    assert answer.status == 0
    assert "not reliable" in answer.err


def test_a_model_of_data_has_no_weights(command, finished_run, tmp_path):
    answer = command("sample", finished_run, "-o", tmp_path / "s.csv", "--importance")
    assert answer.is_mistake("push_forward", "leave out --importance")
    assert not (tmp_path / "s.csv").exists()
