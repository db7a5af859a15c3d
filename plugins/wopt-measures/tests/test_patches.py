"""Patches of photographs: disjoint splits, preprocessing, messages."""

import numpy as np
import pytest
import torch

import wopt
from wopt_measures import PatchesSource
from wopt_measures.sources.patches import _positions

SMALL = {"n_train": 2000, "n_valid": 300, "n_test": 300}


def test_sixty_three_dimensions_and_pictures():
    data = PatchesSource(**SMALL).load(seed=0)
    assert [tuple(part.shape) for part in (data.train, data.valid, data.test)] == [
        (2000, 63),
        (300, 63),
        (300, 63),
    ]
    pictures = data.images(data.train)
    assert pictures.shape == (2000, 8, 8)
    assert float(pictures.sum((1, 2)).abs().max()) < 1e-12
    assert torch.equal(pictures.flatten(1)[:, :-1], data.train)
    assert torch.linalg.eigvalsh(torch.cov(data.train.T))[0] > 1e-7
    covariance = torch.cov(data.transform.move(data.train).T)
    torch.testing.assert_close(covariance, torch.eye(63, dtype=torch.float64))
    assert len(data.train.unique(dim=0)) == 2000


@pytest.mark.parametrize("size", [2, 8])
def test_no_pixel_is_in_two_splits(size):
    shape = torch.Size([2, 427, 640])
    owner = torch.zeros(shape, dtype=torch.long)
    for split, positions in enumerate(_positions(shape, size, torch.Generator().manual_seed(0)), 1):
        assert len(positions) > 5000
        assert len(positions.unique(dim=0)) == len(positions)
        touched = torch.zeros(shape, dtype=torch.bool)
        for down in range(size):
            for across in range(size):
                touched[positions[:, 0], positions[:, 1] + down, positions[:, 2] + across] = True
        assert not (owner[touched] > 0).any()
        owner[touched] = split


def test_raw_patches_from_a_file(tmp_path):
    raw = np.random.default_rng(0).integers(0, 256, (500, 64), dtype=np.uint8)
    raw[:, 0] = np.arange(500) % 256
    np.savez(tmp_path / "p.npz", X=raw, y=np.arange(500))
    source = PatchesSource(path=tmp_path / "p.npz", key="X", n_train=400, n_valid=50, n_test=50)
    source.check()
    data = source.load(seed=0)
    levels = torch.from_numpy(raw.astype(float))
    means = data.images(torch.cat([data.train, data.valid, data.test]))
    # undo: differences within a patch are those of the grey levels, but for the noise
    found = (means * 256).flatten(1)
    known = levels - levels.mean(1, keepdim=True)
    nearest = torch.cdist(found, known).argmin(1)
    assert sorted(nearest.tolist()) == list(range(500))
    assert float((found - known[nearest]).abs().max()) < 1


def test_messages(tmp_path):
    with pytest.raises(wopt.DataError, match="places for it; ask for fewer"):
        PatchesSource(n_test=100_000).load(0)
    np.save(tmp_path / "a.npy", np.zeros((10, 64)))
    with pytest.raises(wopt.DataError, match="has 10 patches, fewer than the 60000"):
        PatchesSource(path=tmp_path / "a.npy").load(0)
    with pytest.raises(wopt.DataError, match=r"64 columns; patches of size 4 have 16"):
        PatchesSource(size=4, path=tmp_path / "a.npy").check()
    np.save(tmp_path / "b.npy", np.full((10, 64), 0.5))
    with pytest.raises(wopt.DataError, match="other values than the grey levels"):
        PatchesSource(path=tmp_path / "b.npy").load(0)
    with pytest.raises(wopt.DataError, match="does not exist"):
        PatchesSource(path=tmp_path / "c.npy").check()


def test_natural_patches(real_data):
    path = real_data / "tabular" / "natural_patches8x8.npz"
    data = PatchesSource(path=path).load(seed=0)
    assert (data.train.shape, data.test.shape) == ((50_000, 63), (5000, 63))
