"""One way in: wopt.solve, wopt.fit and `wopt run` make the same model of the same problem."""

import copy
import json
import pickle

import numpy as np
import pytest
import tomli_w
import torch

import wopt

BLOCK = {"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2}
OPTIONS = {
    "block": BLOCK,
    "scheme": {"name": "jko", "step_size": [0.5, 1.0]},
    "solver": {"iterations": 15, "batch_size": 100},
    "stop": {"steps": 2},
    "certify": {"iterations": 5, "particles": 200, "transport_rows": 20},
}


@pytest.fixture(scope="module")
def rows():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(600, 2, dtype=torch.float64, generator=rng)
    return torch.stack([x[:, 0], x[:, 1] + x[:, 0] ** 2], 1)


@pytest.fixture(scope="module")
def fitted(rows):
    return wopt.fit(rows, seed=3, **OPTIONS)


@pytest.fixture(scope="module")
def run_of_rows(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    np.save(folder / "x.npy", rows.numpy())
    table = {"seed": 3, "source": {"name": "array", "path": str(folder / "x.npy")}, **OPTIONS}
    (folder / "run.toml").write_text(tomli_w.dumps(table))
    wopt.run(folder / "run.toml", folder / "out")
    return folder


def of(certificate):
    """Return the numbers of a certificate, without the time that was measured."""
    return json.loads(json.dumps(certificate.to_dict()))["steps"]


def test_fit_solve_and_run_agree_to_the_bit(rows, fitted, run_of_rows):
    table = {"name": "array", "path": run_of_rows / "x.npy"}
    solved = wopt.solve(table, seed=3, **OPTIONS)
    loaded = wopt.load(run_of_rows / "out")
    for other in (solved.flow, loaded):
        assert torch.equal(fitted.flow.log_prob(rows), other.log_prob(rows))
    held = json.loads((run_of_rows / "out" / "certificate.json").read_text())
    for other in (solved, fitted):
        # The last digit of a sum depends on where tensors lie in memory.
        for own, theirs in zip(of(other.certificate()), held["steps"], strict=True):
            for name, found in own["residuals"].items():
                expected = theirs["residuals"][name]
                assert found["value"] == pytest.approx(expected["value"], rel=1e-9, abs=1e-12)


def test_a_known_start_is_pushed_forward_from_python_too(tmp_path):
    source = {"name": "gaussian", "dim": 2, "n_train": 300, "n_valid": 100, "n_test": 100}
    few = {"enabled": False, "draws": 500}
    options = {**OPTIONS, "objective": {"name": "kl", "target": "gaussian"}, "certify": few}
    found = wopt.solve(source, **options)
    assert isinstance(found.flow.map, wopt.Inverse)
    wopt.run({"source": source, **options}, tmp_path / "out")
    x = found.flow.sample(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(wopt.load(tmp_path / "out").log_prob(x), found.flow.log_prob(x))


def test_a_part_that_no_file_can_name_is_told_before_anything_is_written(tmp_path):
    class Silent(wopt.Tracker):
        def step(self, record):
            pass

    config = {"source": {"name": "gaussian", "dim": 2}, "tracker": Silent(), "block": BLOCK}
    with pytest.raises(wopt.PluginError, match="Silent is not registered as a tracker"):
        wopt.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_flow_is_saved_to_one_file(fitted, rows, tmp_path):
    path = fitted.flow.save(tmp_path / "model.wopt")
    again = wopt.load(path)
    assert torch.equal(again.log_prob(rows), fitted.flow.log_prob(rows))
    assert again.names == ("x0", "x1")
    assert again.state_dict().keys() == fitted.flow.state_dict().keys()
    draw = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert torch.equal(again.sample(9, generator=draw[0]), fitted.flow.sample(9, generator=draw[1]))


def test_a_pushed_flow_is_saved_with_its_start(tmp_path):
    source = {"name": "gaussian", "mean": [1.0, 0.0], "n_train": 300}
    found = wopt.solve(source, **OPTIONS)
    again = wopt.load(found.flow.save(tmp_path / "model"))
    x = torch.randn(20, 2)
    assert torch.equal(again.log_prob(x), found.flow.log_prob(x))


def test_a_conditional_flow_is_saved_with_its_conditions(tmp_path, rows):
    found = wopt.fit(
        rows[:, 1:], conditions=rows[:, :1], block="affine", stop={"steps": 1},
        solver={"iterations": 5},
    )  # fmt: skip
    again = wopt.load(found.flow.save(tmp_path / "model"))
    assert torch.equal(again.conditions, found.flow.conditions)
    y = again.sample(5, conditions=[0.5])
    torch.testing.assert_close(
        again.log_prob(y, conditions=[0.5]), found.flow.log_prob(y, conditions=[0.5])
    )


@pytest.mark.parametrize("damage", ["truncated", "text", "missing"])
def test_a_damaged_file_is_told(fitted, tmp_path, damage):
    path = fitted.flow.save(tmp_path / "model")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-50])
    elif damage == "text":
        path.write_text("no flow")
    else:
        path.unlink()
    with pytest.raises(wopt.WoptError, match="model"):
        wopt.load(path)


def test_a_base_that_no_file_describes_is_refused(tmp_path, fitted):
    normal = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    with pytest.raises(wopt.CapabilityError, match="DistributionLaw cannot be saved"):
        wopt.Flow(fitted.flow.map, normal).save(tmp_path / "x")


def test_all_that_was_fitted_copies_and_pickles(fitted, rows):
    for again in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert torch.equal(again.flow.log_prob(rows), fitted.flow.log_prob(rows))
    pushed = wopt.solve({"name": "gaussian", "dim": 2, "n_train": 300}, **OPTIONS)
    again = pickle.loads(pickle.dumps(pushed.flow))
    assert torch.equal(again.log_prob(rows), pushed.flow.log_prob(rows))
    solver = pickle.loads(pickle.dumps(wopt.InnerSolver(iterations=7)))
    assert solver.options["iterations"] == 7


def test_an_interrupted_fit_keeps_what_is_finished_and_goes_on(rows, fitted):
    def interrupt(step, what, done, total, loss):
        if step == 2:
            raise KeyboardInterrupt

    part = wopt.fit(rows, seed=3, **OPTIONS, listener=interrupt)
    assert (part.status, part.state.step, len(part.flow.blocks)) == ("stopped", 1, 1)
    whole = part.resume()
    assert whole.status == "done"
    assert torch.equal(whole.flow.log_prob(rows), fitted.flow.log_prob(rows))


def test_prints_are_short(fitted):
    assert len(repr(fitted)) < 300
    assert "2 step" in repr(fitted)
    assert len(repr(fitted.flow)) < 200
    parts = fitted.prepared
    certificate = fitted.certificate(iterations=0, transport_rows=0, challenge=False)
    for part in (
        parts, parts.train, parts.dataset, fitted.problem.solver, fitted.problem.scheme,
        fitted.state, fitted.flow.base, fitted.flow.distribution(), certificate,
    ):  # fmt: skip
        text = repr(part)
        assert len(text) < 600
        assert " object at " not in text


def test_arrays_lists_and_tables_are_rows(fitted, rows):
    expected = fitted.flow.log_prob(rows)
    assert torch.equal(fitted.flow.log_prob(rows.numpy()), expected)
    assert torch.equal(fitted.flow.log_prob(rows.tolist()), expected)
    with pytest.raises(wopt.DataError, match="rows are numbers"):
        fitted.flow.log_prob([["a", "b"]])


def test_tables_are_read_by_name(rows):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows.numpy(), columns=["u", "v"])
    found = wopt.fit(frame, block="affine", stop={"steps": 1}, solver={"iterations": 5})
    assert found.flow.names == ("u", "v")
    assert torch.equal(found.flow.log_prob(frame[["v", "u"]]), found.flow.log_prob(rows))
    with pytest.raises(wopt.DataError, match=r"has no column\(s\) v"):
        found.flow.log_prob(frame[["u"]])


# Gradients.


def trained(rows, block):
    return wopt.fit(
        rows, block=block, stop={"steps": 1}, solver={"iterations": 15}, dtype="float64"
    ).flow


@pytest.mark.parametrize(
    "block",
    [BLOCK, {"name": "affine"}, {"name": "autoregressive", "transforms": 2}, {"name": "residual"},
     {"name": "coupling"}],
    ids=lambda b: b["name"],
)  # fmt: skip
def test_densities_and_samples_carry_gradients_to_the_parameters(rows, block):
    flow = trained(rows, block).requires_grad_()
    weight = next(p for p in flow.parameters() if p.ndim == 2)
    x, step = rows[:7], 1e-5
    rng = torch.Generator()

    def likelihood():
        return flow.log_prob(x).sum()

    def moment():
        return flow.rsample(7, generator=rng.manual_seed(0)).square().sum()

    for value in (likelihood, moment):
        (slope,) = torch.autograd.grad(value(), weight)
        direction = torch.randn(weight.shape, generator=rng.manual_seed(1), dtype=weight.dtype)
        ends = []
        for sign in (1, -1):
            weight.data += sign * step * direction
            ends.append(float(value().detach()))
            weight.data -= sign * step * direction
        numeric = (ends[0] - ends[1]) / (2 * step)
        assert float((slope * direction).sum()) == pytest.approx(numeric, rel=1e-3, abs=1e-4)


def test_a_flow_is_a_variational_family():
    units = wopt.AffineTransform.fit(torch.zeros(9, 2), "none")
    block = wopt.build("block", "affine").build(dim=2).double()
    flow = wopt.Flow(wopt.Chain([block], units), wopt.build("target", "gaussian"))
    mean, scale = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 2.0]).double()
    target = torch.distributions.Independent(torch.distributions.Normal(mean, scale), 1)
    optimiser = torch.optim.Adam(flow.parameters(), lr=0.05)
    rng = torch.Generator().manual_seed(0)
    for _ in range(400):
        x, log_density = flow.rsample_and_log_prob(256, generator=rng)
        loss = (log_density - target.log_prob(x)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert abs(float(loss.detach())) < 0.02  # KL of an affine family to a Gaussian: zero at the end


@pytest.mark.parametrize("block", [{"name": "coupling"}, BLOCK])
def test_a_flow_is_exported(rows, block):
    flow = trained(rows, block)
    program = torch.export.export(flow, (rows[:8],), strict=False)
    y, log_det = program.module()(rows[8:16])
    expected = flow(rows[8:16])
    torch.testing.assert_close(y, expected[0])
    torch.testing.assert_close(log_det, expected[1])


@pytest.mark.filterwarnings("ignore:.*autograd.function.Function.*:DeprecationWarning")  # torch's
@pytest.mark.parametrize("block", [{"name": "affine"}, BLOCK])
def test_a_flow_compiles_to_one_graph(rows, block):
    flow = trained(rows, block)
    compiled = torch.compile(flow, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(rows[:8]), flow(rows[:8]))


def test_a_number_of_particles_is_the_option_of_that_name(fitted):
    assert fitted.certificate(particles=100, challenge=False).effort.particles == 100
