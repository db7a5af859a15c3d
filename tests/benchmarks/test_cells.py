"""The benchmark of cells in time measures what it says."""

import cells
import numpy as np
import pytest


def test_distances_and_straight_lines_are_exact():
    """A shift by v: W_1 is |v|, and displacement interpolation at s is the shift by s v."""
    pytest.importorskip("ot")
    before = np.random.default_rng(0).normal(size=(40, 2))
    shift = np.array([0.3, -0.4])
    assert cells.distance(before, before + shift) == pytest.approx(0.5)
    part = cells.straight(before, np.random.default_rng(1).permutation(before + shift), 0.25)
    assert cells.distance(part, before + 0.25 * shift) == pytest.approx(0.0, abs=1e-6)


def test_differences_are_paired_by_seed():
    rows = [
        {"data": "a", "seed": seed, "guess": guess, "w1": w1}
        for seed, guess, w1 in [
            (0, "displacement interpolation", 1.0),
            (1, "displacement interpolation", 3.0),
            (0, "flow", 1.1),
            (1, "flow", 3.3),
            (2, "flow", 9.0),
        ]
    ]
    assert cells.gaps(rows, "flow") == pytest.approx([0.1, 0.3])
    (line,) = [line for line in cells.summary(rows).splitlines() if "| flow |" in line]
    assert line.startswith("| a | flow | 3 | 4.467 +- 4.")
    assert "| +0.200 +- 0.100 |" in line
