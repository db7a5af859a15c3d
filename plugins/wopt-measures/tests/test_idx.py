"""Pictures of an idx file: read as they are, and their likelihood in bits."""

import gzip
import json
import math

import numpy as np
import pytest
import torch

import wopt
from wopt.store.result import RunResult
from wopt_measures.sources.idx import IdxSource, read_idx


def write(path, levels, kind=8):
    sizes = b"".join(n.to_bytes(4, "big") for n in levels.shape)
    path.write_bytes(bytes([0, 0, kind, levels.ndim]) + sizes + levels.tobytes())
    return path


@pytest.fixture
def levels():
    return np.random.default_rng(0).integers(0, 256, (40, 3, 5)).astype(np.uint8)


def test_levels_are_read_and_spread_by_less_than_one(tmp_path, levels):
    path = write(tmp_path / "x.idx", levels)
    packed = tmp_path / "x.idx.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(read_idx(path), levels)
    assert np.array_equal(read_idx(packed), levels)
    data = IdxSource(path).load(seed=3)
    rows = torch.cat([data.train, data.valid, data.test])
    found = {tuple(row) for row in rows.floor().int().tolist()}
    assert found == {tuple(row) for row in levels.reshape(40, 15).tolist()}
    assert (len(data.train), data.cell, data.names[7]) == (32, 1.0, "r1c2")
    assert torch.equal(data.images(data.test)[0].flatten(), data.test[0])
    assert torch.equal(data.train, IdxSource(path).load(seed=3).train)
    assert not torch.equal(data.train, IdxSource(path).load(seed=4).train)


def test_pooling_takes_means(tmp_path, levels):
    data = IdxSource(write(tmp_path / "x.idx", levels), pool=2).load(seed=0)
    means = levels[:, :2, :4].reshape(40, 2, 2, 2).astype(int).sum((1, 3)) // 4
    found = {tuple(row) for row in torch.cat([data.train, data.valid, data.test]).int().tolist()}
    assert found == {tuple(row) for row in means.tolist()}


def test_mistakes_are_told(tmp_path, levels):
    path = write(tmp_path / "x.idx", levels)
    cut = tmp_path / "cut.idx"
    cut.write_bytes(path.read_bytes()[:-3])
    text = tmp_path / "text.csv"
    text.write_text("a,b,c,d,e,f,g,h\n1,2,3,4,5,6,7,8\n")
    for wrong, says in {
        cut: "40 x 3 x 5 bytes and holds 597",
        text: "not an idx file of pictures",
        write(tmp_path / "labels.idx", levels[:, 0, 0]): "not an idx file of pictures",
        write(tmp_path / "few.idx", levels[:5]): "too few",
        tmp_path / "none.idx": "no such file",
    }.items():
        with pytest.raises(wopt.DataError, match=says):
            IdxSource(wrong).load(seed=0)
    with pytest.raises(wopt.DataError, match="pool = 4"):
        IdxSource(path, pool=4).load(seed=0)


def test_bits_of_uniform_levels_are_eight(tmp_path):
    """A Gaussian fitted to U(0, 256) needs (log(2 pi/12)/2 + 1/2)/log 2 bits more than eight.

    The standard error of the mean over 15 x 1000 pixels is 0.009 bits.
    """
    levels = np.random.default_rng(1).integers(0, 256, (4000, 3, 5)).astype(np.uint8)
    source = {
        "name": "idx",
        "path": str(write(tmp_path / "x.idx", levels)),
        "split": [0.5, 0.25, 0.25],
        "published": {"Coin": 8.0},
    }
    few = {"solver": {"iterations": 2}, "stop": {"steps": 1}, "certify": {"enabled": False}}
    wopt.run({"source": source, "block": "affine", **few}, tmp_path / "run")
    result = RunResult.from_dict(json.loads((tmp_path / "run" / "result.json").read_text()))
    more = (math.log(2 * math.pi / 12) / 2 + 0.5) / math.log(2)
    assert result.bits_per_dim == pytest.approx(8 + more, abs=0.03)
    assert result.bits_per_dim == pytest.approx(result.nll_test / 15 / math.log(2))
    assert result.published == {"Coin": 8.0}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Bits per dimension" in page
    assert "published: Coin 8" in page
    assert "Generated beside real" in page
