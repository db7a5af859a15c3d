"""Principal components: white, in falling order, and a flow of the leading ones alone."""

import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.data.columns import Columns
from wopt.data.table_transform import fit_transform
from wopt.data.transform import AffineTransform
from wopt.errors import ConfigError
from wopt.flow import Chain, Flow
from wopt.runs.evaluate import gaussian_nll
from wopt.runs.execute import run_config
from wopt.store.checkpoint import load_transform
from wopt.store.directory import RunDirectory

MIX = torch.tensor([[3.0, 0.0, 0.0], [2.0, 0.5, 0.0], [0.3, -0.2, 0.1]]).double()


def rows(n=400, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=rng, dtype=torch.float64) @ MIX.T + 5


def test_components_are_white_and_in_falling_order():
    x = rows()
    t = AffineTransform.fit(x, "rotate")
    torch.testing.assert_close(torch.cov(t.move(x).T), torch.eye(3).double())
    torch.testing.assert_close(t.inverse(t.move(x))[0], x)
    assert float(t(x)[1][0]) == pytest.approx(float(torch.linalg.slogdet(t.matrix)[1]))
    # The variance of the standardised columns along each: the eigenvalues of the correlations.
    scaled = (x - x.mean(0)) / x.std(0)
    values = torch.linalg.eigvalsh(torch.cov(scaled.T)).flip(0)
    shares = (t.inverse_matrix / x.std(0)[:, None]).square().sum(0)
    torch.testing.assert_close(shares, values)


def test_the_leading_components_and_a_gaussian_make_the_density_of_all():
    """With no map it is the fitted Gaussian's; with one it has the derivative of the whole map."""
    x, y = rows(), rows(50, 1)
    t = AffineTransform.fit(x, "rotate")
    target = wopt.build("target", "gaussian")
    spec = wopt.build(
        "block", {"name": "ode", "width": 8, "latent": 2, "sharpness": 2.0, "steps": 16}
    )
    flow = Flow(Chain([spec.build(dim=3).double()], t), target)
    # The sample covariance of the preprocessing has n - 1, that of the fitted Gaussian n.
    n = len(x)
    scaled = x.mean(0) + (x - x.mean(0)) * (n / (n - 1)) ** 0.5
    nll = float(-flow.log_prob(y).detach().mean())
    assert nll == pytest.approx(gaussian_nll(scaled, y), abs=1e-9)
    block = flow.blocks[0]
    for number, p in enumerate(block.parameters()):
        p.data += 0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(number))
    z = block(t.move(y))[0].detach()
    assert torch.equal(z[:, 2], t.move(y)[:, 2])
    assert not torch.allclose(z[:, :2], t.move(y)[:, :2])
    one = torch.func.vmap(torch.func.jacrev(lambda a: block(a[None])[0][0]))(t.move(y))
    exact = torch.linalg.slogdet(one)[1]
    torch.testing.assert_close(block.audit(t.move(y))[1], exact.detach(), rtol=0, atol=1e-3)
    back, log_det = block.inverse(z)
    torch.testing.assert_close(back, t.move(y), rtol=0, atol=1e-3)
    assert log_det.shape == (50,)


def test_more_coordinates_than_there_are_cannot_move():
    with pytest.raises(ConfigError, match="latent = 4: only 2 coordinates can move"):
        wopt.build("block", {"name": "ode", "latent": 4}).build(dim=2, condition=1)


def test_marginals_keep_columns_apart_and_principal_components_follow_the_same_curves():
    z = rows(3000)
    x = torch.stack([z[:, 0], (z[:, 1] / 4).exp()], 1)
    columns = Columns.on_the_line(("a", "b"))
    distances, turned = (fit_transform(x, how, columns) for how in ("marginals", "principal"))
    assert distances.columns == turned.columns
    assert distances.columns.curves
    assert torch.equal(distances.matrix, distances.matrix.diag().diag())
    for t in (distances, turned):
        torch.testing.assert_close(t.inverse(t.move(x))[0], x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(torch.cov(turned.move(x).T), torch.eye(2).double())


def test_a_run_of_leading_components_is_read_back_and_sampled(tmp_path):
    table = {
        "source": {"name": "sklearn", "dataset": "wine", "preprocess": "principal"},
        "block": {"name": "ode", "width": 8, "steps": 1, "latent": 3},
        "solver": {"iterations": 5}, "stop": {"steps": 1}, "certify": {"enabled": False},
    }  # fmt: skip
    made = run_config(validate(table), tmp_path / "run", report=False)
    transform, names, _ = load_transform(RunDirectory(tmp_path / "run"))
    assert len(names) == len(transform.shift)
    assert bool(transform.matrix.triu(1).any())
    assert made.bits_per_dim is None
    assert made.nll_test < 60
