"""The pixel density: exact evaluation, orientation, entropy, messages."""

import numpy as np
import pytest
import torch
from PIL import Image

import wopt
from wopt_measures import PictureSource, PixelLaw


def drawing(path, mode="L"):
    """Write a 24 x 16 picture: a dark corner at the top left, and a grey stroke."""
    grey = np.full((16, 24), 255, np.uint8)
    grey[0:3, 0:2] = 0
    grey[8, 5:20] = 100
    Image.fromarray(grey).convert(mode).save(path)
    return path


@pytest.fixture
def law(tmp_path):
    return PixelLaw(PictureSource(drawing(tmp_path / "d.png"))._weights())


def test_density_is_the_mixture_everywhere(law):
    x = 6 * (2 * torch.rand(3000, 2, generator=torch.Generator().manual_seed(0)).double() - 1)
    height, width = law.weights.shape
    centres = torch.cartesian_prod(
        torch.linspace(-4, 4, height, dtype=torch.float64),
        torch.linspace(-4, 4, width, dtype=torch.float64),
    ).flip(1)
    spread = torch.tensor([4 / width, 4 / height], dtype=torch.float64)
    parts = torch.distributions.Normal(centres, spread).log_prob(x[:, None]).sum(2)
    exact = torch.logsumexp(parts + law.weights.flatten().log(), dim=1)
    torch.testing.assert_close(law.log_prob(x), exact, rtol=1e-12, atol=1e-10)
    assert exact.min() < -60  # so that the near and the far way
    assert exact.max() > -5  # were both taken


def test_density_is_differentiable(law):
    x = torch.tensor([[0.1, 0.2], [4.0, -3.0], [9.0, 9.0]]).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: law.log_prob(p) / 100, x)


def test_density_integrates_to_one_and_to_the_entropy(law, grid):
    x, cell = grid(7, 601)
    log_p = law.log_prob(x)
    assert float(log_p.exp().sum() * cell) == pytest.approx(1, abs=1e-6)
    assert law.entropy() == pytest.approx(-float((log_p.exp() * log_p).sum() * cell), abs=1e-6)
    assert law.entropy() == pytest.approx(law.entropy(per_pixel=8), abs=1e-6)


def test_orientation_rotated_by_180_degrees(tmp_path):
    data = PictureSource(drawing(tmp_path / "d.png"), n_train=20_000).load(seed=0)
    # the dark corner at the top left goes to large first and second coordinates
    assert float((data.train > 2.5).all(1).double().mean()) > 0.3
    assert float((data.train < -2.5).all(1).double().mean()) == 0
    surprise = -data.log_density(data.train)
    error = float(surprise.std()) / len(surprise) ** 0.5
    assert float(surprise.mean()) == pytest.approx(data.entropy, abs=4 * error)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1"])
def test_colour_modes(tmp_path, mode):
    source = PictureSource(drawing(tmp_path / "d.png", mode), n_train=100)
    source.check()
    assert source.load(0).dim == 2


@pytest.mark.parametrize(
    ("name", "entropy", "error"), [("rose", 2.4890, 0.0026), ("tree", 1.9503, 0.0020)]
)
def test_published_entropies(real_data, name, entropy, error):
    data = PictureSource(real_data / "pictures" / f"{name}.png").load(seed=0)
    # the published values are Monte-Carlo means with these standard errors
    assert data.entropy == pytest.approx(entropy, abs=2 * error)
    surprise = -data.log_density(data.train)
    own = float(surprise.std()) / len(surprise) ** 0.5
    assert float(surprise.mean()) == pytest.approx(data.entropy, abs=3 * own)


def test_messages(tmp_path):
    drawing(tmp_path / "rose.png")
    with pytest.raises(wopt.DataError, match=r"does not exist; did you mean 'rose\.png'"):
        PictureSource(tmp_path / "rise.png").check()
    (tmp_path / "text.png").write_text("no picture")
    for act in (lambda s: s.check(), lambda s: s.load(0)):
        with pytest.raises(wopt.DataError, match="cannot be read as a picture"):
            act(PictureSource(tmp_path / "text.png"))
    whole = (tmp_path / "rose.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(wopt.DataError, match=r"cut\.png cannot be read as a picture"):
        PictureSource(tmp_path / "cut.png").load(0)
    Image.new("L", (5, 5), 77).save(tmp_path / "blank.png")
    with pytest.raises(wopt.DataError, match="of one grey"):
        PictureSource(tmp_path / "blank.png").load(0)
