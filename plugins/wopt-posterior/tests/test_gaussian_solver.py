"""The optimiser ``gaussian``, options by step, whitened blocks, matched rows, even weights."""

import pytest
import torch

import wopt
from wopt.component import name_of
from wopt.psis import k_hat_threshold
from wopt.testing import gaussian_nodes, moments
from wopt.train.measure import relative_ess

M = torch.tensor([300.0, -2.0, 0.01], dtype=torch.float64)
ROOT = torch.tensor([[5.0, 0.0, 0.0], [0.4, 0.1, 0.0], [1e-3, 2e-3, 1e-3]], dtype=torch.float64)
C = ROOT @ ROOT.T


def target(m=M, c=C):
    return {"name": "gaussian", "mean": m.tolist(), "covariance": c.tolist()}


def solved(start, law, **options):
    return wopt.solve(
        start,
        objective={"name": "kl", "target": law},
        scheme={"name": "jko", "step_size": options.pop("step_size", 1e12)},
        dtype="float64",
        listener=False,
        **options,
    )


def test_a_gaussian_is_reached_in_one_step_from_matched_rows():
    """Scales from 300 to 1e-3: KL is 0 to rounding, and the map is the optimal one."""
    source = {"name": "gaussian", "dim": 3, "n_train": 60, "n_valid": 500, "matched": True}
    options = {"block": {"name": "affine", "symmetric": True}, "stop": {"steps": 1}}
    solution = solved(source, target(), solver={"optimiser": "gaussian"}, **options)
    assert solution.status == "done"
    assert abs(solution.state.energy) < 1e-6
    assert solution.history[0].weights == pytest.approx(1.0, abs=1e-6)
    slope = solution.state.blocks[0].slope()
    values, vectors = torch.linalg.eigh(C)
    torch.testing.assert_close(slope, vectors * values.sqrt() @ vectors.T, rtol=1e-5, atol=1e-7)


def test_a_proximal_gaussian_step_is_that_of_the_closed_form():
    """With h = 0.5 and from N(m, c): the JKO step, whose map is symmetric."""
    from wopt.testing import jko_step

    m, c = torch.ones(2).double(), torch.tensor([[4.0, 1.0], [1.0, 2.0]]).double()
    to, spread = torch.tensor([0.5, -1.0]).double(), torch.diag(torch.tensor([2.0, 0.5])).double()
    solution = solved(
        gaussian_nodes(m, c), target(to, spread), block="affine", step_size=0.5,
        solver={"optimiser": "gaussian"}, stop={"steps": 1},
    )  # fmt: skip
    exact = jko_step(m, c, to, spread, 0.5)
    for mine, theirs in zip(moments(solution.state.train.particles), exact, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_the_gaussian_optimiser_refuses_other_blocks():
    with pytest.raises(wopt.WoptError, match="cannot become an affine map"):
        solved(
            {"name": "gaussian", "dim": 2, "n_train": 50, "n_valid": 50}, "gaussian",
            block={"name": "ode", "width": 4}, solver={"optimiser": "gaussian"},
            stop={"steps": 1},
        )  # fmt: skip


def test_solver_options_by_step():
    solver = wopt.InnerSolver(
        iterations=8, by_step=[{"optimiser": "lbfgs"}, 0.5, {"learning_rate": 1e-4, "ema": 0.9}]
    )
    steps = [solver.of_step(k) for k in range(4)]
    assert [name_of(s) for s in steps] == ["lbfgs", "adam", "adam", "adam"]
    assert [s.iterations for s in steps] == [8, 4, 8, 8]
    assert [s.ema for s in steps[1:]] == [0.0, 0.9, 0.9]


def test_chains_of_older_files_have_a_solver_of_their_own():
    old = {"optimiser": "muon", "chains": 50, "towards": "chains", "check_rows": 9, "by_step": [
        {"optimiser": "gaussian"}, {"iterations": 7}, {"chains": 0},
    ]}  # fmt: skip
    gaussian, chains, plain = (wopt.build("solver", old).of_step(k) for k in range(3))
    assert [name_of(s) for s in (gaussian, chains, plain)] == ["gaussian", "chains", "muon"]
    assert gaussian.chains == chains.chains == 50
    assert (chains.direction, chains.matrix_rate, chains.iterations) == ("forward", 0.02, 7)
    assert chains.check_rows == plain.check_rows == 9


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"optimizer": "adam"}, r"solver: solvers\.1\.optimizer: unknown option"),
        ({"iterations": 0}, r"solver: solvers\.1\.iterations"),
        ({"by_step": [1.0]}, "leave it out"),
    ],
)
def test_mistakes_in_options_by_step_are_told(entry, message):
    with pytest.raises(wopt.ConfigError, match=message):
        wopt.InnerSolver(by_step=[1.0, entry])


def test_matched_rows_have_the_moments_exactly():
    source = {"name": "gaussian", "mean": M.tolist(), "covariance": C.tolist(), "n_train": 40}
    rows = wopt.build("source", {**source, "matched": True}).load(1).train
    torch.testing.assert_close(rows.mean(0), M, rtol=0, atol=1e-10)
    torch.testing.assert_close(torch.cov(rows.T, correction=0), C, rtol=1e-9, atol=1e-12)
    with pytest.raises(wopt.DataError, match="at least 6 in n_train"):
        wopt.build("source", {**source, "n_train": 4, "matched": True}).load(1)


def test_a_whitened_block_does_not_see_units():
    """Trained alike on particles x and on A x it makes the same map: A T A^-1, A symmetric."""
    values, vectors = torch.linalg.eigh(C)
    a = vectors * values.sqrt() @ vectors.T
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 3, dtype=torch.float64, generator=rng)
    x = torch.linalg.solve_triangular(
        torch.linalg.cholesky(torch.cov(x.T, correction=0)), (x - x.mean(0)).T, upper=False
    ).T
    maps = []
    for points in (x, x @ a + M):
        block = wopt.build("block", {"name": "autoregressive", "hidden": [8], "whiten": True})
        with torch.random.fork_rng():
            torch.manual_seed(2)
            block = block.build(dim=3).double()
            block.initialise(points)
            for parameter in block.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
        y, log_det = block(points)
        back, minus = block.inverse(y)
        torch.testing.assert_close(back, points, rtol=1e-7, atol=1e-6)
        torch.testing.assert_close(minus, -log_det, rtol=1e-6, atol=1e-6)
        maps.append((y, log_det))
    torch.testing.assert_close(maps[0][0] @ a + M, maps[1][0], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(maps[0][1], maps[1][1], rtol=1e-6, atol=1e-6)
    assert float((maps[0][0] - x).detach().abs().max()) > 0.1


def test_the_effective_share_of_a_wrong_scale():
    """q = N(0, 1), p = N(0, s^2), s^2 < 2: the share is sqrt(2 s^2 - s^4), here to 2 %."""
    x = torch.randn(40_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    standard = wopt.build("target", "gaussian")
    particles = wopt.Particles.start(x, log_density=-standard.potential(x))
    s = 0.8
    law = wopt.build("target", {"name": "gaussian", "scale": s})
    exact = (2 * s**2 - s**4) ** 0.5
    assert relative_ess(law, particles) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(("k", "trusted"), [(0.1, True), (0.3, True), (0.9, False), (1.2, False)])
def test_a_heavy_tail_of_nearly_even_weights_is_not_trusted(k, trusted):
    """w(x) = 1 + 1e-4 u^-k, u = P(N(0, 1) > x) uniform: above any threshold a Pareto tail of k."""
    x = torch.randn(4000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    standard = wopt.build("target", "gaussian")

    def potential(y):
        tail = torch.special.ndtr(-y[:, 0]).pow(-k)
        return standard.potential(y) - torch.log1p(1e-4 * tail)

    law = wopt.build("target", {"name": "potential", "function": potential})
    particles = wopt.Particles.start(x, log_density=-standard.potential(x))
    w = 1 + 1e-4 * torch.special.ndtr(-x[:, 0]).pow(-k)
    fraction = float(w.sum() ** 2 / (len(w) * w.square().sum()))
    assert fraction > 0.99
    # k-hat of 189 weights: its error (1 + k)/sqrt(189) is told twice and made once or twice more
    error, most = (1 + k) / 189**0.5, k_hat_threshold(4000)
    least = fraction * most / (k + 4 * error)
    found = relative_ess(law, particles)
    assert found == pytest.approx(fraction) if trusted else least < found < 0.9 * fraction


def test_training_goes_on_in_rounds_until_weights_are_even():
    source = {"name": "gaussian", "dim": 1, "n_train": 500, "n_valid": 500}
    law = {"name": "gaussian", "scale": 0.7}
    solver = {"iterations": 5, "grow": 4.0, "rounds": 3, "weights": 0.97, "learning_rate": 0.05}
    solver["check_every"] = 1000  # once a round
    solution = solved(source, law, block="affine", solver=solver, stop={"steps": 1})
    record = solution.history[0]
    assert record.iterations in (25, 105)
    assert record.weights > 0.97
    short = solved(
        source, law, block="affine", solver={**solver, "rounds": 1}, stop={"steps": 1}
    )  # fmt: skip
    assert short.history[0].iterations == 5
    assert short.history[0].weights < 0.97


def test_a_run_stops_when_weights_are_even():
    source = {"name": "gaussian", "dim": 1, "n_train": 400, "n_valid": 400, "matched": True}
    solution = solved(
        source, {"name": "gaussian", "mean": 4.0}, block="affine",
        solver={"optimiser": "gaussian"}, stop={"steps": 3, "weights": 0.99},
    )  # fmt: skip
    assert solution.state.step == 1
    assert "effective size of 100.0 %" in solution.reason


def test_weights_without_a_known_start_are_refused():
    x = torch.randn(200, 1)
    with pytest.raises(wopt.CapabilityError, match=r"solver\.weights needs a start"):
        wopt.fit(x, block="affine", solver={"iterations": 3, "weights": 0.9}, stop={"steps": 1})
