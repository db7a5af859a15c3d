"""The 2-D toys: exact densities, entropies, samples."""

import math
import typing

import pytest
import torch

import wopt
from wopt.component import options_model
from wopt_measures import ToySource
from wopt_measures.laws.shapes import SHAPES

EXACT = [name for name, shape in SHAPES.items() if shape.log_prob is not None]


def test_every_shape_is_an_option():
    annotation = options_model(ToySource).model_fields["shape"].annotation
    assert sorted(typing.get_args(annotation)) == sorted(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_samples_are_centred_and_of_moderate_size(name):
    data = ToySource(name).load(seed=0)
    assert data.train.shape == (10_000, 2)
    assert data.train.abs().max() < 15
    assert data.train.std(0).min() > 0.5
    z = data.transform.move(data.train)
    torch.testing.assert_close(z.std(0), torch.ones(2, dtype=torch.float64))
    assert (data.log_density is None) == (data.entropy is None) == (name not in EXACT)
    assert data.sample(3, torch.Generator().manual_seed(0)).shape == (3, 2)


@pytest.mark.parametrize("name", EXACT)
def test_exact_density_integrates_to_one_and_to_the_entropy(name, grid):
    data = ToySource(name).load(seed=0)
    # an even number of cells puts no node on an edge of the checkerboard
    x, cell = grid(40, 1601) if name == "banana" else grid(8.01, 802)
    log_p = data.log_density(x)
    p = log_p.exp()
    assert float(p.sum() * cell) == pytest.approx(1, abs=2e-3 if name == "checkerboard" else 1e-6)
    entropy = -float(torch.nansum(p * log_p) * cell)
    assert data.entropy == pytest.approx(entropy, abs=1e-2 if name == "checkerboard" else 1.5e-3)


@pytest.mark.parametrize("name", EXACT)
def test_samples_follow_the_exact_density(name):
    data = ToySource(name, n_train=40_000).load(seed=1)
    surprise = -data.log_density(data.train)
    error = float(surprise.std()) / len(surprise) ** 0.5
    assert float(surprise.mean()) == pytest.approx(data.entropy, abs=4 * error + 2e-3)
    # bins of equal width: counts against the density's mass in each
    edges = torch.linspace(-4, 4, 9, dtype=torch.float64)
    counts = torch.histogramdd(data.train, [edges, edges]).hist / len(data.train)
    axis = torch.linspace(-4, 4, 801, dtype=torch.float64)[:-1] + 0.005
    p = data.log_density(torch.cartesian_prod(axis, axis)).exp().reshape(8, 100, 8, 100)
    mass = p.sum((1, 3)) * 1e-4
    spread = (mass / len(data.train)).sqrt() + 1e-4
    assert ((counts - mass) / spread).abs().max() < 5


def test_checkerboard_is_uniform_on_half_the_square():
    data = ToySource().load(seed=0)
    assert data.entropy == pytest.approx(math.log(32))
    inside = data.log_density(torch.tensor([[-3.0, -3.0], [-1.0, -3.0], [5.0, 5.0]]).double())
    assert inside.tolist() == pytest.approx([-math.log(32), -math.inf, -math.inf])
    assert data.log_density(data.train).min() == data.log_density(data.train).max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "checkerboard", "noise": 0.1}, "no noise"),
        ({"shape": "moons", "noise": 0}, "noise.*greater than 0"),
        ({"shape": "moon"}, "shape.*'moons'"),
        ({"n_train": 1}, "n_train.*greater than or equal to 2"),
    ],
)
def test_bad_options_are_explained(options, message):
    with pytest.raises(wopt.ConfigError, match=message):
        wopt.build("source", {"name": "toy", **options})


def test_points_of_another_dimension_are_refused():
    for name in EXACT:
        with pytest.raises(wopt.DataError, match="2 dimension"):
            ToySource(name, n_train=10).load(0).log_density(torch.zeros(3, 5).double())
