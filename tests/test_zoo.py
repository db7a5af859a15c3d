"""Runs of every kind: their pages have pictures, their models are read back, they are whole."""

import re

import pytest
import torch
from zoo import MAKERS

import wopt
from wopt.runs.examine import examine
from wopt.store.directory import RunDirectory
from wopt.tensors import read_tensors

PLANE = {"columns", "pairs"}
PAGES = {
    "data": PLANE | {"certificate", "density", "diagnostics", "losses", "progress"},
    "mixed": PLANE | {"losses"},
    "conditional": PLANE | {"losses"},
    "posterior": PLANE | {"certificate", "density", "diagnostics", "losses", "progress"},
    "snapshots": PLANE | {"diagnostics", "losses", "progress"},
    "evolution": {"columns", "diagnostics", "evolution", "exactness", "losses", "progress"},
    "failed": PLANE | {"density"},
    "push_forward": PLANE | {"density", "losses"},
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_pictures_of_its_kind(zoo, name):
    text = (zoo(name) / "report.html").read_text()
    assert set(re.findall(r'id="figure-([\w-]+)"', text)) == PAGES[name]
    assert not re.search(r'(src|href)="https?:', text)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_run_is_whole_and_gives_finite_samples(zoo, name):
    with wopt.allow_code():
        found, flow = examine(zoo(name)), wopt.load(zoo(name))
    assert (found.damaged, found.sampled, found.resumed) == ({}, True, True)
    steps = RunDirectory(zoo(name)).read_steps()
    assert found.steps == found.whole == len(steps) == len(flow.blocks)
    assert (name == "failed") == (not steps)
    assert torch.isfinite(torch.as_tensor(flow.sample(20))).all()


def test_a_run_that_was_resumed_has_the_bits_of_one_that_was_not(zoo):
    whole, part = zoo("sharded"), zoo("resumed")
    for file in ("blocks/001", "blocks/002", "blocks/003", "state"):
        one, two = (read_tensors(path / f"{file}.safetensors")[0] for path in (whole, part))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one), file
