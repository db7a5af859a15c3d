import pytest
import report_parts as parts
import torch

import wopt
from wopt_report import collect
from wopt_report.collection import GRID


def test_all_that_a_plane_model_gives():
    data = parts.dataset(known=True)
    flow = parts.flow(data)
    found = collect(flow, data, seed=0)
    shapes = {key: tuple(value.shape) for key, value in found.items() if key != "labels"}
    assert shapes == {
        "paths": (3, 100, 2),
        "backward": (3, 100, 2),
        "real": (100, 2),
        "generated": (100, 2),
        "grid_extent": (4,),
        "grid_log_density": (GRID, GRID),
        "grid_true_log_density": (GRID, GRID),
        "real_many": (200, 2),
    }
    for key, value in found.items():
        assert value.dtype == (torch.uint8 if key == "labels" else torch.float32)
        assert value.is_contiguous()
        assert value.device.type == "cpu"


def test_paths_are_the_flow():
    data = parts.dataset(d=5)
    flow = parts.flow(data)
    found = collect(flow, data, seed=0)
    start, end = found["paths"][0], found["paths"][-1]
    torch.testing.assert_close(start, data.transform.move(found["real"]).float())
    torch.testing.assert_close(end, flow(found["real"])[0].float())
    # Backward, the last place is the preprocessed image of the inverse.
    x, _ = flow.inverse(found["backward"][0])
    torch.testing.assert_close(
        found["backward"][-1], data.transform.move(x).float(), atol=1e-5, rtol=1e-5
    )


def test_the_grid_is_the_models_density():
    data = parts.dataset(known=True)
    flow = parts.flow(data)
    found = collect(flow, data, seed=0)
    left, right, bottom, top = found["grid_extent"].tolist()
    point = torch.tensor([[right, bottom], [left, top]], dtype=torch.float64)
    # Rows go along the second coordinate.
    corners = found["grid_log_density"][[0, -1], [-1, 0]]
    torch.testing.assert_close(corners, flow.log_prob(point).float(), atol=1e-4, rtol=1e-4)
    true = found["grid_true_log_density"][[0, -1], [-1, 0]]
    torch.testing.assert_close(true, data.log_density(point).float())
    cell = (right - left) * (top - bottom) / (GRID - 1) ** 2
    # The random maps of the test carry some of the mass out of the window.
    assert 0.3 < float(found["grid_log_density"].exp().sum()) * cell < 1.01


def test_same_seed_same_tensors_and_another_seed_others():
    data = parts.dataset()
    flow = parts.flow(data)
    first = collect(flow, data, seed=4)
    torch.manual_seed(99)
    second, third = collect(flow, data, seed=4), collect(flow, data, seed=5)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["generated"], third["generated"])
    assert not torch.equal(first["paths"], third["paths"])


def test_images():
    data = parts.dataset(d=4, n=600, images=lambda x: x.reshape(-1, 2, 2))
    found = collect(parts.flow(data), data, seed=0)
    assert found["real_images"].shape == found["generated_images"].shape == (64, 2, 2)
    assert torch.equal(found["generated_images"][0].flatten(), found["generated"][0])


@pytest.mark.parametrize(
    ("provides", "absent"),
    [
        (wopt.Capability.POTENTIAL | wopt.Capability.NORMALISED, {"backward", "generated"}),
        (wopt.Capability.TARGET_SAMPLES, {"grid_log_density", "grid_extent"}),
        (wopt.Capability.NOTHING, {"backward", "generated", "grid_log_density", "grid_extent"}),
    ],
)
def test_what_the_target_cannot_give_is_left_out(provides, absent):
    data = parts.dataset()
    found = collect(parts.flow(data, target=parts.Normal(provides)), data, seed=0)
    whole = {"paths", "backward", "real", "generated", "real_many", "labels"}
    whole |= {"grid_log_density", "grid_extent"}
    assert set(found) == whole - absent


def test_no_target_at_all():
    data = parts.dataset()
    flow = parts.flow(data)
    flow = wopt.Flow(flow.map, None)
    assert set(collect(flow, data, seed=0)) == {"paths", "real", "real_many", "labels"}


def test_blocks_without_an_inverse(monkeypatch):
    data = parts.dataset()
    flow = parts.flow(data)
    for block in flow.blocks:
        monkeypatch.setattr(block, "provides", wopt.Capability.LOG_DET)
    found = collect(flow, data, seed=0)
    assert "backward" not in found
    assert "generated" not in found
    assert "grid_log_density" in found


def test_push_forward_compares_with_the_target():
    data = parts.dataset(preprocess="none")
    start = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    flow = parts.flow(data, start=start)
    found = collect(flow, data, seed=0, target=parts.Normal())
    assert found["real_many"].shape == (20_000, 2)
    assert abs(float(found["real_many"].std()) - 1) < 0.03
    assert {"grid_log_density", "grid_true_log_density", "generated"} <= set(found)

    unnormalised = parts.Normal(wopt.Capability.POTENTIAL)
    found = collect(flow, data, seed=0, target=unnormalised)
    left, right, bottom, top = found["grid_extent"].tolist()
    total = found["grid_true_log_density"].double().exp().sum()
    assert float(total) * (right - left) * (top - bottom) / (GRID - 1) ** 2 == pytest.approx(
        1, rel=1e-4
    )
    assert "real" not in found
