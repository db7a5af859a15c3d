"""What people met who tried wopt as new users: each stays mended."""

import numpy as np
import pandas as pd
import pytest
import torch

import wopt
import wopt.testing
from wopt.errors import ConfigError
from wopt.testing import AffineBlock

QUICK = {"block": "affine", "solver": {"iterations": 5}, "stop": {"steps": 1}, "certify": {"enabled": False}}  # fmt: skip # noqa: E501


def potential():
    return {"name": "potential", "function": lambda x: x.square().sum(1) / 2, "dim": 2}


def test_columns_that_are_not_modelled_come_back_in_samples():
    table = pd.DataFrame(
        {"a": np.arange(50.0), "name": [f"n{j}" for j in range(50)], "note": [None] * 50}
    )
    found = wopt.fit(table, **{k: v for k, v in QUICK.items() if k != "certify"})
    assert found.flow.names == ("a",)
    assert list(found.sample(3).columns) == ["a", "name", "note"]


def test_a_run_that_nobody_could_read_back_is_not_begun(tmp_path):
    about = {
        "source": {"name": "gaussian", "dim": 2},
        "objective": {"target": potential(), "name": "kl"},
    }
    with pytest.raises(ConfigError, match=r"cannot hold this one.*wopt\.solve"):
        wopt.run(about | QUICK, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_who_samples_the_law_of_the_data_is_told_how_to_sample_the_target():
    solution = wopt.solve(
        {"name": "toy", "shape": "moons", "n_train": 100, "n_valid": 50, "n_test": 10},
        objective={"name": "kl", "target": potential()},
        block="affine", solver={"iterations": 5}, stop={"steps": 1}, guard={"retries": 0},
    )  # fmt: skip
    with pytest.raises(wopt.CapabilityError, match=r"To sample the target itself: wopt\.sample"):
        solution.flow.sample(3)


def test_an_option_at_the_wrong_place_is_told_its_own(command, config):
    path = config({"source": {"name": "toy"}, "step_size": 1.0})
    assert command("validate", path).is_mistake("step_size", "belongs to [scheme]")


@pytest.mark.parametrize("sign", [";", "\t"])
def test_a_table_with_other_separators_is_told_so(command, tmp_path, sign):
    path = tmp_path / "semicolons.csv"
    path.write_text(sign.join("ab") + "\n" + sign.join("12") + "\n")
    assert command("run", path).is_mistake("separated by commas", repr(sign), "to_csv")


def test_a_page_from_python(tmp_path, pictures):
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) + 2
    made = wopt.fit(x, block="affine", stop={"steps": 2}, solver={"iterations": 20})
    certificate = made.certificate(iterations=0, transport_rows=0, challenge=False)
    page = made.report(tmp_path / "two.html", certificate).read_text()
    assert page.count('<th scope="row"><data value=') >= 2  # a row a step
    for words in ("The flow in motion", 'id="figure-pairs"', 'id="certificate"', "<h1>two "):
        assert words in page
    assert [path.name for path in tmp_path.iterdir()] == ["two.html"]
    nodes = wopt.testing.gaussian_nodes(torch.ones(2).double(), torch.eye(2).double())
    made = wopt.solve(nodes, block=AffineBlock(2), stop={"steps": 1}, solver={"iterations": 2})
    with pytest.raises(wopt.UserError, match="began with particles"):
        made.report(tmp_path / "three.html")


def shifts(*lengths):
    blocks = []
    for length in lengths:
        block = AffineBlock(2)
        with torch.no_grad():
            block.shift.copy_(torch.tensor([length, 0.0]))
        blocks.append(block)
    return blocks


def test_half_of_the_way_is_half_of_the_length_not_of_the_blocks():
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double() * 3
    units = wopt.AffineTransform.fit(x, "standardise")
    flow = wopt.Flow(wopt.Chain(shifts(1.0, 5.0, 2.0), units), wopt.build("target", "gaussian"))
    whole = flow.between(x, 1.0) - x
    for fraction in (0.0, 0.1, 0.125, 0.5, 0.75, 1.0):
        assert torch.allclose(flow.between(x, fraction) - x, fraction * whole, atol=1e-6)
    assert torch.allclose(
        units.move(x + whole) - units.move(x), torch.tensor([8.0, 0.0]).double(), atol=1e-6
    )
    with pytest.raises(wopt.UserError, match=r"from 0 to 1, got 1\.5"):
        flow.between(x, 1.5)
