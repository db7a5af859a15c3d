"""What the benchmark of several steps rests on: fair turns, paired tables, singular values."""

import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "several"))

from arms import DATA, arms, base
from laws import LAWS
from light import RECIPE, light
from measures import stretch
from tables import difference, tell, thinned
from turns import Turns

from wopt.component import build
from wopt.testing import AffineBlock


def test_jobs_get_equal_seconds_and_their_own_random_numbers():
    def job(draws):
        def work(rest):
            torch.manual_seed(draws)
            found = []
            for _ in range(20):
                began = time.process_time()
                while time.process_time() - began < 0.005:
                    pass
                found.append(float(torch.rand(())))
                rest()
            return found

        return work

    turns = Turns(0.02)
    found = turns.run({"a": job(1), "b": job(2)})
    for seed, name in ((1, "a"), (2, "b")):
        torch.manual_seed(seed)
        assert found[name] == [float(torch.rand(())) for _ in range(20)]
        assert turns.spent[name] == pytest.approx(0.1, rel=0.5)


def test_a_job_that_fails_is_told():
    def work(rest):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Turns().run({"a": work, "b": lambda rest: rest()})


def test_the_stretch_of_the_inverse_is_one_over_the_least_singular_value():
    blocks = [AffineBlock(2), AffineBlock(2)]
    with torch.no_grad():
        blocks[0].matrix.copy_(torch.diag(torch.tensor([2.0, 0.25])))
        blocks[1].matrix.copy_(torch.diag(torch.tensor([1.0, 0.5])))
    assert stretch(blocks, torch.randn(3, 2)).tolist() == pytest.approx([8.0] * 3)


@pytest.mark.parametrize("data", sorted(DATA.keys() - LAWS.keys()))
def test_the_shares_of_each_arm_are_its_budget(data):
    block = base(data, "autoregressive")["block"]
    for arm in [*arms(block), *light(block)]:
        assert arm.whole == pytest.approx(1.0)


@pytest.mark.parametrize("data", ["rose", "magic", "miniboone", "patches"])
def test_the_light_step_takes_the_place_of_a_map(data):
    full = base(data, "autoregressive")["block"]
    (recipe,) = (arm for arm in light(full) if arm.name == RECIPE)
    assert sum(block["transforms"] for block, _, _ in recipe.steps) == full["transforms"]
    sizes = [
        sum(p.numel() for p in build("block", table).build(dim=10).parameters())
        for table, _, _ in recipe.steps
    ]
    assert 10 * sizes[0] < sizes[1]


def test_differences_are_paired_by_seed():
    figures = dict.fromkeys(("transport", "path", "lipschitz_median", "lipschitz_largest", "trip",
                             "trip_from_noise", "outside", "not_finite"), 0.0)  # fmt: skip
    rows = [
        {"data": "d", "block": "b", "budget": 9.0, "arm": arm, "seed": seed, "nll": nll,
         "seconds": 1.0, "iterations": [5], "refined": 0, **figures}
        for arm, seed, nll in (("one step", 0, 1.0), ("one step", 1, 3.0), ("late", 0, 1.1),
                               ("late", 1, 3.3), ("late", 2, 9.0))
    ]  # fmt: skip
    assert "+0.200 +- 0.100" in tell(rows)


def test_the_error_of_one_seed_is_that_over_rows():
    pair = {"nll": 2.0, "scores": [1.0, 3.0]}, {"nll": 1.5, "scores": [1.0, 2.0]}
    assert difference([pair]) == "+0.500 (rows: +- 0.500)"


def test_the_error_over_rows_is_kept_without_the_rows():
    where = {"data": "d", "block": "b", "budget": 9.0, "seed": 0}
    rows = [
        {**where, "arm": "one step", "nll": 1.5, "scores": [1.0, 2.0]},
        {**where, "arm": "late", "nll": 2.0, "scores": [1.0, 3.0]},
    ]
    base, late = thinned(rows)
    assert not base.keys() & {"scores", "by_row"}
    assert (late["by_row"], "scores" in late) == (0.5, False)
    assert difference([(late, base)]) == difference([(rows[1], rows[0])])
    assert thinned([base, late]) == [base, late]
