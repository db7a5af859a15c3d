"""The map of columns to the line: log-dets, ends, rounding, and densities that integrate to one."""

import dataclasses
import math

import pytest
import torch

import wopt
from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.description import described
from wopt.data.table_transform import fit_transform
from wopt.flow.conversions import log_mass_bound
from wopt.testing import AffineBlock

INF = math.inf
MIXED = Columns(
    (
        Column("p", bounds=(0.0, 1.0)),
        Column("price", bounds=(2.0, INF)),
        Column("debt", bounds=(-INF, 5.0)),
        Column("x"),
        Column("age", "integer", (-0.5, 120.5), 1.0),
        Column("size", "categorical", (-0.5, 2.5), 1.0, 0.0, ("s", "m", "l"), "string"),
        Column("given", bounds=(0.0, 1.0)),
    ),
    condition=1,
)


def rows(n=200, seed=0):
    rng = torch.Generator().manual_seed(seed)
    u = torch.rand(n, 7, generator=rng, dtype=torch.float64)
    age, size = (121 * u[:, 4]).floor(), (3 * u[:, 5]).floor()
    columns = [u[:, 0], 2 + u[:, 1].exp(), 5 - u[:, 2].exp(), u[:, 3], age, size, u[:, 6]]
    return MIXED.jitter(torch.stack(columns, 1), rng)


@pytest.mark.parametrize("how", ["none", "standardise", "whiten", "gaussianise"])
def test_the_log_det_is_that_of_autograd(how):
    x = rows()
    t = fit_transform(x, how, MIXED)
    torch.testing.assert_close(t.outside(*t.inside(x[:, :6], x[:, 6:])), x, rtol=1e-10, atol=1e-10)
    for row in x[:5, :6]:
        jacobian = torch.autograd.functional.jacobian(lambda r: t.move(r[None])[0], row)
        exact = torch.linalg.slogdet(jacobian)[1]
        z, found = t(row[None])
        torch.testing.assert_close(found[0], exact, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(t.inverse(z)[1], -found, rtol=1e-9, atol=1e-9)


def test_conditions_are_not_mapped():
    x = rows()
    assert torch.equal(MIXED.encode(x)[:, 6], x[:, 6])
    moved = Columns(MIXED.columns[:6])
    torch.testing.assert_close(MIXED.forward(x)[1], moved.forward(x[:, :6])[1])


def test_no_point_of_the_line_is_mapped_outside():
    y = torch.linspace(-800, 800, 4001, dtype=torch.float64)[:, None].expand(-1, 7)
    x = MIXED.inverse(y)[0]
    for j, column in enumerate(MIXED.moved):
        assert bool((x[:, j] >= column.bounds[0]).all())
        assert bool((x[:, j] <= column.bounds[1]).all())
    whole = MIXED.round(x)
    assert set(whole[:, 5].tolist()) == {0.0, 1.0, 2.0}
    assert (float(whole[:, 4].min()), float(whole[:, 4].max())) == (0.0, 120.0)


def test_ends_are_finite_and_outside_has_no_density():
    columns = Columns((Column("p", bounds=(-1.0, 3.0)),))
    x = torch.tensor([[-1.0], [3.0], [-1.1], [3.5]], dtype=torch.float64)
    assert bool(torch.isfinite(columns.encode(x)).all())
    assert columns.forward(x)[1][2:].tolist() == [-INF, -INF]
    assert bool(torch.isfinite(columns.forward(x)[1][:2]).all())


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("logarithm", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_an_end_that_is_inferred_has_a_density_beyond_it_and_no_samples(sign, whole, logarithm):
    x = 2 * torch.randn(300, generator=torch.Generator().manual_seed(0)).double().abs()
    x = sign * ((20 * x).round() if whole else x + 0.1)
    column = described(Column("x"), x)
    column = dataclasses.replace(column, scale=math.inf) if logarithm else column
    columns = Columns((column,))
    points = sign * torch.linspace(-50, 30, 400, dtype=torch.float64)[:, None]
    points.requires_grad_()
    y, log_det = columns.forward(points)
    slope = torch.autograd.grad(y.sum(), points)[0][:, 0]
    assert torch.allclose(slope.log(), log_det, atol=1e-12)
    assert torch.allclose(columns.inverse(y)[0], points, atol=1e-10)
    possible = sign * columns.round(points.detach())
    assert float(possible.min()) == float((sign * x).min())


def test_a_grid_has_no_rounding_of_single_precision():
    column = described(Column("x"), (torch.arange(3.0, 200.0) / 10).double())
    assert (column.origin, column.width, column.bounds) == (0.3, 0.1, (-0.05, INF))


def test_far_beyond_its_data_a_law_is_linear():
    x = torch.randn(60, generator=torch.Generator().manual_seed(0)).double().mul(2).exp()
    columns = Columns((described(Column("x"), x),))
    far = columns.inverse(columns.encode(x[:, None]) + 30)[0]
    assert float(far.max()) < 300 * float(x.max())


def test_noise_stays_in_the_cell_and_rounding_undoes_it():
    x = MIXED.round(rows())
    spread = MIXED.jitter(x, torch.Generator().manual_seed(1))
    assert torch.equal(spread[:, [0, 1, 2, 3, 6]], x[:, [0, 1, 2, 3, 6]])
    assert float((spread - x).abs().max()) <= 0.5
    assert len(spread[:, 4].unique()) == len(x)
    assert torch.equal(MIXED.round(spread), x)


def test_a_grid_that_is_not_of_whole_numbers():
    grid = Columns((Column("x", "integer", width=0.25, origin=0.1),))
    x = 0.1 + 0.25 * torch.arange(-20.0, 20.0, dtype=torch.float64)[:, None]
    spread = grid.jitter(x, torch.Generator().manual_seed(0))
    assert 0.1 < float((spread - x).abs().max()) <= 0.125
    torch.testing.assert_close(grid.round(spread), x)


def test_columns_come_back_from_json():
    assert Columns.from_json(MIXED.to_json()) == MIXED
    older = MIXED.to_json().replace('"bounds"', '"ends"')  # as files of older formats
    assert Columns.from_json(older) == MIXED


def law(columns, dim, seed=0):
    """Return a flow over columns: a random affine map of their images to a Gaussian."""
    block = AffineBlock(dim).double()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        block.matrix += 0.4 * torch.randn(dim, dim, generator=rng, dtype=torch.float64)
        block.shift += 0.3 * torch.randn(dim, generator=rng, dtype=torch.float64)
    units = wopt.AffineTransform.fit(torch.zeros(2, dim), "none")
    units.columns = columns
    chain = wopt.Chain([block.requires_grad_(False)], units)
    return wopt.Flow(chain, wopt.build("target", "gaussian"), columns.names)


def test_densities_on_bounded_supports_integrate_to_one():
    flow = law(Columns((Column("p", bounds=(-1.0, 2.0)), Column("q", bounds=(0.0, INF)))), 2)
    # Midpoints in p; in q, which has no end, midpoints of its logarithm.
    p = -1 + 3 * (torch.arange(600, dtype=torch.float64) + 0.5) / 600
    t = -12 + 24 * (torch.arange(800, dtype=torch.float64) + 0.5) / 800
    points = torch.cartesian_prod(p, t.exp())
    mass = (flow.log_prob(points).exp() * points[:, 1]).sum() * (3 / 600) * (24 / 800)
    assert float(mass) == pytest.approx(1, abs=1e-4)
    assert flow.log_prob([[2.5, 1.0], [0.0, -1.0]]).tolist() == [-INF, -INF]


def test_samples_and_their_log_density():
    flow = law(MIXED.pick(MIXED.names[:6]), 6)
    x, log_density = flow.sample_and_log_prob(500, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_density, flow.log_prob(x))
    assert torch.equal(x[:, 4:], x[:, 4:].round())
    assert float(x[:, 0].min()) >= 0
    assert float(x[:, 0].max()) <= 1
    spread, exact = flow.rsample_and_log_prob(500, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(flow.log_prob(spread), exact, rtol=1e-6, atol=1e-6)
    assert not torch.equal(spread[:, 4:], spread[:, 4:].round())


def test_the_bound_is_below_the_log_probability():
    flow = law(MIXED.pick(["size"]), 1)
    values = torch.arange(3, dtype=torch.float64)[:, None]
    noise = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000 - 0.5
    cells = flow.log_prob(values[:, None] + noise[:, None]).exp()
    mass = cells.mean(1)
    assert float(mass.sum()) == pytest.approx(1, abs=1e-3)
    exact_bound = cells.log().mean(1)
    assert bool((exact_bound < mass.log()).all())
    found = log_mass_bound(flow, values, draws=400)
    # The standard error of 400 draws of noise.
    error = cells.log().std(1) / 400**0.5
    assert bool(((found - exact_bound).abs() < 4 * error + 1e-3).all())
    drawn = flow.sample(20_000, generator=torch.Generator().manual_seed(0))[:, 0]
    shares = torch.stack([(drawn == k).double().mean() for k in range(3)])
    assert bool(((shares - mass).abs() < 4 * (mass * (1 - mass) / 20_000).sqrt()).all())


def test_a_saved_flow_keeps_its_columns(tmp_path):
    columns = MIXED.pick(MIXED.names[:6])
    units = wopt.AffineTransform.fit(columns.encode(rows()[:, :6]), "whiten")
    units.columns = columns
    flow = wopt.Flow(wopt.Chain([], units), wopt.build("target", "gaussian"), columns.names)
    again = wopt.load(flow.save(tmp_path / "m.wopt"))
    x = flow.sample(20, generator=torch.Generator().manual_seed(0))
    assert again.columns == columns
    assert torch.equal(again.log_prob(x), flow.log_prob(x))
    assert set(again.table(x).column("size").to_pylist()) <= {"s", "m", "l"}
