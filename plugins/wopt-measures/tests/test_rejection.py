"""The source rejection, and the tempered target: densities against closed forms."""

import math
import pickle

import pytest
import torch

import wopt
from wopt.flow import SourceLaw
from wopt_measures import RejectionSource, TemperedTarget


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return draws of N(0, 1.3^2) corrected towards N(0, 1), as a source."""
    path = tmp_path_factory.mktemp("flows") / "wide.wopt"
    start = wopt.build("source", {"name": "gaussian", "dim": 1, "scale": 1.3})
    units = wopt.AffineTransform.fit(torch.tensor([[0.0], [1.0]]).double(), "none")
    wopt.Flow([units], SourceLaw(start, 0)).inverted().save(path)
    return RejectionSource(path, steps=4, n_train=4000, n_valid=50, n_test=50)


def test_its_density_integrates_to_one_and_is_that_of_its_draws(source):
    data = source.load(0)
    x = torch.linspace(-9, 9, 3601).double()[:, None]
    density = data.log_density(x).exp()
    # E alpha is estimated by 50,000 draws, an error of 0.002 each
    assert float(density.sum()) * 0.005 == pytest.approx(1, abs=0.01)
    variance = float((density * x[:, 0].square()).sum()) * 0.005
    assert 1.0 < variance < 1.1 < 1.69
    assert float(data.train.var()) == pytest.approx(
        variance, abs=4 * variance * math.sqrt(2 / 4000)
    )
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again.log_density(x), data.log_density(x))


def test_a_file_that_is_no_flow_is_told(tmp_path):
    (tmp_path / "a.wopt").write_text("nothing")
    with pytest.raises(wopt.WoptError, match=r"a\.wopt"):
        RejectionSource(tmp_path / "a.wopt").load(0)


def test_tempered_is_the_geometric_mean():
    target = wopt.build("target", {"name": "mixture", "means": [[-3.0], [3.0]]})
    tempered = TemperedTarget(target, 0.25, scale=2.0)
    x = torch.randn(9, 1, generator=torch.Generator().manual_seed(0)).double()
    expected = 0.25 * target.potential(x) + 0.75 * x[:, 0].square() / 8
    torch.testing.assert_close(tempered.potential(x), expected)
    torch.testing.assert_close(tempered.score(x), wopt.Target.score(tempered, x))
    assert tempered.convexity == pytest.approx(0.25 * target.convexity + 0.75 / 4)
    rows = wopt.build("target", {"name": "samples", "source": {"name": "toy", "shape": "moons"}})
    with pytest.raises(wopt.CapabilityError):
        TemperedTarget(rows)
